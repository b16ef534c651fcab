# SPDX-License-Identifier: MIT
"""The listener without a loop, or in a loop of one's own."""
from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import Client, Program, gnutls_cli, s_client
from waiting import LIMIT, pump

import dtlslisten
from dtlslisten import Event, Listener

HOST = "127.0.0.1"


def listen(**options: Any) -> Listener:
    """On a free port."""
    return Listener(HOST, 0, self_signed=True, **options)


def echo(event: Event) -> None:
    """What most tests do with events."""
    if event.type == "data":
        event.conn.send(event.data)


def types(events: list[Event]) -> list[str]:
    """What happened, in order."""
    return [event.type for event in events]


def said_and_seen(program: Program) -> Callable[[], bool]:
    """A condition: its line came back."""
    program.say("hello")
    return lambda: program.saw("hello")


@pytest.mark.parametrize("client", [s_client, gnutls_cli])
def test_iteration(client: Any) -> None:
    """Events until "stopped"."""
    seen: list[Event] = []
    with listen() as listener, client(listener.address) as program:
        program.say("hello")
        for event in listener:
            seen.append(event)
            echo(event)
            if event.type == "data":
                listener.stop()
        pump(listener, lambda: program.saw("hello"))
    assert types(seen) == ["open", "data", "close", "stopped"]
    assert seen[1].data == b"hello\n"
    assert seen[2].conn is seen[0].conn
    assert seen[2].text
    assert seen[2].conn.close_reason == "stopped"


def test_poll_and_next() -> None:
    """poll() says whether there is something; next() until None."""
    with listen() as listener:
        assert listener.poll() is False
        assert listener.next() is None
        assert listener.poll(0.01) is False
        with Client(listener.address) as client:
            while not client.is_open():
                if listener.poll(0.01):
                    event = listener.next()
                    assert event is not None and event.type == "open"
                    assert event.conn in listener.connections
            assert listener.next() is None


def test_events_of_a_rehandshake() -> None:
    """The old connection ends as the new one opens."""
    seen: list[Event] = []
    with listen() as listener, Client(listener.address) as old:
        pump(listener, old.is_open, seen.append)
        old.vanish()
        with Client(listener.address, bind=old.address) as new:
            pump(listener, new.is_open, seen.append)
            pump(listener, lambda: len(seen) >= 3, seen.append)
    assert sorted(types(seen)) == ["close", "open", "open"]
    ended = next(event for event in seen if event.type == "close")
    assert ended.conn is seen[0].conn
    assert ended.conn.close_reason == "replaced"


def test_hello_event_refuses() -> None:
    """close() in it turns a verified peer away."""
    seen: list[Event] = []

    def refuse(event: Event) -> None:
        seen.append(event)
        event.conn.close()

    with listen(events_hello=True) as listener:
        with Client(listener.address) as client:
            pump(listener, lambda: client.step() and seen, refuse)
            assert seen[0].type == "hello"
            assert seen[0].conn.peer.port == client.address[1]
            pump(
                listener,
                lambda: listener.counters["drop_hello_refused"] >= 1,
            )
        assert listener.connections == []


def test_failed_event() -> None:
    """A verified peer whose handshake stays unfinished."""
    seen: list[Event] = []
    with listen(handshake_timeout=0.1, events_hello=True) as listener:
        with Client(listener.address) as client:
            pump(listener, lambda: seen or not client.step(), seen.append)
        pump(listener, lambda: len(seen) == 2, seen.append)
        failed = seen[1]
        assert failed.type == "failed"
        assert failed.conn.close_reason == "timeout"
        assert failed.conn.peer.port == client.address[1]
        assert failed.text


def test_notice_event(tmp_path: Path) -> None:
    """A text for the operator, of no connection."""
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    seen: list[Event] = []
    with listen(
        events_notice=True,
        cookie_options={"secret-file": secret, "poll-ms": 100},
    ) as listener:
        secret.chmod(0o644)
        pump(listener, lambda: seen, seen.append)
    assert seen[0].type == "notice"
    assert seen[0].conn is None
    assert str(secret) in seen[0].text


def test_data_is_the_callers() -> None:
    """Connections carry an object of the application's."""
    with listen() as listener, Client(listener.address) as client:
        pump(listener, client.is_open)
        (conn,) = listener.connections
        conn.data = {"state": 1}
        seen: list[Event] = []
        client.send(b"x")
        pump(listener, lambda: seen, seen.append)
        assert seen[0].conn.data == {"state": 1}


def test_selectors() -> None:
    """The descriptor and the timeout are all that another loop needs."""
    end = time.monotonic() + LIMIT
    with listen() as listener, Client(listener.address) as client:
        with selectors.DefaultSelector() as selector:
            selector.register(listener.fileno(), selectors.EVENT_READ)
            selector.register(client, selectors.EVENT_READ)
            client.step()
            told = False
            while not client.has(b"hello"):
                assert time.monotonic() < end
                selector.select(min(listener.timeout(), 1))
                listener.poll()
                while (event := listener.next()) is not None:
                    echo(event)
                if client.is_open() and not told:
                    client.send(b"hello")
                    told = True


