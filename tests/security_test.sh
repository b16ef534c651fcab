#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What SECURITY.md names exists: options, counters, and constants with the
# number that stands before them, as in 4 (`ACCEPTS`).
set -u

srcdir=${srcdir:-.}
cd "$srcdir" || exit 99
failed=0

bad()
{
    failed=1
    echo "not ok SECURITY.md: $*"
}

text=$(tr '\n' ' ' <SECURITY.md)
names=$(printf '%s' "$text" | grep -oE '`[a-z][a-z0-9._-]*`' | tr -d '`' | sort -u)
numbers=$(printf '%s' "$text" |
    grep -oE '[0-9]+ \(`[A-Z_]+`\)' | tr -d '()`' | tr ' ' '=' | sort -u)

for name in $names; do
    case $name in
    cookie.*)
        grep -q "\"${name#cookie.}\"" plugins/*.c || bad "option $name"
        ;;
    *_*)
        grep -q "\"$name\"" libdtlslisten/counters.h ||
            [ "$name" = max_cert_list ] || bad "counter $name"
        ;;
    *-*)
        grep -q "{\"$name\"," libdtlslisten/config.c || bad "option $name"
        ;;
    esac
done

for pair in $numbers; do
    grep -qE "(^|[^A-Z_])${pair#*=} = ${pair%%=*}[^0-9]" \
        libdtlslisten/*.[ch] plugins/*.c || bad "${pair#*=} is not ${pair%%=*}"
done

[ "$(printf '%s\n' "$names" | wc -l)" -gt 10 ] || bad "names no option"
[ "$(printf '%s\n' "$numbers" | wc -l)" -gt 8 ] || bad "names no constant"
exit "$failed"
