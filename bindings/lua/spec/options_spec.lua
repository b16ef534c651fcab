-- SPDX-License-Identifier: MIT
--
-- Options: names, values, and what is said when they are wrong.

local dtlslisten = require("dtlslisten")
local options = require("dtlslisten.options")
local helper = require("spec.helper")

local function listener(opts)
    opts.host = opts.host or "127.0.0.1"
    if opts.self_signed == nil then
        opts.self_signed = true
    end
    return dtlslisten.listener(opts)
end

-- The error that FUNCTION(...) raises.
local function raised(f, ...)
    local ok, err = pcall(f, ...)

    assert.is_false(ok)
    assert.equal("table", type(err), tostring(err))
    assert.equal("number", type(err.code))
    assert.truthy(tostring(err):find(err.message, 1, true))
    return err
end

describe("options", function()
    it("have the library's names with underscores", function()
        listener({
            idle_timeout_ms = 30000, max_conns = 7, encrypt_then_mac = false,
            cookie = "hmac",
        }):close()
    end)

    it("may have the library's names as they are", function()
        listener({ ["idle-timeout-ms"] = "30000" }):close()
        listener({ ["cookie.lifetime-ms"] = 30000 }):close()
    end)

    it("that end in _ms may be given in seconds", function()
        listener({ idle_timeout = 30, handshake_timeout = 0.25 }):close()
        local err = raised(listener, { handshake_timeout = 0.05 })
        assert.truthy(err.message:find("=50: not in range", 1, true))
    end)

    it("may be lists", function()
        listener({ alpn = { "coap", "spare" } }):close()
        listener({ cookie = { "hmac" } }):close()
    end)

    it("of strategies stand in a table of their own", function()
        local secret = helper.write("secret", ("s"):rep(32))

        os.execute("chmod 600 '" .. secret .. "'")
        listener({ cookie_options = {
            lifetime_ms = 30000, ["hmac.secret-file"] = secret,
        } }):close()
        listener({ cookie_options = { ["secret-file"] = secret } }):close()
        local err = raised(listener, { cookie_options = { colour = "red" } })
        assert.truthy(err.message:find("no option 'colour'", 1, true))
    end)

    it("that are unknown name the nearest one", function()
        local err = raised(listener, { idle_timout = 30 })

        assert.equal("DTLSL_ERR_OPTION", err.name)
        assert.truthy(err.message:find(
            "'idle_timout'; did you mean 'idle_timeout'?", 1, true))
        assert.truthy(tostring(err):match("options_spec%.lua:%d+: "))
        err = raised(listener, { prot = 4433 })
        assert.truthy(err.message:find("mean 'port'?", 1, true))
        err = raised(listener, { "positional" })
        assert.equal("DTLSL_ERR_OPTION", err.name)
    end)

    it("that are said twice are refused", function()
        local err = raised(listener, { idle_timeout = 1,
            idle_timeout_ms = 1000 })

        assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        assert.truthy(err.message:find("idle_timeout_ms", 1, true))
    end)

    it("out of range are refused", function()
        assert.equal("DTLSL_ERR_ARGUMENT",
            raised(listener, { mtu = 10 }).name)
    end)

    it("of a wrong type are refused", function()
        for _, opts in ipairs({
            { idle_timeout = "30" }, { idle_timeout = 0 / 0 },
            { idle_timeout = math.huge }, { max_conns = 1.5 },
            { max_conns = print }, { cert_file = "a\0b" }, { port = "4433" },
            { port = 65536 }, { port = -1 }, { port = 1.5 }, { fd = -1 },
            { cookie_options = 3 }, { strategies = "hmac" },
            { max_conns = 2 ^ 53 }, { alpn = { true } },
            { alpn = { "a\0b" } }, { host = "127.0.0.1\0b" },
            { strategies = { "hmac" } }, { strategies = { 3 } },
            { strategies = { name = "hmac" } },
            { cookie_options = { 3 } }, { cookie_options = { ["a\0"] = 3 } },
            { ["cookie.lifetime-ms\0"] = 30000 },
        }) do
            assert.equal("DTLSL_ERR_ARGUMENT", raised(listener, opts).name)
        end
        assert.equal("DTLSL_ERR_ARGUMENT",
            raised(dtlslisten.listener, nil).name)
        assert.equal("DTLSL_ERR_ARGUMENT",
            raised(dtlslisten.listener, "4433").name)
    end)

    it("without credentials are refused", function()
        local err = raised(listener, { self_signed = false })

        assert.equal("DTLSL_ERR_CREDENTIALS", err.name)
    end)

    it("with files that are not there are refused", function()
        local err = raised(listener, { cert_file = "/nowhere/server.pem",
            self_signed = false })

        assert.truthy(err.message:find("/nowhere/server.pem", 1, true))
    end)

    it("with a taken port are refused", function()
        local first = listener({})
        local port = tonumber(helper.port_of(first:address()))
        local err = raised(listener, { port = port })

        assert.equal("EADDRINUSE", err.name)
        first:close()
        listener({ port = port }):close()
    end)

    it("leave nothing behind when they were refused", function()
        for _ = 1, 5000 do
            raised(listener, { idle_timout = 1 })
            raised(listener, { mtu = 10 })
        end
        collectgarbage()
    end)

    it("reach the library as text", function()
        local config = options.config({ max_conns = 10, alpn = { "a", "b" },
            self_signed = true, idle_timeout = 0.0005 }, {})

        assert.equal("cdata", type(config))
    end)
end)
