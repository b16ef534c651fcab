-- SPDX-License-Identifier: MIT
--
-- Cookie strategies in Lua: what they see, what may go wrong in them, and that
-- nothing of it leaves a callback.

local dtlslisten = require("dtlslisten")
local helper = require("spec.helper")

-- A strategy that works: the HMAC of what a cookie is to bind. FIELDS may
-- replace its functions.
local function working(name, fields)
    local all = {
        name = name,
        open = function(host)
            return { mac = host:hmac(host.secret), host = host }
        end,
        mint = function(input, state)
            return state.mac(input.peer .. input.core)
        end,
        verify = function(input, cookie, state)
            return state.host:equal(cookie,
                state.mac(input.peer .. input.core))
        end,
    }

    for field, value in pairs(fields or {}) do
        all[field] = value
    end
    return dtlslisten.strategy(all)
end

local function listen(strategy)
    return dtlslisten.listener({
        host = "127.0.0.1", self_signed = true, cookie = strategy.name,
        strategies = { strategy },
    })
end

-- One handshake; what the listener counted.
local function try(listener, done)
    local client = helper.openssl(listener:address())

    helper.wait_for(function()
        return done(listener:counters())
    end, function()
        listener:poll(10)
        while listener:next() do end
    end)
    client:kill("sigkill")
    client:wait()
    return listener:counters()
end

local function opened(counters)
    return counters.opened > 0
end

local function failed(counters)
    return counters.drop_strategy > 0
end

