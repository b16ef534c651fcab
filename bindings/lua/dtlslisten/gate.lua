-- SPDX-License-Identifier: MIT
--
-- The gate: what DTLSv1_listen() decides, for datagrams that somebody else
-- received, without a socket or a loop.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local options = require("dtlslisten.options")
local ffi, lib = library.ffi, library.lib

local actions = {
    [lib.DTLSL_DROP] = "drop",
    [lib.DTLSL_REPLY] = "reply",
    [lib.DTLSL_ACCEPT] = "accept",
}

local reasons = {}
for _, name in ipairs({
    "short", "type", "version", "record_length", "epoch", "message_length",
    "message_type", "message_seq", "fragment", "hello_length", "session_id",
    "malformed", "cookie_seq", "record_seq", "source", "destination",
    "amplify", "bad_cookie", "notready", "refused", "strategy",
}) do
    reasons[lib["DTLSL_REASON_DROP_" .. name:upper()]] = "drop_" .. name
end

local Gate = {}
Gate.__index = Gate

local function alive(self)
    if not self.pointer then
        errors.raise(lib.DTLSL_ERR_STATE, "the gate was closed")
    end
    return self.pointer
end

-- Gate.new(OPTS): no credentials are needed.
function Gate.new(opts)
    local strategies = type(opts) == "table" and opts.strategies
    local api = strategies and library.interpreted or lib
    local pointer = options.make(opts, options.shared, api.dtlsl_gate_new,
        "dtlsl_gate")
    local self = setmetatable({
        api = api,
        pointer = pointer,
        strategies = strategies,
        now = ffi.new("dtlsl_now"),
        due = ffi.new("uint64_t[1]"),
        path = ffi.new("dtlsl_path"),
        reply = ffi.new("uint8_t[?]", lib.DTLSL_REPLY_MAX),
        verdict = ffi.new("dtlsl_verdict"),
    }, Gate)

    library.own(self, api.dtlsl_gate_free)
    self.verdict.size = ffi.sizeof("dtlsl_verdict")
    self.verdict.reply = self.reply
    self.verdict.reply_cap = lib.DTLSL_REPLY_MAX
    return self
end

function Gate:close()
    self.release()
end

-- Reads the clocks; keys rotate when it is time.
local function tick(self)
    lib.dtlsl_now_read(self.now)
    if self.now.mono_ms >= self.due[0] then
        self.api.dtlsl_gate_tick(self.pointer, self.now, self.due)
    end
end

local function read_verdict(verdict)
    local found = {
        action = actions[verdict.action],
        record_len = verdict.record_len,
    }

    if verdict.action == lib.DTLSL_DROP then
        found.reason = reasons[verdict.reason]
    elseif verdict.action == lib.DTLSL_REPLY then
        found.reply = ffi.string(verdict.reply, verdict.reply_len)
    else
        found.age = verdict.age_ms / 1000
        found.node = verdict.node
        found.app = ffi.string(verdict.app, verdict.app_len)
    end
    return found
end

-- Judges one datagram that came from PEER to LOCAL (nil: unknown), addresses
-- as conn:peer() writes them. A table: action, "drop", "reply" or "accept";
-- reason of a drop, "drop_short" and so on; reply, the bytes to send back; of
-- an accept age in seconds, node and app; record_len, where records behind the
-- ClientHello's begin.
function Gate:judge(datagram, peer, own)
    local pointer = alive(self)

    errors.bytes("gate:judge: the datagram", datagram)
    errors.text("gate:judge: the peer's address", peer)
    if own ~= nil then
        errors.text("gate:judge: our address", own)
    end
    if lib.dtlsl_path_set_text(self.path, peer, own) < 0 then
        errors.argument("gate:judge: '%s' and '%s' are not both addresses " ..
            "such as 192.0.2.1:4433 or [2001:db8::1]:4433", peer,
            tostring(own))
    end
    tick(self)
    local result = self.api.dtlsl_gate_judge(pointer, self.path, datagram,
        #datagram, self.now, self.verdict)
    if result < 0 then
        errors.raise(result, ffi.string(lib.dtlsl_strerror(result)))
    end
    return read_verdict(self.verdict)
end

-- All counters: name -> number. dtlsl_gate(3) says what they count.
function Gate:counters()
    return library.counters(lib.dtlsl_gate_counter_at, alive(self))
end

return Gate
