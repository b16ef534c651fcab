#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# dtlslisten-keys as its users run it: files and exit codes, a real Redis that
# is killed and restarted under it, and some that are no Redis at all.
#
# DTLSL_KEYS                        the program
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

keys=${DTLSL_KEYS:-$top_builddir/tools/dtlslisten-keys}
digits=00112233445566778899aabbccddeeff
secret=$digits$digits
port=

# gives NAME STATUS TEXT COMMAND...: its exit status, and TEXT in what it says,
# which is one line at least; without TEXT it says nothing. No secret is told.
gives()
{
    local name=$1
    local want=$2
    local text=$3
    local status

    shift 3
    "$@" >"$dir/said" 2>&1
    status=$?
    cat "$dir/said" >>"$dir/all_said"
    if [ "$status" -ne "$want" ]; then
        not_ok "$name" "status $status, not $want: $(last_of "$dir/said")"
    elif [ -n "$text" ] && ! has "$text" "$dir/said"; then
        not_ok "$name" "without '$text': $(last_of "$dir/said")"
    elif [ -z "$text" ] && [ -s "$dir/said" ]; then
        not_ok "$name" "says: $(last_of "$dir/said")"
    else
        ok "$name"
    fi
}

# holds NAME COMMAND...
holds()
{
    local name=$1

    shift
    if "$@"; then
        ok "$name"
    else
        not_ok "$name" "not so: $*"
    fi
}

# is_mode MODE FILE
is_mode()
{
    [ "$(stat -c %a "$2")" = "$1" ]
}

# word LINE COLUMN: of the key lines of $dir/keys.
word()
{
    grep '^key' "$dir/keys" | sed -n "$1p" | cut -d' ' -f"$2"
}

