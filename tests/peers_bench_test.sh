#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The servers that bench/ measures against, and its bounds: they serve
# OpenSSL's clients and outlive junk. Nothing is measured.
#
# DTLSL_BENCH                       where the programs are
# DTLSL_HANDSHAKES                  the load
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

bench=${DTLSL_BENCH:-$top_builddir/bench}
handshakes=${DTLSL_HANDSHAKES:-$top_builddir/tests/interop/handshakes}
group=P-256

# ran NAME STATUS PATTERN COMMAND...: and what it prints, as one line.
ran()
{
    local name=$1
    local wanted=$2
    local pattern=$3
    local status

    shift 3
    "$@" >"$dir/ran.out" 2>&1
    status=$?
    if [ "$status" -eq "$wanted" ] && grep -qxE "$pattern" "$dir/ran.out"
    then
        ok "$name"
    else
        not_ok "$name" "status $status: $(last_of "$dir/ran.out")"
    fi
}

# ---- the servers -----------------------------------------------------------

# load NAME COUNT OPTION...: three echoes for each of COUNT sessions. A socket
# that is bound and not connected yet takes what others send, which is the
# servers' way and not ours to mend: a tenth of the clients may go unheard.
load()
{
    local name=$1
    local count=$2
    local completed=0 unheard=0 echoed=0 line
    local pattern="^completed ([0-9]+) refused 0 silent ([0-9]+) failed 0 "

    pattern+="keys [0-9]+ echoed ([0-9]+) "
    shift 2
    line=$("${beside[@]}" "$handshakes" -n "$count" -e 3 "$@" \
        "$host" "$port" 2>&1)
    if [[ $line =~ $pattern ]]; then
        completed=${BASH_REMATCH[1]}
        unheard=${BASH_REMATCH[2]}
        echoed=${BASH_REMATCH[3]}
    fi
    if [ $((completed + unheard)) -eq "$count" ] &&
        [ $((10 * unheard)) -le "$count" ] &&
        [ "$echoed" -ge $((3 * completed)) ]; then
        ok "$name"
    else
        not_ok "$name" "$line"
    fi
}

# one NAME TEXT: a session of s_client's, with the group that was asked for.
one()
{
    start client "${beside[@]}" openssl s_client -dtls1_2 \
        -connect "$host:$port"
    say client "$2"
    if sees client "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" &&
        sees client "$2" && has "$group_name" "$dir/client.out"; then
        ok "$1"
    else
        not_ok "$1" "$(last_of "$dir/client.out" 20)"
    fi
    stop client
}

# strangers NAME: datagrams that begin no handshake.
strangers()
{
    start relay "$python" "$interop/junk.py" "$host" "$port"
    sees relay "client " && say relay strangers
    sees relay "done strangers" ||
        not_ok "$1" "relay: $(last_of "$dir/relay.out")"
    stop relay
}

# finish NAME: with its one line, and nothing else.
finish()
{
    stop_server "$1"
    [ "$(grep -c . "$dir/server.log")" -eq 1 ] ||
        not_ok "$1-says" "$(last_of "$dir/server.log")"
}

# with_many NAME PROGRAM OPTION...: 200 clients, and one before and behind.
with_many()
{
    local name=$1
    local program=$bench/$2
    local beside=()

    shift 2
    [ -x "$program" ] || return 0
    need_server "$name" 127.0.0.1 "$program" "$@" -g "$group" || return 0
    one "$name-one" "$name says one"
    # One handshake at a time: with more, a socket of a peer that is not
    # connected yet takes what others send.
    load "$name-in-turn" 120 -j 1
    load "$name-together" 80 -k -j 1 -s 1024
    strangers "$name-strangers"
    one "$name-still" "$name says still"
    finish "$name"
}

# Mbed TLS's way loses what a client sends before the socket that it was
# answered on is closed. On one CPU, and with a policy that does not preempt,
# the client runs when the server waits.
with_few()
{
    local name=$1
    local program=$bench/$2
    local cpu
    local beside

    [ -x "$program" ] || return 0
    cpu=$(taskset -cp $$ | sed 's/.*: //; s/[^0-9].*//')
    beside=(taskset -c "$cpu" chrt -b 0)
    need_server "$name" 127.0.0.1 taskset -c "$cpu" "$program" -g "$group" ||
        return 0
    one "$name-one" "$name says one"
    load "$name-in-turn" 20 -j 1
    load "$name-together" 10 -k -j 1 -s 1024
    strangers "$name-strangers"
    one "$name-still" "$name says still"
    finish "$name"
}

