# SPDX-License-Identifier: MIT
"""The listener for a loop of one's own, and what every delivery shares.

    with Listener("0.0.0.0", 4433, self_signed=True) as listener:
        for event in listener:
            if event.type == "data":
                event.conn.send(event.data)
"""
from __future__ import annotations

import os
import select
import socket
import time
import warnings
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Optional

from . import errors
from ._library import encoded, ffi, lib, text
from .addresses import Address
from .connection import BaseConnection, Connection
from .counters import ListenerCounters
from .options import Config, Handle, Option

__all__ = ["Event", "Listener"]

_TYPES: dict[int, str] = {
    lib.DTLSL_EVENT_OPEN: "open",
    lib.DTLSL_EVENT_DATA: "data",
    lib.DTLSL_EVENT_WRITABLE: "writable",
    lib.DTLSL_EVENT_CLOSE: "close",
    lib.DTLSL_EVENT_FAILED: "failed",
    lib.DTLSL_EVENT_HELLO: "hello",
    lib.DTLSL_EVENT_NOTICE: "notice",
    lib.DTLSL_EVENT_STOPPED: "stopped",
}

_REASONS: dict[int, str] = {
    lib.DTLSL_CLOSE_PEER: "peer",
    lib.DTLSL_CLOSE_LOCAL: "local",
    lib.DTLSL_CLOSE_IDLE: "idle",
    lib.DTLSL_CLOSE_TIMEOUT: "timeout",
    lib.DTLSL_CLOSE_REPLACED: "replaced",
    lib.DTLSL_CLOSE_EVICTED: "evicted",
    lib.DTLSL_CLOSE_STOPPED: "stopped",
    lib.DTLSL_CLOSE_ALERT: "alert",
    lib.DTLSL_CLOSE_TLS: "tls",
    lib.DTLSL_CLOSE_NOMEM: "nomem",
}

_DATA: int = lib.DTLSL_EVENT_DATA
_ADDRESS_MAX: int = lib.DTLSL_ADDRESS_MAX


