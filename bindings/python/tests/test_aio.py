# SPDX-License-Identifier: MIT
"""The server for asyncio, on asyncio's own loop and on uvloop's."""
from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Optional

import pytest
from certificates import Pair, make_pair
from clients import (
    IDENTITY,
    KEY,
    Client,
    Program,
    gnutls_cli,
    handshakes,
    s_client,
)
from cryptography import x509
from waiting import until

import dtlslisten
from dtlslisten import Server, StreamConnection

HOST = "127.0.0.1"


async def echo(conn: StreamConnection) -> None:
    """The handler of most tests."""
    async for message in conn:
        await conn.send(message)


def serve(handler: Any = echo, **options: Any) -> Any:
    """A server on a free port."""
    if "psk_file" not in options and "cert_file" not in options:
        options["self_signed"] = True
    return dtlslisten.serve(handler, HOST, 0, **options)


async def echoed(client: Program, line: str = "hello") -> None:
    """The line makes its way to the server and back."""
    client.say(line)
    await until(lambda: client.saw(line))


async def opened(client: Client) -> Client:
    """Waits for the client's handshake."""
    await until(client.is_open)
    return client


async def answered(client: Client, message: bytes = b"hello") -> None:
    """The message makes its way to the server and back."""
    client.send(message)
    await until(lambda: client.has(message))


class Held:
    """A handler that keeps connections open until it is told."""

    def __init__(self) -> None:
        self.conns: list[StreamConnection] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.cancelled = 0
        self.release = asyncio.Event()

    async def __call__(self, conn: StreamConnection) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.conns.append(conn)
        self.tasks.append(task)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@contextlib.asynccontextmanager
async def held(**options: Any) -> AsyncIterator[tuple[Server, Held]]:
    """A server whose handler is a Held, which is released at the end."""
    handler = Held()
    async with await serve(handler, **options) as server:
        yield server, handler
        handler.release.set()


def one_of(handler: Held) -> StreamConnection:
    """The only connection that came."""
    assert len(handler.conns) == 1
    return handler.conns[0]


# ---- sessions --------------------------------------------------------------


async def test_openssl_echo_and_facts() -> None:
    """What `openssl s_client` asked for is seen here."""
    async with held(alpn=["coap", "echo"]) as (server, handler):
        with s_client(
            server.address, "-alpn", "echo", "-servername", "coap.example"
        ):
            await until(lambda: handler.conns)
            conn = one_of(handler)
            assert conn.alpn == "echo"
            assert conn.server_name == "coap.example"
            assert conn.version == "DTLSv1.2"
            assert "GCM" in conn.cipher or "CHACHA20" in conn.cipher
            assert conn.psk_identity == ""
            assert conn.peer_certificate() is None
            assert conn.peer.host == HOST
            assert conn.local == server.address
            assert conn.cookie_app == b""
            assert 0 <= conn.cookie_age < 60


@pytest.mark.parametrize("client", [s_client, gnutls_cli])
async def test_echo(client: Any) -> None:
    """Both libraries' programs talk to us, and say goodbye."""
    async with await serve() as server:
        with client(server.address) as program:
            await echoed(program, "hello")
            await echoed(program, "again")
            assert len(server.connections) == 1
        assert server.counters["opened"] == 1
        assert server.counters["data_in"] == 2
        assert server.counters["data_out"] == 2


@pytest.mark.parametrize("host", [None, "::1"])
async def test_echo_over_ipv6(host: Optional[str]) -> None:
    """The wildcard is dual-stack."""
    async with await dtlslisten.serve(echo, host, self_signed=True) as server:
        address = dtlslisten.Address("::1", server.address.port)
        with Client(address) as client:
            await opened(client)
            await answered(client)
            (conn,) = server.connections
            assert conn.peer.host == "::1"
            assert conn.peer.port == client.address[1]


async def test_psk_identity(psk_file: Path) -> None:
    """A pre-shared key, from both libraries' programs."""
    async with held(psk_file=psk_file) as (server, handler):
        with s_client(
            server.address, "-psk_identity", IDENTITY, "-psk", KEY
        ), gnutls_cli(
            server.address,
            f"--pskusername={IDENTITY}",
            f"--pskkey={KEY}",
            "--priority=NORMAL:-KX-ALL:+ECDHE-PSK:+PSK",
        ):
            await until(lambda: len(handler.conns) == 2)
            for conn in handler.conns:
                assert conn.psk_identity == IDENTITY
                assert "PSK" in conn.cipher


