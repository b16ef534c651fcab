# SPDX-License-Identifier: MIT
"""The gate: what DTLSv1_listen() decides, without a socket or a loop."""
from __future__ import annotations

import time
import weakref
from typing import Any, NamedTuple, Optional

from . import errors
from ._library import Bytes, encoded, ffi, lib
from .addresses import Address, AddressLike
from .counters import Counters
from .options import Config, Handle, Option

__all__ = ["Gate", "Verdict", "hello_id", "is_client_hello"]

_REASONS: dict[int, str] = {
    getattr(lib, name): name[len("DTLSL_REASON_") :].lower()
    for name in dir(lib)
    if name.startswith("DTLSL_REASON_DROP_")
}
_ACTIONS: dict[int, str] = {
    lib.DTLSL_DROP: "drop",
    lib.DTLSL_REPLY: "reply",
    lib.DTLSL_ACCEPT: "accept",
}


class Verdict(NamedTuple):
    """What a gate says about one datagram.

    ``action`` is "drop" (``reason`` says why: a counter's name), "reply"
    (send ``reply`` to the peer) or "accept" (the peer owns its address).
    ``record_len`` bytes are the ClientHello's record; ``cookie_age`` is in
    seconds; ``cookie_app`` is the application data in the cookie and
    ``node`` the number of the node that minted it.
    """

    action: str
    reason: str
    reply: bytes
    record_len: int
    cookie_age: float
    node: int
    cookie_app: bytes


class Gate:
    """Judges datagrams of a socket that you have already.

    Options are those of Listener; only the ones of cookies matter. It keeps
    nothing about peers: copies of an accepted ClientHello (``hello_id``),
    clients that come back on a known address (RFC 6347 section 4.2.8) and
    limits are yours.
    """

    def __init__(self, **options: Option) -> None:
        config = Config(options)
        self._strategies = config.strategies
        self._handle = Handle(config, "gate")
        self._finalizer = weakref.finalize(self, self._handle.free)
        self._judging = False
        self.counters = Counters(self._handle, lib.dtlsl_gate_counter_at)
        self._path = ffi.new("dtlsl_path *")
        self._now = ffi.new("dtlsl_now *")
        self._next = ffi.new("uint64_t *")
        self._reply = ffi.new("uint8_t[]", lib.DTLSL_REPLY_MAX)
        self._verdict = ffi.new("dtlsl_verdict *")
        self._verdict.size = ffi.sizeof("dtlsl_verdict")
        self._verdict.reply = self._reply
        self._verdict.reply_cap = lib.DTLSL_REPLY_MAX

    def _idle(self) -> Any:
        """The pointer, but not for a strategy that is asked just now."""
        if self._judging:
            raise RuntimeError("the gate is judging a datagram")
        return self._handle.opened()

    def _at(self, pointer: Any, now: Optional[tuple[float, float]]) -> None:
        mono, unix = now or (time.monotonic(), time.time())
        self._now.mono_ms = int(mono * 1000)
        self._now.unix_ms = int(unix * 1000)
        if self._now.mono_ms >= self._next[0]:
            self._check(lib.dtlsl_gate_tick(pointer, self._now, self._next))

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            errors.fail(result)

    def judge(
        self,
        datagram: Bytes,
        peer: AddressLike,
        local: Optional[AddressLike] = None,
        now: Optional[tuple[float, float]] = None,
    ) -> Verdict:
        """The verdict on a datagram from ``peer`` to ``local``.

        Addresses are as recvfrom() gives them, or texts. ``now`` is a pair of
        time.monotonic() and time.time(), for tests; both in seconds.
        """
        pointer = self._idle()
        given = ffi.from_buffer(datagram)
        here = encoded(str(Address.of(local))) if local else ffi.NULL
        there = encoded(str(Address.of(peer)))
        self._check(lib.dtlsl_path_set_text(self._path, there, here))
        self._judging = True
        try:
            self._at(pointer, now)
            self._check(
                lib.dtlsl_gate_judge(
                    pointer,
                    self._path,
                    given,
                    len(given),
                    self._now,
                    self._verdict,
                )
            )
        finally:
            self._judging = False
        return self._read(self._verdict)

    def _read(self, given: Any) -> Verdict:
        return Verdict(
            action=_ACTIONS[given.action],
            reason=_REASONS.get(given.reason, ""),
            reply=bytes(ffi.buffer(self._reply, given.reply_len)),
            record_len=given.record_len,
            cookie_age=given.age_ms / 1000,
            node=given.node,
            cookie_app=bytes(ffi.buffer(given.app, given.app_len)),
        )

    def close(self) -> None:
        """Releases it. Twice is once."""
        if self._finalizer.alive:
            self._idle()
            self.counters.keep()
        self._finalizer()


def is_client_hello(datagram: Bytes) -> bool:
    """Whether it starts with a fragment of a ClientHello in epoch 0; for
    routing, it judges nothing."""
    given = ffi.from_buffer(datagram)
    return bool(lib.dtlsl_is_client_hello(given, len(given)))


def hello_id(datagram: Bytes) -> bytes:
    """The 32 bytes by which copies of one ClientHello are told. ValueError if
    it is no first fragment of one."""
    out = ffi.new("uint8_t[32]")
    given = ffi.from_buffer(datagram)
    if lib.dtlsl_hello_id(given, len(given), out) < 0:
        raise ValueError("not the first fragment of a ClientHello")
    return bytes(ffi.buffer(out))
