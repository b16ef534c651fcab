#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every DTLS client at hand against the example servers: handshake, one
# datagram, its echo. Then the server's own counters must add up.
#
# DTLSL_ECHO, DTLSL_ECHO_PULL, DTLSL_OWN_LOOP   the servers to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

# ---- clients ---------------------------------------------------------------

# run_once NAME PROGRAM TEXT: our own clients end by themselves.
run_once()
{
    local name=$1
    local status

    start client "$2" "$host" "$port" "$3"
    ended "${pid_of[client]}"
    status=$?
    if [ "$status" -eq 0 ] && has "$3" "$dir/client.out"; then
        expected=$((expected + 1))
        ok "$name"
    else
        not_ok "$name" "status $status: $(last_of "$dir/client.out" 1)"
    fi
    stop client
}

openssl_client()
{
    if ! command -v openssl >/dev/null; then
        skip "$1-openssl"
        return
    fi
    run_lines "$1-openssl" "$1 says openssl" openssl s_client -dtls1_2 \
        -quiet -no_ign_eof -connect "$host:$port"
}

gnutls_client()
{
    if ! command -v gnutls-cli >/dev/null; then
        skip "$1-gnutls"
        return
    fi
    run_lines "$1-gnutls" "$1 says gnutls" gnutls-cli --udp --insecure \
        --port "$port" "$host"
}

# Its ClientHello comes in several fragments.
ncat_client()
{
    if ! command -v ncat >/dev/null; then
        skip "$1-ncat"
        return
    fi
    run_lines "$1-ncat" "$1 says ncat" ncat --udp --ssl "$host" "$port"
}

small_client()
{
    local program

    if ! program=$(find_client "$2_client"); then
        skip "$1-$2"
        return
    fi
    run_once "$1-$2" "$program" "$1 says $2"
}

answered_or_ended()
{
    # The PUT that it has sent comes back as one that it has received.
    [ "$(grep -acE 'v:1 t:NON c:PUT' "$dir/client.out")" -ge 2 ] ||
        gone "${pid_of[client]}"
}

# coap_client PREFIX PROGRAM BACKEND: a server of its own, because the
# server's counters judge.
coap_client()
{
    local name=$1-coap-$3

    if ! command -v "coap-client-$3" >/dev/null; then
        skip "$name"
        return
    fi
    need_server "$name" 127.0.0.1 "$2" -o "psk-file=$dir/psk" || return
    expected=1
    start client "coap-client-$3" -v 7 -u "$identity" -k "$key" -N \
        -B "$limit" -m put -e hello "coaps://$host:$port/x"
    until_true answered_or_ended
    stop client
    stop_server "$name"
    if [ "$(counter opened)" != 1 ]; then
        not_ok "$name" "opened is $(counter opened): $(last_of \
            "$dir/client.out")"
    elif [ "$(counter data_in)" -lt 1 ]; then
        not_ok "$name" "opened, but no datagram came"
    else
        ok "$name"
    fi
    check_counters "$name-counters"
}

# ---- what servers do without clients ---------------------------------------

json_or_ended()
{
    grep -aq '^{.*}$' "$dir/server.log" || gone "$server"
}

# signal_run PREFIX PROGRAM: SIGUSR1 prints a line of JSON and the server goes
# on; SIGINT ends it as SIGTERM does, with another such line.
signal_run()
{
    need_server "$1-signals" 127.0.0.1 "$2" -o self-signed=1 || return
    kill -USR1 "$server"
    until_true json_or_ended
    if gone "$server" || [ "$(grep -ac '^{.*}$' "$dir/server.log")" -ne 1 ]
    then
        not_ok "$1-usr1" "$(tail -n 1 "$dir/server.log")"
    else
        ok "$1-usr1"
    fi
    stop_server "$1-int" INT
    if [ "$(grep -ac '^{.*}$' "$dir/server.log")" -eq 2 ]; then
        ok "$1-int"
    else
        not_ok "$1-int" "no counters at the end"
    fi
}

