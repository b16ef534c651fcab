# SPDX-License-Identifier: MIT
"""The server for asyncio, and loops like uvloop that are driven the same way.

    async def echo(conn):
        async for message in conn:
            await conn.send(message)

    async with await dtlslisten.serve(echo, "0.0.0.0", 4433, ...) as server:
        await server.serve_forever()
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Optional

from ._streams import (
    StreamConnection,
    StreamListener,
    StreamServer,
    only_closed,
)
from .options import Option

__all__ = ["Server", "serve"]

Handler = Callable[[StreamConnection], Awaitable[None]]


async def serve(
    handler: Handler,
    host: Optional[str] = None,
    port: int = 0,
    *,
    receive_queue: int = 64,
    shutdown_timeout: float = 10.0,
    **options: Option,
) -> Server:
    """Starts a DTLS server on the running loop.

    ``handler(conn)`` runs in a task of its own for each peer whose handshake
    is complete; when it returns or raises, the connection is closed. What it
    raises goes to the loop's exception handler; but for ConnectionClosed, as
    any peer may leave before it is answered. ``receive_queue`` messages of a
    connection wait at most; newer ones are dropped and counted. Leaving
    ``async with`` gives handlers ``shutdown_timeout`` seconds to end, then
    cancels them. Everything else is as for Listener.
    """
    return Server(
        handler, host, port, receive_queue, shutdown_timeout, options
    )


class Server(StreamServer):
    """A running server; an asynchronous context manager. After close() see
    wait_closed()."""

    def __init__(
        self,
        handler: Handler,
        host: Optional[str],
        port: int,
        receive_queue: int,
        shutdown_timeout: float,
        options: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._handler = handler
        self._shutdown_timeout = shutdown_timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: Optional[asyncio.TimerHandle] = None
        self._due = 0.0
        self._touched = False
        self._ended = asyncio.Event()
        self._listener = StreamListener(
            host,
            port,
            new_event=asyncio.Event,
            opened=self._open,
            touched=self._touch,
            receive_queue=receive_queue,
            **options,
        )
        self._fd = self._listener.fileno()
        self._loop.add_reader(self._fd, self._pump)
        self._arm()

    async def wait_closed(self) -> None:
        """Waits until the port is free and all handlers have ended."""
        await self._ended.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def serve_forever(self) -> None:
        """Serves until it is cancelled or close() is called elsewhere."""
        try:
            await self.wait_closed()
        finally:
            self.close()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
        try:
            await asyncio.wait_for(self.wait_closed(), self._shutdown_timeout)
        except asyncio.TimeoutError:
            pass
        finally:
            await self._cancel()

    async def _cancel(self) -> None:
        self._end()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _open(self, conn: StreamConnection) -> None:
        task = self._loop.create_task(self._run(conn))
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, conn))

    async def _run(self, conn: StreamConnection) -> None:
        try:
            await self._handler(conn)
        finally:
            conn.close()

    def _done(self, conn: StreamConnection, task: asyncio.Task[None]) -> None:
        """Not in the task itself: from CPython 3.12 on the loop's exception
        handler runs in the task's context, which can be entered once only."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not only_closed(error):
            self._loop.call_exception_handler(
                {
                    "message": f"Exception in the handler of {conn!r}",
                    "exception": error,
                    "task": task,
                }
            )

    def _pump(self) -> None:
        self._listener.pump()
        self._arm()

    def _touch(self) -> None:
        if not self._touched and not self._loop.is_closed():
            self._touched = True
            self._loop.call_soon(self._arm)

    def _arm(self) -> None:
        """The timer is moved only to an earlier time: an early call finds
        nothing to do and asks anew, which is cheaper than moving it."""
        self._touched = False
        if self._listener.stopped:
            self._end()
        if self._ended.is_set():
            return
        due = self._loop.time() + self._listener.timeout()
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due  # uvloop's handles do not always know theirs
        self._timer = self._loop.call_at(due, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._pump()

    def _end(self) -> None:
        if self._ended.is_set():
            return
        self._loop.remove_reader(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        self._listener.close()
        self._ended.set()
