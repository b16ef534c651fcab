#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each public header compiles alone, as C and as C++ of several standards; and
# all of them, less their '#' lines and marker words, are what LuaJIT and cffi
# accept as declarations.
set -u

srcdir=${srcdir:-.}
include=$srcdir/libdtlslisten/include
headers="base cookie config gate dtlslisten"
failed=0
skipped=0
sizes=
dir=$(mktemp -d "${TMPDIR:-/tmp}/dtlsl-headers.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT

bad()
{
    failed=1
    echo "not ok $*"
}

missing()
{
    skipped=1
    echo "skip $1 is not there"
}

# compile COMPILER EXTENSION STANDARD...
compile()
{
    compiler=$1
    extension=$2
    shift 2
    for header in $headers; do
        printf '#include <dtlslisten/%s.h>\nextern int dtlsl_unused;\n' \
            "$header" >"$dir/try.$extension"
        for standard in "$@"; do
            # shellcheck disable=SC2086
            $compiler "-std=$standard" -pedantic -Wall -Wextra -Werror \
                -fsyntax-only -I"$include" "$dir/try.$extension" ||
                bad "$header.h as $standard"
        done
    done
}

compile "${CC:-cc}" c c99 c11 c17
cxx=${CXX:-g++}
if command -v "$cxx" >/dev/null; then
    compile "$cxx" cc c++17
else
    missing "$cxx"
fi

# What the compiler says, for the FFIs to agree with.
cat >"$dir/sizes.c" <<'EOF'
#include <dtlslisten/dtlslisten.h>
#include <stdio.h>
int main(void)
{
    printf("%zu %zu %zu\n", sizeof(dtlsl_event), sizeof(dtlsl_verdict),
           sizeof(dtlsl_cookie_host));
    return 0;
}
EOF
${CC:-cc} -I"$include" -o "$dir/sizes" "$dir/sizes.c" &&
    sizes=$("$dir/sizes") || bad "sizes"

"$srcdir/bindings/cdef.sh" "$include" >"$dir/cdef" || bad "cdef.sh"
if command -v luajit >/dev/null; then
    # shellcheck disable=SC2086
    luajit - "$dir/cdef" $sizes <<'EOF' || bad "LuaJIT"
local ffi = require("ffi")
local file = assert(io.open(arg[1]))
ffi.cdef(file:read("*a"))
assert(ffi.sizeof("dtlsl_event") == tonumber(arg[2]))
assert(ffi.sizeof("dtlsl_verdict") == tonumber(arg[3]))
assert(ffi.sizeof("dtlsl_cookie_host") == tonumber(arg[4]))
EOF
else
    missing luajit
fi

python=${PYTHON:-/usr/bin/python3}
if "$python" -c 'import cffi' 2>/dev/null; then
    # shellcheck disable=SC2086
    "$python" - "$dir/cdef" $sizes <<'EOF' || bad "cffi"
import sys
from cffi import FFI
ffi = FFI()
with open(sys.argv[1]) as file:
    ffi.cdef(file.read())
sizes = [int(text) for text in sys.argv[2:5]]
assert ffi.sizeof("dtlsl_event") == sizes[0]
assert ffi.sizeof("dtlsl_verdict") == sizes[1]
assert ffi.sizeof("dtlsl_cookie_host") == sizes[2]
EOF
else
    missing "$python with cffi"
fi

[ "$failed" -eq 0 ] || exit 1
if [ "$skipped" -ne 0 ]; then
    [ "${DTLSL_REQUIRE_CLIENTS:-0}" = 1 ] && exit 1
    exit 77
fi
exit 0
