# SPDX-License-Identifier: MIT
"""The server for trio.

    start = functools.partial(dtlslisten.trio.serve, self_signed=True)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(start, echo, "0.0.0.0", 4433)
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Optional

import trio

from ._library import Bytes
from ._streams import (
    StreamConnection,
    StreamListener,
    StreamServer,
    only_closed,
)
from .options import Option

__all__ = ["Server", "serve"]

Handler = Callable[[StreamConnection], Awaitable[None]]


class _Connection(StreamConnection):
    """Trio's rule: what is asynchronous is a checkpoint, always."""

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return await super().receive()

    receive.__doc__ = StreamConnection.receive.__doc__

    async def send(self, data: Bytes) -> None:
        await trio.lowlevel.checkpoint()
        await super().send(data)

    send.__doc__ = StreamConnection.send.__doc__


class _Listener(StreamListener):
    _connection = _Connection


class Server(StreamServer):
    """What ``nursery.start()`` returns. After close() serve() returns when the
    handlers have ended."""

    def __init__(self, listener: StreamListener) -> None:
        self._listener = listener


async def serve(
    handler: Handler,
    host: Optional[str] = None,
    port: int = 0,
    *,
    receive_queue: int = 64,
    task_status: Any = trio.TASK_STATUS_IGNORED,
    **options: Option,
) -> None:
    """Serves until it is cancelled, or until Server.close().

    As in trio.serve_tcp(), ``handler(conn)`` runs in a task for each peer
    whose handshake is complete, and what it raises ends the server; but for
    ConnectionClosed, as any peer may leave before it is answered.
    ``receive_queue`` messages of a connection wait at most; newer ones are
    dropped and counted. Everything else is as for Listener.
    """
    driver = _Driver(handler)
    listener = _Listener(
        host,
        port,
        new_event=trio.Event,
        opened=driver.open,
        touched=driver.touch,
        receive_queue=receive_queue,
        **options,
    )
    try:
        async with trio.open_nursery() as driver.nursery:
            task_status.started(Server(listener))
            await driver.run(listener)
    finally:
        listener.finish()


class _Driver:
    nursery: trio.Nursery

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._waiting: Optional[trio.CancelScope] = None

    def open(self, conn: StreamConnection) -> None:
        self.nursery.start_soon(self._run, conn)

    async def _run(self, conn: StreamConnection) -> None:
        try:
            await self._handler(conn)
        except Exception as error:
            if not only_closed(error):
                raise
        finally:
            conn.close()

    def touch(self) -> None:
        """Ends a wait: its time may have changed."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self, listener: StreamListener) -> None:
        """Pumps until "stopped"."""
        while not listener.stopped:
            with trio.move_on_after(listener.timeout()) as self._waiting:
                await trio.lowlevel.wait_readable(listener.fileno())
            self._waiting = None
            listener.pump()