# between LOW VALUE HIGH
between()
{
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

# ---- files -----------------------------------------------------------------

test_usage()
{
    gives usage 2 "usage:" "$keys"
    gives no-command 2 "no command 'rotat'" "$keys" rotat "$dir/keys"
    gives too-few 2 "usage:" "$keys" init
    gives too-many 2 "usage:" "$keys" show "$dir/keys" "$dir/keys"
    gives bad-option 2 "usage:" "$keys" --frob show "$dir/keys"
    gives bad-number 2 "from 1 to 3000" "$keys" --lifetime 3001 show x
    gives no-busy-loop 2 "from 1 to 86400" "$keys" --poll 0 show x
    gives no-number 2 "'1h' is not" "$keys" --propagation 1h show x
    gives negative 2 "'-1' is not" "$keys" --skew=-1 show x
    gives half-a-pair 2 "give both" "$keys" --cert x show x
    gives at-rotate 2 "leave it out" "$keys" --at 1 rotate x
    gives help 0 "see dtlslisten-keys(1)" "$keys" --help
    gives version 0 "dtlslisten-keys " "$keys" --version
}

test_life_of_a_file()
{
    local before after

    (umask 0 && "$keys" --service coap.prod init "$dir/keys") ||
        not_ok init "status $?"
    holds init-mode is_mode 600 "$dir/keys"
    holds init-service has "service coap.prod" "$dir/keys"
    cp "$dir/keys" "$dir/first"
    gives init-twice 1 "--force" "$keys" init "$dir/keys"
    holds init-twice-kept cmp -s "$dir/first" "$dir/keys"
    gives bad-service 2 "no blanks" "$keys" --service "a b" init "$dir/other"
    gives no-directory 1 "name one that is there" "$keys" init "$dir/no/keys"
    gives first-check 0 "" "$keys" check "$dir/keys"
    chmod 640 "$dir/keys"
    before=$(date +%s)
    gives rotate 0 "" "$keys" --propagation 1000 --skew 10 rotate "$dir/keys"
    after=$(date +%s)
    holds rotate-mode is_mode 640 "$dir/keys"
    holds rotate-service has "service coap.prod" "$dir/keys"
    holds activation between $((before + 1010)) "$(word 2 3)" \
        $((after + 1010))
    holds retirement [ "$(word 1 4)" = "$(word 2 3)" ]
    holds one-secret-each [ "$(word 1 5)" != "$(word 2 5)" ]
    holds secret-length [ "$(word 2 5 | wc -c)" -eq $((4 + 64 + 1)) ]
    gives second-check 0 "" "$keys" check "$dir/keys"
    gives emergency 0 "" "$keys" --emergency rotate "$dir/keys"
    holds emergency-kid [ "$(grep '^key' "$dir/keys" | cut -c1-6)" = "key 3 " ]
    gives rotate-nothing 1 "No such file" "$keys" rotate "$dir/other"
    chmod 644 "$dir/keys"
    gives wide-check 3 "chmod 0640" "$keys" check "$dir/keys"
    gives wide-rotate 0 "was open to everybody" "$keys" rotate "$dir/keys"
    holds wide-mended is_mode 640 "$dir/keys"
}

# Each adds its key: none is lost.
test_rotations_at_once()
{
    local pids=()
    local pid

    "$keys" init "$dir/crowd"
    for _ in 1 2 3 4 5 6 7 8; do
        "$keys" rotate "$dir/crowd" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || not_ok at-once "status $?"
    done
    holds at-once [ "$(grep -c '^key' "$dir/crowd")" -eq 9 ]
}

is_locked()
{
    ! flock -n "$1" true
}

# Who reads a directory can lock it.
test_locked()
{
    mkdir "$dir/held"
    "$keys" init "$dir/held/keys"
    cp "$dir/held/keys" "$dir/first"
    start holder flock "$dir/held" cat
    holds holder until_true is_locked "$dir/held"
    gives locked 1 "is locked by another process" "$keys" rotate \
        "$dir/held/keys"
    holds locked-kept cmp -s "$dir/first" "$dir/held/keys"
    stop holder
    gives unlocked 0 "" "$keys" rotate "$dir/held/keys"
}

# Strangers put a file or a link into a directory that they may write to.
test_strangers()
{
    mkdir "$dir/open" "$dir/ours"
    "$keys" init "$dir/ours/keys"
    cp "$dir/ours/keys" "$dir/first"
    chmod 777 "$dir/open"
    gives no-sticky 1 "chmod o-w" "$keys" init "$dir/open/keys"
    chmod 1777 "$dir/open"
    gives sticky 0 "" "$keys" init "$dir/open/keys"
    gives sticky-again 0 "" "$keys" rotate "$dir/open/keys"
    ln -s ../ours/keys "$dir/open/link"
    gives our-link 0 "" "$keys" rotate "$dir/open/link"
    holds our-link-followed [ "$(grep -c '^key' "$dir/ours/keys")" -eq 2 ]
    cp "$dir/first" "$dir/ours/keys"
    if [ "$(id -u)" -ne 0 ]; then
        skip "strangers: only root can make files of others"
        return
    fi
    chown -h nobody "$dir/open/keys" "$dir/open/link"
    cp "$dir/open/keys" "$dir/second"
    gives their-file 1 "belongs to user" "$keys" rotate "$dir/open/keys"
    gives their-force 1 "belongs to user" "$keys" --force init \
        "$dir/open/keys"
    holds their-file-kept cmp -s "$dir/second" "$dir/open/keys"
    gives their-link 1 "belongs to user" "$keys" --force init \
        "$dir/open/link"
    ln -s ../open/link "$dir/ours/link"
    gives link-to-theirs 1 "open/link belongs to user" "$keys" --force init \
        "$dir/ours/link"
    holds their-link-kept cmp -s "$dir/first" "$dir/ours/keys"
    chown nobody "$dir/ours/keys"
    gives given-away 0 "" "$keys" rotate "$dir/ours/keys"
    holds owner-kept [ "$(stat -c %U "$dir/ours/keys")" = nobody ]
    chown nobody "$dir/ours"
    gives their-directory 1 "belongs to user" "$keys" rotate "$dir/ours/keys"
}

test_show()
{
    cat >"$dir/fixed" <<END
dtlslisten-cluster-keys 1
# by hand
service coap.prod
key 7 1795300000 1795309200 hex:$secret
key 8 1795309200 1795900000 hex:$secret$secret
key 9 1795900000 - hex:$secret${secret}aa
END
    cat >"$dir/want" <<END
service coap.prod
key  mints from           mints until          verifies until       now
7    2026-11-21 22:26:40  2026-11-22 01:00:00  2026-11-22 01:03:00  verifies
8    2026-11-22 01:00:00  2026-11-28 21:06:40  2026-11-28 21:09:40  mints
9    2026-11-28 21:06:40  -                    -                    in 6 d
it is 2026-11-22 01:01:00; times are UTC
END
    "$keys" --at 1795309260 show "$dir/fixed" >"$dir/shown" 2>&1
    if diff "$dir/want" "$dir/shown"; then
        ok show
    else
        not_ok show "differs"
    fi
    cat "$dir/shown" >>"$dir/all_said"
    gives show-full 1 "cannot write" sh -c '"$1" show "$2" >/dev/full' - \
        "$keys" "$dir/fixed"
    gives show-none 1 "No such file" "$keys" show "$dir/other"
    gives check-early 3 "nobody can mint" "$keys" --at 1 check "$dir/fixed"
    chmod 600 "$dir/fixed"
    gives check-late 0 "" "$keys" --at 1799999999 check "$dir/fixed"
    gives check-far 3 "--emergency" "$keys" --at 1795309260 check "$dir/fixed"
    sed -i '$d' "$dir/fixed"
    gives check-soon 3 "no key follows" "$keys" --at 1795899000 check \
        "$dir/fixed"
    gives check-overdue 3 "rotate" "$keys" --at 1795900000 check "$dir/fixed"
    gives check-good 0 "" "$keys" --at 1795309260 check "$dir/fixed"
    printf 'key 8 1 - hex:%s\n' "$secret" >>"$dir/fixed"
    gives check-bad 1 "fixed: line 6: key id 8 stands on line 5" "$keys" \
        check "$dir/fixed"
    sed "s/ 1795900000 / 9999999999 /" "$dir/fixed" | head -n 5 >"$dir/far"
    printf 'key 9 9999999999 - hex:%s\n' "$secret" >>"$dir/far"
    gives rotate-far 0 "--emergency" "$keys" rotate "$dir/far"
    gives rotate-bad 1 "line 6" "$keys" rotate "$dir/fixed"
    gives push-bad 1 "line 6" "$keys" push "$dir/fixed" redis://127.0.0.1:1/k
}

# within BLOCKS COMMAND...: no file may get larger, until that is lifted.
within()
{
    ulimit -S -f "$1"
    shift
    exec "$@"
}

test_no_room()
{
    "$keys" init "$dir/full"
    cp "$dir/full" "$dir/first"
    gives no-room 1 "cannot replace" bash -o pipefail -c \
        '(ulimit -f 0 && exec "$@") 2>&1 | cat' - "$keys" rotate "$dir/full"
    holds no-room-kept cmp -s "$dir/first" "$dir/full"
    holds no-room-litter [ "$(find "$dir" -name 'full*' | wc -l)" -eq 1 ]
}

# With standard descriptors closed, a new file and the lock could take their
# numbers; at mode 0644 there is something to say.
test_closed_descriptors()
{
    "$keys" init "$dir/shut"
    for closed in '<&-' '>&-' '2>&-' '<&- >&-' '>&- 2>&-' '<&- >&- 2>&-'; do
        chmod 644 "$dir/shut"
        holds "rotate$closed" sh -c '"$1" rotate "$2" '"$closed" - "$keys" \
            "$dir/shut" 2>/dev/null
        gives "check$closed" 0 "" "$keys" check "$dir/shut"
    done
    holds closed-rotations [ "$(grep -c '^key' "$dir/shut")" -eq 7 ]
    holds closed-init sh -c '"$1" --force init "$2" <&- >&- 2>&-' - "$keys" \
        "$dir/shut"
    gives closed-check 0 "" "$keys" check "$dir/shut"
    gives closed-show 1 "cannot write" sh -c '"$1" show "$2" >&-' - "$keys" \
        "$dir/shut"
}

# ---- where secrets may go --------------------------------------------------

test_targets()
{
    gives far-sync 2 "clear text" "$keys" sync redis://192.0.2.1/k "$dir/out"
    gives far-push 2 "clear text" "$keys" push "$dir/keys" redis://0.0.0.0/k
    gives no-url 2 "--password-file" "$keys" sync localhost "$dir/out"
    gives url-password 2 "--password-file" "$keys" sync \
        redis://me:hunter2@127.0.0.1/k "$dir/out"
    gives user-only 2 "--password-file" "$keys" sync redis://me@127.0.0.1/k \
        "$dir/out"
    echo hunter2 >"$dir/password"
    chmod 644 "$dir/password"
    gives open-password 2 "chmod 0600" "$keys" \
        --password-file "$dir/password" sync redis://127.0.0.1/k "$dir/out"
    chmod 600 "$dir/password"
    holds nothing-written [ ! -e "$dir/out" ]
}

test_without_hiredis()
{
    gives no-sync 2 "libhiredis-dev" "$keys" sync redis://127.0.0.1/k \
        "$dir/out"
    gives no-push 2 "libhiredis-dev" "$keys" push "$dir/keys" \
        redis://127.0.0.1/k
}

# ---- Redis -----------------------------------------------------------------

redis_is_up_or_ended()
{
    has_or_gone "Ready to accept connections" "$dir/redis.out" \
        "${pid_of[redis]}"
}

# try_redis LINE...: on $port, with lines of configuration.
try_redis()
{
    {
        printf '%s\n' "port $port" "bind 127.0.0.1" 'save ""' "dir $dir" "$@"
    } >"$dir/redis.conf"
    start redis redis-server "$dir/redis.conf"
    until_true redis_is_up_or_ended
    has "Ready to accept connections" "$dir/redis.out" && return 0
    stop redis
    return 1
}

# need_redis LINE...: a port that is free for it and for TLS behind it.
need_redis()
{
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 10000))
        try_redis "${@//@TLS@/$((port + 1))}" && return 0
    done
    not_ok redis "does not start: $(last_of "$dir/redis.out")"
    return 1
}

