# SPDX-License-Identifier: MIT
"""Keyword arguments become options of the library.

Their names are the library's with ``_`` for ``-``; dtlslisten-config(5) lists
them all. ``True`` and ``False`` are 1 and 0. What ends in ``-ms`` may also be
given without it, in seconds: ``idle_timeout=30``. A list is joined by commas:
``alpn=["coap"]``. ``None`` leaves the default.

``cookie`` is a name, a path, a CookieStrategy, or a list of these: the first
mints, all verify. ``cookie_options`` is a mapping of what stands behind
``cookie.`` in the manual: ``{"lifetime-ms": 30000}``.
"""
from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from . import errors
from ._library import encoded, ffi, lib, text

if TYPE_CHECKING:
    from .cookies import CookieStrategy

__all__ = ["Option", "names"]

Value = Union[str, int, float, "os.PathLike[str]", "CookieStrategy"]
Option = Union[Value, Sequence[Value], Mapping[str, Value], None]


def _table() -> Iterator[str]:
    name = ffi.new("const char **")
    unused = ffi.new("const char *[2]")
    index = 0
    while lib.dtlsl_config_option(index, name, unused, unused + 1) >= 0:
        yield text(name[0])
        index += 1


_OPTIONS = frozenset(_table())
_OURS = ["cookie_options", "receive_queue", "shutdown_timeout", "sock"]


def names() -> list[str]:
    """The options of the library that runs, as Python spells them."""
    return sorted(name.replace("-", "_") for name in _OPTIONS)


def _unknown(keyword: str) -> TypeError:
    known = names() + [n[:-3] for n in names() if n.endswith("_ms")]
    near = difflib.get_close_matches(keyword, known + _OURS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return TypeError(f"dtlslisten has no option {keyword!r}{hint}")


def _milliseconds(keyword: str, seconds: Any) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{keyword} is a number of seconds, not {seconds!r}")
    return str(round(seconds * 1000))


def _word(keyword: str, value: Any) -> str:
    if isinstance(value, (bool, int)):
        return str(int(value))
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return ",".join(_word(keyword, part) for part in value)
    raise TypeError(f"{keyword} cannot be a {type(value).__name__}")


def _cookie_options(options: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(options, Mapping):
        raise TypeError("cookie_options is a mapping of names and values")
    for name, value in options.items():
        yield f"cookie.{name}", _word(f"cookie_options[{name!r}]", value)


def settings(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values for dtlsl_config_set()."""
    for keyword, value in options.items():
        name = keyword.replace("_", "-")
        if value is None:
            continue
        if keyword == "cookie_options":
            yield from _cookie_options(value)
        elif name in _OPTIONS or keyword.startswith("cookie."):
            yield name, _word(keyword, value)
        elif name + "-ms" in _OPTIONS:
            yield name + "-ms", _milliseconds(keyword, value)
        else:
            raise _unknown(keyword)


class Config:
    """Owns a dtlsl_config, and what has to live as long as it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        from .cookies import register

        out = ffi.new("dtlsl_config **")
        self.pointer: Any = ffi.NULL
        self.strategies: list[Any] = []
        self.check(lib.dtlsl_config_new(out))
        self.pointer = out[0]
        try:
            chosen = dict(options)
            if chosen.get("cookie") is not None:
                chosen["cookie"] = register(self, chosen["cookie"])
            for name, value in settings(chosen):
                self.set(name, value)
        except BaseException:
            self.free()
            raise

    def set(self, name: str, value: str) -> None:
        """Sets one option by the library's name for it."""
        self.check(
            lib.dtlsl_config_set(self.pointer, encoded(name), encoded(value))
        )

    def make(self, constructor: Any, kind: str, *rest: Any) -> Any:
        """A listener or gate of this config, which it frees if that fails."""
        out = ffi.new(kind)
        try:
            self.check(constructor(out, self.pointer, *rest))
        except errors.Error:
            self.free()
            raise
        return out[0]

    def check(self, result: int) -> None:
        """Raises what was wrong with the last call on this config."""
        if result < 0:
            known = self.pointer != ffi.NULL
            errors.fail(
                result,
                text(lib.dtlsl_config_error(self.pointer)) if known else "",
            )

    def free(self) -> None:
        """Gives the reference back; strategies stay until the caller's end."""
        pointer, self.pointer = self.pointer, ffi.NULL
        lib.dtlsl_config_free(pointer)


class Handle:
    """Owns a listener or gate, which keeps its dtlsl_config alive itself.

    Strategies are not held here but by the Listener or Gate: finalizers hold
    this, and a strategy may hold its listener.
    """

    def __init__(self, config: Config, kind: str, *rest: Any) -> None:
        self._kind = kind
        constructor = getattr(lib, f"dtlsl_{kind}_new")
        self._free = getattr(lib, f"dtlsl_{kind}_free")
        self.pointer: Any = config.make(constructor, f"dtlsl_{kind} **", *rest)
        config.free()

    def opened(self) -> Any:
        """The pointer; ValueError once it is freed."""
        if self.pointer == ffi.NULL:
            raise ValueError(f"the {self._kind} is closed")
        return self.pointer

    def free(self) -> None:
        """Twice is once."""
        pointer, self.pointer = self.pointer, ffi.NULL
        self._free(pointer)
