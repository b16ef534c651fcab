-- SPDX-License-Identifier: MIT
--
-- A full socket, which takes nothing for a while: on loopback the system never
-- has one, so tests/full_socket.c stands between it and the library.

local helper = require("spec.helper")

describe("a server whose socket is full", function()
    local server, client

    before_each(function()
        server = helper.spawn({ "luajit", "spec/busy_server.lua",
            env = helper.environment({
                LD_PRELOAD = helper.tests .. "/.libs/full_socket.so",
            }) })
        server:sees("listening ")
        client = helper.openssl(server.output:match("listening (%S+)"))
    end)

    after_each(helper.kill_all)

    it("waits in send until it is writable", function()
        client:say("fill\n")
        server:sees("filled\ttrue")
        assert.truthy(server:has("waiting 1\n"))
        helper.wait_for(function() -- what overran the client is lost
            client:say("hello\n")
            return client:has("hello")
        end)
    end)

    it("waits in send no longer than there is a connection", function()
        client:say("leave\n")
        server:sees("filled\tnil")
        assert.truthy(server:has("waiting 1\n"))
        client:stop()
    end)
end)
