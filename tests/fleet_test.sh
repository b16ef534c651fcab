#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A fleet of two nodes that hold one address, in network namespaces of this
# test's own. The router between them and the clients looks at each datagram's
# message_seq: the first ClientHello goes to one node, the second and all that
# follows to the other. The rotation takes some 100 seconds, while the rest
# runs beside it.
#
#     fleet_test.sh [rotation]
#
# DTLSL_ECHO, DTLSL_KEYS            the server and dtlslisten-keys to run
# DTLSL_HANDSHAKES                  the clients
# DTLSL_PLUGINS                     where the strategy's module is
# DTLSL_FAKETIME                    libfaketime.so.1
# See tests/interop/common.sh for the rest.

# In a process namespace of its own, nothing outlives the test.
inside=(unshare -n -p --fork --kill-child --mount-proc)
if [ "${DTLSL_UNIT_ONLY:-0}" != 1 ] && [ "${1:-}" != inside ] &&
    "${inside[@]}" true 2>/dev/null; then
    exec "${inside[@]}" "$0" inside "$@"
fi
part=${2:-all}

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

limit=${DTLSL_LIMIT:-120}
echo=${DTLSL_ECHO:-$top_builddir/examples/echo}
keys=${DTLSL_KEYS:-$top_builddir/tools/dtlslisten-keys}
handshakes=${DTLSL_HANDSHAKES:-$top_builddir/tests/interop/handshakes}
plugins=${DTLSL_PLUGINS:-$(realpath "$top_builddir")/plugins/.libs}
redis=redis://127.0.0.1/coap-keys
service=10.99.0.1
port=5684
# Where the first hello and where the rest of a client's datagrams go, by the
# client's address.
declare -A from=([ab]=10.88.0.2 [ba]=10.88.0.3 [aa]=10.88.0.4 [bb]=10.88.0.5)

# ---- namespaces ------------------------------------------------------------

# make_namespace NAME NUMBER: 10.88.NUMBER.1 here, .2 and more there.
make_namespace()
{
    start "$1" unshare -n sh -c 'echo there; read -r line'
    sees "$1" there || return 1
    ip link add "to-$1" type veth peer name eth0 netns "${pid_of[$1]}" &&
        ip addr add "10.88.$2.1/24" dev "to-$1" &&
        ip link set "to-$1" up &&
        at "$1" ip addr add "10.88.$2.2/24" dev eth0 &&
        at "$1" ip link set lo up &&
        at "$1" ip link set eth0 up &&
        at "$1" ip route add default via "10.88.$2.1"
}

# at NAME COMMAND...
at()
{
    nsenter -t "${pid_of[$1]}" -n "${@:2}"
}

stop_namespaces()
{
    local name

    for name in clients a b; do
        stop "$name"
    done
}

# Record: type at byte 0, epoch at 3; message: type at 13, message_seq at 17;
# behind a UDP header of 8 bytes, all in bits.
steer()
{
    nft -f - <<EOF
table ip fleet {
    chain steer {
        type filter hook prerouting priority mangle
        ip daddr $service udp dport $port goto way
    }
    chain way {
        ip saddr ${from[aa]} meta mark set 1 return
        ip saddr ${from[bb]} meta mark set 2 return
        @th,64,8 22 @th,88,16 0 @th,168,8 1 @th,200,16 0 goto hello
        ip saddr ${from[ab]} meta mark set 2
        ip saddr ${from[ba]} meta mark set 1
    }
    chain hello {
        ip saddr ${from[ab]} meta mark set 1
        ip saddr ${from[ba]} meta mark set 2
    }
}
EOF
}

