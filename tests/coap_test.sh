#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The CoAP examples in C, Python and Lua, asked by libcoap's clients. What the
# protocol part makes of any message is in coapmessage_test.c and the tests of
# the bindings.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

examples=$srcdir/examples
include=$(cd "$srcdir/libdtlslisten/include" && pwd)
known='</hello>;ct=0,</time>;ct=0'

# ask BACKEND PATH ARGUMENT...: what the client printed is in client.out.
ask()
{
    local backend=$1
    local path=$2

    shift 2
    start client "coap-client-$backend" -v 6 -u "$identity" -k "$key" \
        -B "$limit" "$@" "coaps://$host:$port$path"
    until_true gone "${pid_of[client]}"
    expected=$((expected + 1))
    stop client
}

# expect NAME TEXT: the client has printed that.
expect()
{
    if has "$2" "$dir/client.out"; then
        ok "$1"
    else
        not_ok "$1" "no '$2': $(last_of "$dir/client.out" 5)"
    fi
}

# questions NAME BACKEND
questions()
{
    local name=$1-$2

    ask "$2" /hello
    expect "$name-hello" "hello, 127.0.0.1:"
    expect "$name-hello-ack" "v:1 t:ACK c:2.05"
    ask "$2" /hello -N
    expect "$name-hello-non" "v:1 t:NON c:2.05"
    ask "$2" /time
    expect "$name-time" "$(date -u +%Y-)"
    ask "$2" /.well-known/core
    expect "$name-links" "$known"
    expect "$name-links-format" "Content-Format:application/link-format"
    ask "$2" /nope
    expect "$name-not-found" "c:4.04"
    ask "$2" /hello -m put -e text
    expect "$name-not-allowed" "c:4.05"
    ask "$2" /hello -A 40
    expect "$name-not-acceptable" "c:4.06"
    ask "$2" /hello -O 2049,x
    expect "$name-bad-option" "c:4.02"
}

# server NAME PROGRAM...
server()
{
    local name=$1
    local backend

    shift
    need_server "$name" 127.0.0.1 "$@" -o "psk-file=$dir/psk" || return
    for backend in openssl gnutls; do
        if command -v "coap-client-$backend" >/dev/null; then
            questions "$name" "$backend"
        else
            skip "$name-$backend"
        fi
    done
    stop_server "$name"
    check_counters "$name-counters"
}

# The package as pip would make it, for the library of this build.
make_python_package()
{
    python=$(find_python) && "$python" -c "import cffi" 2>/dev/null &&
        cp -RL "$srcdir/bindings/python" "$dir/python" &&
        chmod -R u+w "$dir/python" &&
        DTLSLISTEN_INCLUDEDIR=$include \
            "$python" "$dir/python/cdef_build.py" >"$dir/build.log" 2>&1
}

python_server()
{
    if make_python_package; then
        server python env PYTHONPATH="$dir/python" PYTHONDONTWRITEBYTECODE=1 \
            "$python" "$examples/coap.py"
    else
        skip python
    fi
}

# The binding with the declarations of this build.
make_lua_binding()
{
    command -v luajit >/dev/null && luajit -e 'require("luv")' 2>/dev/null &&
        mkdir "$dir/bindings" && cp "$srcdir/bindings/cdef.sh" \
        "$dir/bindings" && cp -R "$srcdir/bindings/lua" "$dir/bindings" &&
        chmod -R u+w "$dir/bindings" &&
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$dir/bindings/lua" \
            DTLSLISTEN_INCDIR="$include" >"$dir/build.log" 2>&1
}

lua_server()
{
    if make_lua_binding; then
        server lua env LUA_PATH="$dir/bindings/lua/?.lua;;" \
            luajit "$examples/coap.lua"
    else
        skip lua
    fi
}

make_psk_file
DTLSLISTEN_LIBRARY=$(cd "$top_builddir/.libs" && pwd)/libdtlslisten.so.0
export DTLSLISTEN_LIBRARY
server c "$top_builddir/examples/coap"
# An interpreter cannot load a library with sanitizers.
if [ -z "${SANITIZERS:-}" ]; then
    python_server
    lua_server
fi
report coap_test
