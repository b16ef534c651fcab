#!/bin/sh
# SPDX-License-Identifier: MIT
# Every C file is as clang-format leaves it.
set -u

srcdir=${srcdir:-.}
if [ "${DTLSL_UNIT_ONLY:-0}" = 1 ]; then
    echo "skip: DTLSL_UNIT_ONLY=1"
    exit 77
fi
if ! command -v clang-format >/dev/null; then
    echo "clang-format is not there: install clang-format"
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
fi
cd "$srcdir" || exit 99
find libdtlslisten plugins tools examples tests bench -name '*.[ch]' \
    -exec clang-format --dry-run -Werror {} +