cli()
{
    redis-cli -p "$port" "$@" >/dev/null
}

# refused NAME TEXT: what Redis has now is not put in place.
refused()
{
    gives "$1" 1 "$2" "$keys" --once sync "redis://localhost:$port/k" \
        "$dir/out"
    holds "$1-kept" cmp -s "$dir/keys" "$dir/out"
}

test_once()
{
    local url=redis://localhost:$port/k

    rm -f "$dir/out"
    gives nothing-there 1 "push a file" "$keys" --once sync "$url" "$dir/out"
    holds nothing-made [ ! -e "$dir/out" ]
    gives push 0 "" "$keys" push "$dir/keys" "$url"
    gives sync 0 "has new keys" "$keys" --once sync "$url" "$dir/out"
    holds sync-content cmp -s "$dir/keys" "$dir/out"
    holds sync-mode is_mode 600 "$dir/out"
    gives sync-same 0 "" "$keys" --once sync "$url" "$dir/out"
    head -c -1 "$dir/keys" | cli -x set k
    refused torn "end the last line"
    cli set k "hello"
    refused junk "line 1"
    { cat "$dir/keys" && printf '#\0\n'; } | redis-cli -p "$port" -x set k \
        >/dev/null
    # redis-cli itself drops the last line feed
    refused zero "control character"
    cli del k
    cli setrange k 99999999 x
    refused huge "more than 65536 bytes"
    cli set k ""
    refused empty "push a file"
    cli del k
    refused deleted "push a file"
    cli rpush k hello
    gives list 4 "not a string" "$keys" --once sync "$url" "$dir/out"
    holds list-kept cmp -s "$dir/keys" "$dir/out"
    cli del k
}

