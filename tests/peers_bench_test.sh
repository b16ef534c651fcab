#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The bounds of bench/: the reflector answers, the other says what it did.
# Nothing is measured.
#
# DTLSL_BENCH                       where the programs are
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

bench=${DTLSL_BENCH:-$top_builddir/bench}
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

# ---- the bounds ------------------------------------------------------------

# finish NAME: with its one line, and nothing else.
finish()
{
    stop_server "$1"
    [ "$(grep -c . "$dir/server.log")" -eq 1 ] ||
        not_ok "$1-says" "$(last_of "$dir/server.log")"
}

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

command -v openssl >/dev/null || unable "openssl is not there"
for program in "$bench/reflector" "$bench/bound"; do
    [ -x "$program" ] || unable "$program is not there: make bench-programs"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" -subj "/CN=of a file" \
    >"$dir/req.out" 2>&1 || not_ok certificate "$(last_of "$dir/req.out")"

reflects reflector
reflects reflector-64 -b 64
reflects reflector-options -o
reflects reflector-64-options -b 64 -o
reflects reflector-uv -l
reflects reflector-uv-recvmmsg -L
ran reflector-usage 2 "reflector: -l and -L: go with neither -o nor -b" \
    "$bench/reflector" -l -o 127.0.0.1 0
bounds handshake handshake -g "$group"
bounds handshake-file handshake -c "$dir/cert.pem" -k "$dir/key.pem"
bounds echo echo
bounds echo-1200 echo -s 1200
ran bound-usage 2 "bound: usage: .*" "$bench/bound" sideways
report peers_bench
