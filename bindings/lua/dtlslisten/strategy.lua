-- SPDX-License-Identifier: MIT
--
-- Cookie strategies in Lua. The library calls them for each ClientHello of a
-- stranger, through callbacks of the FFI: that is slow, so they are for
-- experiments and small servers. All strategies share one set of callbacks,
-- made with the first of them. No error leaves a callback: the datagram is
-- dropped and counted as drop_strategy, and the first error is kept in
-- strategy.last_error.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local ffi, lib = library.ffi, library.lib

local FAILED = lib.DTLSL_ERR_PLUGIN
local NEVER = ffi.cast("uint64_t", ffi.cast("int64_t", -1))
local WORD = 2 ^ 32

local mint_codes = {
    notready = lib.DTLSL_COOKIE_NOTREADY,
    refused = lib.DTLSL_COOKIE_REFUSED,
}

local verify_codes = {
    valid = lib.DTLSL_COOKIE_VALID,
    malformed = lib.DTLSL_COOKIE_MALFORMED,
    unknown_key = lib.DTLSL_COOKIE_UNKNOWN_KEY,
    expired = lib.DTLSL_COOKIE_EXPIRED,
    future = lib.DTLSL_COOKIE_FUTURE,
    mismatch = lib.DTLSL_COOKIE_MISMATCH,
    need_more = lib.DTLSL_COOKIE_NEED_MORE,
    notready = lib.DTLSL_COOKIE_NOTREADY,
    refused = lib.DTLSL_COOKIE_REFUSED,
}

-- By the numbers that the library hands back: strategies, as long as somebody
-- has them, and what was opened and not closed yet.
local strategies = setmetatable({}, { __mode = "v" })
local opened = {}
local last_number = 0

local function next_number()
    last_number = last_number + 1
    return last_number
end

local function to_pointer(number)
    return ffi.cast("void *", number)
end

local function to_number(pointer)
    return tonumber(ffi.cast("intptr_t", pointer))
end

-- ---- what the library lends ------------------------------------------------

local Host = {}
Host.__index = Host

local function new_host(pointer)
    return setmetatable({
        pointer = pointer,
        -- 32 random bytes, the same for all listeners of a config
        secret = ffi.string(pointer.default_secret,
            lib.DTLSL_COOKIE_SECRET_LEN),
        macs = {},
    }, Host)
end

local function lent(host)
    if not host.pointer then
        error("the host is not there any more: the strategy was closed", 3)
    end
    return host.pointer
end

