#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every DTLS client at hand loses one flight of its handshake, each in turn,
# and is served all the same. Where a ClientHello or a HelloVerifyRequest is
# lost, the ServerHello must not look like a replay to the client: that would
# cost one more timeout.
#
# DTLSL_ECHO                        the server to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

echo=${DTLSL_ECHO:-$top_builddir/examples/echo}
clients=()

# add NAME COMMAND: it takes part if the command is there.
add()
{
    if command -v "$2" >/dev/null; then
        clients+=("$1")
    else
        skip "$1"
    fi
}

# ---- clients ---------------------------------------------------------------

# start_client NAME PORT: its text follows.
start_client()
{
    local port=$2

    case $1 in
    openssl)
        start openssl openssl s_client -dtls1_2 -quiet -no_ign_eof \
            -connect "127.0.0.1:$port"
        ;;
    gnutls)
        start gnutls gnutls-cli --udp --insecure --port "$port" 127.0.0.1
        ;;
    ncat)
        start ncat ncat --udp --ssl 127.0.0.1 "$port"
        ;;
    mbedtls | wolfssl)
        start "$1" "$(find_client "$1_client")" 127.0.0.1 "$port" \
            "hello from $1"
        ;;
    coap-*)
        start "$1" "coap-client-${1#coap-}" -v 7 -u "$identity" -k "$key" -N \
            -B "$limit" -m put -e hello "coaps://127.0.0.1:$port/x"
        ;;
    esac
    case $1 in
    openssl | gnutls | ncat) say "$1" "hello from $1" ;;
    esac
}

# The PUT that a CoAP client has sent comes back as one that it has received.
put_twice()
{
    [ "$(grep -acE 'v:1 t:NON c:PUT' "$dir/$1.out")" -ge 2 ]
}

put_twice_or_ended()
{
    put_twice "$1" || gone "${pid_of[$1]}"
}

# echoed NAME
echoed()
{
    case $1 in
    coap-*)
        until_true put_twice_or_ended "$1"
        put_twice "$1"
        ;;
    *) sees "$1" "hello from $1" ;;
    esac
}

# ---- one loss --------------------------------------------------------------

# relayed NAME KEY: from the relay's report.
relayed()
{
    sed -n "s/^$1 .*\\<$2=\\([0-9]*\\).*/\\1/p" "$dir/relay.out"
}

# run_clients LOSS NAME...: all at once, each through a port of its own.
run_clients()
{
    local loss=$1
    local name
    local port

    shift
    start relay "$python" "$interop/relay.py" "$host" "$server_port" \
        "$loss" "$@"
    if ! sees relay relaying; then
        not_ok "$loss" "relay: $(last_of "$dir/relay.out")"
        stop relay
        return 1
    fi
    for name in "$@"; do
        port=$(sed -n "s/^$name //p" "$dir/relay.out")
        start_client "$name" "$port"
    done
    for name in "$@"; do
        echoed[$name]=no
        if echoed "$name"; then
            echoed[$name]=yes
            expected=$((expected + 1))
        fi
    done
    for name in "$@"; do
        stop "$name"
    done
    stop relay
}

# is_exact LOSS NAME: the ServerHello has the right number and, as long as the
# loss is before it, no ClientHello was sent again but for the loss: a client
# says hello twice, and once more if the first time came to nothing.
is_exact()
{
    local hellos=2

    [ "$(relayed "$2" misnumbered)" = 0 ] || return 1
    case $1 in
    none) ;;
    hello | verify) hellos=3 ;;
    *) return 0 ;;
    esac
    [ "$(relayed "$2" hellos)" = "$hellos" ] &&
        [ "$(relayed "$2" late)" = 0 ]
}

# can_repeat LOSS NAME: ncat has no timer and sends nothing again by itself, so
# it gets over what the server repeats, and no more.
can_repeat()
{
    case $1-$2 in
    hello-ncat | verify-ncat | finish-ncat) return 1 ;;
    esac
}

# run_loss LOSS: each client is served. A machine that stands still for a
# second makes clients send again, too; so one that sends too much may try
# again. A ServerHello that is dropped as a replay is dropped each time.
run_loss()
{
    local left=()
    local next
    local name
    local try
    local -A echoed

    for name in "${clients[@]}"; do
        can_repeat "$1" "$name" && left+=("$name")
    done
    [ "${#left[@]}" -gt 0 ] || return
    for try in 1 2 3; do
        run_clients "$1" "${left[@]}" || return
        next=()
        for name in "${left[@]}"; do
            if [ "${echoed[$name]}" != yes ]; then
                not_ok "$1-$name" "not served: $(last_of "$dir/$name.out")"
            elif [ "$1" != none ] && [ "$(relayed "$name" lost)" = 0 ]; then
                not_ok "$1-$name" "nothing was lost"
            elif [ "$(relayed "$name" replayed)" != 0 ]; then
                not_ok "$1-$name" "a record number came twice"
            elif is_exact "$1" "$name"; then
                ok "$1-$name"
            elif [ "$try" -lt 3 ]; then
                next+=("$name")
            else
                not_ok "$1-$name" "$(grep -a "^$name " "$dir/relay.out")"
            fi
        done
        [ "${#next[@]}" -gt 0 ] || return
        left=("${next[@]}")
    done
}

# ---- runs ------------------------------------------------------------------

python=$(find_python) || unable "python3 is not there"
make_psk_file
add openssl openssl
add gnutls gnutls-cli
add ncat ncat
add mbedtls "$(find_client mbedtls_client)"
add wolfssl "$(find_client wolfssl_client)"
add coap-openssl coap-client-openssl
add coap-gnutls coap-client-gnutls

if need_server loss 127.0.0.1 "$echo" -o self-signed=1 \
    -o "psk-file=$dir/psk"; then
    server_port=$port
    for loss in ${DTLSL_LOSSES:-none hello verify flight answer finish}; do
        run_loss "$loss"
    done
    stop_server loss
    check_counters loss-counters
fi
report loss
