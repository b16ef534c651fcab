#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The load of OpenSSL's clients against the echo server: short sessions, many
# that are open at once, datagrams that are lost, a server that does not echo.
#
# DTLSL_ECHO, DTLSL_HANDSHAKES      the programs to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

echo=${DTLSL_ECHO:-$top_builddir/examples/echo}
handshakes=${DTLSL_HANDSHAKES:-$top_builddir/tests/interop/handshakes}

# ran NAME PORT STATUS PATTERN OPTION...: the one line that it prints.
ran()
{
    local name=$1
    local near=$2
    local wanted=$3
    local pattern=$4
    local status

    shift 4
    "$handshakes" -p "$identity:$hex_key" "$@" 127.0.0.1 "$near" \
        >"$dir/load.out" 2>&1
    status=$?
    if [ "$status" -eq "$wanted" ] && grep -qxE "$pattern" "$dir/load.out"
    then
        ok "$name"
    else
        not_ok "$name" "status $status: $(last_of "$dir/load.out")"
    fi
}

# result COMPLETED FAILED ECHOED RESENT OPEN
result()
{
    echo "completed $1 refused 0 silent 0 failed $2 keys 1" \
        "echoed $3 resent $4 open $5"
}

python=$(find_python) || unable "python3 is not there"
command -v openssl >/dev/null || unable "openssl is not there"
for program in "$echo" "$handshakes"; do
    [ -x "$program" ] || unable "$program is not there: make check builds it"
done
make_psk_file
need_server load 127.0.0.1 "$echo" -o "psk-file=$dir/psk" || report load

ran short "$port" 0 "$(result 200 0 600 '[0-9]+' '[1-4]')" -n 200 -j 4 -e 3
ran together "$port" 0 "$(result 300 0 600 '[0-9]+' 300)" \
    -n 300 -k -j 4 -e 2 -s 1024
ran silent "$port" 0 "$(result 20 0 0 0 20)" -n 20 -k -j 4
expected=520

start relay "$python" "$interop/lossy.py" "$host" "$port" 2 3 6
sees relay "port " || not_ok relay "$(last_of "$dir/relay.out")"
ran lossy "$(sed -n 's/^port //p' "$dir/relay.out")" 0 \
    "$(result 1 0 4 '([3-9]|[1-9][0-9]+)' 1)" -n 1 -e 4
expected=$((expected + 1))
stop relay
stop_server load
check_counters counters

# All at once: what is beyond the ration of accepts waits in its queue.
need_server crowd 127.0.0.1 "$echo" -o "psk-file=$dir/psk" || report load
ran crowd "$port" 0 "$(result 500 0 500 0 '[0-9]+')" -n 500 -j 50 -e 1
expected=500
stop_server crowd
check_counters crowd-counters
expect_counter crowd-ration drop_ration -eq 0

# Two threads: the counters are sums.
need_server workers 127.0.0.1 "$echo" -w 2 -o "psk-file=$dir/psk" ||
    report load
ran workers "$port" 0 "$(result 500 0 1000 0 '[0-9]+')" -n 500 -j 50 -e 2
expected=500
stop_server workers
check_counters workers-counters
for name in accepted opened closed replied cookie_hmac_valid; do
    expect_counter "workers-$name" "$name" -eq 500
done
expect_counter workers-data data_in -eq 1000
for wrong in -w0 -w65 -wx -w; do
    "$echo" "$wrong" -o "psk-file=$dir/psk" 127.0.0.1 0 >"$dir/load.out" 2>&1
    [ $? -eq 2 ] || not_ok "option $wrong" "$(last_of "$dir/load.out")"
done

# It sends what is typed, whatever it hears.
start liar openssl s_server -dtls1_2 -listen -nocert -psk "$hex_key" \
    -psk_identity "$identity" -accept "127.0.0.1:$port"
sees liar ACCEPT || not_ok liar "$(last_of "$dir/liar.out")"
say liar "no echo of anything"
ran liar "$port" 1 "$(result 0 1 0 '[0-9]+' 1)" -n 1 -e 1
stop liar
for wrong in -px:0g -p:00 -px -k -s7 -s1025 -e0 -j0 -nx; do
    "$handshakes" "$wrong" 127.0.0.1 "$port" >"$dir/load.out" 2>&1
    [ $? -eq 2 ] || not_ok "option $wrong" "$(last_of "$dir/load.out")"
done
report load