async def test_peer_certificate(server_pair: Pair, client_pair: Pair) -> None:
    """It is the client's, byte by byte."""
    async with held(
        cert_file=server_pair.cert_file,
        key_file=server_pair.key_file,
        ca_file=client_pair.cert_file,
    ) as (server, handler):
        with Client(server.address, pair=client_pair) as client:
            await opened(client)
            await until(lambda: handler.conns)
            assert one_of(handler).peer_certificate() == client_pair.der


@pytest.mark.parametrize(
    "context",
    [
        None,
        b"",
        b"context",
        b"\0" * 300,
        memoryview(b"wide").cast("B", (1, 4)),
    ],
)
async def test_exporter(context: Any) -> None:
    """Both sides get the same bytes (RFC 5705)."""
    label = "EXPERIMENTAL dtlslisten"
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            ours = one_of(handler).export_keying_material(label, 40, context)
            assert len(ours) == 40
            assert ours == client.ssl.export_keying_material(
                label.encode(), 40, context and bytes(context)
            )
            for wrong in (label + "\0", "\0"):
                with pytest.raises(ValueError, match="NUL"):
                    one_of(handler).export_keying_material(wrong, 40)


async def test_facts_after_the_end() -> None:
    """Who asks too late is told so."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            client.shutdown()
            await until(lambda: conn.closed)
        peer = conn.peer
        assert conn.close_reason == "peer"
        assert conn.close_text
        assert peer.port == client.address[1]
        with pytest.raises(dtlslisten.ConnectionClosed) as caught:
            conn.send_nowait(b"late")
        assert caught.value.name == "DTLSL_ERR_NOCONN"
        assert isinstance(caught.value, ConnectionError)
        for ask in (lambda: conn.alpn, lambda: conn.mtu, lambda: conn.local):
            with pytest.raises(dtlslisten.ConnectionClosed):
                ask()
        conn.close()
    with pytest.raises(dtlslisten.ConnectionClosed):
        conn.send_nowait(b"much too late")
    with pytest.raises(dtlslisten.ConnectionClosed):
        conn.peer_certificate()
    conn.close()
    assert "peer" in repr(conn)


# ---- datagrams -------------------------------------------------------------


async def test_longest_datagram() -> None:
    """It arrives whole; one byte more is refused and sends nothing."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            longest = os.urandom(conn.mtu)
            with pytest.raises(dtlslisten.TooBig) as caught:
                conn.send_nowait(longest + b"x")
            assert caught.value.name == "DTLSL_ERR_TOOBIG"
            assert caught.value.code < -10000
            with pytest.raises(ValueError):
                await conn.send(longest + b"x")
            await conn.send(longest)
            await until(lambda: client.has(longest))
            assert client.received == [longest]


async def test_datagrams_of_all_lengths_come_in() -> None:
    """Up to the longest record."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            for length in (1, conn.mtu, conn.mtu + 1, 16384):
                message = os.urandom(length)
                client.send(message)
                assert await conn.receive() == message


async def test_datagram_beyond_the_buffer_is_dropped() -> None:
    """It is counted, and the connection lives."""
    async with await serve() as server:
        with Client(server.address) as client:
            await opened(client)
            # What is no DTLS at all would not leave the kernel.
            client.send_raw(b"\x17\xfe\xfd" + os.urandom(20000))
            await until(lambda: server.counters["drop_truncated"] == 1)
            await answered(client)


def wide(message: bytes) -> memoryview:
    """The same bytes in one row, so that len() is 1."""
    return memoryview(message).cast("B", (1, len(message)))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, wide])
async def test_all_kinds_of_bytes_are_sent(kind: Any) -> None:
    """What has a buffer can be sent, all of it; text cannot."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            await one_of(handler).send(kind(b"hello!"))
            await until(lambda: client.has(b"hello!"))
            with pytest.raises(TypeError):
                await one_of(handler).send("hello")  # type: ignore[arg-type]


