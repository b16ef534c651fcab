# SPDX-License-Identifier: MIT
"""What asyncio and trio share: connections with a queue, one pump for events.

The loops differ in how they wait and how they start tasks; here is neither.
Both have an Event with set() and wait(), and that is all that this needs.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from . import errors
from ._library import Bytes, lib
from .addresses import Address
from .connection import BaseConnection
from .counters import ListenerCounters
from .listener import Event, Listener

__all__ = ["StreamConnection"]


def only_closed(error: BaseException) -> bool:
    """Whether a peer left, and no more: ConnectionClosed, or a group of it,
    as nurseries and task groups raise."""
    parts = getattr(error, "exceptions", None)
    if parts:
        return all(only_closed(part) for part in parts)
    return isinstance(error, errors.ConnectionClosed)


class StreamConnection(BaseConnection):
    """A verified peer; iterate over it for its messages.

    At most ``receive_queue`` messages wait for you; newer ones are dropped
    and counted in ``dropped``, as a UDP socket does.
    """

    _feed: StreamListener

    def __init__(self, handle: Any, conn: int) -> None:
        super().__init__(handle, conn)
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._readable: Any = None
        self._writable: Any = None

    def _deliver(self, message: bytes, most: int) -> bool:
        if len(self._queue) >= most:
            self.dropped += 1
            return False
        self._queue.append(message)
        self._wake_reader()
        return True

    def _wake_reader(self) -> None:
        waiting, self._readable = self._readable, None
        if waiting is not None:
            waiting.set()

    def _wake_writer(self) -> None:
        waiting, self._writable = self._writable, None
        if waiting is not None:
            waiting.set()

    def _end(self, reason: str, words: str) -> None:
        super()._end(reason, words)
        self._wake_reader()
        self._wake_writer()

    async def receive(self) -> bytes:
        """The next message. ConnectionClosed when there are no more."""
        while not self._queue:
            if self.closed:
                raise errors.ConnectionClosed(
                    lib.DTLSL_ERR_NOCONN, self.close_text
                )
            if self._readable is None:
                self._readable = self._feed.new_event()
            await self._readable.wait()
        return self._queue.popleft()

    def __aiter__(self) -> StreamConnection:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except errors.ConnectionClosed:
            raise StopAsyncIteration from None

    def send_nowait(self, data: Bytes) -> None:
        super().send_nowait(data)
        self._feed.touched()

    send_nowait.__doc__ = BaseConnection.send_nowait.__doc__

    async def send(self, data: Bytes) -> None:
        """Sends one message; waits while the socket is full. Cancelled, it
        has sent nothing. TooBig above ``mtu``, ConnectionClosed at the end."""
        while True:
            try:
                return self.send_nowait(data)
            except errors.Busy:
                if self._writable is None:
                    self._writable = self._feed.new_event()
                await self._writable.wait()

    def close(self) -> None:
        """Sends close_notify; iteration ends once the rest is read. For a
        connection that is gone it does nothing."""
        super().close()
        self._feed.touched()


class StreamListener(Listener):
    """A listener that hands messages to its connections.

    ``new_event`` makes the loop's Event; ``touched`` is called when
    timeout() may have changed.
    """

    _connection = StreamConnection

    def __init__(
        self,
        *args: Any,
        new_event: Callable[[], Any],
        opened: Callable[[StreamConnection], None],
        touched: Callable[[], None],
        receive_queue: int = 64,
        **options: Any,
    ) -> None:
        if receive_queue < 1:
            raise ValueError("receive_queue is a number of messages from 1 on")
        self.new_event = new_event
        self.touched = touched
        self._opened = opened
        self._most = receive_queue
        self._dropped = 0
        super().__init__(*args, **options)
        self.counters.add("receive_queue_dropped", lambda: self._dropped)

    def _of(self, number: int) -> Any:
        conn = super()._of(number)
        conn._feed = self
        return conn

    def pump(self) -> None:
        """One batch from the socket, handed out; when it is readable or the
        timeout is over."""
        self._handle.check(lib.dtlsl_listener_poll(self._open(), 0))
        event = self.next()
        while event is not None:
            self._hand_out(event)
            event = self.next()

    def _hand_out(self, event: Event) -> None:
        if event.type == "data":
            if not event.conn._deliver(event.data, self._most):
                self._dropped += 1
        elif event.type == "open":
            self._opened(event.conn)
        elif event.type == "writable":
            event.conn._wake_writer()


class StreamServer:
    """What the servers of both loops can do."""

    _listener: StreamListener

    @property
    def address(self) -> Address:
        """The bound address."""
        return self._listener.address

    @property
    def counters(self) -> ListenerCounters:
        """What the library counts; see Counters."""
        return self._listener.counters

    @property
    def connections(self) -> list[StreamConnection]:
        """The open connections, oldest first."""
        return self._listener.connections

    def is_serving(self) -> bool:
        """Whether new peers are taken."""
        return not self._listener.stopping

    def reload(self) -> None:
        """Reads certificate, key, CA and PSK files anew. If it raises, the
        old ones stay."""
        self._listener.reload()

    def close(self) -> None:
        """No new peers; the peers there are get close_notify, and iteration
        over their connections ends. Twice is once."""
        if self.is_serving():
            self._listener.stop()
            self._listener.touched()
