-- SPDX-License-Identifier: MIT
--
-- DTLS servers with libdtlslisten, for LuaJIT:
--
--     local dtlslisten = require("dtlslisten")
--     local listener = dtlslisten.listener({
--         port = 4433, self_signed = true,
--     })
--     for event in listener:events() do
--         if event.type == "data" then
--             event.conn:send(event.data)
--         end
--     end
--
-- Options are those of dtlslisten-config(5) with "_" for "-"; one that ends in
-- "_ms" may be given without it, in seconds. What is wrong with arguments or
-- options is raised, as an object with code, name and message; what happens at
-- run time is returned as nil, message, name. dtlslisten.luv serves on a loop,
-- with a coroutine for each connection.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local Listener = require("dtlslisten.listener")
local Gate = require("dtlslisten.gate")
local ffi, lib = library.ffi, library.lib

local dtlslisten = {
    strategy = require("dtlslisten.strategy"),
}

-- listener{ [host =], [port =], ... }: a listener that serves. Without a host
-- on all addresses, with port 0 or none on one that is free; or with fd on a
-- UDP socket that is bound already.
function dtlslisten.listener(opts)
    return Listener.new(opts)
end

-- gate{ ... }: a gate for datagrams that you receive yourself.
function dtlslisten.gate(opts)
    return Gate.new(opts)
end

-- The version of the library that runs, "0.1.0".
function dtlslisten.version()
    return ffi.string(lib.dtlsl_version_string())
end

-- Whether a datagram starts with a ClientHello, or a part of one.
function dtlslisten.is_client_hello(datagram)
    errors.bytes("dtlslisten.is_client_hello", datagram)
    return lib.dtlsl_is_client_hello(datagram, #datagram) == 1
end

-- 32 bytes by which copies of one ClientHello are told, or nil, message, name.
function dtlslisten.hello_id(datagram)
    errors.bytes("dtlslisten.hello_id", datagram)
    local id = ffi.new("uint8_t[?]", lib.DTLSL_HELLO_ID_LEN)
    local result = lib.dtlsl_hello_id(datagram, #datagram, id)

    if result < 0 then
        return errors.failure(result)
    end
    return ffi.string(id, lib.DTLSL_HELLO_ID_LEN)
end

return dtlslisten
