#!/bin/sh
# SPDX-License-Identifier: MIT
#
# dtlsl_gate(3) for those who come from DTLSv1_listen(): each row of its table
# has its test in mapping_test.c, in the same order, and its two servers
# compile.
set -u

srcdir=${srcdir:-.}
page=$srcdir/libdtlslisten/man/dtlsl_gate.3
tests=$srcdir/tests/mapping_test.c
failed=0
if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-manual.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

bad()
{
    failed=1
    echo "not ok $*"
}

# The first text block of each row, as one line.
rows()
{
    awk '/^[0-9]+\tT\{$/ { row = ""; on = 1; next }
         on && /^T\}/ { print row; on = 0 }
         on { row = row (row == "" ? "" : " ") $0 }' "$page" |
        sed 's/\\-/-/g'
}

# The comment above each test, as one line.
comments()
{
    awk '/^\/\*/ { text = ""; on = 1 }
         on { sub(/^ *(\/\*|\*) */, ""); text = text " " $0 }
         / ?\*\/$/ { on = 0 }
         /^START_TEST/ { print text }' "$tests" |
        sed -e 's/^ *//' -e 's/ *\*\/$//'
}

# The tests in the order in which they run and in which they are written.
check_order()
{
    sed -n 's/^START_TEST(\(.*\))$/\1/p' "$tests" >"$dir/written"
    sed -n '/^main/,$s/^        \([a-z_0-9]*\),$/\1/p' "$tests" >"$dir/run"
    diff "$dir/written" "$dir/run" || bad "tests run in another order"
}

# Lines of the Nth literal block of the examples.
block()
{
    awk -v wanted="$1" '/^\.Sh / { on = $2 == "EXAMPLES" }
         on && /^\.Bd -literal/ { n++; inside = 1; next }
         /^\.Ed/ { inside = 0 }
         inside && n == wanted' "$page" | sed 's/\\e/\\/g'
}

# compiles N NAME: what the page leaves to its reader is declared here.
compiles()
{
    {
        cat <<'END'
#include <dtlslisten/gate.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
int generate(SSL *ssl, unsigned char *cookie, unsigned int *len);
int verify(SSL *ssl, const unsigned char *cookie, unsigned int len);
int bound_socket(void);
void wait_for(int fd, const struct timeval *left);
void give_up(void);
void serve(SSL *ssl);
void handle_timeouts(void);
size_t receive(int fd, uint8_t *buf, size_t len,
               struct sockaddr_storage *from);
void send_to(int fd, const uint8_t *data, size_t len,
             const struct sockaddr_storage *to);
int is_duplicate(const uint8_t *datagram, size_t len);
SSL *find_session(const dtlsl_path *path);
SSL *fresh_session(void);
void keep_session(SSL *ssl, const dtlsl_path *path);
void feed(SSL *ssl, const uint8_t *data, size_t len);
void before(SSL_CTX *ctx);
void after(int fd, dtlsl_config *config);
END
        echo "$3"
        echo "{"
        echo "$4"
        block "$1"
        echo "}"
    } >"$dir/$2.c"
    [ "$(block "$1" | wc -l)" -gt 10 ] || bad "$2 is not in the page"
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
        -fsyntax-only -I"$srcdir/libdtlslisten/include" \
        ${OPENSSL_CFLAGS:-} "$dir/$2.c" || bad "$2 does not compile"
}

rows >"$dir/rows"
comments >"$dir/comments"
[ "$(wc -l <"$dir/rows")" -ge 20 ] || bad "the table has no rows"
diff "$dir/rows" "$dir/comments" || bad "table (<) and tests (>) differ"
check_order
compiles 1 before "void before(SSL_CTX *ctx)" ""
compiles 2 after "void after(int fd, dtlsl_config *config)" "
    uint8_t buf[2048], reply[DTLSL_REPLY_MAX];
    dtlsl_gate *gate;
    dtlsl_path path;
    dtlsl_now now;
    uint64_t next = 0;
    struct sockaddr_storage from;
    SSL *ssl;
    size_t len;
    int32_t result;"
# Each number of one server is a number of the other.
for number in 1 2 3 4 5 6 7; do
    for n in 1 2; do
        block $n | grep -q "[ *] $number \*/\$" ||
            bad "number $number is not in server $n"
    done
done
exit $failed