same_file()
{
    cmp -s "$1" "$2"
}

# ends NAME STATUS: SIGTERM ends it so.
ends()
{
    local status

    kill -TERM "${pid_of[$1]}"
    ended "${pid_of[$1]}"
    status=$?
    stop "$1"
    cat "$dir/$1.out" >>"$dir/all_said"
    holds "$1-ends" [ "$status" -eq "$2" ]
}

core_limit_is_zero()
{
    grep -qE '^Max core file size +0 +0 ' "/proc/${pid_of[sync]}/limits"
}

# What cannot be dumped belongs to root in /proc; for root that shows nothing.
is_not_dumpable()
{
    [ "$(stat -c %u "/proc/${pid_of[sync]}/limits")" -eq 0 ]
}

test_following()
{
    local url=redis://127.0.0.1:$port/k
    local inode

    rm -f "$dir/out"
    "$keys" push "$dir/keys" "$url"
    start sync "$keys" --poll 1 sync "$url" "$dir/out"
    holds fetched until_true same_file "$dir/keys" "$dir/out"
    holds no-core core_limit_is_zero
    [ "$(id -u)" -eq 0 ] || holds no-core-to-a-pipe is_not_dumpable
    "$keys" rotate "$dir/keys"
    "$keys" push "$dir/keys" "$url"
    holds followed until_true same_file "$dir/keys" "$dir/out"
    rm "$dir/out"
    holds written-again until_true same_file "$dir/keys" "$dir/out"
    inode=$(stat -c %i "$dir/out")
    cli set k broken
    sees sync "is refused: line 1" || not_ok sees-bad "$(last_of \
        "$dir/sync.out")"
    kill -KILL "${pid_of[redis]}"
    stop redis
    sees sync "the file stays as it is, and I try again" ||
        not_ok sees-loss "$(last_of "$dir/sync.out")"
    holds last-stays cmp -s "$dir/keys" "$dir/out"
    try_redis || not_ok restart "$(last_of "$dir/redis.out")"
    sees sync "answers again" || not_ok sees-again "$(last_of \
        "$dir/sync.out")"
    sees sync "push a file there" || not_ok sees-empty "$(last_of \
        "$dir/sync.out")"
    holds never-touched [ "$(stat -c %i "$dir/out")" = "$inode" ]
    "$keys" rotate "$dir/keys"
    "$keys" push "$dir/keys" "$url"
    holds resumed until_true same_file "$dir/keys" "$dir/out"
    ends sync 0
    stop redis
    start sync "$keys" --poll 1 sync "$url" "$dir/out"
    sees sync "Connection refused" || not_ok sees-refusal "$(last_of \
        "$dir/sync.out")"
    ends sync 4
    gives push-lost 4 "did not get" "$keys" push "$dir/keys" "$url"
    holds no-litter [ "$(find "$dir" -name 'out*' | wc -l)" -eq 1 ]
}