make_network()
{
    local way

    ip link set lo up &&
        make_namespace clients 0 &&
        make_namespace a 1 &&
        make_namespace b 2 || return 1
    at a ip addr add "$service/32" dev lo
    at b ip addr add "$service/32" dev lo
    for way in ba aa bb; do
        at clients ip addr add "${from[$way]}/24" dev eth0
    done
    echo 1 >/proc/sys/net/ipv4/ip_forward
    # Both nodes answer from the one address.
    echo 0 | tee /proc/sys/net/ipv4/conf/*/rp_filter >/dev/null
    ip route add "$service" via 10.88.1.2 table 101 &&
        ip route add "$service" via 10.88.2.2 table 102 &&
        ip rule add fwmark 1 lookup 101 &&
        ip rule add fwmark 2 lookup 102 &&
        steer
}

# ---- nodes -----------------------------------------------------------------

# with_clock OFFSET: UTC as it will be then; the monotonic clock stays. With
# AddressSanitizer libfaketime is not in the place that that likes best.
with_clock()
{
    clock=(env)
    [ "$1" = 0 ] || clock=(env "LD_PRELOAD=$faketime" "FAKETIME=$1"
        FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
        "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0")
}

# start_node NODE OFFSET OPTION...
start_node()
{
    local node=$1

    with_clock "$2"
    shift 2
    start "$node-server" nsenter -t "${pid_of[$node]}" -n "${clock[@]}" \
        "$echo" -o self-signed=1 -o events-notice=1 "$@" "$service" "$port"
    sees "$node-server" "listening " && ask "$node" && return 0
    not_ok "$node" "server: $(last_of "$dir/$node-server.out")"
    return 1
}

# start_cluster A-OFFSET B-OFFSET OPTION...: on the files a.keys and b.keys.
start_cluster()
{
    local options=("${@:3}" -o cookie=cluster -o "plugin-dir=$plugins"
        -o cookie.poll-ms=100)

    strategy=cluster
    start_node a "$1" "${options[@]}" -o cookie.node=1 \
        -o "cookie.key-file=$dir/a.keys" &&
        start_node b "$2" "${options[@]}" -o cookie.node=2 \
            -o "cookie.key-file=$dir/b.keys"
}

answers()
{
    grep -c '^{' "$dir/$1-server.out"
}

answered()
{
    [ "$(answers "$1")" -gt "$2" ]
}

# ask NODE: for its counters.
ask()
{
    local before

    before=$(answers "$1")
    kill -USR1 "${pid_of[$1-server]}" && until_true answered "$1" "$before"
}

# stop_nodes NAME
stop_nodes()
{
    local node status

    for node in a b; do
        kill -TERM "${pid_of[$node-server]}"
        ended "${pid_of[$node-server]}"
        status=$?
        stop "$node-server"
        [ "$status" -eq 0 ] || not_ok "$1-$node-exit" "status $status"
    done
}

# rise NODE COUNTER: since it was started, without its self-test.
rise()
{
    sed -nE "/^\{/s/.*\"$2\":([0-9]+).*/\1/p" "$dir/$1-server.out" |
        awk 'NR == 1 { first = $1 } END { print NR ? $1 - first : "none" }'
}

same()
{
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "'$2', not '$3'"
    fi
}

# opened NAME NODE VALUE: handshakes that it completed.
opened()
{
    same "$1" "$(rise "$2" opened)" "$3"
}

# verdicts NODE: what became of its cookies, but for those minted.
verdicts()
{
    local name value

    for name in valid valid_early valid_late malformed unknown_key expired \
        future mismatch need_more verify_failed mint_failed key_overdue \
        key_file_errors strategy_failed; do
        value=$(rise "$1" "cookie_${strategy}_$name")
        [ "$value" = 0 ] || echo "$name $value"
    done
}

# judged NAME NODE "COUNTER VALUE "...: these rose, and no others.
judged()
{
    same "$1" "$(verdicts "$2")" "$(printf '%s\n' "${@:3}")"
}

# tells NAME NODE TEXT TEXT: a notice with both.
tells()
{
    until_true has "$3" "$dir/$2-server.out"
    if grep -aF "$3" "$dir/$2-server.out" | grep -qF "$4"; then
        ok "$1"
    else
        not_ok "$1" "no \"$3 ... $4\": $(last_of "$dir/$2-server.out")"
    fi
}

has_reloaded()
{
    ask "$1" && [ "$(rise "$1" cookie_cluster_key_reloads)" = "$2" ]
}

# reloaded NODE TIMES
reloaded()
{
    until_true has_reloaded "$@" || not_ok "reload-$1" "not for time $2"
}

# ---- keys ------------------------------------------------------------------

# No comment of the tool's for each.
keys()
{
    "$keys" "$@" 2>>"$dir/keys.log"
}

