#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cdef.sh [INCLUDEDIR]: prints the public headers as the declarations that
# cffi and LuaJIT read: without the lines that start with '#', and what they
# continue on, and without the marker words. Without INCLUDEDIR the headers
# are those of the installed library.
set -u

include=${1:-$(pkg-config --variable=includedir dtlslisten 2>/dev/null)}
include=${include:-/usr/include}
if [ ! -r "$include/dtlslisten/dtlslisten.h" ]; then
    echo "cdef.sh: no dtlslisten/dtlslisten.h in $include. Install" >&2
    echo "cdef.sh: libdtlslisten, or set PKG_CONFIG_PATH to the folder of" >&2
    echo "cdef.sh: its dtlslisten.pc." >&2
    exit 1
fi
for header in base cookie config gate dtlslisten; do
    awk '/^#/ || more { more = /\\$/; next } { print }' \
        "$include/dtlslisten/$header.h" |
        sed -e 's/DTLSL_BEGIN_DECLS//' -e 's/DTLSL_END_DECLS//' \
            -e 's/DTLSL_API//'
done