class _Handle(Handle):
    """Connections hold it without the Listener."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, "listener", ffi.NULL)
        _handles.add(self)

    def check(self, result: int) -> int:
        """Raises what was wrong with the last call on the listener."""
        if result < 0:
            errors.fail(result, text(lib.dtlsl_listener_error(self.pointer)))
        return result


_handles: weakref.WeakSet[_Handle] = weakref.WeakSet()


def _forget() -> None:
    """In the child of a fork, which has the parent's epoll and nonces: what it
    removed or sent would be amiss there."""
    for handle in _handles:
        handle.pointer = ffi.NULL


os.register_at_fork(after_in_child=_forget)


class Event(NamedTuple):
    """Something that happened, in ``type``:

    "open", "data", "writable", "close", "failed" (a verified peer whose
    handshake did not finish), "hello" (with events_hello: close() in it
    refuses the peer), "notice" (with events_notice: a text for an operator)
    or "stopped", the listener's last. ``data`` is one message; ``text`` that
    of a notice, or why a connection ended.
    """

    type: str
    conn: Any = None
    data: bytes = b""
    text: str = ""


class Listener:
    """A DTLS server on one UDP port; it belongs to one thread.

    ``host`` is a numeric address, None the dual-stack wildcard; ``port`` 0
    picks one; ``sock`` is a bound UDP socket to use instead. Options are
    keyword arguments, see dtlslisten.options. Raises TypeError for an unknown
    option, ConfigError for a value that is refused, SocketError (an OSError)
    if the address cannot be bound.

    Iterating waits for events until "stopped"; or pull them: poll(), then
    next() until None.
    """

    _connection: type[BaseConnection] = Connection

    def __init__(
        self,
        host: Optional[str] = None,
        port: int = 0,
        *,
        sock: Optional[socket.socket] = None,
        **options: Option,
    ) -> None:
        config = Config(options)
        self._strategies = config.strategies
        self._handle = _Handle(config)
        self._finalizer = weakref.finalize(self, self._handle.free)
        self._conns: dict[int, Any] = {}
        self._sock = sock
        self.stopping = False
        self.stopped = False
        try:
            self._start(host, port)
        except BaseException:
            self._finalizer()
            raise
        self.counters = ListenerCounters(self._handle)

    def _start(self, host: Optional[str], port: int) -> None:
        pointer = self._handle.pointer
        if self._sock is not None:
            fd = self._sock.fileno()
            self._handle.check(lib.dtlsl_listener_start_fd(pointer, fd))
            return
        if not 0 <= port <= 65535:
            raise ValueError(f"the port is from 0 to 65535, not {port}")
        name = encoded(host) if host else ffi.NULL
        self._handle.check(lib.dtlsl_listener_start(pointer, name, port))

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and handle.pointer != ffi.NULL:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        if self._handle.pointer == ffi.NULL:
            return "<dtlslisten.Listener closed>"
        return f"<dtlslisten.Listener {self.address}>"

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.finish()

    @property
    def address(self) -> Address:
        """The bound address."""
        buffer = ffi.new("char[]", _ADDRESS_MAX)
        self._handle.check(
            lib.dtlsl_listener_address(self._open(), buffer, _ADDRESS_MAX)
        )
        return Address.parse(text(buffer))

    @property
    def connections(self) -> list[Any]:
        """The connections whose handshake is complete, oldest first."""
        return list(self._conns.values())

    def _open(self) -> Any:
        return self._handle.opened()

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to poll;
        for loops of other kinds, together with timeout()."""
        return int(lib.dtlsl_listener_fd(self._open()))

    def timeout(self) -> float:
        """After how many seconds poll() must be called at the latest. Ask
        anew after every other call."""
        return float(lib.dtlsl_listener_timeout(self._open()) / 1000)

    def poll(self, timeout: Optional[float] = 0) -> bool:
        """Waits at most ``timeout`` seconds (None: without limit) for events;
        True if there are some. Signal handlers of Python run meanwhile."""
        limit = None if timeout is None else time.monotonic() + timeout
        poller = None
        while not self._handle.check(lib.dtlsl_listener_poll(self._open(), 0)):
            wait = self.timeout()
            if limit is not None:
                wait = min(wait, limit - time.monotonic())
            if self.stopped or (limit is not None and wait <= 0):
                return False
            if poller is None:
                poller = select.poll()
                poller.register(self.fileno(), select.POLLIN)
            poller.poll(wait * 1000)
        return True

    def next(self) -> Optional[Event]:
        """The next event, or None: then poll()."""
        raw = lib.dtlsl_listener_next(self._open())
        if raw == ffi.NULL:
            return None
        if raw.type == _DATA:
            data = bytes(ffi.buffer(raw.data, raw.len))
            return Event("data", self._conns[raw.conn], data)
        return self._rare(raw)

    def _rare(self, raw: Any) -> Event:
        kind = _TYPES.get(raw.type, "unknown")
        words = text(raw.data) if raw.len else ""
        conn: Any = self._of(raw.conn) if raw.conn else None
        if kind == "open":
            self._conns[raw.conn] = conn
        elif kind in ("close", "failed"):
            self._conns.pop(raw.conn, None)
            conn._end(_REASONS.get(raw.status, "unknown"), words)
        elif kind == "stopped":
            self.stopped = True
        return Event(kind, conn, b"", words)

    def _of(self, number: int) -> Any:
        known = self._conns.get(number)
        return known or self._connection(self._handle, number)

    def __iter__(self) -> Iterator[Event]:
        while not self.stopped:
            event = self.next()
            if event is not None:
                yield event
            else:
                self.poll(None)

    def reload(self) -> None:
        """Reads certificate, key, CA and PSK files anew, for handshakes from
        now on. If it raises, the old ones stay."""
        self._handle.check(lib.dtlsl_listener_reload(self._open()))

    def stop(self) -> None:
        """No new peers; every connection gets close_notify and its last
        event; "stopped" is the last of all. Twice is once."""
        if self.stopping:
            return
        self._handle.check(lib.dtlsl_listener_stop(self._open()))
        self.stopping = True

    def close(self) -> None:
        """Ends at once, without a word to the peers. Twice is once."""
        if self._handle.pointer != ffi.NULL:
            self.counters.keep()
        self._finalizer()
        for conn in self.connections:
            conn._end("stopped", "the listener was closed")
        self._conns.clear()

    def finish(self) -> None:
        """Tells the peers, drops the events that are left, closes."""
        if self._handle.pointer != ffi.NULL and not self.stopped:
            self.stop()
            while self.poll(0):
                while self.next() is not None:
                    pass
        self.close()