async def test_empty_message() -> None:
    """DTLS has none."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            with pytest.raises(ValueError, match="one byte"):
                await one_of(handler).send(b"")


async def test_receive_queue_is_bounded() -> None:
    """The newest are dropped and counted, of the connection and in all."""
    async with held(receive_queue=4) as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            for i in range(10):
                client.send(b"%d" % i)
            await until(lambda: server.counters["data_in"] == 10)
            assert conn.dropped == 6
            assert server.counters["receive_queue_dropped"] == 6
            assert [await conn.receive() for _ in range(4)] == [
                b"0",
                b"1",
                b"2",
                b"3",
            ]
            client.send(b"room again")
            assert await conn.receive() == b"room again"


async def test_queue_is_read_to_its_end() -> None:
    """What came before the close is delivered."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            client.send(b"one")
            client.send(b"two")
            client.shutdown()
            await until(lambda: conn.closed)
            assert [message async for message in conn] == [b"one", b"two"]
            with pytest.raises(dtlslisten.ConnectionClosed):
                await conn.receive()


# ---- ends ------------------------------------------------------------------


async def test_killed_client_is_idle() -> None:
    """idle_timeout ends what nobody ends."""
    async with held(idle_timeout=0.3) as (server, handler):
        with s_client(server.address):
            await until(lambda: handler.conns)
        conn = one_of(handler)
        await until(lambda: conn.closed)
        assert conn.close_reason == "idle"
        assert server.connections == []


async def test_client_comes_back_from_its_port() -> None:
    """RFC 6347 section 4.2.8: the old connection is replaced."""
    async with await serve() as server:
        with Client(server.address) as first:
            await opened(first)
            await answered(first)
            (old,) = server.connections
        with Client(server.address, bind=first.address) as second:
            await opened(second)
            await answered(second)
            await until(lambda: old.closed)
            (new,) = server.connections
        assert old.close_reason == "replaced"
        assert new.peer == old.peer
        assert new.id != old.id
        assert server.counters["replaced"] == 1


async def test_close_tells_the_peer() -> None:
    """A handler that returns closes its connection."""

    async def once(conn: StreamConnection) -> None:
        await conn.send(await conn.receive())

    async with await serve(once) as server:
        with Client(server.address) as client:
            await opened(client)
            await answered(client)
            await until(client.was_told)
        await until(lambda: not server.connections)


async def test_close_by_the_handler() -> None:
    """Iteration ends when the connection was closed here."""
    ends: list[Optional[str]] = []

    async def closing(conn: StreamConnection) -> None:
        async for _ in conn:
            conn.close()
            conn.close()
        ends.append(conn.close_reason)

    async with await serve(closing) as server:
        with Client(server.address) as client:
            await opened(client)
            client.send(b"go")
            await until(client.was_told)
            await until(lambda: ends)
    assert ends == ["local"]


def told_to_the_loop() -> list[dict[str, Any]]:
    """What the loop's exception handler is told from now on."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    return told


async def test_handler_that_raises() -> None:
    """The loop's exception handler is told once; the server lives."""
    told = told_to_the_loop()

    async def raising(conn: StreamConnection) -> None:
        async for message in conn:
            if message == b"boom":
                raise RuntimeError("boom")
            await conn.send(message)

    async with await serve(raising) as server:
        with Client(server.address) as bad, Client(server.address) as good:
            await opened(bad)
            await opened(good)
            bad.send(b"boom")
            await until(bad.was_told)
            await answered(good)
        with s_client(server.address) as another:
            await echoed(another)
    assert len(told) == 1, told
    context = told[0]
    assert isinstance(context["exception"], RuntimeError)
    assert bad_port(context) == bad.address[1]


async def leave_early(server: Server, ends: list[Any]) -> None:
    """A peer that closes before its second message is answered; until the
    handler has noted its end."""
    with Client(server.address) as hasty:
        await opened(hasty)
        await until(lambda: server.connections)
        hasty.send(b"one")
        hasty.send(b"two")
        hasty.shutdown()
        await until(lambda: ends)


