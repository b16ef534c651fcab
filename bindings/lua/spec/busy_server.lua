-- SPDX-License-Identifier: MIT
--
-- busy_server.lua: a server whose socket is full until a coroutine waits in
-- send, for busy_spec.lua; tests/full_socket.c is loaded before it. To "fill"
-- it answers with as much as it can, and goes on when the socket is free; to
-- "leave" it does the same and closes the connection instead. All else it
-- sends back.

local ffi = require("ffi")
local uv = require("luv")
local luv = require("dtlslisten.luv")

ffi.cdef("int sends_blocked;")

local LINE = ("x"):rep(1000) .. "\n"

-- When a coroutine waits: others resume it in vain, then ACT is called.
local function when_full(conn, act)
    local timer = uv.new_timer()

    timer:start(1, 1, function()
        if not conn.writers then
            return
        end
        for _ = 1, 3 do
            coroutine.resume(conn.writers[1])
        end
        print("waiting " .. #conn.writers)
        timer:close()
        act(conn)
    end)
end

local function free()
    ffi.C.sends_blocked = 0
end

-- Sends until the socket is free again, or the connection is gone.
local function fill(conn)
    local ok

    ffi.C.sends_blocked = 1
    repeat
        ok = conn:send(LINE)
    until not ok or ffi.C.sends_blocked == 0
    free()
    print("filled", ok)
end

local server = luv.serve({ host = "127.0.0.1", self_signed = true },
    function(conn)
        for message in conn:messages() do
            if message == "fill\n" then
                when_full(conn, free)
                fill(conn)
            elseif message == "leave\n" then
                when_full(conn, conn.close)
                fill(conn)
            else
                conn:send(message)
            end
        end
    end)

io.stdout:setvbuf("line")
print("listening " .. server:address())
uv.run()
