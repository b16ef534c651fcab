-- SPDX-License-Identifier: MIT
--
-- How LuaRocks installs the binding. The declarations are derived from the
-- headers of the installed library, by bindings/cdef.sh.
rockspec_format = "3.0"
package = "dtlslisten"
version = "0.1.0-1"
source = {
    url = "git+file://.",
    dir = "bindings/lua",
}
description = {
    summary = "DTLS 1.2 servers, with libdtlslisten",
    detailed = [[
        A DTLS server on one UDP port for LuaJIT: events by pulling, or a
        coroutine for each connection on luv's loop. Strangers cost no memory:
        the cookie exchange of RFC 6347 comes before everything else.]],
    license = "MIT",
}
dependencies = {
    "lua == 5.1", -- LuaJIT, which says that it is 5.1
}
external_dependencies = {
    DTLSLISTEN = {
        header = "dtlslisten/dtlslisten.h",
        library = "dtlslisten",
    },
}
build = {
    type = "make",
    build_variables = {
        DTLSLISTEN_INCDIR = "$(DTLSLISTEN_INCDIR)",
    },
    install_variables = {
        DTLSLISTEN_INCDIR = "$(DTLSLISTEN_INCDIR)",
        LUADIR = "$(LUADIR)",
    },
}
