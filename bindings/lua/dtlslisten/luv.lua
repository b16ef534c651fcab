-- SPDX-License-Identifier: MIT
--
-- A server on luv's loop, with a coroutine for each connection:
--
--     local server = require("dtlslisten.luv").serve({
--         port = 4433, self_signed = true,
--     }, function(conn)
--         for message in conn:messages() do
--             conn:send(message)
--         end
--     end)
--     uv.run()
--
-- What waits, yields: conn:receive() for a message, conn:send() for room in
-- the socket.

local uv = require("luv")
local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local options = require("dtlslisten.options")
local Listener = require("dtlslisten.listener")
local Conn = require("dtlslisten.conn")
local lib = library.lib

local QUEUE = 64

local own_options = {
    receive_queue = "number",
    on_error = "function",
    on_event = "function",
}
for name, kind in pairs(Listener.own_options) do
    own_options[name] = kind
end

local Server = {}
Server.__index = Server

-- ---- coroutines ------------------------------------------------------------

local function print_error(text)
    io.stderr:write(text, "\n")
end

-- Whatever on_error does, the server goes on.
local function report(server, text, conn)
    local ok, problem = pcall(server.on_error, text, conn)

    if not ok then
        pcall(print_error, "on_error: " .. tostring(problem))
    end
end

local function resume(conn, thread)
    local ok, problem = coroutine.resume(thread)

    if not ok then -- a coroutine of the application's that waited here
        report(conn.server, debug.traceback(thread, tostring(problem)), conn)
    end
end

local function describe(problem)
    return debug.traceback(tostring(problem), 2)
end

-- The body of a connection's coroutine.
local function run(conn)
    local ok, text = xpcall(conn.server.handler, describe, conn)

    conn:close()
    if not ok then
        report(conn.server, text, conn)
    end
end

-- The coroutine that runs, if one does. The main thread is none, but where
-- LuaJIT was built to be like Lua 5.2 it is given with a true behind it.
local function running()
    local thread, is_main = coroutine.running()

    return not is_main and thread or nil
end

local function wake_reader(conn)
    local thread = conn.reader

    if thread then
        conn.reader = nil
        resume(conn, thread)
    end
end

local function wake_writers(conn)
    local threads = conn.writers

    conn.writers = nil
    for _, thread in ipairs(threads or {}) do
        resume(conn, thread)
    end
end

-- ---- a connection ----------------------------------------------------------

-- The methods of a connection, and some that wait.
local Stream = setmetatable({}, { __index = Conn })
Stream.__index = Stream

local function new_stream(server, listener, id)
    return setmetatable({
        listener = listener,
        id = id,
        server = server,
        queue = {}, -- the messages number first to last
        first = 1,
        last = 0,
        dropped = 0,
    }, Stream)
end

-- The next message; nil, a text and a reason as of the event "close" behind
-- the last one. Called in a coroutine it waits.
function Stream:receive()
    while self.first > self.last do
        if self.ended then
            return nil, self.ended.text, self.ended.reason
        end
        local thread = running()
        if not thread then
            errors.raise(lib.DTLSL_ERR_STATE,
                "conn:receive waits: call it in a coroutine")
        elseif self.reader and self.reader ~= thread then
            errors.raise(lib.DTLSL_ERR_STATE,
                "conn:receive: another coroutine waits for this connection")
        end
        self.reader = thread
        coroutine.yield()
    end
    local message = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    return message
end

-- for message in conn:messages(): all of them, until the connection ends.
function Stream:messages()
    return function()
        return (self:receive())
    end
end

-- Whoever else resumes the coroutine does not wake it.
local function wait_for_room(conn, thread)
    local writers = conn.writers or {}

    conn.writers = writers
    table.insert(writers, thread)
    repeat
        coroutine.yield()
    until conn.writers ~= writers
end

-- As before, but in a coroutine it waits instead of DTLSL_ERR_BUSY.
function Stream:send(data)
    while true do
        local ok, message, name = Conn.send(self, data)
        self.server:touch()
        local thread = name == "DTLSL_ERR_BUSY" and running()
        if not thread then
            return ok, message, name
        end
        wait_for_room(self, thread)
    end
end

function Stream:close()
    local ok, message, name = Conn.close(self)

    self.server:touch()
    return ok, message, name
end

local function put(server, conn, message)
    if conn.last - conn.first + 1 >= server.receive_queue then
        conn.dropped = conn.dropped + 1
        server.dropped = server.dropped + 1
        return
    end
    conn.last = conn.last + 1
    conn.queue[conn.last] = message
    wake_reader(conn)
end

local function finish(conn, text, reason)
    conn.ended = { text = text, reason = reason }
    wake_reader(conn)
    wake_writers(conn)
end

-- ---- the loop --------------------------------------------------------------

local function close_handles(server)
    uv.poll_stop(server.poll)
    uv.timer_stop(server.timer)
    uv.close(server.poll)
    uv.close(server.timer)
