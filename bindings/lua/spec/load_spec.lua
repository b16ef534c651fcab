-- SPDX-License-Identifier: MIT
--
-- Many sessions: at once, and one after the other, with OpenSSL's clients of
-- tests/interop/handshakes.
--
-- DTLSL_SESSIONS   how many short ones, 100000
-- DTLSL_LIVE_BYTES the file live_bytes.so, or nothing: then the library's
--                  bytes are not counted

local helper = require("spec.helper")

local SESSIONS = tonumber(os.getenv("DTLSL_SESSIONS") or "") or 100000
local LIVE_BYTES = os.getenv("DTLSL_LIVE_BYTES")

describe("a server under load", function()
    local server, address

    before_each(function()
        helper.LIMIT = 600 * 1000
        server = helper.spawn({ "luajit", "spec/load_server.lua",
            helper.psk_file(),
            env = helper.environment({ LD_PRELOAD = LIVE_BYTES }) })
        server:sees("listening ")
        address = server.output:match("listening (%S+)")
    end)

    after_each(function()
        helper.kill_all()
        helper.LIMIT = 60 * 1000
    end)

    local function told()
        server.output = ""
        server:kill("sigusr1")
        server:sees("lua ")
        local found = {}
        for name, value in server.output:gmatch("(%a+) (%-?%d+)") do
            found[name] = tonumber(value)
        end
        return found
    end

    -- What is told when the last connection is gone.
    local function settled()
        local found

        helper.wait_for(function()
            found = told()
            return found.conns == 0
        end, function() end)
        return found
    end

    -- clients(ARGUMENT...): what became of them.
    local function clients(...)
        local arguments = { helper.tests .. "/interop/handshakes", "-p",
            helper.IDENTITY .. ":" .. helper.KEY, ... }
        table.insert(arguments, "127.0.0.1")
        table.insert(arguments, helper.port_of(address))
        local process = helper.spawn(arguments)
        assert.equal(0, process:wait(), process.output)
        return process.output
    end

    it("serves 1,000 sessions at once", function()
        local result = clients("-n", "1000", "-k", "-j", "4", "-e", "5")

        assert.truthy(result:find("completed 1000 refused 0 silent 0 " ..
            "failed 0", 1, true))
        assert.truthy(result:find("open 1000", 1, true))
        assert.equal(1000, settled().opened)
    end)

    it("is behind many short sessions as it was before", function()
        clients("-n", tostring(math.min(SESSIONS, 5000)), "-j", "4", "-e",
            "1")
        local before = settled()
        clients("-n", tostring(SESSIONS), "-j", "4", "-e", "1")
        local after = settled()

        print(("# %d sessions: live %d, rss %d to %d pages, lua %d to %d kB")
            :format(SESSIONS, after.live, before.rss, after.rss, before.lua,
            after.lua))
        assert.equal(before.opened + SESSIONS, after.opened)
        assert.equal(before.live, after.live)
        assert.is_true(not LIVE_BYTES or after.live > 0)
        assert.is_true(after.rss <= before.rss * 1.2)
        assert.is_true(after.lua <= before.lua * 1.2)
        assert.equal(before.slots, after.slots)
    end)
end)
