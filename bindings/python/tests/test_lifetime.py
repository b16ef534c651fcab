# SPDX-License-Identifier: MIT
"""Objects may go in any order, at the interpreter's exit, too."""
from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
from clients import Client
from strategies import Signed
from waiting import LIMIT, pump

import dtlslisten
from dtlslisten import Event, Gate, Listener, options

HOST = "127.0.0.1"
TESTS = Path(__file__).parent


def listen(**given: Any) -> Listener:
    """On a free port."""
    return Listener(HOST, 0, self_signed=True, **given)


def test_listener_dropped_without_close() -> None:
    """ResourceWarning, freed, and the port is free again."""
    listener = listen()
    address = listener.address
    handle = weakref.ref(listener._handle)
    with pytest.warns(ResourceWarning, match=f"unclosed.*{address.port}"):
        del listener
        gc.collect()
    assert handle() is None
    with Listener(*address, self_signed=True) as again:
        assert again.address == address


def test_failed_constructor_warns_of_nothing() -> None:
    """There is nothing to close."""
    with listen() as listener:
        for wrong in ({"port": listener.address.port}, {"port": 70000}):
            with pytest.raises((OSError, ValueError)):
                Listener(HOST, self_signed=True, **wrong)
            with pytest.raises(TypeError):
                Listener(HOST, self_singed=True)
            gc.collect()


def test_strategy_goes_with_its_listener() -> None:
    """Nothing holds it afterwards."""
    strategy = Signed()
    alive = weakref.ref(strategy)
    listener = listen(cookie=strategy)
    del strategy
    gc.collect()
    assert alive() is not None
    with listener, Client(listener.address) as client:
        pump(listener, client.is_open)
    del listener, client
    gc.collect()
    assert alive() is None


def test_strategy_outlives_a_listener_in_a_cycle() -> None:
    """The collector takes listener, config and strategy at once, in an order
    of its own; close() of the strategy runs all the same."""
    closed: list[int] = []

    class Cyclic(Signed):
        """Holds its listener."""

        listener: Any = None

        def close(self) -> None:
            """Counts."""
            closed.append(1)

    for _ in range(20):
        strategy = Cyclic()
        strategy.listener = listen(cookie=strategy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del strategy
            gc.collect()
    assert len(closed) == 20


def in_a_child(listener: Listener, conn: Any, gate: Gate) -> None:
    """All that a fork may try; a gate is all memory and goes on."""
    with pytest.raises(dtlslisten.ConnectionClosed):
        conn.send(b"from the child")
    conn.close()
    for call in (listener.poll, listener.next, listener.stop):
        with pytest.raises(ValueError, match="closed"):
            call()
    listener.finish()
    listener.close()
    assert gate.judge(b"junk", "192.0.2.1:1").action == "drop"


def test_listener_is_closed_in_a_child() -> None:
    """A fork has the parent's epoll, and would take the socket out of it."""
    with listen() as listener, Client(listener.address) as client:
        pump(listener, client.is_open)
        conn, gate = listener.connections[0], Gate()
        child = os.fork()
        if child == 0:
            try:
                in_a_child(listener, conn, gate)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        events: list[Event] = []
        client.send(b"x")
        pump(listener, lambda: events, events.append)
        assert events[0].data == b"x"
        client.step()
        assert client.received == [] and not client.ended


NAMES = ("listener", "conn", "event", "config", "strategy", "gate", "counters")


def world(client: Client, listener: Listener, strategy: Signed) -> Any:
    """One of each kind."""
    events: list[Event] = []
    pump(listener, client.is_open, events.append)
    client.send(b"x")
    pump(listener, lambda: len(events) == 2, events.append)
    return {
        "listener": listener,
        "conn": listener.connections[0],
        "event": events[1],
        "config": options.Config({"mtu": 1000}),
        "strategy": strategy,
        "gate": Gate(cookie=strategy),
        "counters": listener.counters,
    }


def test_every_order_of_collection() -> None:
    """210 of the 5,040; what is left after each step still answers."""
    orders = itertools.permutations(NAMES)
    for number, order in enumerate(orders):
        if number % 24 == 0:
            _collect(order)


def _collect(order: tuple[str, ...]) -> None:
    strategy = Signed()
    listener = listen(cookie=strategy)
    with Client(listener.address) as client:
        left = world(client, listener, strategy)
    del strategy, listener
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for name in order:
            del left[name]
            gc.collect(0)
            for value in left.values():
                _touch(value)


def _touch(value: Any) -> None:
    if isinstance(value, Event):
        assert value.data == b"x"
        value = value.conn
    if isinstance(value, dtlslisten.Connection):
        try:
            assert value.alpn == ""
            value.send(b"y")
        except dtlslisten.ConnectionClosed:
            pass
        value.close()
    elif isinstance(value, Listener):
        value.poll()
        while value.next() is not None:
            pass
    elif isinstance(value, Gate):
        assert value.judge(b"junk", "192.0.2.1:1").action == "drop"
    elif isinstance(value, dtlslisten.Counters):
        try:
            assert value["opened"] == 1
        except ValueError:
            pass
    else:
        repr(value)


_PRELUDE = f"""
import asyncio, gc, sys
sys.path.insert(0, {str(TESTS)!r})
import dtlslisten
from dtlslisten import Gate, Listener, options
from strategies import Signed
from clients import Client
from waiting import pump, until

def connected(**given):
    global client
    listener = Listener("127.0.0.1", 0, self_signed=True, **given)
    client = Client(listener.address)
    pump(listener, client.is_open)
    return listener
"""

_EXITS = {
    "closed": "listener = connected(); listener.finish()",
    "open": "listener = connected()",
    "connection": "conn = connected().connections[0]",
    "strategy": "listener = connected(cookie=Signed())",
    "chain": "listener = connected(cookie=['hmac', Signed()])",
    "gate": "gate = Gate(cookie=Signed())",
    "config": "config = options.Config({'cookie': Signed()})",
    "cycle": "l = connected(cookie=Signed()); x = [l, l.connections]; "
    "x.append(x); l.connections[0].data = x",
    "iterating": "i = iter(connected(cookie=Signed())); sys.x = i",
    "module": "sys.modules['kept'] = connected(cookie=Signed())",
    "builtin": "import builtins; builtins.kept = connected(cookie=Signed())",
    "exit": "listener = connected(cookie=Signed()); sys.exit(0)",
    "thread-state": "gc.disable(); listener = connected(cookie=Signed())",
}

_ASYNC_EXIT = """
async def echo(conn):
    async for message in conn:
        await conn.send(message)

async def main():
    global server
    server = await dtlslisten.serve(
        echo, "127.0.0.1", self_signed=True, cookie=Signed()
    )
    client = Client(server.address)
    await until(client.is_open)
    client.send(b"hello")
    await until(lambda: client.has(b"hello"))
"""

_ASYNC_EXITS = {
    "asyncio": "asyncio.run(main())",
    "uvloop": "import uvloop; uvloop.install(); asyncio.run(main())",
    "closed-server": "asyncio.run(main()); server.close()",
}


def exits_quietly(code: str) -> None:
    """A process that runs it ends with 0 and says nothing."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", list(_EXITS))
def test_exit(name: str) -> None:
    """With everything still there."""
    exits_quietly(_EXITS[name])


@pytest.mark.parametrize("name", list(_ASYNC_EXITS))
def test_exit_with_a_server(name: str) -> None:
    """The loop is closed or left, the server was not."""
    exits_quietly(_ASYNC_EXIT + _ASYNC_EXITS[name])
