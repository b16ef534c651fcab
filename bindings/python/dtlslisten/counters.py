# SPDX-License-Identifier: MIT
"""Counters as a mapping."""
from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping
from typing import Any, Optional

from . import errors
from ._library import ffi, grown, lib, text

__all__ = ["Counters", "ListenerCounters"]

_NAME_MAX: int = lib.DTLSL_COUNTER_NAME_MAX


class Counters(Mapping[str, int]):
    """What the library counts, by name; dtlsl_listener(3) lists the names.

    It is live: each look asks the library; after close() it has the last
    values. The strategies' own counters are there too, as
    ``cookie_<strategy>_<name>``.
    """

    def __init__(self, owner: Any, at: Any) -> None:
        self._owner = owner
        self._at = at
        self._own: dict[str, Callable[[], int]] = {}
        self._index: dict[str, int] = {}
        self._last: Optional[dict[str, int]] = None

    def add(self, name: str, ask: Callable[[], int]) -> None:
        """A counter of the binding's own."""
        self._own[name] = ask

    def keep(self) -> None:
        """Its owner is about to go."""
        self._last = dict(self._all())

    def _library(self, index: int) -> Iterator[tuple[str, int]]:
        """The library's, from that one on."""
        pointer = self._owner.opened()
        name = ffi.new("char[]", _NAME_MAX)
        value = ffi.new("uint64_t *")
        while self._at(pointer, index, name, _NAME_MAX, value) >= 0:
            yield text(name), value[0]
            index += 1

    def _all(self) -> Iterator[tuple[str, int]]:
        if self._last is not None:
            yield from self._last.items()
            return
        yield from self._library(0)
        for own, ask in self._own.items():
            yield own, ask()

    def __getitem__(self, name: str) -> int:
        if self._last is not None:
            return self._last[name]
        if name in self._own:
            return self._own[name]()
        if name not in self._index:
            names = (known for known, _ in self._library(0))
            self._index = {known: i for i, known in enumerate(names)}
        return next(self._library(self._index[name]))[1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._all())

    def __len__(self) -> int:
        return sum(1 for _ in self._all())

    def items(self) -> ItemsView[str, int]:
        """All names with their values, read in one pass."""
        return dict(self._all()).items()


class ListenerCounters(Counters):
    """The counters of a listener."""

    def __init__(self, owner: Any) -> None:
        super().__init__(owner, lib.dtlsl_listener_counter_at)

    def prometheus(self) -> str:
        """All of the library's counters in Prometheus' text format."""

        def call(buffer: Any, size: int) -> int:
            return int(
                lib.dtlsl_listener_counters(
                    self._owner.opened(),
                    lib.DTLSL_FORMAT_PROMETHEUS,
                    buffer,
                    size,
                )
            )

        result, buffer = grown(call)
        if result < 0:
            errors.fail(result)
        return text(buffer)
