# SPDX-License-Identifier: MIT
"""The server for trio."""
from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from clients import Client, gnutls_cli, s_client
from waiting import LIMIT

import dtlslisten
import dtlslisten.trio
from dtlslisten import StreamConnection

HOST = "127.0.0.1"


def run(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """trio.run() with a limit."""

    async def limited() -> Any:
        with trio.fail_after(LIMIT):
            return await main(*args)

    return trio.run(limited)


async def until(condition: Callable[[], Any]) -> None:
    """Waits until it is true, while the loop runs."""
    while not condition():
        await trio.sleep(0.002)


async def echo(conn: StreamConnection) -> None:
    """The handler of most tests."""
    async for message in conn:
        await conn.send(message)


@asynccontextmanager
async def served(
    handler: Any = echo, **options: Any
) -> AsyncIterator[dtlslisten.trio.Server]:
    """A server that is cancelled at the end."""
    options.setdefault("self_signed", True)
    async with trio.open_nursery() as nursery:

        async def serve(task_status: Any) -> None:
            await dtlslisten.trio.serve(
                handler, HOST, 0, task_status=task_status, **options
            )

        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


async def _echo(client: Any) -> None:
    async with served(alpn=["echo"]) as server:
        with client(server.address) as program:
            program.say("hello")
            await until(lambda: program.saw("hello"))
            (conn,) = server.connections
            assert conn.version == "DTLSv1.2"
        assert server.counters["opened"] == 1


@pytest.mark.parametrize("client", [s_client, gnutls_cli])
def test_echo(client: Any) -> None:
    """Both libraries' programs."""
    run(_echo, client)


def test_many_and_no_thread() -> None:
    """Connections at once, one of them from an old port."""

    async def main() -> None:
        before = os.listdir("/proc/self/task"), threading.active_count()
        async with served() as server:
            clients = [Client(server.address) for _ in range(20)]
            await until(lambda: all(client.is_open() for client in clients))
            for i, client in enumerate(clients):
                client.send(b"%d" % i)
            await until(
                lambda: all(
                    client.has(b"%d" % i) for i, client in enumerate(clients)
                )
            )
            assert len(server.connections) == 20
            old = server.connections[0]
            clients[0].vanish()
            with Client(server.address, bind=clients[0].address) as new:
                await until(new.is_open)
                await until(lambda: old.closed)
                assert old.close_reason == "replaced"
            for client in clients:
                client.vanish()
            after = os.listdir("/proc/self/task"), threading.active_count()
            assert after == before

    run(main)


def test_close_lets_serve_return() -> None:
    """The peers are told; handlers end by themselves."""
    ends: list[Any] = []

    async def handler(conn: StreamConnection) -> None:
        await echo(conn)
        ends.append(conn.close_reason)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(_serve, handler)
            with Client(server.address) as client:
                await until(client.is_open)
                await until(lambda: server.connections)
                server.close()
                server.close()
                await until(client.was_told)
                await until(lambda: ends)
        assert nursery.child_tasks == set()
        assert ends == ["stopped"]

    run(main)


async def _serve(handler: Any, task_status: Any, **options: Any) -> None:
    await dtlslisten.trio.serve(
        handler, HOST, 0, self_signed=True, task_status=task_status, **options
    )


def test_cancellation_tells_the_peers() -> None:
    """Handlers are cancelled, the port is free."""
    cancelled: list[Any] = []

    async def handler(conn: StreamConnection) -> None:
        try:
            await conn.receive()
        except trio.Cancelled:
            cancelled.append(conn)
            raise

    async def main() -> None:
        async with served(handler) as server:
            address = server.address
            client = Client(address)
            await until(client.is_open)
            await until(lambda: server.connections)
        with client:
            await until(client.was_told)
        (conn,) = cancelled
        assert conn.closed
        with dtlslisten.Listener(*address, self_signed=True) as again:
            assert again.address == address

    run(main)


def test_cancelled_receive_loses_nothing() -> None:
    """Time-outs of all lengths around receive()."""
    count = 200
    got: list[bytes] = []

    async def impatient(conn: StreamConnection) -> None:
        wait = 0.0
        while len(got) < count:
            wait = (wait + 0.0001) % 0.002
            with trio.move_on_after(wait):
                got.append(await conn.receive())

    async def main() -> None:
        sent = [b"%d" % i for i in range(count)]
        async with served(impatient, receive_queue=count) as server:
            with Client(server.address) as client:
                await until(client.is_open)
                for message in sent:
                    client.send(message)
                    await trio.sleep(0)
                await until(lambda: len(got) == count)
        assert got == sent

    run(main)


def test_handler_that_raises_ends_the_nursery() -> None:
    """As in trio.serve_tcp(); the peers are told."""

    async def boom(conn: StreamConnection) -> None:
        await conn.receive()
        raise RuntimeError("boom")

    async def main() -> None:
        client = None
        with pytest.raises(Exception) as caught:  # newer trios: in groups
            async with served(boom) as server:
                client = Client(server.address)
                await until(client.is_open)
                client.send(b"x")
                await trio.sleep_forever()
        assert repr(leaf(caught.value)) == repr(RuntimeError("boom"))
        assert client is not None
        with client:
            await until(client.was_told)

    run(main)


def test_peer_that_leaves_before_its_answer() -> None:
    """It ends its handler, not the server of all others."""

    async def main() -> None:
        async with served() as server:
            with Client(server.address) as hasty:
                await until(hasty.is_open)
                hasty.send(b"one")
                hasty.send(b"two")
                hasty.shutdown()
                await until(lambda: server.counters["closed"] == 1)
            with Client(server.address) as another:
                await until(another.is_open)
                another.send(b"hello")
                await until(lambda: another.has(b"hello"))

    run(main)


@pytest.mark.filterwarnings("ignore:.*strict_exception_groups")
@pytest.mark.parametrize("strict", [False, True])
def test_peer_that_leaves_a_nursery(strict: bool) -> None:
    """Nor when it leaves a handler with tasks, whose nursery makes a group
    of it; what is not a peer's leaving still ends the server."""
    ends: list[BaseException] = []

    async def handler(conn: StreamConnection) -> None:
        try:
            async with trio.open_nursery() as nursery:
                async for message in conn:
                    nursery.start_soon(conn.send, message)
                    if message == b"boom":
                        nursery.start_soon(conn.send, b"")
        except Exception as error:
            ends.append(error)
            raise

    async def main() -> None:
        async with served(handler) as server:
            with Client(server.address) as hasty:
                await until(hasty.is_open)
                hasty.send(b"one")
                hasty.send(b"two")
                hasty.shutdown()
                await until(lambda: ends)
            with Client(server.address) as another:
                await until(another.is_open)
                another.send(b"hello")
                await until(lambda: another.has(b"hello"))
                another.send(b"boom")
                await trio.sleep_forever()

    async def limited() -> None:
        with trio.fail_after(LIMIT):
            await main()

    with pytest.raises(Exception) as caught:
        trio.run(limited, strict_exception_groups=strict)
    assert "at least" in str(leaf(caught.value))
    assert isinstance(leaf(ends[0]), dtlslisten.ConnectionClosed)


def leaf(error: BaseException) -> BaseException:
    """The first exception that is no group."""
    parts = getattr(error, "exceptions", None)
    return leaf(parts[0]) if parts else error


def test_receive_queue_is_bounded() -> None:
    """The newest are dropped and counted."""

    async def main() -> None:
        conns: list[StreamConnection] = []

        async def holding(conn: StreamConnection) -> None:
            conns.append(conn)
            await trio.sleep_forever()

        async with served(holding, receive_queue=2) as server:
            with Client(server.address) as client:
                await until(client.is_open)
                for i in range(5):
                    client.send(b"%d" % i)
                await until(lambda: server.counters["data_in"] == 5)
                assert conns[0].dropped == 3
                assert server.counters["receive_queue_dropped"] == 3
                assert await conns[0].receive() == b"0"
                assert await conns[0].receive() == b"1"

    run(main)


def test_checkpoints() -> None:
    """Who has always something to do lets others run all the same."""

    async def main() -> None:
        conns: list[StreamConnection] = []

        async def holding(conn: StreamConnection) -> None:
            conns.append(conn)
            await trio.sleep_forever()

        async with served(holding) as server:
            with Client(server.address) as client:
                await until(client.is_open)
                await until(lambda: conns)
                client.send(b"x")
                await until(lambda: server.counters["data_in"] == 1)
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await conns[0].receive()
                assert scope.cancelled_caught
                with trio.testing.assert_checkpoints():
                    assert await conns[0].receive() == b"x"
                with trio.testing.assert_checkpoints():
                    await conns[0].send(b"y")
                await until(lambda: client.has(b"y"))

    run(main)


def test_wrong_options() -> None:
    """They end the start, with the exception as it is."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with pytest.raises(TypeError, match="idle_timeout"):
                await nursery.start(_start_wrong)

    run(main)


async def _start_wrong(task_status: Any) -> None:
    await _serve(echo, task_status, idle_timout=3)
