# SPDX-License-Identifier: MIT
"""Derives the declarations from the public headers, as dtlslisten/_cdef.py.

The headers are those of the installed library, as pkg-config finds it, or
the ones below the folder in the environment variable DTLSLISTEN_INCLUDEDIR.
"""
import os
import subprocess
import sys

from cffi import FFI

_here = os.path.dirname(os.path.abspath(__file__))


def _declarations() -> str:
    command = ["sh", os.path.join(_here, "cdef.sh")]
    include = os.environ.get("DTLSLISTEN_INCLUDEDIR")
    done = subprocess.run(
        command + ([include] if include else []),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


ffi = FFI()
ffi.set_source("dtlslisten._cdef", None)
ffi.cdef(_declarations())

if __name__ == "__main__":
    ffi.compile(tmpdir=_here, verbose=True)
