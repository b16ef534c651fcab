-- SPDX-License-Identifier: MIT
--
-- A listener by pulling, with foreign clients.

local ffi = require("ffi")
local dtlslisten = require("dtlslisten")
local helper = require("spec.helper")

describe("a listener", function()
    local listener, events, answer

    local function echo(event)
        if event.type == "data" then
            event.conn:send(event.data)
        end
    end

    -- Takes what there is.
    local function step()
        listener:poll(10)
        local event = listener:next()
        while event do
            table.insert(events, event)
            answer(event)
            event = listener:next()
        end
    end

    local function start(opts)
        opts.host = opts.host or "127.0.0.1"
        listener = dtlslisten.listener(opts)
        return listener:address()
    end

    local function seen(kind)
        for _, event in ipairs(events) do
            if event.type == kind then
                return event
            end
        end
    end

    local function wait_for_event(kind)
        helper.wait_for(function()
            return seen(kind)
        end, step)
        return seen(kind)
    end

    before_each(function()
        events, answer = {}, echo
    end)

    after_each(function()
        if listener then
            listener:close()
        end
        helper.kill_all()
    end)

    it("echoes to OpenSSL", function()
        local client = helper.openssl(start({ self_signed = true }))

        client:say("hello\n")
        client:sees("hello", step)
        assert.same({ "open", "data" }, { events[1].type, events[2].type })
        assert.equal("hello\n", events[2].data)
        assert.equal(events[1].conn, events[2].conn)
        client:say("Q\n")
        assert.equal("peer", wait_for_event("close").reason)
        client:wait(step)
    end)

    it("echoes to GnuTLS", function()
        local client = helper.gnutls(start({ self_signed = true }))

        client:say("hello\n")
        client:sees("hello", step)
        client:stop(step)
    end)

    it("echoes to a client with a pre-shared key", function()
        local client = helper.openssl_psk(start({
            psk_file = helper.psk_file(),
        }))

        client:say("hello\n")
        client:sees("hello", step)
        assert.equal(helper.IDENTITY, events[1].conn:info("psk-identity"))
        client:stop(step)
    end)

    it("knows facts on a connection", function()
        local client = helper.openssl(start({
            self_signed = true, alpn = { "coap", "spare" },
        }), "-alpn", "spare", "-keymatexport", "EXPORTER-spec",
            "-keymatexportlen", "20")
        local conn = wait_for_event("open").conn

        assert.equal("number", type(conn.id))
        assert.equal(conn, listener.conns[conn.id])
        assert.truthy(conn:peer():match("^127%.0%.0%.1:%d+$"))
        assert.equal(listener:address(), conn:local_address())
        assert.equal("spare", conn:alpn())
        assert.equal("DTLSv1.2", conn:info("version"))
        assert.truthy(conn:info("cipher"):find("GCM", 1, true) or
            conn:info("cipher"):find("CHACHA", 1, true))
        assert.is_nil(conn:info("psk-identity"))
        assert.is_nil(conn:peer_certificate())
        assert.is_nil(conn:cookie_app())
        assert.is_true(conn:mtu() > 1000)
        assert.is_true(conn:cookie_age() >= 0 and conn:cookie_age() < 60)
        local keys = conn:export_keying_material("EXPORTER-spec", 20)
        local hex = keys:gsub(".", function(byte)
            return ("%02X"):format(byte:byte())
        end)
        client:sees(hex, step)
        for _, wrong in ipairs({ { "send", 3 }, { "info", 3 },
            { "info", "alpn\0" }, { "export_keying_material", "a\0", 20 },
            { "export_keying_material", "a", 0 },
            { "export_keying_material", "a", 20, 3 } }) do
            local ok, err = pcall(conn[wrong[1]], conn, unpack(wrong, 2))
            assert.is_false(ok)
            assert.equal("DTLSL_ERR_ARGUMENT", err.name)
        end
        assert.not_equal(keys,
            conn:export_keying_material("EXPORTER-spec", 20, "context"))
        client:stop(step)
    end)

    it("hands out the certificate of a client", function()
        local pem, key = helper.make_certificate("client")
        local der = helper.dir() .. "/client.der"
        local client = helper.openssl(start({
            self_signed = true, ca_file = pem,
        }), "-cert", pem, "-key", key)
        local conn = wait_for_event("open").conn

        os.execute(("openssl x509 -in '%s' -outform DER -out '%s'"):format(
            pem, der))
        assert.equal(helper.read(der), conn:peer_certificate())
        client:stop(step)
    end)

    it("sends datagrams up to the limit, and says so above it", function()
        local client = helper.openssl(start({ self_signed = true }))
        local conn = wait_for_event("open").conn
        local mtu = conn:mtu()
        local line = ("x"):rep(mtu - 4)

        assert.is_true(conn:send("[" .. line .. "]\r\n"))
        client:sees("[" .. line .. "]", step)
        local ok, message, name = conn:send(("x"):rep(mtu + 1))
        assert.is_nil(ok)
        assert.equal("DTLSL_ERR_TOOBIG", name)
        assert.equal("string", type(message))
        client:stop(step)
    end)

    it("notices that a client was killed", function()
        local client = helper.openssl(start({
            self_signed = true, idle_timeout = 0.5,
        }))

        wait_for_event("open")
        client:kill("sigkill")
        client:wait(step)
        local close = wait_for_event("close")
        assert.equal("idle", close.reason)
        assert.truthy(close.conn:peer():match("^127%.0%.0%.1:"))
        local ok, _, name = close.conn:send("too late")
        assert.is_nil(ok)
        assert.equal("DTLSL_ERR_NOCONN", name)
    end)

    it("takes a new handshake from the port of an old one", function()
        local address = start({ self_signed = true })
        local first = helper.openssl(address)
        local old = wait_for_event("open").conn
        local port = helper.port_of(old:peer())

        first:kill("sigkill")
        first:wait(step)
        events = {}
        local second = helper.openssl(address, "-bind", "127.0.0.1:" .. port)
        second:say("again\n")
        second:sees("again", step)
        assert.equal("close", events[1].type)
        assert.equal("replaced", events[1].reason)
        assert.equal(old, events[1].conn)
        assert.equal("open", events[2].type)
        assert.not_equal(old.id, events[2].conn.id)
        assert.equal(old:peer(), events[2].conn:peer())
        second:stop(step)
    end)

    it("says why a handshake failed", function()
        local client = helper.openssl(start({
            self_signed = true, alpn = "coap",
        }), "-alpn", "other")
        local failed = wait_for_event("failed")

        assert.truthy(failed.text:find("application protocol", 1, true))
        assert.equal("tls", failed.reason)
        client:stop(step)
    end)

    it("shows each verified hello if it is asked to", function()
        local client = helper.openssl(start({
            self_signed = true, events_hello = true,
        }))

        function answer(event)
            assert.equal("hello", event.type)
            assert.is_true(event.conn:close())
        end
        local conn = wait_for_event("hello").conn
        client:stop(step)
        assert.is_true(listener:counters().drop_hello_refused > 0)
        assert.truthy(conn:peer():match("^127%.0%.0%.1:"))
        assert.is_nil(next(listener.conns))
    end)

    it("has one object for a connection, from its hello on", function()
        local client = helper.openssl(start({
            self_signed = true, events_hello = true,
        }))
        local conn = wait_for_event("hello").conn

        assert.equal(conn, wait_for_event("open").conn)
        client:say("Q\n")
        assert.equal(conn, wait_for_event("close").conn)
        client:wait(step)
    end)

    it("stops, and its iterator ends behind the last event", function()
        local client = helper.openssl(start({ self_signed = true }))

        wait_for_event("open")
        listener:stop()
        events = {}
        for event in listener:events() do
            table.insert(events, event)
        end
        assert.same({ "close", "stopped" },
            { events[1].type, events[2].type })
        assert.equal("stopped", events[1].reason)
        client:stop(function() end)
        local ok, _, name = listener:stop()
        assert.is_nil(ok)
        assert.equal("DTLSL_ERR_STATE", name)
    end)

    it("closes a connection in the middle of an iteration", function()
        local client = helper.openssl(start({ self_signed = true }))

        client:say("hello\n")
        for event in listener:events() do
            table.insert(events, event)
            if event.type == "data" then
                assert.is_true(event.conn:close())
                local ok, _, name = event.conn:send("more")
                assert.is_nil(ok)
                assert.equal("DTLSL_ERR_STATE", name)
            elseif event.type == "close" then
                break
            end
        end
        assert.equal("local", events[#events].reason)
        assert.is_nil(next(listener.conns))
        client:stop(step)
    end)

    it("counts", function()
        local client = helper.openssl(start({ self_signed = true }))

        client:say("hello\n")
        client:sees("hello", step)
        local counters = listener:counters()
        assert.equal(1, counters.opened)
        assert.equal(1, counters.conns)
        assert.equal(1, counters.data_in)
        assert.equal(1, counters.data_out)
        assert.truthy(listener:prometheus():find(
            "\ndtlslisten_opened_total 1\n", 1, true))
        assert.truthy(listener:json():find('"opened":1', 1, true))
        local n = 0
        for conn in listener:connections() do
            assert.equal(events[1].conn, conn)
            n = n + 1
        end
        assert.equal(1, n)
        client:stop(step)
    end)

    it("reads a renewed certificate, and keeps the old if it is broken",
        function()
            local pem, key = helper.make_certificate("server")
            local address = start({ cert_file = pem, key_file = key })
            local before = helper.openssl(address, "-nameopt", "RFC2253")

            before:sees("subject=CN=server", step)
            before:stop(step)
            helper.write("server.pem", "broken")
            local ok, text, name = listener:reload()
            assert.is_nil(ok)
            assert.truthy(text:find("server.pem", 1, true))
            assert.equal("DTLSL_ERR_CREDENTIALS", name)
            os.execute(("openssl req -x509 -key '%s' -out '%s' -days 30 " ..
                "-subj /CN=renewed"):format(key, pem))
            assert.is_true(listener:reload())
            local after = helper.openssl(address, "-nameopt", "RFC2253")
            after:sees("subject=CN=renewed", step)
            after:stop(step)
        end)

    it("serves on IPv6 and without a host on everything", function()
        listener = dtlslisten.listener({ host = "::1", self_signed = true })
        assert.truthy(listener:address():match("^%[::1%]:%d+$"))
        listener:close()
        listener = dtlslisten.listener({ self_signed = true })
        local client = helper.openssl(listener:address())
        client:say("hello\n")
        client:sees("hello", step)
        client:stop(step)
    end)

    it("serves on a socket that is bound already", function()
        local uv = require("luv")
        local udp = uv.new_udp()

        udp:bind("127.0.0.1", 0)
        local client = helper.openssl(start({
            self_signed = true, fd = udp:fileno(),
        }))
        client:say("hello\n")
        client:sees("hello", step)
        client:stop(step)
        listener:close()
        udp:close()
    end)
end)

describe("a listener's memory", function()
    it("is freed when nobody has it any more", function()
        local port = helper.port_of(dtlslisten.listener({
            host = "127.0.0.1", self_signed = true,
        }):address())

        collectgarbage()
        collectgarbage()
        local again = dtlslisten.listener({
            host = "127.0.0.1", port = tonumber(port), self_signed = true,
        })
        again:close()
    end)

    it("goes with 10,000 that are made and dropped", function()
        local opts = { host = "127.0.0.1", self_signed = true,
            recv_buffer = 0, send_buffer = 0 }

        -- Their descriptors are what the collector cannot see.
        for i = 1, 10000 do
            dtlslisten.listener(opts)
            if i % 100 == 0 then
                collectgarbage()
            end
        end
        collectgarbage()
    end)

    it("may be closed twice, and says so to later calls", function()
        local listener = dtlslisten.listener({
            host = "127.0.0.1", self_signed = true,
        })

        listener:close()
        listener:close()
        for _, method in ipairs({ "next", "poll", "fd", "timeout", "stop",
            "reload", "address", "counters", "prometheus", "json" }) do
            local ok, err = pcall(listener[method], listener)
            assert.is_false(ok)
            assert.equal("DTLSL_ERR_STATE", err.name)
            assert.truthy(tostring(err):find("the listener was closed", 1,
                true))
        end
        for _ in listener:events() do
            error("an event of a closed listener")
        end
    end)
end)

describe("a process", function()
    it("may leave with everything open", function()
        local script = helper.write("leave.lua", [[
            local dtlslisten = require("dtlslisten")
            local strategy = dtlslisten.strategy({
                name = "leave",
                mint = function(input, host)
                    return host:hmac(host.secret)(input.peer .. input.core)
                end,
                verify = function(input, cookie, host)
                    local mac = host:hmac(host.secret)
                    return host:equal(cookie, mac(input.peer .. input.core))
                end,
                close = function()
                    collectgarbage()
                    print("closed")
                end,
            })
            keep = {}
            for i = 1, 5 do
                keep[i] = dtlslisten.listener({
                    self_signed = true, cookie = "leave",
                    strategies = { strategy },
                })
                keep[-i] = dtlslisten.gate({
                    cookie = "leave", strategies = { strategy },
                })
            end
        ]])
        local process = helper.luajit(script)

        assert.equal(0, process:wait())
        assert.equal(("closed\n"):rep(10), process.output)
    end)

    it("may use in a finalizer what was freed before", function()
        local script = helper.write("late.lua", [[
            local dtlslisten = require("dtlslisten")
            local late = newproxy(true) -- older: finalized after the others
            local opts = { host = "127.0.0.1", self_signed = true }
            local made = { dtlslisten.listener(opts), dtlslisten.gate({}) }
            getmetatable(late).__gc = function()
                for _, object in ipairs(made) do
                    print(select(2, pcall(object.counters, object)).name)
                    object:close()
                end
            end
        ]])
        local process = helper.luajit(script)

        assert.equal(0, process:wait())
        assert.equal(("DTLSL_ERR_STATE\n"):rep(2), process.output)
    end)

    it("is interrupted by Ctrl-C while it waits for events", function()
        local script = helper.write("wait.lua", [[
            local listener = require("dtlslisten").listener({
                host = "127.0.0.1", self_signed = true })
            print("listening")
            io.stdout:flush()
            for event in listener:events() do
                print(event.type)
            end
        ]])
        local process = helper.luajit(script)

        process:sees("listening")
        process:kill("sigint")
        assert.equal(1, process:wait())
        assert.truthy(process:has("interrupted!"))
        os.remove(script)
    end)

    it("is told how to install a library that is missing", function()
        local process = helper.spawn({ "luajit", "-e", 'require("dtlslisten")',
            env = helper.environment({
                DTLSLISTEN_LIBRARY = "/nowhere/libdtlslisten.so.0",
            }) })

        assert.equal(1, process:wait())
        assert.truthy(process:has("/nowhere/libdtlslisten.so.0"))
        assert.truthy(process:has("make install && ldconfig"))
        assert.truthy(process:has("DTLSLISTEN_LIBRARY"))
    end)

    it("is told that it needs LuaJIT", function()
        local process = helper.luajit("-e", [[
            jit, package.preload.ffi, package.loaded.ffi = nil, error, nil
            require("dtlslisten")]])

        assert.equal(1, process:wait())
        assert.truthy(process:has("dtlslisten needs LuaJIT"))
        assert.truthy(process:has("apt-get install luajit"))
    end)
end)

describe("the declarations", function()
    it("are those of the library", function()
        assert.equal("cdata", type(ffi.new("dtlsl_event")))
        assert.truthy(dtlslisten.version():match("^%d+%.%d+%.%d+$"))
    end)
end)
