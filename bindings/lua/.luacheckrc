-- SPDX-License-Identifier: MIT
-- What luacheck may take for granted.
std = "luajit"
max_line_length = 79
exclude_files = { "dtlslisten/cdef.lua" }
files["spec"] = { std = "+busted" }
files[".busted"] = { std = "+busted" }
