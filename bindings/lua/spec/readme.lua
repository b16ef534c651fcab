-- SPDX-License-Identifier: MIT
--
-- Loaded before a program of README.md: whatever port it asks for, it gets a
-- free one of 127.0.0.1, and says which.

local uv = require("luv")
local dtlslisten = require("dtlslisten")
local dtlslisten_luv = require("dtlslisten.luv")

-- moved(FUNCTION): with another address in its options.
local function moved(f)
    return function(opts, ...)
        assert(opts.port == 4433)
        opts.host, opts.port = "127.0.0.1", 0
        local made = f(opts, ...)
        print("listening " .. made:address())
        io.stdout:flush()
        return made
    end
end

dtlslisten.listener = moved(dtlslisten.listener)
dtlslisten_luv.serve = moved(dtlslisten_luv.serve)

local udp = uv.new_udp()
local methods = getmetatable(udp).__index

udp:close()

function methods.bind(socket)
    uv.udp_bind(socket, "127.0.0.1", 0)
    print(("listening 127.0.0.1:%d"):format(socket:getsockname().port))
    io.stdout:flush()
end

io.stdout:setvbuf("line")
