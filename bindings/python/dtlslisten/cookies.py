# SPDX-License-Identifier: MIT
"""Cookie strategies written in Python.

A strategy proves that a peer owns its address without keeping anything about
it (RFC 6347 section 4.2.1). It runs for every first ClientHello, strangers'
floods included, and is some ten times slower than one in C: for experiments,
policies and tests. dtlslisten-cookie(7) has the rules of strategies.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Optional, Union

from ._library import ffi, lib, text
from .addresses import Address

if TYPE_CHECKING:
    from .options import Config

__all__ = [
    "CookieInput",
    "CookieResult",
    "CookieStatus",
    "CookieStrategy",
    "Refused",
]

_FAILED: int = lib.DTLSL_ERR_STATE


class CookieStatus(IntEnum):
    """What ``verify()`` says of a cookie."""

    VALID = lib.DTLSL_COOKIE_VALID
    MALFORMED = lib.DTLSL_COOKIE_MALFORMED
    UNKNOWN_KEY = lib.DTLSL_COOKIE_UNKNOWN_KEY
    EXPIRED = lib.DTLSL_COOKIE_EXPIRED
    FUTURE = lib.DTLSL_COOKIE_FUTURE
    MISMATCH = lib.DTLSL_COOKIE_MISMATCH
    NEED_MORE = lib.DTLSL_COOKIE_NEED_MORE


class Refused(Exception):
    """Raised by ``mint()`` or ``verify()``: this peer is not wanted."""


@dataclass(frozen=True)
class CookieResult:
    """A verdict with facts; ``age_ms`` counts milliseconds since minting."""

    status: CookieStatus = CookieStatus.VALID
    age_ms: int = 0
    node: int = 0
    app: bytes = b""


@dataclass(frozen=True)
class CookieInput:
    """What a cookie may bind to.

    ``peer_bytes`` and ``local_bytes`` are the canonical 24 bytes of the
    addresses, quicker to hash than ``peer`` and ``local``. ``core`` is
    client_version, random and session_id of the ClientHello; ``tail`` its
    cipher_suites and compression_methods, None if they are not in the first
    fragment. ``unix_ms`` and ``mono_ms`` are both clocks in milliseconds.
    """

    peer_bytes: bytes
    local_bytes: Optional[bytes]
    core: bytes
    tail: Optional[bytes]
    app: bytes
    fragmented: bool
    mono_ms: int
    unix_ms: int

    @property
    def peer(self) -> Address:
        """Where the ClientHello came from."""
        return Address.of_bytes(self.peer_bytes)

    @property
    def local(self) -> Optional[Address]:
        """Where it was sent to, if that is known."""
        raw = self.local_bytes
        return None if raw is None else Address.of_bytes(raw)


class CookieStrategy:
    """Derive from it, set ``name``, define ``mint`` and ``verify``.

    ``name`` has up to 32 of [a-z0-9_-]; ``max_cookie_len`` is at most 255,
    and above 32 some clients break. An exception in a method refuses the
    peer; the first one of a strategy is shown by ``sys.unraisablehook``, all
    are counted in ``errors``.
    """

    name: str = ""
    max_cookie_len: int = 32
    errors: int = 0

    def open(self, options: dict[str, str]) -> None:
        """Options of the configuration, without ``cookie.``; raise ValueError
        for one that is unknown or wrong."""
        for key in options:
            raise ValueError(f"the cookie strategy has no option {key!r}")

    def close(self) -> None:
        """The listener or gate that opened it ends."""

    def mint(self, hello: CookieInput) -> bytes:
        """The cookie for a first ClientHello, 1 to max_cookie_len bytes."""
        raise NotImplementedError

    def verify(
        self, hello: CookieInput, cookie: bytes
    ) -> Union[bool, CookieStatus, CookieResult]:
        """Whether a cookie is good for this second ClientHello."""
        raise NotImplementedError

    def tick(self, mono_ms: int, unix_ms: int) -> Optional[int]:
        """For what must not happen per packet, such as making keys. Returns
        the monotonic time in milliseconds of the next tick; None: never."""
        return None


class _Entry:
    """A strategy's table for the library, and what the table points to."""

    def __init__(self, strategy: CookieStrategy) -> None:
        self.strategy = strategy
        self.handle = ffi.new_handle(self)
        self.name = ffi.new("char[]", strategy.name.encode())
        self.table = ffi.new("dtlsl_cookie_plugin *")
        self.table.size = ffi.sizeof("dtlsl_cookie_plugin")
        self.table.abi = lib.DTLSL_COOKIE_ABI
        self.table.name = self.name
        self.table.max_cookie_len = strategy.max_cookie_len
        for member, function in _callbacks().items():
            setattr(self.table, member, function)


def _entry(state: Any) -> _Entry:
    entry: _Entry = ffi.from_handle(state)
    return entry


