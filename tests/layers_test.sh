#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The rules of the house that a text search can check: who may include what,
# who may call what, and how long files and functions may be.
set -u

srcdir=${srcdir:-.}
if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi
cd "$srcdir" || exit 99
failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-layers.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

bad()
{
    failed=1
    echo "not ok $*"
}

# The C text without comments and without what strings hold.
code()
{
    awk '{
        line = $0
        out = ""
        while (line != "") {
            if (comment) {
                at = index(line, "*/")
                if (!at)
                    break
                comment = 0
                line = substr(line, at + 2)
            } else if (substr(line, 1, 2) == "/*") {
                comment = 1
                line = substr(line, 3)
            } else if (match(line, /^"([^"\\]|\\.)*"/) ||
                       match(line, /^\047([^\047\\]|\\.)*\047/)) {
                out = out "\"\""
                line = substr(line, RLENGTH + 1)
            } else {
                out = out substr(line, 1, 1)
                line = substr(line, 2)
            }
        }
        print out
    }' "$1"
}

# allowed MODULE: the private headers below it, beside its own and those that
# everyone may use.
allowed()
{
    case $1 in
    record | tls | plugin | error | mac | address | counters | siphash | now) ;;
    tickets) echo tls ;;
    credentials) echo tls tickets ;;
    hello) echo record ;;
    host) echo mac ;;
    cookie) echo plugin host ;;
    gate) echo record hello plugin cookie config ;;
    listen) echo record hello plugin cookie config gate tls ;;
    conn) echo record tls ;;
    peers) echo record tls conn config cookie ;;
    config) echo tls plugin cookie ;;
    # One module in five files, which share engine_state.h.
    engine | engine_conn | engine_limit | engine_output | engine_time | \
        engine_state)
        echo record hello plugin cookie config gate tls conn peers \
            engine engine_state
        ;;
    # They carry the engine's datagrams; the engine does not know them.
    steer) echo record config cookie engine ;;
    sockets) echo record config cookie engine steer ;;
    udp) echo record config cookie engine sockets ;;
    # One module in three files, which share listener_state.h.
    listener | listener_conn | listener_counters | listener_state)
        echo udp config engine gate cookie listener_state
        ;;
    # The strategies: parts that stand upon each other, then one file each.
    schedule) ;;
    strategy) echo schedule ;;
    file) echo strategy ;;
    keyfile) echo schedule strategy ;;
    keyset) echo file keyfile keyring ;;
    keyring) echo strategy ;;
    tagged | seal) echo keyring ;;
    hmac) echo file module tagged ;;
    aead) echo keyset module seal ;;
    cluster) echo keyset module tagged ;;
    module) ;;
    *) return 1 ;;
    esac
}

