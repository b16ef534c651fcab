-- SPDX-License-Identifier: MIT
--
-- The examples as programs, and what the one for CoAP makes of messages.

local helper = require("spec.helper")

local EXAMPLES = helper.source .. "/examples/"

local function start(name, ...)
    local server = helper.luajit(EXAMPLES .. name, ...)

    server:sees("listening ")
    return server, server.output:match("listening (%S+)")
end

local function to_bytes(hex)
    return (hex:gsub("..", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

local function to_hex(bytes)
    return (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

describe("examples/echo.lua", function()
    after_each(helper.kill_all)

    it("echoes, prints counters and stops as that in C does", function()
        local server, address = start("echo.lua", "-o", "self-signed=1",
            "127.0.0.1", "0")
        local client = helper.openssl(address)

        client:say("hello\n")
        client:sees("hello")
        server:kill("sigusr1")
        server:sees('"opened":1')
        server:kill("sigstop") -- so that both are seen at once
        server:kill("sigint")
        server:kill("sigterm")
        server:kill("sigcont")
        assert.equal(0, server:wait())
        local _, n = server.output:gsub('"closed":1', "")
        assert.equal(1, n)
        assert.is_false(server:has("traceback"))
        assert.equal(0, client:wait())
    end)

    it("says why a handshake failed", function()
        local server, address = start("echo.lua", "-o", "self-signed=1", "-o",
            "alpn=coap", "127.0.0.1", "0")
        local client = helper.openssl(address, "-alpn", "other")

        server:sees("handshake failed: ")
        client:wait()
        server:kill("sigint")
        assert.equal(0, server:wait())
    end)

    it("refuses what it does not understand", function()
        for _, arguments in ipairs({
            {}, { "-o" }, { "-o", "self-signed", "127.0.0.1", "0" },
            { "127.0.0.1", "x" }, { "127.0.0.1", "0", "0" },
            { "-o", "nonsense=1", "127.0.0.1", "0" }, { "127.0.0.1", "0" },
        }) do
            local server = helper.luajit(EXAMPLES .. "echo.lua",
                unpack(arguments))
            assert.equal(2, server:wait())
            assert.is_true(#server.output > 10)
        end
    end)
end)

describe("examples/coap.lua", function()
    after_each(helper.kill_all)

    it("answers each message of the table", function()
        local coap = dofile(EXAMPLES .. "coap.lua")
        local n = 0

        for line in io.lines(helper.source .. "/tests/vectors/coap.txt") do
            local name, message, reply = line:match("^([^#%s]%S*) (%S+) (%S+)")
            if name then
                local bytes = message == "-" and "" or to_bytes(message)
                local found = coap.answer(bytes, "192.0.2.1:49152",
                    1767225600)
                assert.equal(name .. " " .. reply,
                    name .. " " .. (found and to_hex(found) or "-"))
                n = n + 1
            end
        end
        assert.is_true(n > 50)
    end)

    it("answers anything without an error", function()
        local coap = dofile(EXAMPLES .. "coap.lua")

        math.randomseed(7)
        for _ = 1, 20000 do
            local bytes = {}
            for i = 1, math.random(0, 24) do
                bytes[i] = string.char(math.random(0, 255))
            end
            bytes[1] = string.char(math.random(0x40, 0x5f))
            local reply = coap.answer(table.concat(bytes), "peer", 0)
            assert(reply == nil or #reply >= 4)
        end
    end)

    for _, backend in ipairs({ "openssl", "gnutls" }) do
        it("serves libcoap's client on " .. backend, function()
            local server, address = start("coap.lua", "-o", "psk-file=" ..
                helper.psk_file(), "127.0.0.1", "0")

            local function get(path, extra)
                local command = { "coap-client-" .. backend, "-v", "6", "-u",
                    helper.IDENTITY, "-k", helper.TEXT_KEY, "-B", "60" }
                for _, word in ipairs(extra or {}) do
                    table.insert(command, word)
                end
                table.insert(command, "coaps://" .. address .. path)
                local client = helper.spawn(command)
                client:wait()
                return client.output
            end
            assert.truthy(get("/hello"):find("hello, 127.0.0.1:", 1, true))
            assert.truthy(get("/hello", { "-N" }):find("t:NON c:2.05", 1,
                true))
            assert.truthy(get("/time"):find(os.date("!%Y-"), 1, true))
            assert.truthy(get("/.well-known/core"):find(
                "</hello>;ct=0,</time>;ct=0", 1, true))
            assert.truthy(get("/nope"):find("c:4.04", 1, true))
            assert.truthy(get("/hello", { "-m", "put", "-e", "x" }):find(
                "c:4.05", 1, true))
            server:stop()
        end)
    end
end)
