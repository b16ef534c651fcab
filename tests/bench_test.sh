#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The load generators of bench/: each flood and each kind of honest user for a
# moment, against our server and others'. What they count must be what the
# server has counted. And each class of packets of bench/cost once.
#
# DTLSL_BENCH                       where they are
# DTLSL_ECHO                        the server to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

bench=${DTLSL_BENCH:-$top_builddir/bench}
echo=${DTLSL_ECHO:-$top_builddir/examples/echo}

# value KEY: its number in the line of JSON that the program printed.
value()
{
    local line

    while IFS= read -r line; do
        [[ $line =~ ^\{.*\"$1\":\ ([0-9.]+) ]] && echo "${BASH_REMATCH[1]}"
    done <"$dir/json"
}

# ran NAME PROGRAM OPTION...: to a good end, with one line of JSON.
ran()
{
    local name=$1
    local program=$2
    local status

    shift 2
    "$bench/$program" "$@" 127.0.0.1 "$port" >"$dir/json" 2>"$dir/error"
    status=$?
    if [ "$status" -eq 0 ] && [ "$(grep -c '^{.*}$' "$dir/json")" -eq 1 ]; then
        ok "$name"
    else
        not_ok "$name" "status $status: $(last_of "$dir/error")"
    fi
}

# expect NAME KEY TEST VALUE: as in "lost -eq 0".
expect()
{
    local what

    what=$(value "$2")
    if test "${what:--1}" "$3" "$4"; then
        ok "$1"
    else
        not_ok "$1" "$2 is ${what:-missing}, not $3 $4"
    fi
}

# all_well NAME: of a flood; what came back is right, and no larger.
all_well()
{
    expect "$1-sent" sent -gt 0
    expect "$1-malformed" malformed -eq 0
    expect "$1-longer" longer -eq 0
    expect "$1-unread" unread -eq 0
}

# all_complete NAME: of a storm, or of a mixed load.
all_complete()
{
    expect "$1-started" started -gt 0
    expect "$1-completed" completed -eq "$(value started)"
    expect "$1-failed" failed -eq 0
}

# begin NAME [OPTION]...: our own server.
begin()
{
    local name=$1

    shift
    need_server "$name" 127.0.0.1 "$echo" -o self-signed=1 "$@" || report bench
}

# finish NAME: it ends, and its counters add up.
finish()
{
    stop_server "$1"
    check_counters "$1-counters"
}

# ---- floods against our server ---------------------------------------------

try_hellos()
{
    begin "$1"
    ran "$1" flood -t 0.3 "${@:2}"
    all_well "$1"
    expect "$1-replies" replies -gt 0
    finish "$1"
    expect_counter "$1-received" received -le "$(value sent)"
    expect_counter "$1-replied" hello_verify_sent -eq "$(value replies)"
}

try_bad_cookies()
{
    begin cookie
    ran cookie flood -t 0.3 -k cookie -r 2000 -p "$server"
    all_well cookie
    expect cookie-rss server_rss_kb -gt 0
    finish cookie
    expect_counter cookie-mismatch cookie_mismatch -gt 0
    expect_counter cookie-malformed cookie_malformed -eq 0
    expect_counter cookie-valid cookie_valid -eq 0
}

try_junk()
{
    begin junk
    ran junk flood -t 0.3 -k junk -r 2000
    all_well junk
    expect junk-replies replies -eq 0
    ran after-junk load storm -n 4 -j 4
    all_complete after-junk
    expected=4
    finish junk
}

# try_verified NAME OPTION...: nobody goes on behind the second hello.
try_verified()
{
    begin "$1"
    ran "$1" flood -t 0.3 -k verified -r 500 "${@:2}"
    all_well "$1"
    expect "$1-verified" verified -gt 0
    finish "$1"
    expect_counter "$1-valid" cookie_valid -gt 0
    expect_counter "$1-valid-all" cookie_valid -le "$(value verified)"
    expect_counter "$1-mismatch" cookie_mismatch -eq 0
    expect_counter "$1-expired" cookie_expired -eq 0
    expect_counter "$1-accepted" accepted -gt 0
}

# ---- honest users of our server --------------------------------------------

try_storm()
{
    begin "$1"
    ran "$1" load storm -n 20 -j 4 -p "$server" "${@:2}"
    all_complete "$1"
    expect "$1-started" started -eq 20
    expect "$1-within" within_8s -eq 20
    expected=20
    finish "$1"
}

try_echo()
{
    begin "$1" -o mtu=1400
    ran "$1" load echo -c 4 -t 0.2 -p "$server" "${@:2}"
    expect "$1-messages" messages -gt 0
    expect "$1-lost" lost -eq 0
    expect "$1-closed" closed -eq 0
    expected=4
    finish "$1"
    expect_counter "$1-data-in" data_in -ge "$(value messages)"
    expect_counter "$1-data-out" data_out -eq "$(counter data_in)"
}

try_paced()
{
    begin paced
    ran paced load paced -c 4 -r 50 -t 0.3
    expect paced-messages messages -gt 0
    expect paced-lost lost -eq 0
    expected=4
    finish paced
    expect_counter paced-data data_in -eq "$(value messages)"
}

# ended_well NAME: a load that was started with start() and ends by itself, or
# by a signal.
ended_well()
{
    local status

    ended "${pid_of[$1]}"
    status=$?
    unset "pid_of[$1]"
    cp "$dir/$1.out" "$dir/json"
    [ "$status" -eq 0 ] || not_ok "$1" "status $status: $(last_of "$dir/json")"
}

try_idle()
{
    begin idle
    start idle "$bench/load" idle -c 8 -e 0.1 -p "$server" 127.0.0.1 "$port"
    sees idle "ready 8 " || not_ok idle-ready "$(last_of "$dir/idle.out")"
    kill -TERM "${pid_of[idle]}"
    ended_well idle
    expect idle-open open -eq 8
    expect idle-closed closed -eq 0
    expect idle-lost lost -eq 0
    expected=8
    finish idle
    expect_counter idle-data data_in -ge "$(value messages)"
}

# Records of a later epoch from the very addresses of live sessions. Who may
# not have a raw socket is told so.
spoof()
{
    local peers

    peers=$(sed -n 's/^peers //p' "$dir/mixed.out")
    if [ "$(id -u)" -eq 0 ]; then
        ran spoofed flood -k epoch1 -v "$peers" -t 0.3 -r 5000
        expect spoofed-sent sent -gt 0
        spoofed=$(value sent)
    elif "$bench/flood" -k epoch1 -v "$peers" 127.0.0.1 "$port" \
        >"$dir/json" 2>&1; then
        not_ok spoofed "without root"
    elif has "for root" "$dir/json"; then
        ok spoofed-refused
    else
        not_ok spoofed-refused "$(last_of "$dir/json")"
    fi
}

try_mixed()
{
    local spoofed=0

    begin mixed
    start mixed "$bench/load" mixed -c 4 -r 20 -R 10 -t 1 127.0.0.1 "$port"
    sees mixed "peers " || not_ok mixed-peers "$(last_of "$dir/mixed.out")"
    spoof
    ended_well mixed
    all_complete mixed
    expect mixed-lost lost -eq 0
    expect mixed-closed closed -eq 0
    expected=$((4 + $(value started)))
    finish mixed
    expect_counter mixed-data data_in -eq "$(value messages)"
    expect_counter mixed-spoofed received -ge \
        $((spoofed - $(counter kernel_drops)))
}

# ---- other servers ---------------------------------------------------------

# try_server NAME COMMAND...: one that prints "listening ADDRESS:PORT", echoes,
# and ends at SIGTERM.
try_server()
{
    local name=$1

    shift
    need_server "$name" 127.0.0.1 "$@" || return
    ran "$name-storm" load storm -n 4 -j 1
    all_complete "$name-storm"
    ran "$name-echo" load echo -c 2 -w 1 -t 0.1
    expect "$name-messages" messages -gt 0
    expect "$name-lost" lost -eq 0
    ran "$name-hello" flood -k hello -r 500 -t 0.2
    all_well "$name-hello"
    expect "$name-replies" replies -gt 0
    stop_server "$name"
}

# One client and no other, and no echo.
try_openssl()
{
    command -v openssl >/dev/null || {
        skip openssl
        return
    }
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj /CN=localhost -keyout "$dir/key" -out "$dir/cert" 2>/dev/null
    port=$(free_port)
    start openssl openssl s_server -dtls1_2 -listen -key "$dir/key" \
        -cert "$dir/cert" -accept "127.0.0.1:$port"
    sees openssl ACCEPT || not_ok openssl "$(last_of "$dir/openssl.out")"
    ran openssl-hello flood -k hello -r 500 -t 0.2
    all_well openssl-hello
    expect openssl-replies replies -gt 0
    ran openssl-cookie flood -k cookie -r 500 -t 0.2
    all_well openssl-cookie
    expect openssl-again replies -gt 0
    ran openssl-storm load storm -n 1
    all_complete openssl-storm
    stop openssl
}

try_gnutls()
{
    command -v gnutls-serv >/dev/null || {
        skip gnutls
        return
    }
    port=$(free_port)
    start gnutls gnutls-serv --udp --echo --port "$port" \
        --x509keyfile "$dir/key" --x509certfile "$dir/cert"
    sees gnutls "UDP" || not_ok gnutls "$(last_of "$dir/gnutls.out")"
    ran gnutls-hello flood -k hello -r 500 -t 0.2
    all_well gnutls-hello
    expect gnutls-replies replies -gt 0
    ran gnutls-echo load echo -c 1 -w 1 -t 0.1
    expect gnutls-messages messages -gt 0
    stop gnutls
}

free_port()
{
    "$python" -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# ---- what a flood is made of, seen from outside ----------------------------

# try_sources NAME COUNT ADDRESSES PORTS OPTION...: so many of each in the
# first COUNT datagrams, one size, and no datagram twice. A flood that was held
# up sends several in a row from a port. Every one is answered with no HelloVerifyRequest, which is
# longer than what it answers.
try_sources()
{
    local name=$1
    local count=$2
    local wanted="addresses $3 ports $4 sizes 1 contents $2"
    local answer

    shift 4
    answer=$(printf '16%.0s' {1..300})
    start sink "$python" "$interop/sink.py" "$count" "$answer"
    sees sink "port " || not_ok "$name" "$(last_of "$dir/sink.out")"
    port=$(sed -n 's/^port //p' "$dir/sink.out")
    ran "$name" flood -t 0.3 -r 2000 "$@"
    if sees sink "$wanted"; then
        ok "$name-sources"
    else
        not_ok "$name-sources" "$(last_of "$dir/sink.out")"
    fi
    expect "$name-malformed" malformed -gt 0
    expect "$name-malformed" malformed -eq "$(value replies)"
    expect "$name-longer" longer -eq "$(value replies)"
    expect "$name-longest" longest_reply -eq 300
    stop sink
}

# ---- misuse ----------------------------------------------------------------

# misused PROGRAM OPTION...: status 2, and a text.
misused()
{
    "$bench/$1" "${@:2}" >"$dir/json" 2>&1
    if [ $? -ne 2 ] || [ ! -s "$dir/json" ]; then
        not_ok "$*" "is taken: $(last_of "$dir/json")"
    fi
}

try_misuse()
{
    misused flood 127.0.0.1 1
    misused flood -k all 127.0.0.1 1
    misused flood -k hello -s 207 127.0.0.1 1
    misused flood -k hello -s 204 127.0.0.1 1
    misused flood -k hello -v 127.0.0.1:1 127.0.0.1 1
    misused flood -k epoch1 127.0.0.1 1
    misused flood -k epoch1 -v 127.0.0.1 127.0.0.1 1
    misused flood -k verified -G 127.0.0.1 1
    misused flood -k hello 192.0.2.1 1
    misused flood -k hello 127.0.0.1 0
    misused flood -k hello 127.0.0.1
    misused flood -k hello -r x 127.0.0.1 1
    misused load
    misused load all 127.0.0.1 1
    misused load storm 127.0.0.1
    misused load storm 192.0.2.1 1
    misused load storm -c 1 127.0.0.1 1
    misused load storm -m -d 1 127.0.0.1 1
    misused load storm -g none 127.0.0.1 1
    misused load echo -s 15 127.0.0.1 1
    misused load echo -p 0 127.0.0.1 1
    misused load echo -y 0.1 -c 1 127.0.0.1 1
    misused load paced -r 0 127.0.0.1 1
    ok misuse
}

# try_cost NAME OPTION...: each class of packets is what it says, or it fails.
try_cost()
{
    local name=$1

    shift
    if "$bench/cost" "$@" --json >"$dir/cost" 2>&1 &&
        [ "$(grep -c '"name"' "$dir/cost")" -gt 20 ]; then
        ok "$name"
    else
        not_ok "$name" "$(last_of "$dir/cost" 3)"
    fi
}

# ----------------------------------------------------------------------------

python=$(find_python) || unable "python3 is not there"
for program in "$echo" "$bench/cost" "$bench/flood" "$bench/load"; do
    [ -x "$program" ] ||
        unable "$program is not there: make check bench-programs builds it"
done

try_hellos hello -k hello -r 2000
try_hellos hello-gso -k hello -G -r 2000
try_hellos hello-long -k hello -s 1200 -a 100 -P 2 -r 1000
try_bad_cookies
try_junk
try_verified verified-one -a 1
try_verified verified-many -a 65536
try_storm storm
try_storm storm-delayed -d 20
try_storm storm-connected -m
try_echo echo
try_echo echo-long -s 1200
try_echo echo-connected -m
try_paced
try_idle
try_mixed
try_server ours "$echo" -o self-signed=1
try_openssl
try_gnutls
try_sources sources 200 8 4 -k hello
try_sources sources-one 200 1 1 -k hello -a 1 -P 1
try_sources sources-many 200 200 2 -k hello -a 1000 -P 2
try_sources sources-polled 2000 20 100 -k junk -a 20 -P 100 -t 1.5
try_misuse
try_cost cost --rounds 1
report bench
