#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library exports what the public headers declare and nothing else; a
# cookie module exports its one entry function.
set -u

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
nm=${NM:-nm}
library=$top_builddir/.libs/libdtlslisten.so
modules=$top_builddir/plugins/.libs
failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-exports.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

if [ ! -e "$library" ]; then
    echo "skip: $library is not there (built with --disable-shared?)"
    exit 77
fi

# exported FILE: names without their version, the version node itself apart.
exported()
{
    # shellcheck disable=SC2086
    $nm -D --defined-only "$1" | awk '$2 != "A" { print $NF }' |
        sed 's/@.*//' | sort -u
}

# Declarations may span lines; each of them ends with a semicolon.
declared()
{
    tr '\n' ' ' <"$1" | tr ';' '\n' |
        sed -n 's/.*DTLSL_API [^(]*\(dtlsl_[a-z0-9_]*\)(.*/\1/p'
}

for header in "$srcdir"/libdtlslisten/include/dtlslisten/*.h; do
    declared "$header"
done | sort -u >"$dir/expected"
exported "$library" >"$dir/library"
if [ ! -s "$dir/expected" ]; then
    echo "not ok: no DTLSL_API found in the headers"
    failed=1
fi
if ! diff "$dir/expected" "$dir/library"; then
    echo "not ok: the headers (<) and $library (>) differ"
    failed=1
fi
if grep '^dtlsl__' "$dir/library"; then
    echo "not ok: internal symbols are exported"
    failed=1
fi

# A module is for any host: what it lacks comes through the host's table.
for name in hmac cluster aead; do
    module=$modules/dtlsl_cookie_$name.so
    [ -e "$module" ] || module=$top_builddir/.libs/dtlsl_cookie_$name.so
    exported "$module" >"$dir/module"
    if ! echo dtlsl_cookie_plugin_v1 | diff - "$dir/module"; then
        echo "not ok: $module must export dtlsl_cookie_plugin_v1 (<) alone"
        failed=1
    fi
    if $nm -D --undefined-only "$module" | grep ' dtlsl_'; then
        echo "not ok: $module needs symbols of the library"
        failed=1
    fi
done
exit "$failed"
