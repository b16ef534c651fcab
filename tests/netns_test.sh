#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Paths of 576 and of 1280 bytes, many records at once for an interface whose
# MTU shrinks, link-local addresses and the dual-stack wildcard, in network
# namespaces of this test's own: it changes no interface of the machine. Made
# by root, or by anybody where user namespaces are allowed.
#
# DTLSL_ECHO, DTLSL_FACTS           the servers to run
# See tests/interop/common.sh for the rest.

if [ "${DTLSL_UNIT_ONLY:-0}" != 1 ] && [ -z "${DTLSL_INSIDE:-}" ]; then
    for how in -n -rn; do
        if unshare "$how" true 2>/dev/null; then
            DTLSL_INSIDE=1 exec unshare "$how" "$0" "$@"
        fi
    done
fi

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

echo=${DTLSL_ECHO:-$top_builddir/examples/echo}
facts=${DTLSL_FACTS:-$top_builddir/tests/interop/facts}

# ---- two namespaces --------------------------------------------------------

# make_link: veth0 here and veth1 in the namespace of a process of ours.
make_link()
{
    ip link set lo up && ip link set lo mtu 65536 || return 1
    ip link add veth0 type veth peer name veth1 || return 1
    start far unshare -n sh -c 'echo there; read -r line'
    sees far there || return 1
    ip link set veth1 netns "${pid_of[far]}" || return 1
    # No link-local addresses but those below.
    ip link set veth0 addrgenmode none &&
        there ip link set veth1 addrgenmode none &&
        ip addr add 10.9.0.1/24 dev veth0 &&
        ip addr add fd09::1/64 dev veth0 nodad &&
        ip addr add fe80::9:1/64 dev veth0 nodad &&
        ip link set veth0 up &&
        there ip addr add 10.9.0.2/24 dev veth1 &&
        there ip addr add fd09::2/64 dev veth1 nodad &&
        there ip addr add fe80::9:2/64 dev veth1 nodad &&
        there ip link set lo up &&
        there ip link set veth1 up
}

# there COMMAND...: in the other namespace.
there()
{
    nsenter -t "${pid_of[far]}" -n "$@"
}

# tells NAME TEXT: the server does.
tells()
{
    if served "$2"; then
        ok "$1"
    else
        not_ok "$1" "no \"$2\": $(last_of "$dir/server.log" 4)"
    fi
}

bytes()
{
    printf "%0$1d" 7
}

# ---- a path of 576 bytes ---------------------------------------------------

# A flight that was lost is sent again message by message. So the certificate
# is one that does not fit by itself either.
make_certificate()
{
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/long.key" \
        -out "$dir/long.pem" -subj /CN=localhost -days 30 2>/dev/null
}

# blocked MTU: what the server sends beyond it is lost on the way, as behind a
# router; it may send up to 1500 bytes. What is not cut before it is sent would
# get through such a pair of interfaces, whatever its length.
blocked()
{
    ip link set veth0 mtu 1500 gso_max_segs 1 &&
        there ip link set veth1 mtu "$1"
}

# Sizes that the client can send in one piece.
small_path_openssl()
{
    run_lines small-path-openssl "hello over 576" there openssl s_client \
        -dtls1_2 -quiet -mtu 548 -connect 10.9.0.1:"$port"
}

small_path_gnutls()
{
    run_lines small-path-gnutls "hello over 576" there gnutls-cli --udp \
        --insecure --mtu 548 --port "$port" 10.9.0.1
}

# The server's first flight is too long for the path; it is sent in pieces
# once it was lost a few times.
small_path()
{
    blocked 576 || return
    need_server small-path 10.9.0.1 "$echo" "${long[@]}" || return
    small_path_openssl
    if command -v gnutls-cli >/dev/null; then
        small_path_gnutls
    else
        skip small-path-gnutls
    fi
    stop_server small-path
    check_counters small-path-counters
    expect_counter small-path-lost retransmits -ge 6
}

# Behind the fallback the limit is that of the path, and told. The client sends
# more than fits, in fragments.
small_path_limit()
{
    blocked 576 || return
    need_server small-limit 10.9.0.1 "$facts" "${long[@]}" || return
    start client there openssl s_client -dtls1_2 -quiet -mtu 1200 \
        -connect 10.9.0.1:"$port"
    say client "$(bytes 600)"
    tells small-limit "data 601: DTLSL_ERR_TOOBIG"
    say client "$(bytes 400)"
    if sees client "$(bytes 400)"; then
        ok small-limit-lives
    else
        not_ok small-limit-lives "$(last_of "$dir/client.out")"
    fi
    stop client
    expected=1
    stop_server small-limit
    check_counters small-limit-counters
}

# The interface itself refuses what is longer.
emsgsize()
{
    ip link set veth0 mtu 576 && there ip link set veth1 mtu 1500 || return
    need_server emsgsize 10.9.0.1 "$echo" "${long[@]}" || return
    run_lines emsgsize-openssl "hello over 576" there openssl s_client \
        -dtls1_2 -quiet -connect 10.9.0.1:"$port"
    stop_server emsgsize
    check_counters emsgsize-counters
    expect_counter emsgsize-told send_toobig -ge 1
}

# ---- IPv6's least MTU ------------------------------------------------------