def test_finish_tells_the_peers() -> None:
    """Leaving the block does it; close() alone does not."""
    with listen() as listener, Client(listener.address) as client:
        pump(listener, client.is_open)
        (conn,) = listener.connections
        listener.finish()
        listener.finish()
        assert conn.close_reason == "stopped"
        end = time.monotonic() + LIMIT
        while not client.was_told():
            assert time.monotonic() < end


def test_a_closed_listener_says_so() -> None:
    """Every call, and for its connections ConnectionClosed."""
    listener = listen()
    with Client(listener.address) as client:
        pump(listener, client.is_open)
        (conn,) = listener.connections
        listener.close()
        listener.close()
    for call in (
        listener.poll,
        listener.next,
        listener.stop,
        listener.reload,
        listener.fileno,
        listener.timeout,
        lambda: listener.address,
        listener.counters.prometheus,
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert listener.counters["opened"] == 1
    assert conn.closed and conn.close_reason == "stopped"
    with pytest.raises(dtlslisten.ConnectionClosed):
        conn.send(b"late")
    with pytest.raises(dtlslisten.ConnectionClosed):
        conn.alpn
    conn.close()
    assert "closed" in repr(listener)


def test_iteration_after_the_end() -> None:
    """There is nothing left."""
    with listen() as listener:
        listener.stop()
        assert types(list(listener)) == ["stopped"]
        assert list(listener) == []
        assert listener.poll(None) is False


def test_port_in_use() -> None:
    """An OSError as sockets raise it."""
    with listen() as listener:
        with pytest.raises(OSError) as caught:
            Listener(HOST, listener.address.port, self_signed=True)
    assert isinstance(caught.value, dtlslisten.SocketError)
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == os.strerror(errno.EADDRINUSE)
    assert caught.value.name == "EADDRINUSE"
    assert caught.value.code == -errno.EADDRINUSE
    assert "in use" in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "999.1.1.1", "example.org"])
def test_host_is_numeric(host: str) -> None:
    """Names are not looked up."""
    with pytest.raises(dtlslisten.ConfigError) as caught:
        Listener(host, 0, self_signed=True)
    assert host in str(caught.value)


def test_host_of_another_machine() -> None:
    """The system's error."""
    with pytest.raises(OSError) as caught:
        Listener("192.0.2.1", 0, self_signed=True)
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_out_of_range(port: int) -> None:
    """Instead of a port that is cut to 16 bits."""
    with pytest.raises(ValueError, match="65535"):
        Listener(HOST, port, self_signed=True)


def test_own_socket() -> None:
    """It stays open and the caller's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        with Listener(sock=sock, self_signed=True) as listener:
            assert listener.address == sock.getsockname()
            with Client(listener.address) as client:
                pump(listener, client.is_open)
        assert sock.fileno() >= 0
        with Listener(sock=sock, self_signed=True) as listener:
            with Client(listener.address) as client:
                pump(listener, client.is_open)


def test_socket_of_another_kind() -> None:
    """A stream cannot carry datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        with pytest.raises(dtlslisten.Error):
            Listener(sock=sock, self_signed=True)


_INTERRUPTED = """
import dtlslisten, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with dtlslisten.Listener("127.0.0.1", 0, self_signed=True) as listener:
        print("ready", flush=True)
        for event in listener:
            print(event)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_control_c_ends_iteration() -> None:
    """The wait is one that signals interrupt."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        assert (out, err, process.returncode) == ("interrupted\n", "", 0)


def test_addresses() -> None:
    """Texts, what recvfrom() gives, and the library's 24 bytes."""
    parse, of = dtlslisten.Address.parse, dtlslisten.Address.of
    assert parse("192.0.2.1:4433") == ("192.0.2.1", 4433)
    assert parse("[2001:db8::1]:5684") == ("2001:db8::1", 5684)
    assert str(parse("[fe80::1%lo]:1")) == "[fe80::1%lo]:1"
    assert of(("192.0.2.1", 1)) == ("192.0.2.1", 1)
    assert of(("2001:db8::1", 1, 0, 0)) == ("2001:db8::1", 1)
    assert of(("fe80::1", 1, 0, 3)) == ("fe80::1%3", 1)
    assert of(("fe80::1%lo", 1, 0, 1)) == ("fe80::1%lo", 1)
    of_bytes = dtlslisten.Address.of_bytes
    mapped = bytes(10) + b"\xff\xff\xc0\x00\x02\x01"
    assert of_bytes(mapped + b"\x11\x51" + bytes(6)) == ("192.0.2.1", 4433)
    local = b"\xfe\x80" + bytes(13) + b"\x01" + b"\x00\x01"
    zone = b"\x7f\0\0\1" + bytes(2)
    assert of_bytes(local + zone) == (f"fe80::1%{0x7F000001}", 1)
