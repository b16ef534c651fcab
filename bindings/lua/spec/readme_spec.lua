-- SPDX-License-Identifier: MIT
--
-- All code of README.md runs. Its programs are started as they are, but on a
-- free port of 127.0.0.1; spec/readme.lua sees to that.

local helper = require("spec.helper")

-- The blocks of one language below each heading.
local function read_blocks(language)
    local blocks = {}
    local heading, block

    for line in io.lines("README.md") do
        if block then
            if line == "```" then
                blocks[heading] = table.concat(block, "\n") .. "\n"
                block = nil
            else
                table.insert(block, line)
            end
        elseif line:match("^## ") then
            heading = line:sub(4)
        elseif line == "```" .. language then
            assert(not blocks[heading], "two blocks below " .. heading)
            block = {}
        end
    end
    return blocks
end

local programs = read_blocks("lua")
local commands = read_blocks("sh")

local function shell(heading)
    local process = helper.spawn({ "sh", "-e", "-c", commands[heading],
        cwd = helper.dir() })

    assert.equal(0, process:wait(), process.output)
end

-- Runs the program below a heading; it, and its address.
local function start(heading)
    local name = helper.write("program.lua", programs[heading])
    local here = require("luv").cwd()
    local process = helper.spawn({ "luajit", "-l", "spec.readme", name,
        cwd = helper.dir(),
        env = helper.environment({
            LUA_PATH = here .. "/?.lua;" .. package.path,
        }) })

    process:sees("listening ")
    return process, process.output:match("listening (%S+)")
end

local function echoes(client, answer)
    client:say("hello\n")
    client:sees(answer or "hello")
end

local checks = {
    ["A first server"] = function(process, address)
        local client = helper.openssl(address)

        echoes(client)
        client:say("Q\n")
        client:wait()
        process:kill("sigint")
        process:wait()
        assert.truthy(process.output:match("open\t127%.0%.0%.1:%d+\n"))
        assert.truthy(process.output:match("close\t127%.0%.0%.1:%d+\tpeer"))
    end,

    ["On a loop"] = function(_, address)
        echoes(helper.openssl(address))
    end,

    ["Real certificates"] = function(process, address)
        local function client()
            return helper.openssl(address, "-CAfile",
                helper.dir() .. "/ca.pem", "-verify_return_error",
                "-verify_hostname", "localhost")
        end

        local first = client()
        echoes(first)
        assert.truthy(first:has("Verify return code: 0 (ok)"))
        helper.write("server.pem", "broken")
        process:kill("sighup")
        process:sees("not reloaded: ")
        echoes(client())
        shell("Real certificates")
        process:kill("sighup")
        helper.wait_for(function()
            local new = client()
            new:say("hello\n")
            helper.wait_for(function()
                return new:has("hello") or new:ended()
            end)
            return new:has("hello")
        end, function() end)
    end,

    ["Pre-shared keys"] = function(_, address)
        local identity, key = helper.read(helper.dir() .. "/psk"):match(
            "^(.*):(%x+)\n$")

        echoes(helper.openssl(address, "-psk_identity", identity, "-psk",
            key), identity .. " said hello")
    end,

    ["Counters for Prometheus"] = function(_, address)
        local path = helper.dir() .. "/dtlslisten.prom"

        echoes(helper.openssl(address))
        helper.wait_for(function()
            local file = io.open(path)
            return file and file:close()
        end)
        assert.truthy(helper.read(path):find(
            "\ndtlslisten_received_total %d+\n"))
    end,

    ["The gate"] = function(process, address)
        helper.openssl(address)
        process:sees("verified\t127.0.0.1:")
    end,

    ["A cookie strategy in Lua"] = function(_, address)
        echoes(helper.openssl(address))
    end,
}

describe("README.md", function()
    after_each(helper.kill_all)

    for heading in pairs(programs) do
        it("has a program that works: " .. heading, function()
            assert.is_function(checks[heading])
            if commands[heading] then
                shell(heading)
            end
            checks[heading](start(heading))
        end)
    end

    it("has no other code", function()
        for heading in pairs(commands) do
            assert.is_string(programs[heading])
        end
        for heading in pairs(checks) do
            assert.is_string(programs[heading])
        end
    end)
end)