# The default of 1232 bytes fills a datagram of 1280: the longest that may be
# echoed gets through.
ipv6_least()
{
    local text

    ip link set veth0 mtu 1280 && there ip link set veth1 mtu 1280 || return
    need_server ipv6-1280 fd09::1 "$facts" -o self-signed=1 || return
    start client there openssl s_client -dtls1_2 -quiet \
        -connect "[fd09::1]:$port"
    served "open new"
    text=$(bytes $(($(sed -n 's/^mtu //p' "$dir/server.log") - 1)))
    say client "$text"
    if sees client "$text"; then
        ok ipv6-1280
    else
        not_ok ipv6-1280 "$(last_of "$dir/client.out")"
    fi
    stop client
    expected=1
    stop_server ipv6-1280
    check_counters ipv6-1280-counters
    expect_counter ipv6-1280-fits send_toobig -eq 0
}

# With a smaller mtu a client can send what it cannot get back.
ipv6_limit()
{
    ip link set veth0 mtu 1280 && there ip link set veth1 mtu 1280 || return
    need_server ipv6-limit fd09::1 "$facts" -o self-signed=1 -o mtu=1200 ||
        return
    start client there openssl s_client -dtls1_2 -quiet \
        -connect "[fd09::1]:$port"
    say client "$(bytes 1180)"
    tells ipv6-limit "data 1181: DTLSL_ERR_TOOBIG"
    say client "still there"
    if sees client "still there"; then
        ok ipv6-limit-lives
    else
        not_ok ipv6-limit-lives "$(last_of "$dir/client.out")"
    fi
    stop client
    expected=1
    stop_server ipv6-limit
    check_counters ipv6-limit-counters
}

# ---- many records at once --------------------------------------------------

# lines NAME COUNT LENGTH: all that the server sends come, in order.
lines()
{
    local from

    from=$(grep -c '^line' "$dir/client.out")
    say client "send $2 $3"
    until_true has_lines ^line "$dir/client.out" $((from + $2))
    if grep '^line' "$dir/client.out" | tail -n +$((from + 1)) |
        awk -v n="$2" -v len="$3" '
            $2 != NR || length($0) + 1 != len { exit wrong = 1 }
            END { exit wrong || NR != n }'; then
        ok "$1"
    else
        not_ok "$1" "$(last_of "$dir/client.out" 4)"
    fi
}

# has_lines PATTERN FILE COUNT: at least.
has_lines()
{
    [ "$(grep -c "$1" "$2")" -ge "$3" ]
}

# many NAME HOST MTU FITS LONG: records of LONG bytes are refused while the
# interface has that MTU, and counted; those of FITS bytes leave then, and all
# of them before and behind. No more than the client's socket holds.
many()
{
    ip link set veth0 mtu 1500 && there ip link set veth1 mtu 1500 || return
    need_server "$1" "${2//[][]/}" "$facts" -o self-signed=1 -o mtu=1400 ||
        return
    start client there openssl s_client -dtls1_2 -quiet -mtu 1400 \
        -connect "$2:$port"
    lines "$1" 50 "$5"
    ip link set veth0 mtu "$3"
    say client "send 50 $5"
    until_true has_lines "^data" "$dir/server.log" 2
    lines "$1-fits" 50 "$4"
    ip link set veth0 mtu 1500
    lines "$1-again" 50 "$5"
    stop client
    expected=1
    stop_server "$1"
    check_counters "$1-counters"
    expect_counter "$1-told" send_toobig -eq 50
    expect_counter "$1-dropped" send_dropped -eq 50
}

# ---- addresses -------------------------------------------------------------

# link_local NAME HOST: a zone belongs to the address, on either side.
link_local()
{
    local zone

    zone=$(ip -o link show veth0 | cut -d: -f1)
    need_server "$1" "$2" "$facts" -o self-signed=1 || return
    run_lines "$1-openssl" "hello by zone" there openssl s_client -dtls1_2 \
        -quiet -connect "[fe80::9:1%veth1]:$port"
    tells "$1-peer" "peer [fe80::9:2%$zone]:"
    tells "$1-local" "local [fe80::9:1%$zone]:$port"
    stop_server "$1"
    check_counters "$1-counters"
}

# An IPv4 client is itself, on whatever socket it arrives.
dual_stack()
{
    local on

    for on in - ::; do
        need_server "dual-stack$on" "$on" "$facts" -o self-signed=1 || return
        run_lines "dual-stack$on-ipv4" "hello by IPv4" openssl s_client \
            -dtls1_2 -quiet -connect "127.0.0.1:$port"
        tells "dual-stack$on-ipv4-peer" "peer 127.0.0.1:"
        tells "dual-stack$on-ipv4-local" "local 127.0.0.1:$port"
        run_lines "dual-stack$on-ipv6" "hello by IPv6" openssl s_client \
            -dtls1_2 -quiet -connect "[::1]:$port"
        tells "dual-stack$on-ipv6-peer" "peer [::1]:"
        stop_server "dual-stack$on"
        check_counters "dual-stack$on-counters"
    done
}

# ---- runs ------------------------------------------------------------------

[ -n "${DTLSL_INSIDE:-}" ] || unable "no network namespace may be made here"
for program in ip nsenter openssl; do
    command -v "$program" >/dev/null || unable "$program is not there"
done
[ -x "$facts" ] || unable "$facts is not there: make check builds it"
long=(-o "cert-file=$dir/long.pem" -o "key-file=$dir/long.key")
make_certificate || unable "openssl makes no certificate"
make_link || unable "no pair of interfaces can be made here"
dual_stack
link_local link-local-zone fe80::9:1%veth0
link_local link-local-any -
ipv6_least
ipv6_limit
many many-ipv6 "[fd09::1]" 1280 1000 1300
many many-ipv4 10.9.0.1 600 500 1000
emsgsize
small_path
small_path_limit
stop far
report netns
