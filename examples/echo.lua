-- SPDX-License-Identifier: MIT
--
-- An echo server on luv's loop.
--
--     luajit echo.lua [-o NAME=VALUE]... HOST [PORT]
--
-- HOST is a numeric address, "-" or "*" for all; PORT is 4433 unless given, 0
-- picks one. SIGUSR1 prints the counters, SIGINT and SIGTERM stop; see
-- dtlslisten-config(5).

local uv = require("luv")
local dtlslisten_luv = require("dtlslisten.luv")

local USAGE = "usage: [-o NAME=VALUE]... HOST [PORT]"

local function echo(conn)
    for message in conn:messages() do
        local ok, text = conn:send(message)
        if not ok then
            io.stderr:write(("not echoed, %d bytes: %s\n"):format(#message,
                text))
        end
    end
end

local function refuse(text)
    io.stderr:write(tostring(text), "\n")
    os.exit(2)
end

local function read_options(argv, default_port)
    local opts = {}
    local i = 1

    while argv[i] == "-o" do
        local name, value = (argv[i + 1] or ""):match("^([^=]*)=(.*)$")
        if not name then
            refuse("-o takes NAME=VALUE")
        end
        opts[name] = value
        i = i + 2
    end
    opts.port = tonumber(argv[i + 1] or default_port)
    if not argv[i] or argv[i + 2] or not opts.port then
        refuse(USAGE)
    elseif argv[i] ~= "-" and argv[i] ~= "*" then
        opts.host = argv[i]
    end
    return opts
end

local function on_event(event)
    if event.type == "failed" then
        io.stderr:write("handshake failed: ", event.text, "\n")
    elseif event.type == "notice" then
        io.stderr:write("notice: ", event.text, "\n")
    end
end

local function watch_signals(server)
    local signals = {}

    local function print_counters()
        print(server:json())
        io.stdout:flush()
    end

    local function leave()
        print_counters()
        for _, signal in ipairs(signals) do
            signal:close()
        end
    end

    local function stop()
        server:stop(leave)
    end

    for name, action in pairs({ sigusr1 = print_counters, sigint = stop,
        sigterm = stop }) do
        local signal = uv.new_signal()
        signal:start(name, action)
        table.insert(signals, signal)
    end
end

-- The command line, and that of coap.lua.
local function main(handler, default_port)
    local opts = read_options(arg, default_port)

    opts.on_event = on_event
    local ok, server = pcall(dtlslisten_luv.serve, opts, handler)
    if not ok then
        refuse(server)
    end
    watch_signals(server)
    print("listening " .. server:address())
    io.stdout:flush()
    uv.run()
end

if arg and arg[0]:match("echo%.lua$") then
    main(echo, 4433)
end

return { main = main }
