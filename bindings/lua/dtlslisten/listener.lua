-- SPDX-License-Identifier: MIT
--
-- A DTLS server on one UDP port, by pulling: events are asked for, and nothing
-- calls back into Lua.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local options = require("dtlslisten.options")
local Conn = require("dtlslisten.conn")
local ffi, lib, fetch = library.ffi, library.lib, library.fetch

local DATA, HELLO = lib.DTLSL_EVENT_DATA, lib.DTLSL_EVENT_HELLO

-- Those of a public interface of the system, under names of our own: others
-- may have declared theirs.
if not pcall(ffi.typeof, "dtlslisten_pollfd") then
    ffi.cdef([[
        typedef struct dtlslisten_pollfd {
            int fd;
            short events;
            short revents;
        } dtlslisten_pollfd;
        int dtlslisten_poll(dtlslisten_pollfd *fds, unsigned long n,
                            int timeout) __asm__("poll");
    ]])
end
local POLLIN = 1
local pollfd = ffi.new("dtlslisten_pollfd[1]")

local event_types = {
    [lib.DTLSL_EVENT_OPEN] = "open",
    [DATA] = "data",
    [lib.DTLSL_EVENT_WRITABLE] = "writable",
    [lib.DTLSL_EVENT_CLOSE] = "close",
    [lib.DTLSL_EVENT_FAILED] = "failed",
    [HELLO] = "hello",
    [lib.DTLSL_EVENT_NOTICE] = "notice",
    [lib.DTLSL_EVENT_STOPPED] = "stopped",
}

local reasons = {
    [lib.DTLSL_CLOSE_PEER] = "peer",
    [lib.DTLSL_CLOSE_LOCAL] = "local",
    [lib.DTLSL_CLOSE_IDLE] = "idle",
    [lib.DTLSL_CLOSE_TIMEOUT] = "timeout",
    [lib.DTLSL_CLOSE_REPLACED] = "replaced",
    [lib.DTLSL_CLOSE_EVICTED] = "evicted",
    [lib.DTLSL_CLOSE_STOPPED] = "stopped",
    [lib.DTLSL_CLOSE_ALERT] = "alert",
    [lib.DTLSL_CLOSE_TLS] = "tls",
    [lib.DTLSL_CLOSE_NOMEM] = "nomem",
}

local Listener = {}
Listener.__index = Listener

-- What is not an option of the library's, with its type.
Listener.own_options = {
    host = "string",
    port = "number",
    fd = "number",
    cookie_options = options.shared.cookie_options,
    strategies = options.shared.strategies,
}

-- ---- life ------------------------------------------------------------------

-- The pointer, as long as there is one.
local function alive(self)
    local pointer = self.pointer

    if not pointer then
        errors.raise(lib.DTLSL_ERR_STATE, "the listener was closed")
    end
    return pointer
end

local function start(self, opts)
    local api, pointer = self.api, self.pointer
    local result

    if opts.fd then
        result = api.dtlsl_listener_start_fd(pointer,
            options.number("fd", opts.fd, 0, 2 ^ 31 - 1))
    else
        result = api.dtlsl_listener_start(pointer,
            opts.host and errors.text("option host", opts.host),
            options.number("port", opts.port or 0, 0, 65535))
    end
    if result < 0 then
        local text = ffi.string(lib.dtlsl_listener_error(pointer))
        self:close()
        errors.raise(result, text)
    end
end

-- Listener.new(OPTS, [OWN]): a listener that serves. OWN are the names in OPTS
-- that it takes itself.
function Listener.new(opts, own)
    local strategies = type(opts) == "table" and opts.strategies
    -- The strategies' functions are called by the library.
    local api = strategies and library.interpreted or lib
    local pointer = options.make(opts, own or Listener.own_options,
        api.dtlsl_listener_new, "dtlsl_listener", nil)
    local self = setmetatable({
        api = api,
        pointer = pointer,
        strategies = strategies,
        conns = {},
        new_conn = Conn.new,
    }, Listener)

    library.own(self, api.dtlsl_listener_free)
    start(self, opts)
    return self
end

-- Frees it at once; peers are not told.
function Listener:close()
    self.conns = {}
    self.release()
end

-- Takes no new peers and says good-bye to all; "stopped" is the last event.
function Listener:stop()
    local result = self.api.dtlsl_listener_stop(alive(self))

    if result < 0 then
        return errors.failure(result)
    end
    return true
end

-- ---- events ----------------------------------------------------------------