# give FILE NODE...: by rename.
give()
{
    local node

    for node in "${@:2}"; do
        cp "$1" "$dir/fresh" && mv "$dir/fresh" "$dir/$node.keys"
    done
}

# keys_at OFFSET ...: when the clock shows that.
keys_at()
{
    with_clock "$1"
    "${clock[@]}" "$keys" "${@:2}" 2>>"$dir/keys.log"
}

# One that is in force for a clock that is far behind, too.
new_keys()
{
    rm -f "$dir/keys"
    keys_at -400s init "$dir/keys" && give "$dir/keys" a b
}

# ---- clients ---------------------------------------------------------------

# Two at once: a node accepts four from one wake-up, and who is turned away
# comes again and is counted again.
# begin NAME WAY OPTION...
begin()
{
    start "$1" nsenter -t "${pid_of[clients]}" -n "$handshakes" \
        -b "${from[$2]}" -j 2 "${@:3}" "$service" "$port"
}

# outcome NAME: of clients that end by themselves.
outcome()
{
    ended "${pid_of[$1]}"
    stop "$1"
    cat "$dir/$1.out"
}

# number OUTCOME WHAT
number()
{
    echo "$1" | sed -nE "s/(^|.* )$2 ([0-9]+).*/\2/p"
}

# ended_as NAME COMPLETED REFUSED: and none otherwise.
ended_as()
{
    same "$1" "$(outcome "$1" | sed 's/ keys.*//')" \
        "completed $2 refused $3 silent 0 failed 0"
}

# all_ways NAME AB-COMPLETED AB-REFUSED BA-COMPLETED BA-REFUSED: 40 clients a
# way that needs two nodes, ten a way that needs one.
all_ways()
{
    begin "$1-ab" ab -n 40
    begin "$1-ba" ba -n 40
    begin "$1-aa" aa -n 10
    begin "$1-bb" bb -n 10
    ended_as "$1-ab" "$2" "$3"
    ended_as "$1-ba" "$4" "$5"
    ended_as "$1-aa" 10 0
    ended_as "$1-bb" 10 0
}

# ---- one node's cookies on another -----------------------------------------

# What does not work, or the rest of this would show nothing.
hmac()
{
    strategy=hmac
    start_node a 0 && start_node b 0 || return
    begin hmac-apart ab -n 20
    ended_as hmac-apart 0 20
    begin hmac-together bb -n 20
    ended_as hmac-together 20 0
    stop_nodes hmac
    opened hmac-a a 0
    opened hmac-b b 20
    same hmac-refused "$(($(rise b cookie_hmac_unknown_key) +
        $(rise b cookie_hmac_mismatch)))" 20
    same hmac-minted "$(rise a cookie_hmac_minted)" 20
}

foreign()
{
    local i
    local limit=30

    for i in 1 2 3; do
        run_lines "cluster-openssl-$i" "hello $i" at clients openssl s_client \
            -dtls1_2 -quiet -connect "$service:$port"
        run_lines "cluster-gnutls-$i" "hello $i" at clients gnutls-cli --udp \
            --insecure --port "$port" "$service"
    done
}

cluster()
{
    new_keys && start_cluster 0 0 || return
    begin cluster ab -j 4 -n 1000
    expected=0
    ended_as cluster 1000 0
    foreign
    stop_nodes cluster
    opened cluster-a a 0
    opened cluster-b b "$((1000 + expected))"
    judged cluster-a-verdicts a
    judged cluster-b-verdicts b "valid $((1000 + expected))"
}

# ---- made wrong on purpose -------------------------------------------------

# B misses a file. That is no harm before the new key is activated; then it
# refuses the cookies of the new key, and no others.
laggard()
{
    new_keys && start_cluster 0 0 || return
    cp "$dir/keys" "$dir/old"
    keys rotate "$dir/keys" && give "$dir/keys" a
    reloaded a 1
    all_ways early 40 0 40 0
    cp "$dir/old" "$dir/keys"
    keys --propagation 0 --skew 0 rotate "$dir/keys" && give "$dir/keys" a
    reloaded a 2
    all_ways late 0 40 40 0
    give "$dir/keys" b
    reloaded b 1
    all_ways again 40 0 40 0
    stop_nodes laggard
    judged laggard-a a "valid 150"
    judged laggard-b b "valid 110" "unknown_key 40"
}

