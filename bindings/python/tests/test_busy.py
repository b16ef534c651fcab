# SPDX-License-Identifier: MIT
"""A socket that takes no more.

On loopback a socket is never full: tests/full_socket.c stands between the
library and the system's sendmmsg().
"""
from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import trio
from clients import Client
from waiting import pump, until

import dtlslisten
import dtlslisten.trio
from dtlslisten import Busy, Event, Listener, Server, StreamConnection

HOST = "127.0.0.1"
# What fits in 8 KB with the system's own part takes least of a client's
# socket, and that has to hold all that the server had waiting.
SOME = b"x" * 7000
MTU = 8000


@contextmanager
def full() -> Iterator[None]:
    """No send passes meanwhile."""
    blocked = ctypes.c_int.in_dll(ctypes.CDLL(None), "sends_blocked")
    blocked.value = 1
    try:
        yield
    finally:
        blocked.value = 0


def fill(conn: Any) -> list[bytes]:
    """Sends until it is told Busy; what was taken."""
    taken: list[bytes] = []
    while True:
        message = b"%06d" % len(taken) + SOME
        try:
            conn.send_nowait(message)
        except Busy:
            return taken
        taken.append(message)


def test_listener() -> None:
    """Busy, and one "writable" once there is room."""
    events: list[Event] = []
    with Listener(HOST, self_signed=True, mtu=MTU) as listener:
        with Client(listener.address) as client:
            pump(listener, client.is_open)
            (conn,) = listener.connections
            with full():
                taken = fill(conn)
                assert len(taken) > 3
                with pytest.raises(BlockingIOError) as caught:
                    conn.send(b"more")
                assert isinstance(caught.value, Busy)
                assert caught.value.name == "DTLSL_ERR_BUSY"
                for _ in range(20):
                    listener.poll()
                    assert listener.next() is None
            pump(listener, lambda: events, events.append)
            pump(listener, lambda: client.has(taken[-1]), events.append)
            assert [event.type for event in events] == ["writable"]
            assert events[0].conn is conn
            assert client.received == taken
            conn.send(b"more")
            pump(listener, lambda: client.has(b"more"))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Server, Client, Any]]:
    """A server, its client, and their connection."""
    conns: list[StreamConnection] = []
    ended = asyncio.Event()

    async def handler(conn: StreamConnection) -> None:
        conns.append(conn)
        await ended.wait()

    async with await dtlslisten.serve(
        handler, HOST, self_signed=True, mtu=MTU
    ) as server:
        with Client(server.address) as client:
            await until(client.is_open)
            await until(lambda: conns)
            yield server, client, conns[0]
            ended.set()


async def turns(count: int = 20) -> None:
    """Lets the loop run, and the listener find that the socket is full."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_send_waits() -> None:
    """Until there is room; nothing is lost, nothing is sent twice."""
    async with connected() as (_, client, conn):
        with full():
            sent = fill(conn)
            more = [b"%d" % i for i in range(5)]
            tasks = [asyncio.ensure_future(conn.send(m)) for m in more]
            await turns()
            assert not any(task.done() for task in tasks)
        await asyncio.gather(*tasks)
        await until(lambda: client.step() and len(client.received) >= 5)
        await until(lambda: all(client.has(message) for message in more))
        assert client.received == sent + more


async def test_cancelled_send_has_sent_nothing() -> None:
    """By cancel() or by a time-out."""
    async with connected() as (_, client, conn):
        with full():
            sent = fill(conn)
            task = asyncio.ensure_future(conn.send(b"cancelled"))
            other = asyncio.ensure_future(conn.send(b"not cancelled"))
            await turns()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(conn.send(b"timed out"), 0.01)
        await other
        await until(lambda: client.has(b"not cancelled"))
        assert client.received == sent + [b"not cancelled"]


async def test_send_ends_with_the_connection() -> None:
    """ConnectionClosed when the peer leaves meanwhile."""
    async with connected() as (_, client, conn):
        with full():
            fill(conn)
            task = asyncio.ensure_future(conn.send(b"too late"))
            await turns()
            client.shutdown()
            with pytest.raises(dtlslisten.ConnectionClosed):
                await task
        assert conn.close_reason == "peer"


async def test_receive_ends_with_the_server() -> None:
    """In a task that is no handler, too, and without a word from the socket
    that the connection is gone."""
    server = await dtlslisten.serve(
        lambda conn: conn.receive(),  # type: ignore[arg-type,return-value]
        HOST,
        self_signed=True,
        mtu=MTU,
        shutdown_timeout=0.05,
    )
    with Client(server.address) as client:
        await until(client.is_open)
        (conn,) = server.connections
        with full():
            fill(conn)
            task = asyncio.ensure_future(conn.receive())
            async with server:
                await turns()
            with pytest.raises(dtlslisten.ConnectionClosed):
                await asyncio.wait_for(task, 10)
    assert conn.close_reason == "stopped"


async def test_leaving_the_block_does_not_wait_for_room() -> None:
    """Handlers are cancelled after shutdown_timeout all the same."""
    ends: list[type[BaseException]] = []

    async def stuck(conn: StreamConnection) -> None:
        await conn.receive()
        fill(conn)
        try:
            await conn.send(b"too late")
        except BaseException as error:
            ends.append(type(error))
            raise

    server = await dtlslisten.serve(
        stuck, HOST, self_signed=True, mtu=MTU, shutdown_timeout=0.05
    )
    with Client(server.address) as client:
        await until(client.is_open)
        with full():
            async with server:
                client.send(b"go")
                await until(lambda: server.counters["send_blocked"])
    assert ends == [asyncio.CancelledError]


def test_trio() -> None:
    """The same core: it waits, and cancelled it has sent nothing."""
    conns: list[StreamConnection] = []

    async def handler(conn: StreamConnection) -> None:
        conns.append(conn)
        await trio.sleep_forever()

    async def serve(task_status: Any) -> None:
        await dtlslisten.trio.serve(
            handler, HOST, self_signed=True, mtu=MTU, task_status=task_status
        )

    async def main(nursery: trio.Nursery) -> None:
        server = await nursery.start(serve)
        with Client(server.address) as client:
            while not client.is_open() or not conns:
                await trio.sleep(0.001)
            with full():
                sent = fill(conns[0])
                with trio.move_on_after(0.02) as scope:
                    await conns[0].send(b"cancelled")
                assert scope.cancelled_caught
                nursery.start_soon(conns[0].send, b"waited")
                await trio.sleep(0.02)
            while not client.has(b"waited"):
                await trio.sleep(0.001)
            assert client.received == sent + [b"waited"]
        nursery.cancel_scope.cancel()

    async def limited() -> None:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                await main(nursery)

    trio.run(limited)
