#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The binding for Lua as LuaRocks installs it, on an installed library, with
# its specs under busted and LuaJIT; the clients are foreign ones.
#
# DTLSL_SESSIONS                    how many short sessions, 100000
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

root=$dir/root
tree=$dir/tree
source=$(cd "$srcdir" && pwd) || exit 99
build=$(cd "$top_builddir" && pwd) || exit 99

[ -z "${SANITIZERS:-}" ] || {
    # luajit was not built with them, and they must be there first.
    echo "luajit cannot load a library with sanitizers"
    exit 0
}
for tool in luajit luarocks busted pkg-config openssl gnutls-cli make \
    coap-client-openssl coap-client-gnutls; do
    command -v "$tool" >/dev/null || unable "no $tool"
done
luajit -e 'require("luv")' 2>/dev/null || unable "no luv for luajit"
[ -e "$build/.libs/libdtlslisten.so" ] || unable "no shared library"

# fresh_make ARGUMENT...: not as a part of the make that runs this.
fresh_make()
{
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make "$@"
}

install_library()
{
    fresh_make -C "$build" install-exec install-data DESTDIR="$root" \
        >"$dir/install.log" 2>&1 || return 1
    header=$(find "$root" -name dtlslisten.h)
    library=$(find "$root" -name libdtlslisten.so.0)
    [ -f "$header" ] && [ -f "$library" ]
}

# rock COMMAND ARGUMENT...: LuaRocks, with everything it writes below $dir. A
# make of its own runs in it.
rock()
{
    (cd "$dir/bindings/lua" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
        HOME="$dir" luarocks --lua-version=5.1 --tree="$tree" "$@") \
        >"$dir/rock.log" 2>&1
}

# A folder of its own: declarations are made in it.
install_binding()
{
    mkdir -p "$dir/bindings" && cp "$source/bindings/cdef.sh" "$dir/bindings/" &&
        cp -R "$source/bindings/lua" "$dir/bindings/" &&
        chmod -R u+w "$dir/bindings" || return 1
    rm -f "$dir/bindings/lua/dtlslisten/cdef.lua"
    rock make DTLSLISTEN_INCDIR="${header%/dtlslisten/*}" \
        DTLSLISTEN_LIBDIR="${library%/*}"
}

# Without the library's headers LuaRocks says what is missing.
refuses_without_library()
{
    if rock make DTLSLISTEN_INCDIR="$dir/nowhere" \
        DTLSLISTEN_LIBDIR="$dir/nowhere"; then
        not_ok rock-without-library "it was installed"
    elif has dtlslisten.h "$dir/rock.log"; then
        ok rock-without-library
    else
        not_ok rock-without-library "$(last_of "$dir/rock.log")"
    fi
}

# The lines of TAP are results of this script's.
run_specs()
{
    local live_bytes=$build/tests/.libs/live_bytes.so
    local line

    [ -f "$live_bytes" ] || unable "no live_bytes.so: make check builds it"
    (cd "$dir/bindings/lua" &&
        LUA_PATH="$tree/share/lua/5.1/?.lua;;" \
            DTLSLISTEN_LIBRARY=$library DTLSL_SOURCE=$source \
            DTLSL_TESTS=$build/tests DTLSL_LIVE_BYTES=$live_bytes \
            TMPDIR=$dir luajit "$(command -v busted)" -o TAP) \
        >"$dir/specs" 2>"$dir/specs.err"
    while IFS= read -r line; do
        case $line in
        "ok "*) ok "${line#* - }" ;;
        "not ok "*) not_ok "${line#* - }" "" ;;
        *) echo "$line" ;;
        esac
    done <"$dir/specs"
    cat "$dir/specs.err"
    grep -qx "1\.\.$(grep -cE '^(not )?ok ' "$dir/specs")" "$dir/specs" ||
        not_ok specs "busted did not come to its end"
}

check_style()
{
    if ! command -v luacheck >/dev/null; then
        skip "luacheck is not there"
    elif (cd "$source/bindings/lua" && luacheck --no-cache -q . \
        "$source"/examples/*.lua) >"$dir/luacheck.log"; then
        ok luacheck
    else
        not_ok luacheck "$(last_of "$dir/luacheck.log" 20)"
    fi
}

if ! install_library; then
    not_ok installed "$(last_of "$dir/install.log" 5)"
elif ! install_binding; then
    not_ok rock "$(last_of "$dir/rock.log" 5)"
else
    ok rock
    run_specs
    refuses_without_library
fi
check_style
report lua