closed()
{
    exec "$@" <&- >&- 2>&-
}

# What is said must not go to Redis.
test_closed_sync()
{
    need_redis || return
    "$keys" push "$dir/keys" "redis://127.0.0.1:$port/k"
    rm -f "$dir/out"
    start sync closed "$keys" sync "redis://127.0.0.1:$port/k" "$dir/out"
    holds closed-fetched until_true same_file "$dir/keys" "$dir/out"
    for fd in 0 1 2; do
        holds "closed-$fd" [ "/proc/${pid_of[sync]}/fd/$fd" -ef /dev/null ]
    done
    ends sync 0
    stop redis
}

# polled COUNT: Redis was asked so often, or more.
polled()
{
    [ "$(redis-cli -p "$port" info commandstats |
        sed -n 's/^cmdstat_getrange:calls=\([0-9]*\),.*/\1/p')" -ge "$1" ]
} 2>/dev/null

# What cannot be written is tried again: Redis has it all the time. The key
# file has a comment, so that it is larger than what is said.
test_written_later()
{
    local url

    need_redis || return
    url=redis://127.0.0.1:$port/k
    { cat "$dir/keys" && head -c 30000 /dev/zero | tr '\0' '#' && echo; } \
        >"$dir/long"
    "$keys" push "$dir/long" "$url"
    rm -f "$dir/out"
    start sync within 16 "$keys" --poll 1 sync "$url" "$dir/out"
    sees sync "File too large" || not_ok sees-no-room "$(last_of \
        "$dir/sync.out")"
    holds no-room-nothing [ ! -e "$dir/out" ]
    holds polled-again until_true polled 3
    holds told-once [ "$(wc -l <"$dir/sync.out")" -eq 1 ]
    prlimit --pid "${pid_of[sync]}" --fsize=unlimited
    holds written-later until_true same_file "$dir/long" "$dir/out"
    ends sync 0
    stop redis
}

