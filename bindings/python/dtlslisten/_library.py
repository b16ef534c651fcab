# SPDX-License-Identifier: MIT
"""The shared library and its declarations; nothing else loads it."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Union

try:
    from ._cdef import ffi as _ffi
except ModuleNotFoundError as error:
    if error.name != f"{__package__}._cdef":
        raise
    raise ImportError(
        "dtlslisten was not built: its declarations are derived from the"
        " headers of libdtlslisten by 'pip install'; in a source tree run"
        " 'python3 cdef_build.py' in bindings/python"
    ) from error

__all__ = ["Bytes", "encoded", "ffi", "grown", "lib", "text"]

Bytes = Union[bytes, bytearray, memoryview]

ffi: Any = _ffi
_NAME = "libdtlslisten.so.0"


def _load() -> Any:
    name = os.environ.get("DTLSLISTEN_LIBRARY", _NAME)
    try:
        library = ffi.dlopen(name)
        version = library.dtlsl_version()
    except (OSError, ffi.error) as error:
        raise ImportError(
            f"the C library libdtlslisten cannot be loaded ({error}). Install"
            " it with your system's package manager, or from its sources with"
            " './configure && make && make install && ldconfig'; or set"
            " DTLSLISTEN_LIBRARY to the path of libdtlslisten.so.0"
        ) from error
    if version < library.DTLSL_VERSION:
        raise ImportError(
            f"{name} is version {text(library.dtlsl_version_string())}, older"
            " than the headers that this package was built with; build the"
            " package again or install the newer library"
        )
    return library


def text(pointer: Any) -> str:
    """A NUL-terminated text of the library, copied."""
    return str(ffi.string(pointer).decode("utf-8", "replace"))


def encoded(value: str) -> bytes:
    """A text for the library, which would take it up to the first NUL."""
    if "\0" in value:
        raise ValueError(f"there is a NUL character in {value!r}")
    return value.encode("utf-8", "surrogateescape")


def grown(call: Callable[[Any, int], int]) -> tuple[int, Any]:
    """Calls with buffers until one is large enough; result and buffer."""
    size = 1024
    while True:
        buffer = ffi.new("char[]", size)
        result = call(buffer, size)
        if result != lib.DTLSL_ERR_SPACE:
            return result, buffer
        size *= 4


lib = _load()
