# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests with foreign clients share: results, servers and their
# counters, clients. It is sourced; it makes $dir, which goes at the end.
#
# DTLSL_CLIENT_DIR                  where mbedtls_client and wolfssl_client are
# DTLSL_REQUIRE_CLIENTS=1           what is missing is a failure
# DTLSL_UNIT_ONLY=1                 do not run at all
# DTLSL_LIMIT=30                    seconds that any one thing may take

set -u

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
interop=$srcdir/tests/interop
counters_h=$srcdir/libdtlslisten/counters.h
limit=${DTLSL_LIMIT:-30}
passed=0
failed=0
skipped=0
server=
expected=0
identity=interop
key=interop-psk-0123
declare -A pid_of input_of

if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi

umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-interop.XXXXXX") || exit 99
mkfifo "$dir/never"

clean_up()
{
    local name

    for name in "${!pid_of[@]}"; do
        kill -KILL "${pid_of[$name]}" 2>/dev/null
    done
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# ---- results ---------------------------------------------------------------

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

# report NAME: the last line of a script, and its status.
report()
{
    echo "$1: $passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] || exit 1
    [ "$skipped" -gt 0 ] || exit 0
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
}

# unable WHY: this script can prove nothing here.
unable()
{
    echo "skip: $1"
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
}

# last_of FILE: its last lines as one, for the text of a failure.
last_of()
{
    tail -n "${2:-2}" "$1" 2>/dev/null | tr '\n' ' '
}

# ---- waiting ---------------------------------------------------------------

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

# has_or_gone TEXT FILE PID
has_or_gone()
{
    has "$1" "$2" || gone "$3"
}

# ended PID: waits for the end of a child, kills one that overstays, and
# returns its status.
ended()
{
    until_true gone "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# ---- servers ---------------------------------------------------------------

listens_or_ended()
{
    grep -aq '^listening ' "$dir/server.log" || gone "$server"
}

# start_server_on HOST PROGRAM OPTION...: sets server, host and port.
start_server_on()
{
    local on=$1
    local line

    shift
    : >"$dir/server.log"
    "$@" "$on" 0 >"$dir/server.log" 2>&1 &
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

start_server()
{
    start_server_on 127.0.0.1 "$@"
}

# need_server NAME HOST PROGRAM OPTION...: as start_server_on, and says so if
# it does not listen.
need_server()
{
    local name=$1

    shift
    start_server_on "$@" && return 0
    not_ok "$name" "server: $(last_of "$dir/server.log")"
    return 1
}

# counter NAME: its value in the last line of JSON that the server printed.
counter()
{
    local line value=

    while IFS= read -r line; do
        [[ $line =~ ^\{.*\"$1\":\ *([0-9]+) ]] && value=${BASH_REMATCH[1]}
    done <"$dir/server.log"
    echo "$value"
}

# outcomes_sum: of the last line of JSON; or which counter is missing in it.
outcomes_sum()
{
    awk '
        FNR == NR {
            text = text $0
            next
        }
        /^\{/ {
            json = $0
        }
        END {
            gsub(/\\/, " ", text)
            while (match(text, /X\([A-Z0-9_]+, *OUT, *"[a-z0-9_]+"/)) {
                name = substr(text, RSTART, RLENGTH)
                text = substr(text, RSTART + RLENGTH)
                gsub(/^[^"]*/, "", name)
                if (!match(json, name ": *[0-9]+")) {
                    print "without " name
                    exit
                }
                value = substr(json, RSTART, RLENGTH)
                sub(/.*: */, "", value)
                sum += value
                n++
            }
            print n ? sum : "without an outcome in counters.h"
        }' "$counters_h" "$dir/server.log"
}

# check_counters NAME: what was received equals the sum of what became of it,
# and $expected handshakes were completed.
check_counters()
{
    local sum
    local received
    local opened

    sum=$(outcomes_sum)
    received=$(counter received)
    opened=$(counter opened)
    if [ "${received:-0}" -eq 0 ]; then
        not_ok "$1" "received is ${received:-missing}"
    elif [ "$received" != "$sum" ]; then
        not_ok "$1" "received is $received, its outcomes are $sum"
    elif [ "$opened" != "$expected" ]; then
        not_ok "$1" "opened is ${opened:-missing}, not $expected"
    else
        ok "$1"
    fi
}

# expect_counter NAME COUNTER TEST VALUE: as in "opened -eq 1".
expect_counter()
{
    local value

    value=$(counter "$2")
    if [ "${value:--1}" "$3" "$4" ]; then
        ok "$1"
    else
        not_ok "$1" "$2 is ${value:-missing}, not $3 $4"
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
        not_ok "$1-exit" "status $status: $(last_of "$dir/server.log" 3)"
    else
        ok "$1-exit"
    fi
}

# ---- clients ---------------------------------------------------------------

# start NAME COMMAND...: a client with an open input; what it prints goes to
# $dir/NAME.out.
start()
{
    local name=$1
    local input

    shift
    rm -f "$dir/$name.in"
    mkfifo "$dir/$name.in"
    : >"$dir/$name.out" # nobody may see what the one before left
    exec {input}<>"$dir/$name.in"
    "$@" <"$dir/$name.in" >"$dir/$name.out" 2>&1 {input}>&- &
    pid_of[$name]=$!
    input_of[$name]=$input
}

# say NAME TEXT: a line for it.
say()
{
    echo "$2" >&"${input_of[$1]}"
}

# sees NAME TEXT: waits until the client has printed that, or has ended.
sees()
{
    until_true has_or_gone "$2" "$dir/$1.out" "${pid_of[$1]}"
    has "$2" "$dir/$1.out"
}

# served TEXT: waits until the server has printed that, or has ended.
served()
{
    until_true has_or_gone "$1" "$dir/server.log" "$server"
    has "$1" "$dir/server.log"
}

# stop NAME: some clients do not leave at the end of their input.
stop()
{
    local input=${input_of[$1]}

    exec {input}>&-
    kill -TERM "${pid_of[$1]}" 2>/dev/null
    ended "${pid_of[$1]}"
    unset "pid_of[$1]" "input_of[$1]"
}

# run_lines NAME TEXT COMMAND...: a client that copies lines from its input to
# the server and back.
run_lines()
{
    local name=$1
    local text=$2

    shift 2
    start client "$@"
    say client "$text"
    if sees client "$text"; then
        expected=$((expected + 1))
        ok "$name"
    else
        not_ok "$name" "no echo: $(last_of "$dir/client.out")"
    fi
    stop client
}

# find_client NAME: where one of our own clients is.
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

find_python()
{
    if [ -x /usr/bin/python3 ]; then
        echo /usr/bin/python3
    else
        command -v python3
    fi
}

# make_psk_file: $dir/psk with $identity and $key.
make_psk_file()
{
    hex_key=$(printf %s "$key" | od -An -v -tx1 | tr -d ' \n')
    printf '%s:%s\n' "$identity" "$hex_key" >"$dir/psk"
}