# A is 200 seconds ahead: to B its cookies are of the future, and those of B
# are too old for A. Each serves its own.
ahead()
{
    new_keys && start_cluster +200s 0 || return
    all_ways ahead 0 40 0 40
    tells ahead-notice-b b "the last of node 1, " " ms ahead; compare"
    tells ahead-notice-a a "the last of node 2, " " ms old; compare"
    stop_nodes ahead
    judged ahead-a a "valid 10" "expired 40"
    judged ahead-b b "valid 10" "future 40"
}

behind()
{
    new_keys && start_cluster -200s 0 || return
    all_ways behind 0 40 0 40
    tells behind-notice-b b "the last of node 1, " " ms old; compare"
    tells behind-notice-a a "the last of node 2, " " ms ahead; compare"
    stop_nodes behind
    judged behind-a a "valid 10" "future 40"
    judged behind-b b "valid 10" "expired 40"
}

# Beyond half of what is allowed, so that it can be seen before it hurts.
drifting()
{
    new_keys && start_cluster +80s 0 -o cookie.skew-ms=150000 || return
    all_ways drifting 40 0 40 0
    stop_nodes drifting
    judged drifting-a a "valid 50" "valid_late 40"
    judged drifting-b b "valid 50" "valid_early 40"
}

forged()
{
    local sent

    new_keys && keys rotate "$dir/keys" && give "$dir/keys" a b &&
        start_cluster 0 0 || return
    at clients "$(find_python)" "$interop/forged.py" "$service" "$port" \
        "${from[ab]}" "${from[bb]}" 3000 >"$dir/forged" 2>&1
    sent=$(sed -n 's/^sent //p' "$dir/forged")
    same forged-genuine "$(tail -n 1 "$dir/forged")" "genuine yes"
    stop_nodes forged
    judged forged-a a
    same forged-kinds "$(verdicts b | sed 's/ .*//' | tr '\n' ' ')" \
        "valid malformed unknown_key mismatch "
    same forged-valid "$(rise b cookie_cluster_valid)" 1
    same forged-sum "$(($(rise b cookie_cluster_malformed) +
        $(rise b cookie_cluster_unknown_key) +
        $(rise b cookie_cluster_mismatch)))" "$sent"
}

# ---- rotation --------------------------------------------------------------

lifetimes=(--lifetime 120 --skew 60 --propagation 10)
most_keys=0

# The one original.
rotate()
{
    local n

    keys "${lifetimes[@]}" rotate "$dir/keys" || return 1
    n=$(grep -c '^key ' "$dir/keys")
    [ "$n" -le "$most_keys" ] || most_keys=$n
}

# The file as it is in the long run: rotated every 20 seconds before now.
make_history()
{
    local ago

    keys_at -300s init "$dir/keys" || return 1
    for ago in {280..20..20}; do
        keys_at "-${ago}s" "${lifetimes[@]}" rotate "$dir/keys" || return 1
    done
}

start_redis()
{
    start redis redis-server --bind 127.0.0.1 --port 6379 --save '' \
        --appendonly no --dir "$dir"
    sees redis "eady to accept connections"
}

push()
{
    keys push "$dir/keys" "$redis"
}

# Each node has a file of its own.
start_sync()
{
    start "sync-$1" "$keys" --poll 1 sync "$redis" "$dir/$1.keys"
    sees "sync-$1" "has new keys"
}

# Nothing is kept: it comes back empty.
kill_redis()
{
    kill -KILL "${pid_of[redis]}"
    stop redis
}

# at_second N: of the rotation.
at_second()
{
    local left=$(($1 - SECONDS + began))

    [ "$left" -le 0 ] || read -r -t "$left" <>"$dir/never"
}

# publish TIMES: so often both will have reloaded then.
publish()
{
    push || not_ok "push-$1" "$(last_of "$dir/keys.log")"
    reloaded a "$1"
    reloaded b "$1"
}