end

local function call_stopped(server)
    local callback = server.on_stopped

    server.on_stopped = nil
    if callback then
        local ok, text = xpcall(callback, describe)
        if not ok then
            report(server, text)
        end
    end
end

local take = {}

function take.open(_, event)
    resume(event.conn, coroutine.create(function()
        run(event.conn)
    end))
end

function take.data(server, event)
    put(server, event.conn, event.data)
end

function take.writable(_, event)
    wake_writers(event.conn)
end

function take.close(_, event)
    finish(event.conn, event.text, event.reason)
end

function take.stopped(server)
    call_stopped(server)
    server:close()
end

local function other(server, event)
    if server.on_event then
        local ok, text = xpcall(server.on_event, describe, event)
        if not ok then
            report(server, text, event.conn)
        end
    end
end

local function arm(server)
    server.armed = false
    uv.timer_start(server.timer, server.listener:timeout(), 0,
        server.on_wake)
end

-- One batch of datagrams, and what follows from it.
local function pump(server)
    local listener = server.listener

    server.pumping = true
    listener:poll(0)
    while not server.closed do
        local event = listener:next()
        if not event then
            break
        end
        (take[event.type] or other)(server, event)
    end
    server.pumping = false
    if not server.closed then
        arm(server)
    end
end

-- After a call into the library the timer is set anew: at the end of the pump,
-- or as soon as the loop runs, once for all calls until then.
function Server:touch()
    if not self.pumping and not self.armed and not self.closed then
        self.armed = true
        uv.timer_start(self.timer, 0, 0, self.on_wake)
    end
end

-- ---- a server --------------------------------------------------------------

function Server:address()
    return self.listener:address()
end

-- Those of the listener, and receive_queue_dropped: messages that found the
-- queue of their connection full.
function Server:counters()
    local counters = self.listener:counters()

    counters.receive_queue_dropped = self.dropped
    return counters
end

function Server:prometheus()
    return ("%s# HELP dtlslisten_receive_queue_dropped_total messages " ..
        "that found a full queue\n" ..
        "# TYPE dtlslisten_receive_queue_dropped_total counter\n" ..
        "dtlslisten_receive_queue_dropped_total %.0f\n"):format(
        self.listener:prometheus(), self.dropped)
end

function Server:json()
    return ('%s,"receive_queue_dropped":%.0f}'):format(
        self.listener:json():sub(1, -2), self.dropped)
end

function Server:reload()
    local ok, message, name = self.listener:reload()

    self:touch()
    return ok, message, name
end

-- Takes no new peers and says good-bye to all; when the port is free again
-- CALLBACK is called, which may still read counters, and the server closed.
-- DTLSL_ERR_STATE, without a callback, when that was said before.
function Server:stop(callback)
    if self.closed then
        return errors.failure(lib.DTLSL_ERR_STATE)
    end
    local ok, message, name = self.listener:stop()
    if ok then
        self.on_stopped = callback
    end
    self:touch()
    return ok, message, name
end

-- Frees everything at once; peers are not told, what waits gets nil, and the
-- callback of stop is called if that had not come to its end. The loop
-- must run once more before the program ends: luv does not survive handles
-- that are half closed.
function Server:close()
    if self.closed then
        return
    end
    self.closed = true
    close_handles(self)
    local conns = self.listener.conns
    self.listener:close()
    for _, conn in pairs(conns) do
        finish(conn, "the server was closed", "stopped")
    end
    call_stopped(self)
end

local luv = {}

-- serve(OPTS, HANDLER): HANDLER(conn) runs in a coroutine of its own for each
-- connection, which is closed when it returns. OPTS are those of
-- dtlslisten.listener, and
--   receive_queue  messages that wait for a handler, per connection; later
--                  ones are dropped and counted, also in conn.dropped (64)
--   on_error       function(text, conn) for a handler that raised; the text
--                  has a traceback (it is written to io.stderr)
--   on_event       function(event) for "failed", and for "hello" and "notice"
--                  where events_hello and events_notice are set
function luv.serve(opts, handler)
    if type(handler) ~= "function" then
        errors.argument("serve takes a function for connections, not a %s",
            type(handler))
    end
    local receive_queue = options.number("receive_queue",
        type(opts) == "table" and opts.receive_queue or QUEUE, 1, 2 ^ 31)
    local listener = Listener.new(opts, own_options)
    local server = setmetatable({
        listener = listener,
        handler = handler,
        receive_queue = receive_queue,
        on_error = opts.on_error or print_error,
        on_event = opts.on_event,
        dropped = 0,
        poll = uv.new_poll(listener:fd()),
        timer = uv.new_timer(),
    }, Server)

    function listener.new_conn(...)
        return new_stream(server, ...)
    end

    function server.on_wake()
        if not server.closed then
            pump(server)
        end
    end

    uv.poll_start(server.poll, "r", server.on_wake)
    arm(server)
    return server
end

return luv