-- A function that makes the HMAC-SHA-256 of a string, 32 bytes, with that key.
function Host:hmac(key)
    local pointer = lent(self)
    local mac = pointer.hmac_new(pointer.ctx, key, #key)
    local tag = ffi.new("uint8_t[32]")

    if mac == nil then
        error("no memory for an HMAC", 2)
    end
    self.macs[#self.macs + 1] = mac
    return function(data)
        if lent(self).hmac_sha256(mac, data, #data, tag) < 0 then
            error("HMAC failed", 2)
        end
        return ffi.string(tag, 32)
    end
end

-- LENGTH random bytes.
function Host:random(length)
    local pointer = lent(self)
    local bytes = ffi.new("uint8_t[?]", length)

    if pointer.random(pointer.ctx, bytes, length) < 0 then
        error("the system gave no randomness", 2)
    end
    return ffi.string(bytes, length)
end

-- Whether two strings are equal, in a time that does not tell where they
-- differ.
function Host:equal(a, b)
    local pointer = lent(self)

    return #a == #b and pointer.ct_equal(a, b, #a) == 1
end

-- A line for the operator, a "notice"; never for each datagram.
function Host:log(text)
    local pointer = lent(self)

    pointer.log(pointer.ctx, 0, text)
end

local function close_host(host)
    for _, mac in ipairs(host.macs) do
        host.pointer.hmac_free(mac)
    end
    host.pointer = nil
end

-- ---- from C to Lua and back ------------------------------------------------

local function has(input, flag)
    return bit.band(input.flags, flag) ~= 0
end

local function read_input(input)
    local found = {
        mono_ms = tonumber(input.mono_ms),
        unix_ms = tonumber(input.unix_ms),
        peer = ffi.string(input.peer, 24),
        core = ffi.string(input.core, input.core_len),
        app = ffi.string(input.app, input.app_len),
        fragmented = has(input, lib.DTLSL_COOKIE_IN_FRAGMENTED),
    }

    if has(input, lib.DTLSL_COOKIE_IN_LOCAL) then
        found.local_address = ffi.string(input["local"], 24)
    end
    if has(input, lib.DTLSL_COOKIE_IN_TAIL) then
        found.tail = ffi.string(input.tail, input.tail_len)
    end
    return found
end

local function read_options(list, n)
    local found = {}

    for i = 0, tonumber(n) - 1 do
        found[ffi.string(list[i].key)] = ffi.string(list[i].value)
    end
    return found
end

-- A whole number of 32 bits, 0 if there is none.
local function word(details, name)
    local value = details[name] or 0

    if type(value) ~= "number" or value ~= math.floor(value) or value < 0 or
        value >= WORD then
        error(("verify: %s is %s, not a whole number below 2^32"):format(name,
            tostring(value)), 0)
    end
    return value
end

local function write_result(out, details)
    local app = details.app or ""

    if type(app) ~= "string" or #app > lib.DTLSL_COOKIE_APP_MAX then
        error(("verify: app is no string of at most %d bytes"):format(
            lib.DTLSL_COOKIE_APP_MAX), 0)
    end
    local age, node = word(details, "age_ms"), word(details, "node")
    out.age_ms, out.node, out.app_len = age, node, #app
    ffi.copy(out.app, app, #app)
end

-- ---- the callbacks ---------------------------------------------------------

local function refuse_options(given)
    local name = next(given)

    if name then
        error(("there is no option '%s'; take it out"):format(name), 0)
    end
end

local function open(host_pointer, user, list, n)
    local strategy = strategies[to_number(user)]
    local host = new_host(host_pointer)
    local given = read_options(list, n)
    local state = host

    if strategy.functions.open then
        state = strategy.functions.open(host, given)
    else
        refuse_options(given)
    end
    local number = next_number()
    opened[number] = { strategy = strategy, host = host, state = state }
    return number
end

local function mint(entry, input, cookie, cap)
    local strategy = entry.strategy
    local text, why = strategy.functions.mint(read_input(input), entry.state)
    local most = math.min(tonumber(cap), strategy.plugin.max_cookie_len)

    if text == nil and mint_codes[why] then
        return mint_codes[why]
    elseif type(text) ~= "string" then
        error(("mint returned a %s; give a string, or nil and 'notready' " ..
            "or 'refused'"):format(type(text)), 0)
    elseif #text < 1 or #text > most then
        error(("mint returned %d bytes; 1 to %d are allowed"):format(#text,
            most), 0)
    end
    ffi.copy(cookie, text, #text)
    return #text
end

local function verify(entry, input, cookie, len, out)
    local result, details = entry.strategy.functions.verify(
        read_input(input), ffi.string(cookie, len), entry.state)

    if result == true then
        result = "valid"
    elseif not result then
        result = "mismatch"
    end
    local code = verify_codes[result]
    if not code then
        error(("verify returned %s; give true, false or a name such as " ..
            "'expired'"):format(tostring(result)), 0)
    end
    if code == lib.DTLSL_COOKIE_VALID and details ~= nil then
        write_result(out, details)
    end
    return code
end

local function tick(entry, mono_ms, unix_ms)
    local due = entry.strategy.functions.tick(tonumber(mono_ms),
        tonumber(unix_ms), entry.state)

    if due ~= nil and (type(due) ~= "number" or due ~= due or due < 0) then
        error(("tick returned %s; give the monotonic time in milliseconds " ..
            "of the next one, or nil"):format(tostring(due)), 0)
    end
    return due
end

local function close(entry)
    if entry.strategy.functions.close then
        entry.strategy.functions.close(entry.state)
    end
end

local function describe(err)
    return debug.traceback(tostring(err), 2)
end

-- attempt(STRATEGY, FUNCTION, ...): its result, or nil; the first error is
-- kept. Nothing may unwind into C.
local function attempt(strategy, f, ...)
    local ok, result = xpcall(f, describe, ...)

    if ok then
        return result
    end
    strategy.errors = strategy.errors + 1
    strategy.last_error = strategy.last_error or result
    return nil, result
end

local function on_open(host, user, list, n, state, err, err_len)
    local number, problem = attempt(strategies[to_number(user)], open, host,
        user, list, n)

    if number then
        state[0] = to_pointer(number)
        return lib.DTLSL_OK
    end
    problem = problem:match("^[^\n]*"):sub(1, tonumber(err_len) - 1)
    ffi.copy(err, problem)
    return FAILED
end

local function on_close(state)
    local number = to_number(state)
    local entry = opened[number]

    attempt(entry.strategy, close, entry)
    close_host(entry.host)
    opened[number] = nil
end

local function on_mint(state, input, cookie, cap)
    local entry = opened[to_number(state)]

    return attempt(entry.strategy, mint, entry, input, cookie, cap) or FAILED
end

local function on_verify(state, input, cookie, len, out)
    local entry = opened[to_number(state)]

    return attempt(entry.strategy, verify, entry, input, cookie, len, out) or
        FAILED
end

local function on_tick(state, mono_ms, unix_ms, due)
    local entry = opened[to_number(state)]

    due[0] = attempt(entry.strategy, tick, entry, mono_ms, unix_ms) or NEVER
end

-- The only callbacks of the process; a slot is never given back.
local callbacks

local function new_plugin()
    if not callbacks then
        callbacks = ffi.new("dtlsl_cookie_plugin")
        callbacks.size = ffi.sizeof("dtlsl_cookie_plugin")
        callbacks.abi = lib.DTLSL_COOKIE_ABI
        callbacks.open, callbacks.close = on_open, on_close
        callbacks.mint, callbacks.verify = on_mint, on_verify
        callbacks.tick = on_tick
    end
    return ffi.new("dtlsl_cookie_plugin", callbacks)
end

-- ---- a strategy ------------------------------------------------------------

local kinds = {
    name = "string", max_cookie_len = "number", open = "function",
    close = "function", mint = "function", verify = "function",
    tick = "function",
}

local function check(fields)
    if type(fields) ~= "table" then
        errors.argument("dtlslisten.strategy takes a table, not a %s",
            type(fields))
    end
    for name, value in pairs(fields) do
        if type(value) ~= kinds[name] then
            errors.argument("dtlslisten.strategy: %s is %s", tostring(name),
                kinds[name] and "not a " .. kinds[name] or
                "none of its fields")
        end
    end
    for _, name in ipairs({ "name", "mint", "verify" }) do
        if not fields[name] then
            errors.argument("dtlslisten.strategy: %s is missing", name)
        end
    end
    errors.text("dtlslisten.strategy: the name", fields.name)
end

-- strategy{ name =, mint =, verify =, [max_cookie_len = 32], [open =],
-- [close =], [tick =] }: for the option strategies of a listener or gate.
local function strategy(fields)
    check(fields)
    local number = next_number()
    local plugin = new_plugin()
    local self = {
        name = fields.name,
        functions = fields,
        plugin = plugin,
        user = to_pointer(number),
        errors = 0,
    }

    plugin.name = self.name
    plugin.max_cookie_len = fields.max_cookie_len or lib.DTLSL_COOKIE_SAFE
    if not fields.tick then
        plugin.tick = nil
    end
    strategies[number] = self
    return self
end

return strategy