keys_come_and_go()
{
    began=$SECONDS
    rotate && publish 1
    at_second 14
    kill_redis
    at_second 20
    rotate
    push
    same rotation-push-offline $? 4
    start_redis
    publish 2
    at_second 40
    rotate && publish 3
    at_second 60
    rotate && publish 4
    at_second 80
    rotate && publish 5
    # B is the last to mint with what was published at the beginning.
    at_second 100
}

# no_failures NAME LEAST-KEYS: all were completed, with so many keys at least.
# Some have ended by themselves.
no_failures()
{
    local result

    kill -TERM "${pid_of[$1]}" 2>/dev/null
    result=$(outcome "$1")
    done_by[$1]=$(number "$result" completed)
    if [ "${done_by[$1]:-0}" -gt 0 ] && [ "$(number "$result" keys)" -ge "$2" ]
    then
        same "rotation-$1" "${result% keys*}" \
            "completed ${done_by[$1]} refused 0 silent 0 failed 0"
    else
        not_ok "rotation-$1" "$result, not $2 keys"
    fi
    echo "rotation-$1: $result"
}

# Some hold their cookies for 45 seconds. B's clock is 50 seconds behind that
# of A: to A, cookies of B that were held are late, and to B all that were not
# are early.
clients_come_and_go()
{
    declare -A done_by

    begin fast-ab ab -r 30
    begin fast-ba ba -r 30
    begin slow-ab ab -j 40 -n 40 -r 4 -w 45
    begin slow-ba ba -j 40 -n 40 -r 4 -w 45
    keys_come_and_go
    no_failures slow-ab 1
    no_failures slow-ba 1
    no_failures fast-ab 4
    no_failures fast-ba 4
    stop_nodes rotation
    judged rotation-a a \
        "valid $((done_by[fast-ba] + done_by[slow-ba]))" \
        "valid_late ${done_by[slow-ba]}"
    judged rotation-b b \
        "valid $((done_by[fast-ab] + done_by[slow-ab]))" \
        "valid_early ${done_by[fast-ab]}"
}

rotation()
{
    make_history && start_redis && push && start_sync a && start_sync b &&
        start_cluster +25s -25s || {
        not_ok rotation "$(last_of "$dir/keys.log")"
        return
    }
    clients_come_and_go
    same rotation-keys-fit "$((most_keys <= 16))" 1
    stop sync-a
    stop sync-b
    stop redis
}

# ---- runs ------------------------------------------------------------------

# timed PART
timed()
{
    local begins=$SECONDS
    local before=$((passed + failed))

    "$1"
    [ "$((passed + failed))" -gt "$before" ] ||
        not_ok "$1" "did not begin: $(last_of "$dir/keys.log")"
    echo "$1: $((SECONDS - begins)) s"
}

# In a network of its own. Without hiredis there is nothing to push and sync.
begin_rotation()
{
    if [ "${have_hiredis:-yes}" = yes ]; then
        start rotation env "TMPDIR=$dir" "$0" rotation
    else
        skip rotation
    fi
}

end_rotation()
{
    local status

    [ -n "${pid_of[rotation]:-}" ] || return
    wait "${pid_of[rotation]}"
    status=$?
    cat "$dir/rotation.out"
    stop rotation
    same rotation "$status" 0
}

[ "${1:-}" = inside ] || unable "no namespaces may be made here"
for program in ip nft nsenter openssl gnutls-cli redis-server; do
    command -v "$program" >/dev/null || unable "$program is not there"
done
for program in "$echo" "$keys" "$handshakes"; do
    [ -x "$program" ] || unable "$program is not there: make check builds it"
done
faketime=${DTLSL_FAKETIME:-$(find /usr/lib -name libfaketime.so.1 | head -n 1)}
[ -r "$faketime" ] || unable "libfaketime is not there"
# libfaketime names what it shares by process ids, which are the same in other
# process namespaces.
mount -t tmpfs tmpfs /dev/shm || unable "nothing can be mounted here"
make_network || unable "no network of namespaces can be made here"
if [ "$part" = rotation ]; then
    timed rotation
    stop_namespaces
    report rotation
fi
begin_rotation
for part in hmac cluster laggard ahead behind drifting forged; do
    timed "$part"
done
end_rotation
stop_namespaces
report fleet
