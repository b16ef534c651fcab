-- SPDX-License-Identifier: MIT
--
-- load_server.lua PSK_FILE: an echo server that tells what it takes, for
-- load_spec.lua. At each SIGUSR1 it prints
--
--     conns N opened N live N rss N slots N lua N
--
-- bytes that the library holds (if live_bytes.so counts them), pages of the
-- process, free callback slots of LuaJIT, and kilobytes of Lua.

local ffi = require("ffi")
local uv = require("luv")
local luv = require("dtlslisten.luv")

ffi.cdef("size_t live_bytes(void);")

local server = luv.serve({
    host = "127.0.0.1", psk_file = arg[1], idle_timeout = 30,
    max_conns_per_prefix = 0,
}, function(conn)
    for message in conn:messages() do
        conn:send(message)
    end
end)

local function live_bytes()
    local counted, bytes = pcall(function()
        return tonumber(ffi.C.live_bytes())
    end)

    return counted and bytes or -1
end

local function resident()
    local file = assert(io.open("/proc/self/statm"))
    local _, pages = file:read("*n", "*n")

    file:close()
    return pages
end

-- LuaJIT raises when there is none left.
local function free_slots()
    local taken = {}

    repeat
        local ok, slot = pcall(ffi.cast, "void (*)(void)", print)
        if ok then
            table.insert(taken, slot)
        end
    until not ok
    for _, slot in ipairs(taken) do
        slot:free()
    end
    return #taken
end

local function tell()
    local counters = server:counters()

    collectgarbage()
    collectgarbage()
    print(("conns %d opened %d live %d rss %d slots %d lua %d"):format(
        counters.conns + counters.handshakes, counters.opened, live_bytes(),
        resident(), free_slots(), collectgarbage("count")))
    io.stdout:flush()
end

uv.new_signal():start("sigusr1", tell)
print("listening " .. server:address())
io.stdout:flush()
uv.run()
