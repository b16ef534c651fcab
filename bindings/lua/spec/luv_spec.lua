-- SPDX-License-Identifier: MIT
--
-- The server on luv's loop, with foreign clients.

local uv = require("luv")
local luv = require("dtlslisten.luv")
local helper = require("spec.helper")

describe("a server on luv", function()
    local server, errors, events

    local function serve(opts, handler)
        opts.host = "127.0.0.1"
        if not opts.psk_file and not opts.cert_file then
            opts.self_signed = true
        end
        function opts.on_error(text, conn)
            table.insert(errors, { text = text, conn = conn })
        end
        function opts.on_event(event)
            table.insert(events, event)
        end
        server = luv.serve(opts, handler)
        return server:address()
    end

    local function echo(conn)
        for message in conn:messages() do
            conn:send(message)
        end
    end

    before_each(function()
        errors, events = {}, {}
    end)

    after_each(function()
        helper.kill_all()
        server:close()
        uv.run("nowait")
    end)

    it("echoes to OpenSSL, GnuTLS and one with a key", function()
        local address = serve({}, echo)

        for _, make in ipairs({ helper.openssl, helper.gnutls }) do
            local client = make(address)
            client:say("hello\n")
            client:sees("hello")
            client:say("world\n")
            client:sees("world")
            client:stop()
        end
        server:close()
        address = serve({ psk_file = helper.psk_file() }, echo)
        local client = helper.openssl_psk(address)
        client:say("hello\n")
        client:sees("hello")
        client:stop()
        assert.same({}, errors)
    end)

    it("ends the messages with the connection, and says why", function()
        local result
        local client = helper.openssl(serve({}, function(conn)
            echo(conn)
            result = { conn:receive() }
            assert.truthy(conn:peer())
            assert.is_nil((conn:send("too late")))
        end))

        client:say("hello\n")
        client:sees("hello")
        client:say("Q\n")
        helper.wait_for(function()
            return result
        end)
        assert.is_nil(result[1])
        assert.equal("string", type(result[2]))
        assert.equal("peer", result[3])
        assert.same({}, errors)
        client:wait()
    end)

    it("closes the connection when the handler returns", function()
        local client = helper.openssl(serve({}, function(conn)
            conn:send("good-bye\n")
        end))

        client:sees("good-bye")
        assert.equal(0, client:wait())
        assert.equal(1, server:counters().closed)
    end)

    it("reports a handler that raised, once, and goes on", function()
        local address = serve({}, function(conn)
            local message = conn:receive()
            if message == "bad\n" then
                error("bad message")
            end
            conn:send(message)
            conn:receive()
        end)
        local bad = helper.openssl(address)

        bad:say("bad\n")
        bad:wait()
        assert.equal(1, #errors)
        assert.truthy(errors[1].text:match(
            "luv_spec%.lua:%d+: bad message\nstack traceback"))
        assert.truthy(errors[1].conn:peer():match("^127%.0%.0%.1:"))
        local good = helper.openssl(address)
        good:say("good\n")
        good:sees("good")
        good:stop()
        assert.equal(1, #errors)
    end)

    it("survives an on_error that raises", function()
        local address = serve({}, function()
            error("first")
        end)

        function server.on_error()
            error("second")
        end
        local write = io.stderr.write
        helper.openssl(address):wait()
        assert.equal(write, io.stderr.write)
        assert.equal(1, server:counters().closed)
    end)

    it("drops the newest messages when a handler does not keep up",
        function()
            local conn, resume
            local address = serve({ receive_queue = 3 }, function(c)
                conn = c
                local thread = coroutine.running()
                resume = function()
                    coroutine.resume(thread)
                end
                coroutine.yield()
                echo(c)
            end)
            local client = helper.openssl(address)

            for i = 1, 10 do
                client:say("message " .. i .. ".\n")
                helper.wait_for(function()
                    return server:counters().data_in >= i
                end)
            end
            assert.equal(7, conn.dropped)
            assert.equal(7, server:counters().receive_queue_dropped)
            assert.truthy(server:json():match(
                '^{.*,"receive_queue_dropped":7}$'))
            assert.truthy(server:prometheus():find(
                "\ndtlslisten_receive_queue_dropped_total 7\n", 1, true))
            resume()
            client:sees("message 3.")
            assert.is_false(client:has("message 4."))
            client:say("later\n")
            client:sees("later")
            client:stop()
        end)

    it("lets a handler wait for something else", function()
        local client = helper.openssl(serve({}, function(conn)
            local thread = coroutine.running()
            local timer = uv.new_timer()
            timer:start(20, 0, function()
                timer:close()
                coroutine.resume(thread)
            end)
            coroutine.yield()
            conn:send("after a while\n")
            conn:receive()
        end))

        client:sees("after a while")
        client:stop()
    end)

    it("sends and closes from anywhere", function()
        local conn
        local client = helper.openssl(serve({}, function(c)
            conn = c
            assert.is_nil((c:receive()))
        end))

        helper.wait_for(function()
            return conn
        end)
        local timer = uv.new_timer()
        timer:start(0, 0, function()
            timer:close()
            assert(conn:send("from a timer\n"))
        end)
        client:sees("from a timer")
        conn:close()
        assert.equal(0, client:wait())
        assert.equal("local", conn.ended.reason)
        assert.same({}, errors)
    end)

    it("says that only a coroutine can wait, and only one", function()
        local conn
        local client = helper.openssl(serve({}, function(c)
            conn = c
            c:receive()
        end))

        helper.wait_for(function()
            return conn
        end)
        local ok, err
        local timer = uv.new_timer()
        timer:start(0, 0, function()
            ok, err = pcall(conn.receive, conn)
            timer:close()
        end)
        helper.wait_for(function()
            return err
        end)
        assert.is_false(ok)
        assert.equal("DTLSL_ERR_STATE", err.name)
        local running = coroutine.running
        rawset(coroutine, "running", function() -- as in Lua 5.2
            local thread, is_main = running()
            return thread or 0, is_main or thread == nil
        end)
        ok, err = pcall(conn.receive, conn)
        rawset(coroutine, "running", running)
        assert.is_false(ok)
        assert.truthy(err.message:find("call it in a coroutine", 1, true))
        local thread = coroutine.create(function()
            conn:receive()
        end)
        ok, err = coroutine.resume(thread)
        assert.is_false(ok)
        assert.equal("DTLSL_ERR_STATE", err.name)
        client:stop()
    end)

    it("reports a coroutine of the application that raises", function()
        local conn
        local client = helper.openssl(serve({}, function(c)
            conn = c
            coroutine.yield()
        end))

        helper.wait_for(function()
            return conn
        end)
        coroutine.wrap(function()
            error("with " .. conn:receive())
        end)()
        client:say("this\n")
        helper.wait_for(function()
            return errors[1]
        end)
        assert.truthy(errors[1].text:find("with this", 1, true))
        client:stop()
    end)

    it("hands other events on", function()
        local client = helper.openssl(serve({ alpn = "coap" }, echo), "-alpn",
            "other")

        helper.wait_for(function()
            return events[1]
        end)
        assert.equal("failed", events[1].type)
        assert.truthy(events[1].conn:peer())
        client:stop()
    end)

    it("stops: handlers end, the port is free, then it calls back",
        function()
            local reasons = {}
            local address = serve({}, function(conn)
                local _, _, reason = conn:receive()
                table.insert(reasons, reason)
            end)
            local client = helper.openssl(address)
            local counters

            helper.wait_for(function()
                return server:counters().conns == 1
            end)
            assert.is_true(server:stop(function()
                counters = server:counters()
            end))
            assert.is_nil((server:stop(error)))
            helper.wait_for(function()
                return counters
            end)
            assert.equal(1, counters.closed)
            assert.same({ "stopped" }, reasons)
            assert.is_nil((server:stop()))
            assert.equal(0, client:wait())
            luv.serve({ host = "127.0.0.1", self_signed = true,
                port = tonumber(helper.port_of(address)) }, echo):close()
        end)

    it("closes while it stops", function()
        local called = 0

        serve({}, echo)
        server:stop(function()
            called = called + 1
            server:close()
        end)
        server:close()
        server:close()
        assert.equal(1, called)
        assert.same({}, errors)
    end)

    it("closes at once, also in a handler", function()
        local ended
        local client = helper.openssl(serve({}, function(conn)
            conn:receive()
            server:close()
            ended = { conn:receive() }
        end))

        client:say("hello\n")
        helper.wait_for(function()
            return ended
        end)
        assert.equal("stopped", ended[3])
        client:stop()
        assert.same({}, errors)
    end)

    it("reloads", function()
        local pem, key = helper.make_certificate("reloaded")

        serve({ cert_file = pem, key_file = key }, echo)
        assert.is_true(server:reload())
        helper.write("reloaded.pem", "")
        local ok, text, name = server:reload()
        assert.is_nil(ok)
        assert.equal("string", type(text))
        assert.equal("DTLSL_ERR_CREDENTIALS", name)
    end)

    it("works while the collector runs all the time", function()
        local address = serve({}, function(conn)
            for message in conn:messages() do
                collectgarbage()
                conn:send(message)
                collectgarbage()
            end
        end)

        for _, mode in ipairs({ "off", "on" }) do
            jit[mode]()
            collectgarbage("setstepmul", 10000)
            local client = helper.openssl(address)
            for i = 1, 50 do
                client:say("line " .. i .. ".\n")
                client:sees("line " .. i .. ".")
            end
            client:stop()
        end
        jit.on()
        collectgarbage("setstepmul", 200)
        assert.same({}, errors)
    end)

    it("wants a handler, and options that exist", function()
        serve({}, echo)
        local ok, err = pcall(luv.serve, { self_signed = true })
        assert.is_false(ok)
        assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        ok, err = pcall(luv.serve, { self_signed = true, recieve_queue = 1 },
            echo)
        assert.is_false(ok)
        assert.truthy(err.message:find("'receive_queue'", 1, true))
        for _, opts in ipairs({ { receive_queue = 0 }, { on_error = 3 },
            { receive_queue = 1.5 } }) do
            opts.self_signed = true
            assert.is_false(pcall(luv.serve, opts, echo))
        end
    end)
end)
