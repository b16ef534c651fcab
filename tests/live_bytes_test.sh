#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# live_bytes.so in front of Python: it counts the library's blocks and those of
# OpenSSL to the byte, and nobody else's, whoever frees them.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

library=$top_builddir/.libs/libdtlslisten.so
counting=$top_builddir/tests/.libs/live_bytes.so

python=$(find_python) || unable "python3 is not there"
"$python" -c 'import cffi' 2>/dev/null || unable "python3-cffi is not there"
[ -e "$library" ] || unable "$library is not there"
[ -e "$counting" ] || unable "$counting is not there: make check builds it"
sh "$srcdir/bindings/cdef.sh" "$srcdir/libdtlslisten/include" >"$dir/cdef" ||
    exit 99

# ran NAME: the Python program on standard input, behind what all have.
ran()
{
    {
        cat <<'END'
import random
import sys
from cffi import FFI

ffi = FFI()
ffi.cdef(open(sys.argv[1]).read())
ffi.cdef("""
    size_t live_bytes(void);
    size_t live_blocks(void);
    void *CRYPTO_memdup(const void *, size_t, const char *, int);
    void *malloc(size_t);
    void *realloc(void *, size_t);
    void free(void *);
    size_t malloc_usable_size(void *);
""")
lib = ffi.dlopen(sys.argv[2])
crypto = ffi.dlopen("libcrypto.so.3")
c = ffi.dlopen(None)


def live():
    return c.live_bytes(), c.live_blocks()


def check(is_true, *values):
    if not is_true:
        sys.exit("not so: %r" % (values,))


def copy(size):
    return crypto.CRYPTO_memdup(b"x" * size, size, b"", 0)


END
        cat
    } >"$dir/program.py"
    if LD_PRELOAD=$counting "$python" "$dir/program.py" "$dir/cdef" \
        "$library" >"$dir/program.out" 2>&1; then
        ok "$1"
    else
        not_ok "$1" "$(last_of "$dir/program.out")"
    fi
}

# The first of a kind fills caches that stay.
ran a-listener-goes-back-to-exactly-the-same <<'END'
def serve():
    config = ffi.new("dtlsl_config **")
    listener = ffi.new("dtlsl_listener **")
    check(lib.dtlsl_config_new(config) == 0)
    check(lib.dtlsl_config_set(config[0], b"self-signed", b"1") == 0)
    empty = live()
    check(lib.dtlsl_listener_new(listener, config[0], ffi.NULL) == 0)
    check(lib.dtlsl_listener_start(listener[0], b"127.0.0.1", 0) == 0)
    full = live()
    check(full[0] > empty[0] + 10000 and full[1] > empty[1] + 100, full)
    lib.dtlsl_listener_free(listener[0])
    lib.dtlsl_config_free(config[0])


serve()
before = live()
for _ in range(5):
    serve()
    check(live() == before, before, live())
config = ffi.new("dtlsl_config **")
check(lib.dtlsl_config_new(config) == 0)
kept = live()
check(kept[0] > before[0] and kept[1] > before[1], kept)
lib.dtlsl_config_free(config[0])
check(live() == before, before, live())
END

ran whoever-frees-them <<'END'
before = live()
block = copy(1000)
check(live() == (before[0] + 1000, before[1] + 1), before, live())
check(c.malloc_usable_size(block) in range(1000, 1032))
block = c.realloc(block, 100000)
check(ffi.buffer(block, 1000)[:] == b"x" * 1000)
check(live() == (before[0] + 100000, before[1] + 1), before, live())
c.free(block)
check(live() == before, before, live())
END

ran nobody-elses <<'END'
before = live()
block = c.realloc(c.malloc(1000), 2000)
check(live() == before, before, live())
c.free(block)
c.free(ffi.NULL)
heap = [bytes(n) for n in range(5000, 6000)]
check(live() == before, before, live())
END

ran hundred-thousand-in-any-order <<'END'
random.seed(5)
before = live()
blocks = []
total = 0
for turn in range(300000):
    if turn < 100000 or random.random() < 0.4:
        size = random.randrange(1, 64)
        blocks.append((copy(size), size))
        total += size
    elif blocks:
        chosen = random.randrange(len(blocks))
        blocks[chosen], blocks[-1] = blocks[-1], blocks[chosen]
        block, size = blocks.pop()
        c.free(block)
        total -= size
    check(turn % 1000 or
          live() == (before[0] + total, before[1] + len(blocks)), turn)
for block, _ in blocks:
    c.free(block)
check(live() == before, before, live())
END

report live_bytes
