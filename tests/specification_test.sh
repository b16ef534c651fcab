#!/bin/sh
# SPDX-License-Identifier: MIT
#
# dtlslisten-cookie(7) is a specification: a program that was written from it
# alone recomputes the test vectors, and those on the page are among them.
set -u

srcdir=${srcdir:-.}
page=$srcdir/libdtlslisten/man/dtlslisten-cookie.7
vectors=$srcdir/tests/vectors/cookies.txt
script=$srcdir/tests/vectors/vectors.py
python=
failed=0
if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-specification.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

bad()
{
    failed=1
    echo "not ok $*"
}

# Debian's modules belong to its own Python.
find_python()
{
    for python in python3 /usr/bin/python3; do
        "$python" -c 'from cryptography.hazmat.primitives.ciphers.aead import \
AESSIV' 2>/dev/null && return
    done
    echo "python3 has no module cryptography: python3-cryptography is missing"
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
}

check_vectors()
{
    "$python" "$script" check "$vectors" >"$dir/out" ||
        bad "$(cat "$dir/out")"
    "$python" "$script" make >"$dir/made" && cmp -s "$dir/made" "$vectors" ||
        bad "vectors.py make gives other vectors than cookies.txt has"
    # It can tell wrong ones.
    sed '/^vector verify-aead-fresh/,/^$/s/^age 0/age 1/
         /^vector hmac-plain/,/^$/s/^cookie 1/cookie 2/' "$vectors" \
        >"$dir/wrong"
    "$python" "$script" check "$dir/wrong" >"$dir/out" &&
        bad "vectors.py takes wrong vectors"
    grep -q ' 2 differ$' "$dir/out" || bad "vectors.py: $(cat "$dir/out")"
}

# field VECTOR NAME
field()
{
    awk -v vector="$1" -v name="$2" '$1 == "vector" { on = $2 == vector }
        on && $1 == name { print $2 }' "$vectors"
}

# The literal blocks without blanks, so that values stand in one piece.
on_page()
{
    awk '/^\.Bd -literal/ { on = 1; next }
         /^\.Ed/ { on = 0; print "" }
         on { if (/^ /) gsub(/[ \t]/, ""); else printf "\n"
              gsub(/[ \t]/, ""); printf "%s", $0 }' "$page"
}

check_page()
{
    on_page >"$dir/page"
    for strategy in hmac cluster aead fips; do
        for name in prk key cookie; do
            value=$(field "$strategy-plain" "$name")
            [ -n "$value" ] && grep -q "$value\$" "$dir/page" ||
                bad "the page has no $name of $strategy-plain"
        done
    done
    for name in datagram core cookie tail; do
        value=$(field hello-split "$name")
        [ -n "$value" ] && grep -q "$value\$" "$dir/page" ||
            bad "the page has no $name of hello-split"
    done
}

find_python
check_vectors
check_page
[ "$failed" = 0 ] && echo "ok"
exit "$failed"