test_password()
{
    local url

    need_redis "requirepass hunter2" \
        "user me on >hunter3 ~k +getrange" || return
    url=redis://127.0.0.1:$port/k
    echo hunter2 >"$dir/password"
    gives no-password 4 "give --password-file" "$keys" push "$dir/keys" "$url"
    gives right-password 0 "" "$keys" --password-file "$dir/password" push \
        "$dir/keys" "$url"
    rm -f "$dir/out"
    printf hunter3 >"$dir/password"
    gives wrong-password 4 "mend --password-file" "$keys" \
        --password-file "$dir/password" --once sync "$url" "$dir/out"
    gives user 0 "has new keys" "$keys" --password-file "$dir/password" \
        --once sync "redis://me@127.0.0.1:$port/k" "$dir/out"
    gives user-may-not 4 "ACL" "$keys" --password-file "$dir/password" \
        push "$dir/keys" "redis://me@127.0.0.1:$port/k"
    stop redis
}

# hostile NAME STATUS TEXT ANSWER
hostile()
{
    start bad "$python" "$interop/hostile_redis.py" "$4"
    sees bad "port " || not_ok "$1" "$(last_of "$dir/bad.out")"
    gives "$1" "$2" "$3" "$keys" --password-file "$dir/password" --once sync \
        "redis://127.0.0.1:$(sed -n 's/^port //p' "$dir/bad.out")/k" \
        "$dir/out"
    stop bad
}

# Its answers come to AUTH and GETRANGE, some of them early.
test_hostile()
{
    "$keys" init "$dir/mine"
    cp "$dir/mine" "$dir/out"
    echo hunter2 >"$dir/password"
    hostile http 4 "Protocol error" 'HTTP/1.1 200 OK\r\n\r\n'
    hostile number 4 "is no text" '+OK\r\n:5\r\n'
    hostile null 4 "is no text" '+OK\r\n$-1\r\n'
    hostile array 4 "is no text" '+OK\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n'
    hostile negative 4 "Redis at" '+OK\r\n$-7\r\n'
    hostile vast 4 "is no text" '+OK\r\n*2147483647\r\n'
    hostile text 1 "is refused" '+OK\r\n$3\r\nabc\r\n'
    hostile more 1 "is refused" '+OK\r\n$3\r\nabc\r\n+MORE\r\n$2\r\nxx\r\n'
    hostile echo 4 "answers with an error" \
        '-ERR unknown command AUTH, with args: hunter2\r\n'
    hostile terminal 1 "is refused" '+OK\r\n$4\r\n\x1b[2J\r\n'
    hostile endless 4 "too long" endless
    hostile silent 4 "no answer" silent
    holds hostile-kept cmp -s "$dir/mine" "$dir/out"
}

