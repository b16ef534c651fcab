-- SPDX-License-Identifier: MIT
--
-- The gate, on datagrams of foreign clients.

local dtlslisten = require("dtlslisten")
local helper = require("spec.helper")

local HELLOS = helper.source .. "/tests/hellos/"
local PEER = "192.0.2.1:40000"

-- The second ClientHello: the first one with a cookie and message_seq 1.
local function with_cookie(hello, reply)
    local len = reply:byte(28)
    local cookie = reply:sub(28, 28 + len)
    local session = 25 + 1 + 34 -- where the session id's length stands
    local at = session + hello:byte(session) + 1
    local body = hello:sub(26, at - 1) .. cookie .. hello:sub(at + 1)

    local function u24(n)
        return string.char(math.floor(n / 65536), math.floor(n / 256) % 256,
            n % 256)
    end

    local fragment = "\1" .. u24(#body) .. "\0\1" .. u24(0) .. u24(#body) ..
        body
    return hello:sub(1, 10) .. "\1" .. u24(#fragment):sub(2) .. fragment
end

describe("a gate", function()
    local gate, hello

    before_each(function()
        gate = dtlslisten.gate({ cookie = "hmac" })
        hello = helper.read(HELLOS .. "openssl-1.bin")
    end)

    after_each(function()
        gate:close()
    end)

    it("answers strangers and accepts those that come back", function()
        local verdict = gate:judge(hello, PEER, "192.0.2.7:4433")

        assert.equal("reply", verdict.action)
        assert.is_true(#verdict.reply <= #hello)
        assert.equal(3, verdict.reply:byte(14)) -- a HelloVerifyRequest
        local second = with_cookie(hello, verdict.reply)
        verdict = gate:judge(second .. "more", PEER, "192.0.2.7:4433")
        assert.equal("accept", verdict.action)
        assert.equal(#second, verdict.record_len)
        assert.is_true(verdict.age >= 0 and verdict.age < 60)
        assert.equal(0, verdict.node)
        assert.equal("", verdict.app)
        verdict = gate:judge(second, "192.0.2.2:40000", "192.0.2.7:4433")
        assert.not_equal("accept", verdict.action)
        local counters = gate:counters()
        assert.equal(1, counters.accepted)
        assert.equal(1, counters.cookie_mismatch)
    end)

    it("drops junk and says why", function()
        for datagram, reason in pairs({
            [""] = "drop_short",
            ["x"] = "drop_short",
            [("x"):rep(100)] = "drop_type",
            ["\22\1\1" .. hello:sub(4)] = "drop_version",
            [hello:sub(1, -2)] = "drop_record_length",
            [hello:sub(1, 4) .. "\1" .. hello:sub(6)] = "drop_epoch",
        }) do
            local verdict = gate:judge(datagram, PEER)
            assert.equal("drop", verdict.action)
            assert.equal(reason, verdict.reason)
        end
        assert.equal("drop_source", gate:judge(hello, "192.0.2.1:0").reason)
    end)

    it("wants addresses", function()
        for _, peer in ipairs({ "192.0.2.1", "nonsense", "", "[::1]",
            "192.0.2.1:65536", "192.0.2.1:4433\0", 4433, {} }) do
            local ok, err = pcall(gate.judge, gate, hello, peer)
            assert.is_false(ok)
            assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        end
        assert.is_false(pcall(gate.judge, gate, hello))
        assert.is_false(pcall(gate.judge, gate, nil, PEER))
        local ok, err = pcall(gate.judge, gate, hello, PEER, 4433)
        assert.is_false(ok)
        assert.equal("DTLSL_ERR_ARGUMENT", err.name)
    end)

    it("can be closed", function()
        gate:close()
        gate:close()
        local ok, err = pcall(gate.judge, gate, hello, PEER)
        assert.is_false(ok)
        assert.equal("DTLSL_ERR_STATE", err.name)
    end)

    it("goes with the collector", function()
        for i = 1, 2000 do
            dtlslisten.gate({}):judge(hello, PEER)
            if i % 500 == 0 then
                collectgarbage()
            end
        end
    end)
end)

describe("a datagram", function()
    it("is told apart", function()
        local hello = helper.read(HELLOS .. "gnutls-1.bin")

        assert.is_true(dtlslisten.is_client_hello(hello))
        assert.is_false(dtlslisten.is_client_hello("x" .. hello))
        assert.equal(32, #dtlslisten.hello_id(hello))
        local id, _, name = dtlslisten.hello_id("x")
        assert.is_nil(id)
        assert.equal("DTLSL_ERR_ARGUMENT", name)
    end)

    it("is a string", function()
        for _, name in ipairs({ "is_client_hello", "hello_id" }) do
            local ok, err = pcall(dtlslisten[name], 3)
            assert.is_false(ok)
            assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        end
    end)
end)