check_layers()
{
    for file in libdtlslisten/*.[ch] plugins/*.[ch]; do
        module=$(basename "$file")
        module=${module%.*}
        if ! below=$(allowed "$module"); then
            bad "$file: give it a place in the table of layers_test.sh"
            continue
        fi
        for header in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
            case " $module address counters siphash $below " in
            *" ${header%.h} "*) ;;
            *) bad "$file includes $header, which is not below it" ;;
            esac
        done
    done
    # A strategy stands on the public headers, as anybody's does.
    for file in plugins/*.[ch]; do
        for header in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
            [ -f "plugins/$header" ] ||
                bad "$file includes $header of the library"
        done
    done
}

# A tool is a program of its own: it shares the readers of the strategies. The
# checker of plugins loads them as the library does, with its code.
check_tools()
{
    for file in tools/*.[ch]; do
        case $file in
        tools/plugin_check*) continue ;;
        esac
        for header in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$file"); do
            [ -f "tools/$header" ] || [ -f "plugins/$header" ] ||
                bad "$file includes $header of the library"
        done
    done
    for file in tools/*.[ch]; do
        case $file in
        tools/keys_redis.c) continue ;;
        esac
        code "$file" | grep -nE '^#include <(uv|hiredis|openssl/ssl)' &&
            bad "$file talks to Redis itself"
    done
}

# only PATTERN FILE...: no other file of the library has it in its code.
only()
{
    pattern=$1
    shift
    for file in libdtlslisten/*.[ch] plugins/*.[ch]; do
        case " $* " in
        *" $(basename "$file") "*) continue ;;
        esac
        code "$file" | grep -nE "$pattern" >"$dir/found" || continue
        bad "$file: only $* may have this:"
        cat "$dir/found"
    done
}

check_exclusive()
{
    only '^#include <uv\.h>' listener.c listener_state.h error.c
    only '^#include <openssl/ssl\.h>' tls.c credentials.c tickets.c conn.c
    only '^#include <dlfcn\.h>' plugin.c
    only 'OPENSSL_VERSION_|OpenSSL_version' tls.c
    only '(^|[^a-zA-Z0-9_>.])(socket|bind|connect|sendto|sendm?msg|sendmmsg|recvfrom|recvm?msg|recvmmsg|[gs]etsockopt|getsockname)[ ]*\(' \
        udp.c sockets.c steer.c
    only '(^|[^a-zA-Z0-9_])(abort|assert|exit)[ ]*\(' none
}

# Time comes in as an argument; a constructor may read the clocks once.
check_clocks()
{
    only '(^|[^a-zA-Z0-9_])(clock_gettime|gettimeofday|time|uv_hrtime|uv_now|uv_update_time)[ ]*\(' \
        listener.c now.c
    only 'dtlsl_now_read' now.c gate.c
    reads=$(code libdtlslisten/gate.c | grep -c 'dtlsl_now_read *(')
    [ "$reads" -le 1 ] ||
        bad "libdtlslisten/gate.c reads clocks in $reads places"
}

check_public_headers()
{
    for file in libdtlslisten/include/dtlslisten/*.h; do
        grep -n '^#include' "$file" | grep -vE \
            '<(stddef|stdint|dtlslisten/(base|config|cookie|gate))\.h>$' &&
            bad "$file includes more than stddef, stdint and its like"
    done
}

sources()
{
    find libdtlslisten plugins tools examples tests bench -name '*.[ch]' | sort
}

check_style()
{
    for file in $(sources); do
        code "$file" | grep -n '//' && bad "$file has // comments"
        lines=$(wc -l <"$file")
        case $file in
        tests/*) ;;
        *) [ "$lines" -lt 800 ] || bad "$file has $lines lines" ;;
        esac
        head -n 1 "$file" | grep -q '^/\* SPDX-License-Identifier: MIT' ||
            bad "$file does not start with its licence"
    done
}

check_functions()
{
    # shellcheck disable=SC2046
    ctags -f - --languages=C --kinds-C=f --fields=+ne \
        -I START_TEST,END_TEST $(sources | grep -v '^tests/') 2>/dev/null |
        sed -n 's/^\([^	]*\)	\([^	]*\)	.*line:\([0-9]*\).*end:\([0-9]*\).*/\1 \2 \3 \4/p' \
            >"$dir/functions"
    [ -s "$dir/functions" ] || bad "ctags found no function"
    while read -r name file first last; do
        [ $((last - first + 1)) -le 80 ] ||
            bad "$file: $name has $((last - first + 1)) lines"
    done <"$dir/functions"
}

check_dist()
{
    for file in $(sources); do
        # shellcheck disable=SC2086
        name=${file%.c}
        grep -qE "(^|[[:space:]])${name}(\.c|\.la)?([[:space:]]|$)" \
            Makefile.am || bad "Makefile.am does not know $file"
    done
}

check_layers
check_tools
check_exclusive
check_clocks
check_public_headers
check_style
check_dist
if ctags --version 2>/dev/null | grep -q 'Universal Ctags'; then
    check_functions
else
    echo "skip: functions are not measured without universal-ctags"
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && failed=1
    [ "$failed" -eq 0 ] && exit 77
fi
exit "$failed"
