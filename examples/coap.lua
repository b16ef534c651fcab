-- SPDX-License-Identifier: MIT
--
-- A CoAP server over DTLS (RFC 7252) on luv's loop.
--
--     luajit coap.lua [-o NAME=VALUE]... HOST [PORT]
--
-- HOST is a numeric address, "-" or "*" for all; PORT is 5684 unless given. It
-- has /hello, /time and /.well-known/core. SIGUSR1 prints the counters, SIGINT
-- and SIGTERM stop; see dtlslisten-config(5).

package.path = (arg and arg[0]:match("^(.*/)") or "./") .. "?.lua;" ..
    package.path

local CON, NON, ACK = 0, 1, 2
local GET, CONTENT = 0x01, 0x45
local BAD_OPTION, NOT_FOUND, NOT_ALLOWED, NOT_ACCEPTABLE =
    0x82, 0x84, 0x85, 0x86
local PROXYING_NOT_SUPPORTED = 0xA5
local URI_PATH, URI_QUERY, ACCEPT = 11, 15, 17
local PROXY_URI, PROXY_SCHEME = 35, 39

-- The critical options that are understood: their shortest and longest value,
-- and whether they may be repeated (section 5.10).
local understood = {
    [3] = { 1, 255 }, -- Uri-Host
    [7] = { 0, 2 }, -- Uri-Port
    [URI_PATH] = { 0, 255, repeatable = true },
    [URI_QUERY] = { 0, 255, repeatable = true },
    [ACCEPT] = { 0, 2 },
}

local function big_endian(bytes)
    local value = 0

    for i = 1, #bytes do
        value = value * 256 + bytes:byte(i)
    end
    return value
end

-- An option's delta or length, and where it ends; nil if malformed
-- (section 3.1).
local function extended(nibble, data, at)
    local size = nibble < 13 and 0 or nibble - 12

    if nibble == 15 or at + size > #data + 1 then
        return nil
    elseif size == 0 then
        return nibble, at
    end
    local base = size == 1 and 13 or 269
    return base + big_endian(data:sub(at, at + size - 1)), at + size
end

-- A list of { number =, value = } up to the payload; nil if malformed.
local function read_options(data)
    local list = {}
    local number, at = 0, 1

    while at <= #data and data:byte(at) ~= 0xFF do
        local first = data:byte(at)
        local delta, length
        delta, at = extended(math.floor(first / 16), data, at + 1)
        if delta then
            length, at = extended(first % 16, data, at)
        end
        if not length or at + length > #data + 1 then
            return nil
        end
        number = number + delta
        table.insert(list, { number = number,
            value = data:sub(at, at + length - 1) })
        at = at + length
    end
    return at ~= #data and list or nil -- a marker has a payload behind it
end

local function is_understood(option, again)
    local rule, length = understood[option.number], #option.value

    return rule and length >= rule[1] and length <= rule[2] and
        (not again or rule.repeatable)
end

-- The code for the first option that is in the way, if there is one.
local function refusal(list)
    local before

    for _, option in ipairs(list) do
        local number = option.number
        if number == PROXY_URI or number == PROXY_SCHEME then
            return PROXYING_NOT_SUPPORTED
        elseif number % 2 == 1 and
            not is_understood(option, number == before) then
            return BAD_OPTION
        end
        before = number
    end
end

local function values(list, number)
    local found = {}

    for _, option in ipairs(list) do
        if option.number == number then
            table.insert(found, option.value)
        end
    end
    return found
end

-- By their segments: each with its Content-Format and its text.
local resources = {
    ["5:hello"] = { 0, function(peer)
        return "hello, " .. peer
    end },
    ["4:time"] = { 0, function(_, now)
        return os.date("!%Y-%m-%dT%H:%M:%SZ", now)
    end },
    ["11:.well-known4:core"] = { 40, function()
        return "</hello>;ct=0,</time>;ct=0"
    end },
}

local function resource_of(list)
    local key = ""

    for _, segment in ipairs(values(list, URI_PATH)) do
        key = key .. #segment .. ":" .. segment
    end
    return resources[key]
end

-- The code of the response, and what follows the token in it.
local function respond(method, list, peer, now)
    local code = refusal(list)
    local resource = resource_of(list)
    local accept = values(list, ACCEPT)[1]

    if code then
        return code, ""
    elseif not resource then
        return NOT_FOUND, ""
    elseif method ~= GET then
        return NOT_ALLOWED, ""
    elseif accept and big_endian(accept) ~= resource[1] then
        return NOT_ACCEPTABLE, ""
    end
    local format = resource[1] == 0 and "\192" or
        "\193" .. string.char(resource[1])
    return CONTENT, format .. "\255" .. resource[2](peer, now)
end

-- What goes back to a peer for its message, or nil; now as os.time().
local function answer(message, peer, now)
    if #message < 4 or math.floor(message:byte(1) / 64) ~= 1 then
        return nil
    end
    local first, code = message:byte(1, 2)
    local kind = math.floor(first / 16) % 4
    local last = 4 + first % 16 -- of the token
    if kind ~= CON and kind ~= NON then
        return nil
    end
    -- What is empty, malformed or no request is rejected (section 4.2, 4.3).
    local list = code >= 1 and code <= 31 and last <= 12 and
        last <= #message and read_options(message:sub(last + 1))
    if not list then
        return kind == CON and "\112\0" .. message:sub(3, 4) or nil
    end
    local result, rest = respond(code, list, peer, now)
    if result == BAD_OPTION and kind == NON then
        return nil
    elseif kind == CON then
        first = first + ACK * 16
    end
    -- A response to NON is NON; its message id is as unique as the request's.
    return string.char(first, result) .. message:sub(3, last) .. rest
end

local function coap(conn)
    for message in conn:messages() do
        local reply = answer(message, conn:peer(), os.time())
        if reply then
            conn:send(reply)
        end
    end
end

if arg and arg[0]:match("coap%.lua$") then
    require("echo").main(coap, 5684)
end

return { answer = answer }
