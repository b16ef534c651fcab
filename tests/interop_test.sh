#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every DTLS client at hand against the example servers: handshake, one
# datagram, its echo. Then the server's own counters must add up.
#
# DTLSL_ECHO, DTLSL_ECHO_PULL, DTLSL_OWN_LOOP   the servers to run
# DTLSL_CLIENT_DIR                  where mbedtls_client and wolfssl_client are
# DTLSL_REQUIRE_CLIENTS=1           a missing client is a failure
# DTLSL_UNIT_ONLY=1                 do not run at all

set -u

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
counters_h=$srcdir/libdtlslisten/counters.h
[ -r "$counters_h" ] || counters_h=$srcdir/../libdtlslisten/counters.h
limit=15
passed=0
failed=0
skipped=0
server=
client=
identity=interop
key=interop-psk-0123

if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-interop.XXXXXX") || exit 99

clean_up()
{
    [ -z "$client" ] || kill -KILL "$client" 2>/dev/null
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

ok()
{
    passed=$((passed + 1))
    echo "ok $1"
}

not_ok()
{
    failed=$((failed + 1))
    echo "not ok $1 $2"
}

skip()
{
    skipped=$((skipped + 1))
    echo "skip $1"
}

# until_true COMMAND...: tries it until it succeeds or $limit seconds are over.
until_true()
{
    local end=$((SECONDS + limit))

    while ! "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        read -r -t 0.02 <>"$dir/never" || :
    done
}

has()
{
    grep -aqF -- "$1" "$2" 2>/dev/null
}

gone()
{
    ! kill -0 "$1" 2>/dev/null
}

# ended PID: waits for the end of a child, kills one that overstays, and
# returns its status.
ended()
{
    local status

    until_true gone "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    status=$?
    return $status
}

# ---- the server ------------------------------------------------------------

listens_or_ended()
{
    grep -aq '^listening ' "$dir/server.log" || gone "$server"
}

# start_server PROGRAM OPTION...: sets server, host and port.
start_server()
{
    local program=$1
    local line

    shift
    : >"$dir/server.log"
    "$program" "$@" 127.0.0.1 0 >"$dir/server.log" 2>&1 &
    server=$!
    expected=0
    until_true listens_or_ended
    line=$(grep -a '^listening ' "$dir/server.log" | head -n 1)
    if [ -z "$line" ]; then
        kill -KILL "$server" 2>/dev/null
        wait "$server" 2>/dev/null
        server=
        return 1
    fi
    line=${line#listening }
    host=${line%:*}
    port=${line##*:}
    port=${port%%[!0-9]*}
}

# counter NAME: its value in the last line of JSON that the server printed.
counter()
{
    grep -a '^{' "$dir/server.log" | tail -n 1 |
        grep -oE "\"$1\": *[0-9]+" | head -n 1 | grep -oE '[0-9]+$'
}

outcomes()
{
    tr -d '\\\n' <"$counters_h" |
        grep -oE 'X\([A-Z0-9_]+, *OUT, *"[a-z0-9_]+"' | grep -oE '"[^"]+"' |
        tr -d '"'
}

# check_counters NAME: what was received equals the sum of what became of it.
check_counters()
{
    local sum=0
    local n=0
    local name
    local value
    local received

    for name in $(outcomes); do
        value=$(counter "$name")
        if [ -z "$value" ]; then
            not_ok "$1" "the counter $name is missing"
            return
        fi
        sum=$((sum + value))
        n=$((n + 1))
    done
    received=$(counter received)
    if [ "$n" -eq 0 ]; then
        not_ok "$1" "no outcome found in $counters_h"
    elif [ "${received:-0}" -eq 0 ]; then
        not_ok "$1" "received is ${received:-missing}"
    elif [ "$received" -ne "$sum" ]; then
        not_ok "$1" "received is $received, its outcomes are $sum"
    elif [ "$(counter opened)" != "$expected" ]; then
        not_ok "$1" "opened is $(counter opened), not $expected"
    else
        ok "$1"
    fi
}

# stop_server NAME [SIGNAL]: SIGTERM, then exit status 0.
stop_server()
{
    local status

    kill "-${2:-TERM}" "$server"
    ended "$server"
    status=$?
    server=
    if [ "$status" -ne 0 ]; then
        not_ok "$1-exit" "status $status: $(tail -n 3 "$dir/server.log" |
            tr '\n' ' ')"
    else
        ok "$1-exit"
    fi
}

# ---- clients ---------------------------------------------------------------

echoed_or_ended()
{
    has "$1" "$dir/client.out" || gone "$client"
}

# run_lines NAME TEXT COMMAND...: a client that copies lines from its input to
# the server and back; its input stays open until the echo was seen.
run_lines()
{
    local name=$1
    local text=$2
    local input

    shift 2
    rm -f "$dir/input"
    mkfifo "$dir/input"
    exec {input}<>"$dir/input"
    "$@" <"$dir/input" >"$dir/client.out" 2>"$dir/client.err" {input}>&- &
    client=$!
    echo "$text" >&"$input"
    until_true echoed_or_ended "$text"
    exec {input}>&-
    if has "$text" "$dir/client.out"; then
        expected=$((expected + 1))
        ok "$name"
    else
        not_ok "$name" "no echo: $(tail -n 2 "$dir/client.err" | tr '\n' ' ')"
    fi
    # Some clients do not leave at the end of their input.
    kill -TERM "$client" 2>/dev/null
    ended "$client"
    client=
}

# run_once NAME PROGRAM TEXT: our own clients end by themselves.
run_once()
{
    local name=$1
    local status

    "$2" "$host" "$port" "$3" >"$dir/client.out" 2>"$dir/client.err" &
    client=$!
    ended "$client"
    status=$?
    client=
    if [ "$status" -eq 0 ] && has "$3" "$dir/client.out"; then
        expected=$((expected + 1))
        ok "$name"
    else
        not_ok "$name" "status $status: $(tail -n 1 "$dir/client.err")"
    fi
}

find_client()
{
    local place

    for place in "${DTLSL_CLIENT_DIR:-$top_builddir/tests/interop}" \
        "$top_builddir/tests/interop" "$top_builddir/tests"; do
        if [ -x "$place/$1" ]; then
            echo "$place/$1"
            return 0
        fi
    done
    return 1
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
        gone "$client"
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
    if ! start_server "$2" -o "psk-file=$dir/psk"; then
        not_ok "$name" "server: $(tail -n 1 "$dir/server.log")"
        return
    fi
    expected=1
    "coap-client-$3" -v 7 -u "$identity" -k "$key" -N -B "$limit" -m put \
        -e hello "coaps://$host:$port/x" >"$dir/client.out" 2>&1 &
    client=$!
    until_true answered_or_ended
    kill -TERM "$client" 2>/dev/null
    ended "$client"
    client=
    stop_server "$name"
    if [ "$(counter opened)" != 1 ]; then
        not_ok "$name" "opened is $(counter opened): $(tail -n 2 \
            "$dir/client.out" | tr '\n' ' ')"
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
    if ! start_server "$2" -o self-signed=1; then
        not_ok "$1-signals" "does not listen: $(tail -n 1 "$dir/server.log")"
        return
    fi
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

refusal_said_or_ended()
{
    has "$1" "$dir/server.log" || gone "$client"
}

# too_long_run PREFIX PROGRAM: what the server cannot send back it tells of.
too_long_run()
{
    local text="not echoed, 401 bytes: the datagram would exceed the MTU"
    local input

    command -v openssl >/dev/null || return
    if ! start_server "$2" -o self-signed=1 -o mtu=300; then
        not_ok "$1-too-long" "server: $(tail -n 1 "$dir/server.log")"
        return
    fi
    rm -f "$dir/input"
    mkfifo "$dir/input"
    exec {input}<>"$dir/input"
    openssl s_client -dtls1_2 -quiet -connect "$host:$port" \
        <"$dir/input" >"$dir/client.out" 2>&1 {input}>&- &
    client=$!
    printf '%0400d\n' 7 >&"$input"
    until_true refusal_said_or_ended "$text"
    exec {input}>&-
    kill -TERM "$client" 2>/dev/null
    ended "$client"
    client=
    if has "$text" "$dir/server.log"; then
        ok "$1-too-long"
    else
        not_ok "$1-too-long" "$(tail -n 1 "$dir/server.log")"
    fi
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
    if ! start_server "$2" "${options[@]}"; then
        not_ok "$1" "does not listen: $(tail -n 1 "$dir/server.log")"
        return
    fi
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

umask 077
mkfifo "$dir/never"
printf '%s:%s\n' "$identity" \
    "$(printf %s "$key" | od -An -v -tx1 | tr -d ' \n')" >"$dir/psk"

full_run echo "${DTLSL_ECHO:-$top_builddir/examples/echo}"
full_run echo_pull "${DTLSL_ECHO_PULL:-$top_builddir/examples/echo_pull}"
own_loop=${DTLSL_OWN_LOOP:-$top_builddir/examples/own_loop}
if [ -x "$own_loop" ]; then
    certificate_run own_loop "$own_loop" some
    own_loop_refusals_run "$own_loop"
fi

echo "interop: $passed passed, $failed failed, $skipped skipped"
if [ "$failed" -gt 0 ]; then
    exit 1
elif [ "$skipped" -gt 0 ]; then
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
fi
exit 0