describe("a strategy in Lua", function()
    local listener

    after_each(function()
        helper.kill_all()
        if listener then
            listener:close()
            listener = nil
        end
    end)

    it("proves addresses", function()
        local seen = {}
        local strategy = working("works", {
            tick = function(mono_ms, unix_ms)
                seen.mono_ms, seen.unix_ms = mono_ms, unix_ms
                return mono_ms + 1000
            end,
            verify = function(input, cookie, state)
                seen.input, seen.cookie = input, cookie
                return state.host:equal(cookie,
                    state.mac(input.peer .. input.core)),
                    { age_ms = 1500, node = 3, app = "from the cookie" }
            end,
        })
        local conn

        listener = listen(strategy)
        local client = helper.openssl(listener:address())
        helper.wait_for(function()
            return conn
        end, function()
            listener:poll(10)
            local event = listener:next()
            conn = event and event.type == "open" and event.conn
        end)
        assert.is_nil(strategy.last_error)
        assert.equal(0, strategy.errors)
        assert.equal(1.5, conn:cookie_age())
        assert.equal("from the cookie", conn:cookie_app())
        assert.equal(24, #seen.input.peer)
        assert.equal(24, #seen.input.local_address)
        assert.is_true(#seen.input.core >= 35)
        assert.is_false(seen.input.fragmented)
        assert.equal(32, #seen.cookie)
        assert.is_true(math.abs(os.time() * 1000 - seen.unix_ms) < 3600e3)
        client:kill("sigkill")
        client:wait()
    end)

    it("gets options, and refuses those that it does not know", function()
        local given
        local strategy = working("options", {
            open = function(host, options)
                given = options
                if options.colour == "red" then
                    error("colour: red is out of stock", 0)
                end
                return { mac = host:hmac("key"), host = host }
            end,
        })
        local function try_colour(colour)
            return pcall(dtlslisten.gate, {
                cookie = "options", strategies = { strategy },
                cookie_options = { colour = colour },
            })
        end

        local ok, gate = try_colour("blue")
        assert.is_true(ok)
        assert.equal("blue", given.colour)
        gate:close()
        local refused, err = try_colour("red")
        assert.is_false(refused)
        assert.truthy(err.message:find("red is out of stock", 1, true))
        local plain = dtlslisten.strategy({ name = "plain",
            mint = function() end, verify = function() end })
        refused, err = pcall(dtlslisten.gate, { cookie = "plain",
            strategies = { plain }, cookie_options = { colour = "red" } })
        assert.is_false(refused)
        assert.truthy(err.message:find("no option 'colour'", 1, true))
    end)

    it("borrows from the library", function()
        local host
        local strategy = working("borrows", {
            open = function(lent)
                host = lent
                return { mac = lent:hmac("key"), host = lent }
            end,
        })
        local gate = dtlslisten.gate({ cookie = "borrows",
            strategies = { strategy } })

        -- RFC 4231, test case 2
        local tag = host:hmac("Jefe")("what do ya want for nothing?")
        assert.equal(0x5b, tag:byte(1))
        assert.equal(0x43, tag:byte(32))
        assert.equal(32, #host.secret)
        assert.equal(16, #host:random(16))
        assert.not_equal(host:random(16), host:random(16))
        assert.is_true(host:equal("same", "same"))
        assert.is_false(host:equal("same", "some"))
        assert.is_false(host:equal("same", "sam"))
        gate:close()
        assert.has_error(function()
            host:random(16)
        end)
    end)

    -- The library tests a strategy when it opens it; this one fails later.
    local function fails_later(name, field, broken)
        local strategy
        local armed = false
        local sound = {}

        strategy = working(name, {
            [field] = function(...)
                if armed then
                    return broken(...)
                end
                return sound[field](...)
            end,
        })
        sound.mint = function(input, state)
            return state.mac(input.peer .. input.core)
        end
        sound.verify = function(input, cookie, state)
            return state.host:equal(cookie,
                state.mac(input.peer .. input.core))
        end
        listener = listen(strategy)
        armed = true
        local counters = try(listener, failed)
        assert.equal(0, counters.opened)
        assert.is_true(strategy.errors >= 1)
        return strategy.last_error
    end

    it("may raise in mint", function()
        assert.truthy(fails_later("raises-mint", "mint", function()
            error("out of cookies")
        end):match("out of cookies.*stack traceback"))
    end)

    it("may raise in verify", function()
        assert.truthy(fails_later("raises-verify", "verify", function()
            error({ "an object" })
        end):find("table:", 1, true))
    end)

    it("may not mint too much, too little or nothing", function()
        assert.truthy(fails_later("too-much", "mint", function()
            return ("x"):rep(33)
        end):find("mint returned 33 bytes; 1 to 32", 1, true))
        listener:close()
        assert.truthy(fails_later("too-little", "mint", function()
            return ""
        end):find("mint returned 0 bytes", 1, true))
        listener:close()
        assert.truthy(fails_later("nothing", "mint", function()
            return nil
        end):find("mint returned a nil", 1, true))
    end)

    it("may not answer anything to verify", function()
        assert.truthy(fails_later("words", "verify", function()
            return "perhaps"
        end):find("verify returned perhaps", 1, true))
        listener:close()
        assert.truthy(fails_later("ages", "verify", function()
            return true, { age_ms = -1 }
        end):find("age_ms is -1", 1, true))
        listener:close()
        assert.truthy(fails_later("apps", "verify", function()
            return true, { app = ("x"):rep(233) }
        end):find("at most 232", 1, true))
    end)

    it("may not yield", function()
        assert.truthy(fails_later("yields", "mint", function()
            coroutine.yield()
        end):find("attempt to yield", 1, true))
    end)

    it("may refuse", function()
        local armed = false
        local strategy = working("refuses", {
            mint = function(input, state)
                if armed then
                    return nil, "refused"
                end
                return state.mac(input.peer .. input.core)
            end,
        })

        listener = listen(strategy)
        armed = true
        try(listener, function(counters)
            return counters.drop_refused > 0
        end)
        assert.is_nil(strategy.last_error)
    end)

    it("may raise in tick and close", function()
        local strategy = working("raises-late", {
            tick = function()
                error("tick failed")
            end,
            close = function()
                error("close failed")
            end,
        })

        listener = listen(strategy)
        assert.truthy(strategy.last_error:find("tick failed", 1, true))
        try(listener, opened)
        local before = strategy.errors
        listener:close()
        listener = nil
        assert.equal(before + 1, strategy.errors)
    end)

    it("may be collected together with its listener", function()
        local closed = 0

        for i = 1, 100 do
            listen(working("collected-" .. i, {
                close = function()
                    closed = closed + 1
                end,
            }))
        end
        collectgarbage()
        collectgarbage()
        assert.equal(100, closed)
    end)

    it("takes no callback slot of its own", function()
        -- LuaJIT has some hundred slots, and raises without one.
        for i = 1, 3000 do
            local strategy = working("slot-" .. i)
            if i % 100 == 0 then
                dtlslisten.gate({ cookie = strategy.name,
                    strategies = { strategy } }):close()
            end
        end
    end)

    it("is checked when it is made", function()
        local function refused(fields)
            local ok, err = pcall(dtlslisten.strategy, fields)
            assert.is_false(ok)
            assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        end

        refused(nil)
        refused({ name = "x", mint = print })
        refused({ name = "x", mint = print, verify = 3 })
        refused({ name = "x\0", mint = print, verify = print })
        refused({ name = 3, mint = print, verify = print })
        refused({ name = "x", mint = print, verify = print, colour = 3 })
        local ok, err = pcall(listen, working("Wrong Name"))
        assert.is_false(ok)
        assert.equal("table", type(err))
        ok, err = pcall(listen, dtlslisten.strategy({ name = "takes-all",
            mint = function() return "x" end,
            verify = function() return true end }))
        assert.is_false(ok)
        assert.truthy(err.message:find("self-test", 1, true))
    end)

    it("runs under the compiler and without it", function()
        for _, mode in ipairs({ "off", "on" }) do
            jit[mode]()
            local strategy = working("jit-" .. mode)
            local gate = dtlslisten.gate({ cookie = strategy.name,
                strategies = { strategy } })
            local hello = helper.read(helper.source ..
                "/tests/hellos/openssl-1.bin")
            for _ = 1, 2000 do
                local verdict = gate:judge(hello, "192.0.2.1:4433")
                assert(verdict.action == "reply")
            end
            gate:close()
            assert.is_nil(strategy.last_error)
        end
        jit.on()
    end)
end)