# too_long_run PREFIX PROGRAM: what the server cannot send back it tells of.
too_long_run()
{
    local text="not echoed, 401 bytes: the datagram would exceed the MTU"

    command -v openssl >/dev/null || return
    need_server "$1-too-long" 127.0.0.1 "$2" -o self-signed=1 -o mtu=300 ||
        return
    start client openssl s_client -dtls1_2 -quiet -connect "$host:$port"
    say client "$(printf '%0400d' 7)"
    if served "$text"; then
        ok "$1-too-long"
    else
        not_ok "$1-too-long" "$(tail -n 1 "$dir/server.log")"
    fi
    stop client
    stop_server "$1-too-long"
}

# refused_run NAME TEXT PROGRAM ARGUMENT...: status 2 and a text.
refused_run()
{
    local name=$1
    local text=$2
    local status

    shift 2
    "$@" >"$dir/server.log" 2>&1 &
    server=$!
    ended "$server"
    status=$?
    server=
    if [ "$status" -ne 2 ]; then
        not_ok "$name" "status $status: $(tail -n 1 "$dir/server.log")"
    elif ! has "$text" "$dir/server.log"; then
        not_ok "$name" "no \"$text\": $(tail -n 1 "$dir/server.log")"
    else
        ok "$name"
    fi
}

refusals_run()
{
    refused_run "$1-option" '"cert-file"' "$2" -o certfile=x 127.0.0.1 0
    refused_run "$1-value" 'NAME=VALUE' "$2" -o certfile 127.0.0.1 0
    refused_run "$1-file" "$dir/none" "$2" -o "cert-file=$dir/none" \
        127.0.0.1 0
    refused_run "$1-host" 'without brackets' "$2" -o self-signed=1 '[::1]' 0
    refused_run "$1-usage" 'usage' "$2" -o self-signed=1
}

own_loop_refusals_run()
{
    refused_run own_loop-option '-c and -k' "$1" -o self-signed=1 127.0.0.1 0
    refused_run own_loop-cookie 'none-such' "$1" -o cookie=none-such \
        127.0.0.1 0
    refused_run own_loop-key 'needs -c' "$1" -k "$dir/none" 127.0.0.1 0
    refused_run own_loop-file "$dir/none: No such file" "$1" -c "$dir/none" \
        127.0.0.1 0
    refused_run own_loop-usage 'usage' "$1" 127.0.0.1
    refused_run own_loop-letter 'usage' "$1" -x 127.0.0.1 0
}

# ---- runs ------------------------------------------------------------------

# certificate_run PREFIX PROGRAM CLIENTS: all on one server.
certificate_run()
{
    local options=(-o self-signed=1)

    [ "$3" = all ] || options=() # it signs for itself without being told
    need_server "$1" 127.0.0.1 "$2" "${options[@]}" || return
    openssl_client "$1"
    gnutls_client "$1"
    if [ "$3" = all ]; then
        ncat_client "$1"
        small_client "$1" mbedtls
        small_client "$1" wolfssl
    fi
    stop_server "$1"
    if [ "$3" = all ] || grep -aq '^{' "$dir/server.log"; then
        check_counters "$1-counters"
    fi
}

full_run()
{
    if [ ! -x "$2" ]; then
        not_ok "$1" "$2 is not there; build the examples first"
        return
    fi
    certificate_run "$1" "$2" all
    coap_client "$1" "$2" openssl
    coap_client "$1" "$2" gnutls
    signal_run "$1" "$2"
    too_long_run "$1" "$2"
    refusals_run "$1" "$2"
}

make_psk_file
full_run echo "${DTLSL_ECHO:-$top_builddir/examples/echo}"
full_run echo_pull "${DTLSL_ECHO_PULL:-$top_builddir/examples/echo_pull}"
own_loop=${DTLSL_OWN_LOOP:-$top_builddir/examples/own_loop}
if [ -x "$own_loop" ]; then
    certificate_run own_loop "$own_loop" some
    own_loop_refusals_run "$own_loop"
fi

report interop