# ---- TLS -------------------------------------------------------------------

# issue NAME SUBJECT-ALT-NAME
issue()
{
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" \
        -keyout "$dir/$1.key" -out "$dir/$1.csr" &&
        echo "subjectAltName=$2" >"$dir/$1.ext" &&
        openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" \
            -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
            -extfile "$dir/$1.ext" -out "$dir/$1.pem"
} >"$dir/openssl.log" 2>&1

make_ca()
{
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
        -keyout "$dir/$1.key" -out "$dir/$1.pem" >"$dir/openssl.log" 2>&1
}

# over_tls NAME STATUS TEXT HOST OPTION...
over_tls()
{
    local name=$1
    local status=$2
    local text=$3
    local where=rediss://$4:$((port + 1))/k

    shift 4
    gives "$name" "$status" "$text" "$keys" "$@" --once sync "$where" \
        "$dir/out"
}

test_tls()
{
    make_ca ca && make_ca stranger && issue server DNS:localhost &&
        issue client DNS:client ||
        not_ok certificates "$(last_of "$dir/openssl.log")"
    need_redis "tls-port @TLS@" "tls-cert-file $dir/server.pem" \
        "tls-key-file $dir/server.key" "tls-ca-cert-file $dir/ca.pem" \
        "tls-auth-clients optional" || return
    "$keys" push "$dir/keys" "redis://127.0.0.1:$port/k"
    rm -f "$dir/out"
    over_tls tls-stranger 4 "of nobody whom" localhost \
        --ca-file "$dir/stranger.pem"
    over_tls tls-system 4 "of nobody whom" localhost
    over_tls tls-other-name 4 "for another name" 127.0.0.1 --ca-file "$dir/ca.pem"
    over_tls tls-no-ca 2 "name a PEM file" localhost --ca-file "$dir/none"
    holds tls-nothing [ ! -e "$dir/out" ]
    over_tls tls 0 "has new keys" localhost --ca-file "$dir/ca.pem"
    holds tls-content cmp -s "$dir/keys" "$dir/out"
    cli config set tls-auth-clients yes
    over_tls tls-no-client 4 "Redis at" localhost --ca-file "$dir/ca.pem"
    over_tls tls-wrong-key 2 "belong together" localhost \
        --ca-file "$dir/ca.pem" --cert "$dir/client.pem" \
        --key "$dir/server.key"
    over_tls tls-client 0 "" localhost --ca-file "$dir/ca.pem" \
        --cert "$dir/client.pem" --key "$dir/client.key"
    stop redis
}

# ---- all -------------------------------------------------------------------

no_secret_was_told()
{
    ! grep -aE 'hunter[23]|[0-9a-f]{16}' "$dir/all_said"
}

python=$(find_python) || unable "python3 is not there"
[ -x "$keys" ] || unable "$keys is not there: make builds it"
test_usage
test_life_of_a_file
test_rotations_at_once
test_locked
test_strangers
test_show
test_no_room
test_closed_descriptors
test_targets
if [ "${have_hiredis:-no}" != yes ]; then
    test_without_hiredis
    skip "redis: built without hiredis"
elif ! command -v redis-server >/dev/null; then
    skip "redis: redis-server is not there"
else
    need_redis || report keytool
    test_once
    test_following
    test_written_later
    test_closed_sync
    test_password
    test_hostile
    if [ "${have_hiredis_ssl:-no}" = yes ]; then
        test_tls
    else
        gives no-tls 2 "stunnel" "$keys" sync rediss://127.0.0.1/k "$dir/out"
    fi
fi
holds no-secret-was-told no_secret_was_told
report keytool