async def test_peer_that_leaves_before_its_answer() -> None:
    """ConnectionClosed ends its handler, and nobody is told."""
    told = told_to_the_loop()
    ends: list[type[BaseException]] = []

    async def handler(conn: StreamConnection) -> None:
        try:
            await echo(conn)
        except dtlslisten.ConnectionClosed as error:
            ends.append(type(error))
            raise

    async with await serve(handler) as server:
        await leave_early(server, ends)
    assert told == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no TaskGroup")
async def test_peer_that_leaves_a_task_group() -> None:
    """Nobody is told of a group of ConnectionClosed either."""
    told = told_to_the_loop()
    ends: list[BaseException] = []

    async def handler(conn: StreamConnection) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                async for message in conn:
                    group.create_task(conn.send(message))
        except Exception as error:
            ends.append(error)
            raise

    async with await serve(handler) as server:
        await leave_early(server, ends)
    assert told == []
    (part, *_) = ends[0].exceptions  # type: ignore[attr-defined]
    assert isinstance(part, dtlslisten.ConnectionClosed)


def bad_port(context: dict[str, Any]) -> int:
    """The port of the connection in an exception handler's message."""
    found = re.search(r":(\d+) ", context["message"])
    assert found is not None
    return int(found[1])


# ---- cancellation ----------------------------------------------------------


async def test_cancelled_receive_loses_nothing() -> None:
    """Time-outs of all lengths around receive(), messages between them."""
    count = 200
    got: list[bytes] = []

    async def impatient(conn: StreamConnection) -> None:
        wait = 0.0
        while len(got) < count:
            wait = (wait + 0.0001) % 0.002
            with contextlib.suppress(asyncio.TimeoutError):
                got.append(await asyncio.wait_for(conn.receive(), wait))

    sent = [b"%d" % i for i in range(count)]
    async with await serve(impatient, receive_queue=count) as server:
        with Client(server.address) as client:
            await opened(client)
            for message in sent:
                client.send(message)
                await asyncio.sleep(0)
            await until(lambda: len(got) == count)
    assert got == sent


