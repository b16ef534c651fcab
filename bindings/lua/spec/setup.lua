-- SPDX-License-Identifier: MIT
--
-- Behind all specs: the files that they made go away.

local busted = require("busted")
local helper = require("spec.helper")

busted.subscribe({ "suite", "end" }, function()
    helper.kill_all()
    helper.clean_up()
    return nil, true
end)