local function conn_of(self, id)
    local conn = self.conns[id]

    if not conn and id ~= 0 then
        conn = self.new_conn(self, id)
        self.conns[id] = conn
    end
    return conn
end

-- An event that is no "data".
local function rarer(self, event, kind)
    local id = tonumber(event.conn)
    local found = { type = event_types[kind], conn = conn_of(self, id) }

    if event.status ~= 0 then
        found.reason = reasons[event.status] or "tls"
        self.conns[id] = nil
    end
    if event.status ~= 0 or kind == HELLO then
        found.conn:peer() -- perhaps the last chance to ask, and it keeps them
        found.conn:local_address()
    end
    if event.len > 0 then
        found.text = ffi.string(event.data, event.len)
    end
    self.stopped = kind == lib.DTLSL_EVENT_STOPPED
    return found
end

-- The next event, or nil. It is yours: no later call changes it.
function Listener:next()
    local pointer = alive(self)

    while true do
        local event = self.api.dtlsl_listener_next(pointer)
        if event == nil then
            return nil
        end
        local kind = event.type
        if kind == DATA then
            return {
                type = "data",
                conn = conn_of(self, tonumber(event.conn)),
                data = ffi.string(event.data, event.len),
            }
        elseif event_types[kind] then
            return rarer(self, event, kind)
        end
    end
end

-- Waits at most MS milliseconds (-1: without limit) for something to do, and
-- does it. It waits outside of the library, so that a signal ends it: LuaJIT
-- raises "interrupted!" behind it, but never in compiled code.
local function wait(self, ms)
    local pointer = alive(self)
    local timeout = self.api.dtlsl_listener_timeout(pointer)

    if ms >= 0 and ms < timeout then
        timeout = ms
    end
    pollfd[0].fd = lib.dtlsl_listener_fd(pointer)
    pollfd[0].events = POLLIN
    ffi.C.dtlslisten_poll(pollfd, 1, timeout)
    return self.api.dtlsl_listener_poll(pointer, 0) > 0
end
jit.off(wait)

-- As above; true if there are events to take with next().
function Listener:poll(ms)
    if ms == 0 then
        return self.api.dtlsl_listener_poll(alive(self), 0) > 0
    end
    return (wait(self, ms or -1))
end

-- for event in listener:events(): all of them, until "stopped" was the last.
function Listener:events()
    return function()
        while self.pointer and not self.stopped do
            local event = self:next()
            if event then
                return event
            end
            wait(self, -1)
        end
    end
end

-- For a loop of one's own: readable when there is something to poll.
function Listener:fd()
    return lib.dtlsl_listener_fd(alive(self))
end

-- Sends what is buffered, then says after how many milliseconds poll(0) must
-- be called at the latest: 0 to 60000.
function Listener:timeout()
    return self.api.dtlsl_listener_timeout(alive(self))
end

-- ---- the rest --------------------------------------------------------------

-- Reads certificates and keys anew; true, or nil, message, name, and the old
-- ones stay.
function Listener:reload()
    local pointer = alive(self)
    local result = self.api.dtlsl_listener_reload(pointer)

    if result < 0 then
        local _, _, name = errors.failure(result)
        return nil, ffi.string(lib.dtlsl_listener_error(pointer)), name
    end
    return true
end

-- The bound address, "192.0.2.1:4433" or "[2001:db8::1]:4433".
function Listener:address()
    local buffer, result = fetch(lib.dtlsl_listener_address, alive(self))

    if result < 0 then
        return errors.failure(result)
    end
    return ffi.string(buffer)
end

-- for conn in listener:connections(): half-open ones included.
function Listener:connections()
    local id = 0

    return function()
        id = tonumber(lib.dtlsl_conn_next(alive(self), id))
        return conn_of(self, id)
    end
end

-- All counters: name -> number. dtlsl_listener(3) says what they count.
function Listener:counters()
    return library.counters(lib.dtlsl_listener_counter_at, alive(self))
end

local function counters_text(self, format)
    local buffer, result = fetch(lib.dtlsl_listener_counters, alive(self),
        format)

    if result < 0 then
        return errors.failure(result)
    end
    return ffi.string(buffer, result)
end

-- All counters in the format of Prometheus, and as one line of JSON.
function Listener:prometheus()
    return counters_text(self, lib.DTLSL_FORMAT_PROMETHEUS)
end

function Listener:json()
    return counters_text(self, lib.DTLSL_FORMAT_JSON)
end

return Listener
