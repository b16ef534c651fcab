#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the README files show of a program is in it, letter by letter: blocks
# of examples/README.md in the file that is named last before them, blocks of
# README.md in the pages of the bindings, whose own tests run them.
set -u

srcdir=${srcdir:-.}
failed=0
if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-readme.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

bad()
{
    failed=1
    echo "not ok $*"
}

# split PAGE: its blocks of programs as $dir/N.LANGUAGE, and for each the last
# link before it in $dir/N.link.
split()
{
    rm -f "$dir"/*
    awk -v dir="$dir" '
        /^```/ && inside { inside = 0; next }
        /^```(c|python|lua)$/ {
            inside = 1
            n++
            print link >(dir "/" n ".link")
            out = dir "/" n "." substr($0, 4)
            next
        }
        inside { print >out; next }
        {
            while (match($0, /\]\([^)]*\)/)) {
                link = substr($0, RSTART + 2, RLENGTH - 3)
                $0 = substr($0, RSTART + RLENGTH)
            }
        }' "$1"
}

# contains FILE BLOCK
contains()
{
    awk 'FNR == NR { text = text $0 "\n"; next }
         { block = block $0 "\n" }
         END { exit block == "" || index(text, block) == 0 }' "$1" "$2"
}

# check_links PAGE FOLDER COUNT: of so many blocks.
check_links()
{
    split "$1"
    [ "$(find "$dir" -name '*.link' | wc -l)" -eq "$3" ] ||
        bad "$1 has another number of programs than $3"
    for link in "$dir"/*.link; do
        n=${link%.link}
        for block in "$n".c "$n".python "$n".lua; do
            [ -f "$block" ] || continue
            contains "$2/$(cat "$link")" "$block" ||
                bad "$1: this is not in $2/$(cat "$link"):
$(cat "$block")"
        done
    done
}

# check_pages: each program of README.md in another language than C.
check_pages()
{
    split "$srcdir/README.md"
    for language in python lua; do
        found=$(find "$dir" -name "*.$language")
        [ -f "$found" ] || bad "README.md has not one program in $language"
        contains "$srcdir/bindings/$language/README.md" "$found" ||
            bad "README.md: this is not in the page of $language:
$(cat "$found")"
    done
}

check_links "$srcdir/examples/README.md" "$srcdir/examples" 6
check_pages
exit $failed