refuses()
{
    local name=$1
    local program=$bench/$1

    [ -x "$program" ] || return 0
    ran "$name-host" 2 ".*: localhost: not an IPv4 address" \
        "$program" localhost 0
    ran "$name-port" 2 ".*: 65536: not a number from 0 to 65535" \
        "$program" 127.0.0.1 65536
    ran "$name-group" 2 ".*: P-257: .*" "$program" -g P-257 127.0.0.1 0
    ran "$name-no-key" 2 "$name: certificate: give both -c and -k, or none of them" \
        "$program" -c "$dir/cert.pem" 127.0.0.1 0
    ran "$name-usage" 2 "usage: $name .*" "$program" 127.0.0.1
}

# The certificate of a file is the one that the client sees.
shows_certificate()
{
    local name=$1
    local program=$bench/$1
    local beside=()

    [ -x "$program" ] || return 0
    need_server "$name" 127.0.0.1 "$program" -c "$dir/cert.pem" \
        -k "$dir/key.pem" -m 600 || return 0
    start client openssl s_client -dtls1_2 -connect "$host:$port"
    if sees client "subject=CN = of a file"; then
        ok "$name-certificate"
    else
        not_ok "$name-certificate" "$(last_of "$dir/client.out" 20)"
    fi
    stop client
    finish "$name"
}

# ---- the bounds ------------------------------------------------------------

# answers COUNT BYTES: sends so many datagrams to the reflector, and waits for
# so many bytes.
answers()
{
    local socket i got

    exec {socket}<>"/dev/udp/127.0.0.1/$port"
    for ((i = 0; i < $1; i++)); do
        printf %s "$text" >&"$socket" || break
    done
    got=$(timeout "$limit" head -c "$2" <&"$socket" | wc -c)
    exec {socket}>&-
    [ "$got" -eq "$2" ]
}

# reflects NAME OPTION...: answers of 60 bytes, and as they came.
reflects()
{
    local name=$1
    local text=000000000

    shift
    need_server "$name" 127.0.0.1 "$bench/reflector" "$@" || return 0
    if answers 40 2400 && answers 1 60 && answers 33 1980; then
        ok "$name"
    else
        not_ok "$name" "not all answers came back"
    fi
    finish "$name"
    need_server "$name-back" 127.0.0.1 "$bench/reflector" -a 0 "$@" ||
        return 0
    if answers 40 360 && answers 1 9; then
        ok "$name-back"
    else
        not_ok "$name-back" "not all came back"
    fi
    finish "$name-back"
}

# bounds NAME ARGUMENT...: something was done, in no more than the time.
bounds()
{
    local name=$1
    local number='([0-9]+\.[0-9]+)'
    local line="\{\"operations\":[1-9][0-9]*,\"server_s\":$number"

    shift
    ran "$name" 0 "$line,\"seconds\":$number\}" "$bench/bound" -t 0.2 "$@"
    sed -E "s/.*_s\":$number.*:$number.*/\1 \2/" "$dir/ran.out" |
        awk '{ exit !($1 > 0 && $1 < $2) }' ||
        not_ok "$name-server" "$(last_of "$dir/ran.out")"
}

# ---- all of it -------------------------------------------------------------

python=$(find_python) || unable "python3 is not there"
for program in openssl taskset chrt; do
    command -v "$program" >/dev/null || unable "$program is not there"
done
for program in "$handshakes" "$bench/reflector" "$bench/bound" \
    "$bench/openssl_server" "$bench/openssl_one_server"; do
    [ -x "$program" ] || unable "$program is not there: make bench-programs"
done
for program in gnutls wolfssl mbedtls; do
    [ -x "$bench/${program}_server" ] ||
        skip "$program: its library was not found by configure"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" -subj "/CN=of a file" \
    >"$dir/req.out" 2>&1 || not_ok certificate "$(last_of "$dir/req.out")"

group_name=prime256v1
with_many openssl openssl_server
with_many openssl-hmac openssl_server -H
with_many openssl-one-read openssl_server -D 1
with_many openssl-one openssl_one_server
with_many gnutls gnutls_server
with_many wolfssl wolfssl_server
with_few mbedtls mbedtls_server
for program in openssl openssl_one gnutls wolfssl mbedtls; do
    refuses "${program}_server"
    shows_certificate "${program}_server"
done

reflects reflector
reflects reflector-64 -b 64
reflects reflector-options -o
reflects reflector-64-options -b 64 -o -r 2097152
reflects reflector-uv -l
reflects reflector-uv-recvmmsg -L
ran reflector-usage 2 "reflector: -l and -L: go with neither -o nor -b" \
    "$bench/reflector" -l -o 127.0.0.1 0
bounds handshake handshake -g "$group"
bounds handshake-file handshake -c "$dir/cert.pem" -k "$dir/key.pem"
bounds handshake-turns handshake -j 8
bounds echo echo
bounds echo-turns echo -j 20
bounds echo-1200 echo -s 1200
ran bound-usage 2 "bound: usage: .*" "$bench/bound" sideways
report peers_bench