async def test_cancelled_at_the_moment_of_delivery() -> None:
    """The message stays for the next receive()."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            task = asyncio.ensure_future(conn.receive())
            await asyncio.sleep(0)
            before = server.counters["data_in"]
            client.send(b"precious")
            while server.counters["data_in"] == before:
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await task == b"precious"
                return
            assert await conn.receive() == b"precious"


async def test_two_tasks_may_receive() -> None:
    """Each message goes to one of them."""
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
            conn = one_of(handler)
            both = [asyncio.ensure_future(conn.receive()) for _ in range(2)]
            await asyncio.sleep(0)
            client.send(b"a")
            client.send(b"b")
            assert sorted(await asyncio.gather(*both)) == [b"a", b"b"]


async def test_cancelled_handler_closes() -> None:
    """Quietly: cancellation is no error."""
    told = told_to_the_loop()
    async with held() as (server, handler):
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.tasks)
            handler.tasks[0].cancel()
            await until(client.was_told)
            await until(lambda: not server.connections)
        assert one_of(handler).close_reason == "local"
    assert told == []


async def test_cancelled_serve_forever_closes() -> None:
    """As in asyncio.Server."""
    async with await serve() as server:
        forever = asyncio.ensure_future(server.serve_forever())
        with Client(server.address) as client:
            await opened(client)
            await answered(client)
            forever.cancel()
            with pytest.raises(asyncio.CancelledError):
                await forever
            assert not server.is_serving()
            await until(client.was_told)
            await server.wait_closed()


async def test_serve_forever_ends_with_close() -> None:
    """close() elsewhere lets it return."""
    async with await serve() as server:
        forever = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        server.close()
        await forever
    server.close()
    await server.wait_closed()


# ---- the end of a server ---------------------------------------------------


async def test_handlers_may_end_in_peace() -> None:
    """Leaving the block waits for them; the port is free afterwards."""
    ends: list[str] = []

    async def slow(conn: StreamConnection) -> None:
        async for _ in conn:
            pass
        for _ in range(10):
            await asyncio.sleep(0)
        ends.append(str(conn.close_reason))

    async with await serve(slow) as server:
        port = server.address.port
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: server.connections)
            server.close()
            await server.wait_closed()
            assert ends == ["stopped"]
            await until(client.was_told)
    again = await dtlslisten.serve(echo, HOST, port, self_signed=True)
    async with again as server:
        assert server.address.port == port


async def test_handler_that_hangs_is_cancelled() -> None:
    """After shutdown_timeout."""
    handler = Held()
    async with await serve(handler, shutdown_timeout=0.05) as server:
        with Client(server.address) as client:
            await opened(client)
            await until(lambda: handler.conns)
    assert handler.cancelled == 1
    assert all(task.done() for task in handler.tasks)


async def test_block_that_raises_closes() -> None:
    """The exception goes on."""
    with pytest.raises(KeyError):
        async with await serve() as server:
            raise KeyError
    await server.wait_closed()


async def test_cancelled_while_leaving() -> None:
    """Handlers are cancelled all the same."""
    handler = Held()

    async def block() -> None:
        async with await serve(handler) as server:
            with Client(server.address) as client:
                await opened(client)
                await until(lambda: handler.conns)

    task = asyncio.ensure_future(block())
    await until(lambda: handler.conns and handler.conns[0].closed)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handler.cancelled == 1


# ---- the rest --------------------------------------------------------------


async def test_two_servers_on_one_loop() -> None:
    """Each has its own port, connections and counters."""
    async with await serve() as one, await serve() as two:
        with Client(one.address) as first, Client(two.address) as second:
            await opened(first)
            await opened(second)
            await answered(first, b"first")
            await answered(second, b"second")
            assert one.connections[0].peer.port == first.address[1]
            assert two.connections[0].peer.port == second.address[1]
        assert one.counters["opened"] == two.counters["opened"] == 1


async def test_reload(tmp_path: Path) -> None:
    """The next handshake gets the new certificate; a bad one changes
    nothing."""
    pair = make_pair(tmp_path, "before")
    async with await serve(
        cert_file=pair.cert_file, key_file=pair.key_file
    ) as server:
        with Client(server.address) as old:
            await opened(old)
            assert name_of(old) == "before"
            make_pair(tmp_path, "after")
            server.reload()
            pair.cert_file.write_text("no certificate")
            with pytest.raises(dtlslisten.ConfigError) as caught:
                server.reload()
            assert str(pair.cert_file) in str(caught.value)
            with Client(server.address) as new:
                await opened(new)
                assert name_of(new) == "after"
            await answered(old)


def name_of(client: Client) -> str:
    """The subject of the server's certificate."""
    names = client.ssl.get_peer_certificate().to_cryptography().subject
    (name,) = names.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


async def test_own_socket() -> None:
    """sock= stays the caller's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        async with await dtlslisten.serve(
            echo, sock=sock, self_signed=True
        ) as server:
            assert server.address.port == sock.getsockname()[1]
            with Client(server.address) as client:
                await opened(client)
                await answered(client)
        assert sock.fileno() >= 0


async def test_no_thread_is_started() -> None:
    """Neither Python's nor the library's."""

    def tasks() -> list[str]:
        return os.listdir("/proc/self/task")

    before = tasks(), threading.active_count()
    async with await serve() as server:
        with Client(server.address) as client:
            await opened(client)
            await answered(client)
            assert (tasks(), threading.active_count()) == before
    assert (tasks(), threading.active_count()) == before


async def test_thousand_sessions() -> None:
    """All open at the same time, each echoed."""
    most = 0

    async def counting(conn: StreamConnection) -> None:
        nonlocal most
        most = max(most, len(server.connections))
        await echo(conn)

    async with await serve(counting) as server:
        with handshakes(
            server.address, "-n", "1000", "-j", "4", "-e", "3", "-k"
        ) as clients:
            await until(lambda: clients.ended)
            assert clients.status == 0, clients.output
            assert "completed 1000 " in clients.output
            assert "echoed 3000 " in clients.output
            assert "open 1000" in clients.output
        await until(lambda: not server.connections)
        assert most == server.counters["opened"] == 1000
        assert server.counters["data_out"] >= 3000


@pytest.mark.parametrize("queue", [0, -1])
async def test_impossible_queue(queue: int) -> None:
    """A connection needs room for a message."""
    with pytest.raises(ValueError):
        await serve(receive_queue=queue)
