# SPDX-License-Identifier: MIT
"""What all tests have: an event loop of each kind for tests that are
coroutines, and certificates.

A coroutine runs once on asyncio's own loop and once on uvloop's; it fails
when it has not ended after LIMIT seconds.
"""
from __future__ import annotations

import asyncio
import gc
import inspect
from pathlib import Path
from typing import Any, Optional

import pytest
import uvloop
from certificates import Pair, make_pair
from waiting import LIMIT

_LOOPS = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Coroutines are tests of both loops."""
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop")
        metafunc.parametrize("loop", list(_LOOPS))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Optional[bool]:
    """Runs a coroutine on its loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names}
    _run(_LOOPS[pyfuncitem.callspec.params["loop"]](), pyfuncitem.obj(**given))
    return True


def _run(loop: asyncio.AbstractEventLoop, test: Any) -> None:
    try:
        loop.run_until_complete(asyncio.wait_for(test, LIMIT))
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks are left: {left}"
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        gc.collect()


@pytest.fixture(scope="session")
def server_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The server's certificate, which is its own authority."""
    return make_pair(tmp_path_factory.mktemp("server"), "localhost")


@pytest.fixture(scope="session")
def client_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A client's certificate, which is its own authority."""
    return make_pair(tmp_path_factory.mktemp("client"), "sensor-17")


@pytest.fixture
def psk_file(tmp_path: Path) -> Path:
    """A file with the pre-shared key of clients.IDENTITY."""
    from clients import IDENTITY, KEY

    path = tmp_path / "psk"
    path.write_text(f"{IDENTITY}:{KEY}\n")
    path.chmod(0o600)
    return path
