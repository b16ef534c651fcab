#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The examples of strategies: built from a copy, against an installed library
# that is known by pkg-config alone, then loaded by a listener, with OpenSSL's
# client to see whom they let in.
# See tests/interop/common.sh for the environment.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

echo_server=$top_builddir/examples/echo
examples=$dir/examples
root=$dir/root
cc=${CC:-cc}
read -ra sanitizers <<<"${SANITIZERS:-}"

for tool in pkg-config openssl make; do
    command -v "$tool" >/dev/null || unable "no $tool"
done
[ -e "$top_builddir/.libs/libdtlslisten.so" ] || unable "no shared library"

# ---- building --------------------------------------------------------------

# fresh_make ARGUMENT...: not as a part of the make that runs this.
fresh_make()
{
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make "$@"
}

# The installed paths, below $root.
install_library()
{
    local pc

    fresh_make -C "$top_builddir" install-exec install-data DESTDIR="$root" \
        >"$dir/install.log" 2>&1 || return 1
    pc=$(find "$root" -name dtlslisten.pc)
    [ -f "$pc" ] || return 1
    sed -i "s|^\([a-z_]*\)=/|\1=$root/|" "$pc"
    export PKG_CONFIG_PATH=${pc%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    libdir=$(pkg-config --variable=libdir dtlslisten)
    plugindir=$(pkg-config --variable=plugindir dtlslisten)
}

# built NAME ARGUMENT...: make of the examples, in a directory of its own.
built()
{
    local name=$1

    shift
    mkdir -p "$dir/build"
    if fresh_make -C "$dir/build" -f "$examples/Makefile" CC="$cc" "$@" \
        >"$dir/$name.log" 2>&1 && ! grep -q warning: "$dir/$name.log"; then
        ok "$name"
        return 0
    fi
    not_ok "$name" "$(last_of "$dir/$name.log" 5)"
    return 1
}

exports_one()
{
    local symbols

    symbols=$(${NM:-nm} -D --defined-only "$2" | awk '{ print $NF }')
    if [ "$symbols" = dtlsl_cookie_plugin_v1 ]; then
        ok "$1"
    else
        not_ok "$1" "it exports: $symbols"
    fi
}

# checked NAME ARGUMENT...: the checker finds nothing wrong with a plugin.
checked()
{
    local name=$1

    shift
    if "$top_builddir/tools/dtlslisten-plugin-check" "$@" \
        >"$dir/$name.log" 2>&1; then
        ok "$name"
    else
        not_ok "$name" "$(grep '^failed' "$dir/$name.log")"
    fi
}

# A plugin's author may have another compiler and a stricter one than we.
compile_strictly()
{
    local flags=(-pedantic -Wall -Wextra -Wshadow -Wconversion -Werror)
    local header
    local cxx=${CXX:-g++}

    read -ra header <<<"$(pkg-config --cflags-only-I dtlslisten)"
    if $cc -std=c99 "${flags[@]}" "${header[@]}" -fsyntax-only \
        "$examples/allow.c"; then
        ok c99
    else
        not_ok c99 "allow.c does not compile"
    fi
    if ! command -v "$cxx" >/dev/null; then
        skip "c++: no $cxx"
    elif "$cxx" -std=c++20 "${flags[@]}" "${header[@]}" -fPIC -shared \
        -fvisibility=hidden -x c++ -o "$dir/allow-c++.so" \
        "$examples/allow.c"; then
        exports_one c++ "$dir/allow-c++.so"
    else
        not_ok c++ "allow.c does not compile"
    fi
}

# ---- handshakes ------------------------------------------------------------

# serve NAME OPTION...: echo, with a certificate of its own.
serve()
{
    local name=$1
    local options=()
    local option

    shift
    for option; do
        options+=(-o "$option")
    done
    need_server "$name" 127.0.0.1 "$echo_server" -o self-signed=1 \
        "${options[@]}"
}

openssl_client()
{
    run_lines "$1" "$1" openssl s_client -dtls1_2 -connect "$host:$port"
}

# asked_and_counted COUNTER: the server prints its counters; this one moved.
asked_and_counted()
{
    kill -USR1 "$server"
    [ "$(counter "$1")" -gt 0 ] 2>/dev/null || gone "$server"
}

# turned_away NAME [REPLIED]: hellos came and were refused, and none of them
# was answered; REPLIED others were, before.
turned_away()
{
    start client openssl s_client -dtls1_2 -connect "$host:$port"
    until_true asked_and_counted drop_refused
    expect_counter "$1-refused" drop_refused -ge 1
    expect_counter "$1-replied" replied -eq "${2:-0}"
    stop client
}

finish()
{
    stop_server "$1"
    check_counters "$1-counters"
}

# does_not_start NAME TEXT OPTION...
does_not_start()
{
    local name=$1
    local text=$2
    local options=()
    local option

    shift 2
    for option; do
        options+=(-o "$option")
    done
    if start_server "$echo_server" -o self-signed=1 "${options[@]}"; then
        not_ok "$name" "the server listens"
        stop_server "$name"
    elif has "$text" "$dir/server.log"; then
        ok "$name"
    else
        not_ok "$name" "$(last_of "$dir/server.log")"
    fi
}

# ---- the examples ----------------------------------------------------------

allow_list()
{
    local so=$dir/build/dtlsl_cookie_allow.so

    built allow dtlsl_cookie_allow.so || return
    exports_one allow-exports "$so"
    if serve allowed cookie="$so" cookie.allow=2001:db8::/32,126.0.0.0/7; then
        openssl_client allowed
        finish allowed
    fi
    if serve other cookie="$so" \
        cookie.allow=192.0.2.0/24,127.128.0.0/9,127.0.0.2,::1; then
        turned_away other
        finish other
    fi
    checked allow-checked --peer 127.0.0.1 "$so" allow=127.0.0.1
    does_not_start allow-no-list "192.0.2.0/24,2001:db8::/32" cookie="$so"
    for bad in 192.0.2.0/33 192.0.2.0/ 192.0.2 2001:db8::/129 10.0.0.0/8x; do
        does_not_start "allow-$bad" "option allow: '$bad' is no list" \
            cookie="$so" cookie.allow="$bad"
    done
    does_not_start allow-unknown-option \
        "strategy hmac has no option 'colour'" \
        cookie="$so" cookie.allow=127.0.0.1 cookie.colour=red
}

# judged NAME PLUGIN: a host in another language, with a clock of its own.
judged()
{
    if [ -z "$(find_python)" ]; then
        skip "$1: no python3"
    elif "$(find_python)" "$interop/host.py" "$2" >"$dir/$1.log" 2>&1; then
        ok "$1"
    else
        not_ok "$1" "$(last_of "$dir/$1.log" 5)"
    fi
}

by_name()
{
    built install install plugins=dtlsl_cookie_allow.so || return
    if serve by-name plugin-dir="$plugindir" cookie=allow,hmac \
        cookie.allow=127.0.0.1 cookie.lifetime-ms=30000; then
        openssl_client by-name
        finish by-name
    fi
}

rust()
{
    local so=$dir/build/dtlsl_cookie_minute.so

    if ! command -v "${RUSTC:-rustc}" >/dev/null; then
        skip "minute: no rustc"
        return
    fi
    built minute dtlsl_cookie_minute.so RUSTC="${RUSTC:-rustc}" \
        RUSTFLAGS="-O -D warnings" || return
    exports_one minute-exports "$so"
    judged minute-clock "$so"
    checked minute-checked "$so"
    if serve minute cookie="$so"; then
        openssl_client minute
        finish minute
    fi
    does_not_start minute-option "no option 'lifetime-ms'; take it out" \
        cookie="$so" cookie.lifetime-ms=30000
}

# still_echoed NAME: the client that is inside has its session still.
still_echoed()
{
    say inside "$1"
    if sees inside "$1"; then
        ok "$1"
    else
        not_ok "$1" "no echo: $(last_of "$dir/inside.out")"
    fi
}

drain_and_open()
{
    start inside openssl s_client -dtls1_2 -connect "$host:$port"
    still_echoed drain-open
    expected=1
    kill -USR2 "$server"
    served drained
    turned_away drain-closed 1
    still_echoed drain-inside
    kill -USR2 "$server"
    served open
    openssl_client drain-open-again
    stop inside
}

in_process()
{
    built in-process inprocess CFLAGS="-g -Wall -Wextra ${sanitizers[*]}" ||
        return
    if need_server drain 127.0.0.1 env LD_LIBRARY_PATH="$libdir" \
        "$dir/build/inprocess" -o self-signed=1; then
        drain_and_open
        finish drain
    fi
}

if ! install_library; then
    not_ok installed "$(last_of "$dir/install.log" 5)"
    report outoftree
fi
cp -R "$srcdir/examples/plugin" "$examples" || exit 99
compile_strictly
allow_list
by_name
rust
in_process
report outoftree