def _guarded(state: Any, call: Any) -> int:
    """Runs a method; whatever it raises fails closed. The first exception
    goes on to cffi, which shows it and answers _FAILED in its place."""
    strategy = _entry(state).strategy
    try:
        return int(call(strategy))
    except Refused:
        return int(lib.DTLSL_COOKIE_REFUSED)
    except BaseException:
        strategy.errors += 1
        if strategy.errors == 1:
            raise
        return _FAILED


def _bytes(pointer: Any, length: int) -> bytes:
    return bytes(ffi.buffer(pointer, length)) if length else b""


def _input(given: Any) -> CookieInput:
    flags = given.flags
    has_local = flags & lib.DTLSL_COOKIE_IN_LOCAL
    has_tail = flags & lib.DTLSL_COOKIE_IN_TAIL
    return CookieInput(
        peer_bytes=_bytes(given.peer, 24),
        local_bytes=_bytes(given.local, 24) if has_local else None,
        core=_bytes(given.core, given.core_len),
        tail=_bytes(given.tail, given.tail_len) if has_tail else None,
        app=_bytes(given.app, given.app_len),
        fragmented=bool(flags & lib.DTLSL_COOKIE_IN_FRAGMENTED),
        mono_ms=given.mono_ms,
        unix_ms=given.unix_ms,
    )


def _options(array: Any, count: int) -> dict[str, str]:
    return {text(array[i].key): text(array[i].value) for i in range(count)}


def _open(
    host: Any,
    user: Any,
    array: Any,
    count: int,
    state: Any,
    err: Any,
    cap: int,
) -> int:
    state[0] = user
    try:
        _entry(user).strategy.open(_options(array, count))
        return 0
    except BaseException as error:
        message = f"{type(error).__name__}: {error}".encode()[: cap - 1]
        ffi.memmove(err, message + b"\0", len(message) + 1)
        return int(lib.DTLSL_ERR_ARGUMENT)


def _close(state: Any) -> None:
    def call(strategy: CookieStrategy) -> int:
        strategy.close()
        return 0

    _guarded(state, call)


def _mint(state: Any, given: Any, cookie: Any, cap: int) -> int:
    def call(strategy: CookieStrategy) -> int:
        made = bytes(memoryview(strategy.mint(_input(given))))
        most = min(cap, strategy.max_cookie_len)
        if not 1 <= len(made) <= most:
            raise ValueError(
                f"mint() made {len(made)} bytes; 1 to {most} are possible"
            )
        ffi.memmove(cookie, made, len(made))
        return len(made)

    return _guarded(state, call)


def _verdict(answer: Any, out: Any) -> int:
    if isinstance(answer, CookieResult):
        if len(answer.app) > lib.DTLSL_COOKIE_APP_MAX:
            raise ValueError(
                f"{len(answer.app)} bytes of application data;"
                f" {lib.DTLSL_COOKIE_APP_MAX} are possible"
            )
        out.age_ms, out.node = answer.age_ms, answer.node
        ffi.memmove(out.app, answer.app, len(answer.app))
        out.app_len = len(answer.app)
        return CookieStatus(answer.status)
    if isinstance(answer, bool):
        return CookieStatus.VALID if answer else CookieStatus.MISMATCH
    return CookieStatus(answer)


def _verify(state: Any, given: Any, cookie: Any, length: int, out: Any) -> int:
    def call(strategy: CookieStrategy) -> int:
        answer = strategy.verify(_input(given), _bytes(cookie, length))
        return _verdict(answer, out)

    return _guarded(state, call)


def _tick(state: Any, mono_ms: int, unix_ms: int, next_mono_ms: Any) -> None:
    def call(strategy: CookieStrategy) -> int:
        later = strategy.tick(mono_ms, unix_ms)
        if later is not None:
            next_mono_ms[0] = later
        return 0

    next_mono_ms[0] = 2**64 - 1
    _guarded(state, call)


_made: dict[str, Any] = {}


def _callbacks() -> dict[str, Any]:
    """One set for all strategies of the process: libffi's slots are few."""
    if not _made:
        table = ffi.typeof("dtlsl_cookie_plugin")
        types = {name: field.type for name, field in table.fields}
        functions = [_open, _close, _mint, _verify, _tick]
        for function in functions:
            member = function.__name__[1:]
            failed = () if member in ("close", "tick") else (_FAILED,)
            _made[member] = ffi.callback(types[member], function, *failed)
    return _made


def _chain(cookie: Any) -> Iterator[Any]:
    if isinstance(cookie, (list, tuple)):
        yield from cookie
    else:
        yield cookie


def register(config: Config, cookie: Any) -> Any:
    """Gives strategies of Python to a config; returns what to set."""
    chosen = []
    for part in _chain(cookie):
        if isinstance(part, CookieStrategy):
            entry = _Entry(part)
            config.strategies.append(entry)
            config.check(
                lib.dtlsl_config_add_cookie(
                    config.pointer, entry.table, entry.handle
                )
            )
            part = part.name
        chosen.append(part)
    return chosen
