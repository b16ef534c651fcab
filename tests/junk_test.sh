#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Odd datagrams on a real socket, from strangers and from a live session's own
# address: the session lives, and each has the outcome that it should.
#
# DTLSL_FACTS                       the server to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

facts=${DTLSL_FACTS:-$top_builddir/tests/interop/facts}

# order LINE: the relay obeys it.
order()
{
    say relay "$1"
    sees relay "done $1" || not_ok "$1" "relay: $(last_of "$dir/relay.out")"
}

# lives NAME: the session is echoed.
lives()
{
    say client "$1"
    if sees client "$1"; then
        ok "$1"
    else
        not_ok "$1" "$(last_of "$dir/client.out") $(last_of \
            "$dir/server.log")"
    fi
}

# Two records of the client's arrive in one datagram: both are echoed.
paired()
{
    order pair
    say client "first of two"
    sees relay held || not_ok paired "nothing was held back"
    say client "second of two"
    sees client "second of two"
    if has "first of two" "$dir/client.out" &&
        has "second of two" "$dir/client.out"; then
        ok paired
    else
        not_ok paired "$(last_of "$dir/client.out")"
    fi
}

python=$(find_python) || unable "python3 is not there"
command -v openssl >/dev/null || unable "openssl is not there"
[ -x "$facts" ] || unable "$facts is not there: make check builds it"
# With isolate the kernel would keep some of them to itself.
need_server junk 127.0.0.1 "$facts" -o self-signed=1 -o isolate=0 ||
    report junk

start relay "$python" "$interop/junk.py" "$host" "$port"
sees relay "client " || not_ok relay "$(last_of "$dir/relay.out")"
near=$(sed -n 's/^client //p' "$dir/relay.out")
# A blocking read would not come back from what the client drops.
start client openssl s_client -dtls1_2 -nbio -quiet \
    -connect "127.0.0.1:$near"
expected=1
lives "before all"
order strangers
lives "behind strangers' datagrams"
order peer
lives "behind those from its own address"
paired
lives "at the end"
stop client
stop relay
stop_server junk
check_counters counters
if grep -aq '^failed' "$dir/server.log" ||
    [ "$(grep -ac '^open' "$dir/server.log")" -ne 1 ]; then
    not_ok one-session "$(last_of "$dir/server.log")"
else
    ok one-session
fi

# Both ways: empty, too long, two datagrams that begin with a ClientHello. One
# more ClientHello is the session's own, or two where the machine is slow.
expect_counter empty drop_empty -eq 2
expect_counter too-long drop_truncated -eq 2
expect_counter hellos replied -ge 5
expect_counter accepted accepted -eq 1
# The alert: a stranger's is no handshake, the peer's is not believed.
expect_counter alert-of-a-stranger drop_type -eq 1
expect_counter alert-of-the-peer drop_filtered -eq 1
report junk
