# SPDX-License-Identifier: MIT
"""Options, what is refused, and how the package looks for the library."""
from __future__ import annotations

import copy
import errno
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from certificates import Pair

import dtlslisten
from dtlslisten import Gate, Listener, options
from dtlslisten._library import ffi, lib

HOST = "127.0.0.1"


def listen(**given: Any) -> Listener:
    """With a certificate."""
    return Listener(HOST, 0, self_signed=True, **given)


def pairs(**given: Any) -> list[tuple[str, str]]:
    """What the library is told."""
    return list(options.settings(given))


def test_names_are_the_librarys() -> None:
    """All of them, with _ for -."""
    names = options.names()
    assert len(names) > 20
    for name in ("cert_file", "idle_timeout_ms", "mtu", "cookie"):
        assert name in names
    for name in names:
        assert name == name.lower() and "-" not in name


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("idle_timout", "idle_timeout"),
        ("certfile", "cert_file"),
        ("max_connections", "max_conns"),
        ("self_singed", "self_signed"),
        ("cookies", "cookie"),
        ("cookie_option", "cookie_options"),
        ("recieve_queue", "receive_queue"),
        ("shutdown_timout", "shutdown_timeout"),
        ("socket", "sock"),
    ],
)
def test_unknown_option(wrong: str, near: str) -> None:
    """TypeError with the nearest name, as for functions."""
    with pytest.raises(TypeError) as caught:
        Listener(HOST, 0, **{wrong: 1})
    assert repr(wrong) in str(caught.value)
    assert repr(near) in str(caught.value)
    with pytest.raises(TypeError, match=near):
        Gate(**{wrong: 1})


def test_unknown_option_without_a_neighbour() -> None:
    """No guess is made."""
    with pytest.raises(TypeError) as caught:
        Listener(HOST, 0, xyzzy=1)
    assert "did you mean" not in str(caught.value)


def test_values() -> None:
    """What becomes of Python's types."""
    assert pairs(self_signed=True, reuse_port=False) == [
        ("self-signed", "1"),
        ("reuse-port", "0"),
    ]
    assert pairs(idle_timeout=1.5) == [("idle-timeout-ms", "1500")]
    assert pairs(idle_timeout_ms=20) == [("idle-timeout-ms", "20")]
    assert pairs(alpn=["coap", "echo"]) == [("alpn", "coap,echo")]
    assert pairs(alpn=("coap",)) == [("alpn", "coap")]
    assert pairs(cert_file=Path("/a/b")) == [("cert-file", "/a/b")]
    assert pairs(mtu=None) == []
    assert pairs(cookie=["hmac", Path("/x.so")]) == [("cookie", "hmac,/x.so")]
    assert pairs(cookie_options={"lifetime-ms": 5000, "hmac.a": "b"}) == [
        ("cookie.lifetime-ms", "5000"),
        ("cookie.hmac.a", "b"),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"mtu": 1.5},
        {"mtu": b"1200"},
        {"alpn": {"coap"}},
        {"idle_timeout": "30"},
        {"idle_timeout": True},
        {"cookie_options": "lifetime-ms=1"},
        {"cookie": 7.5},
    ],
)
def test_types_that_are_refused(given: dict[str, Any]) -> None:
    """TypeError, before the library is asked."""
    with pytest.raises(TypeError):
        listen(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"cert_file": "a\0b"},
        {"cookie_options": {"a\0": "b"}},
        {"host": "127.0.0.1\0"},
    ],
)
def test_texts_with_a_nul(given: dict[str, Any]) -> None:
    """The library would see what is before it alone."""
    with pytest.raises(ValueError, match="NUL"):
        Listener(**{"host": HOST, "self_signed": True, **given})


def test_paths_that_are_no_utf_8(tmp_path: Path, server_pair: Pair) -> None:
    """os.listdir() gives such ones."""
    path = tmp_path / os.fsdecode(b"\xff.pem")
    shutil.copy(server_pair.cert_file, path)
    key_file = server_pair.key_file
    Listener(HOST, cert_file=path, key_file=key_file).close()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"mtu": 1}, "DTLSL_ERR_ARGUMENT"),
        ({"mtu": -1}, "DTLSL_ERR_ARGUMENT"),
        ({"self_signed": 2}, "DTLSL_ERR_ARGUMENT"),
        ({"idle_timeout": -1}, "DTLSL_ERR_ARGUMENT"),
        ({"idle_timeout": 1e9}, "DTLSL_ERR_ARGUMENT"),
        ({"cookie": "nosuch"}, "DTLSL_ERR_PLUGIN"),
        ({"cookie_options": {"nosuch": 1}}, "DTLSL_ERR_OPTION"),
    ],
)
def test_values_that_are_refused(given: dict[str, Any], name: str) -> None:
    """The library's text says what, where and the remedy."""
    with pytest.raises(dtlslisten.ConfigError) as caught:
        Listener(HOST, 0, **{"self_signed": True, **given})
    assert isinstance(caught.value, ValueError)
    assert caught.value.name == name
    assert caught.value.code == getattr(lib, name)
    (option,) = given
    assert option.split("_")[0] in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_times_that_are_no_numbers(value: float) -> None:
    """They have no milliseconds."""
    with pytest.raises((ValueError, OverflowError)):
        listen(idle_timeout=value)


def test_files_that_are_not_there(tmp_path: Path, server_pair: Pair) -> None:
    """The path is in the text."""
    missing = tmp_path / "missing.pem"
    for given in (
        {"cert_file": missing},
        {"cert_file": server_pair.cert_file, "key_file": missing},
        {"psk_file": missing},
    ):
        with pytest.raises(dtlslisten.ConfigError) as caught:
            Listener(HOST, 0, **given)
        assert str(missing) in str(caught.value)


def test_no_credentials() -> None:
    """A server has to have some."""
    with pytest.raises(dtlslisten.ConfigError) as caught:
        Listener(HOST, 0)
    assert caught.value.name == "DTLSL_ERR_CREDENTIALS"


def test_every_error_has_a_class() -> None:
    """And a name, and a text."""
    codes = [name for name in dir(lib) if name.startswith("DTLSL_ERR_")]
    assert len(codes) >= 14
    for name in codes:
        with pytest.raises(dtlslisten.Error) as caught:
            dtlslisten.errors.fail(getattr(lib, name))
        assert caught.value.name == name
        assert caught.value.args == (str(caught.value),)
        assert not isinstance(caught.value, dtlslisten.SocketError)


@pytest.mark.parametrize("code", [-errno.EADDRINUSE, lib.DTLSL_ERR_BUSY])
def test_errors_travel(code: int) -> None:
    """To other processes, as the exceptions of a pool do."""
    with pytest.raises(dtlslisten.Error) as caught:
        dtlslisten.errors.fail(code, "a text")
    for again in (
        pickle.loads(pickle.dumps(caught.value)),
        copy.copy(caught.value),
    ):
        assert isinstance(again, type(caught.value))
        assert again.code == code
        assert again.name == caught.value.name
        assert str(again) == str(caught.value)


def test_declarations_fit_the_library() -> None:
    """Every function of the headers is there."""
    names = [name for name in dir(lib) if name.startswith("dtlsl_")]
    assert len(names) > 40
    for name in names:
        assert getattr(lib, name) != ffi.NULL


# ---- the library -----------------------------------------------------------


def imported(**environment: str) -> subprocess.CompletedProcess[str]:
    """`import dtlslisten` in another process."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "import dtlslisten"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_missing_library() -> None:
    """The error says how to install it."""
    done = imported(DTLSLISTEN_LIBRARY="/nowhere/libdtlslisten.so.0")
    assert done.returncode != 0
    assert "ImportError" in done.stderr
    assert "/nowhere/libdtlslisten.so.0" in done.stderr
    assert "Install it" in done.stderr


def test_library_in_no_search_path() -> None:
    """The same by its usual name."""
    done = imported(LD_LIBRARY_PATH="")
    if done.returncode == 0:
        pytest.skip("the library is installed for the whole system")
    assert "ImportError" in done.stderr
    assert "libdtlslisten.so.0" in done.stderr
    assert "Install it" in done.stderr


def test_something_else_as_library() -> None:
    """A library without our functions."""
    done = imported(DTLSLISTEN_LIBRARY="libc.so.6")
    assert done.returncode != 0
    assert "ImportError" in done.stderr


def headers_of_tomorrow(folder: Path) -> Path:
    """The installed ones, with the highest version that there can be."""
    found = subprocess.run(
        ["pkg-config", "--variable=includedir", "dtlslisten"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    include = Path(found.stdout.strip()) / "dtlslisten"
    shutil.copytree(include, folder / "dtlslisten")
    base = folder / "dtlslisten" / "base.h"
    text, count = re.subn(
        "DTLSL_VERSION = 0x[0-9a-f]+",
        "DTLSL_VERSION = 0x7fffffff",
        base.read_text(),
    )
    assert count == 1
    base.write_text(text)
    return folder


def test_library_older_than_the_headers(tmp_path: Path) -> None:
    """A package that was built with newer ones says so."""
    package = tmp_path / "package"
    shutil.copytree(
        Path(__file__).parents[1],
        package,
        ignore=shutil.ignore_patterns("tests", "build"),
    )
    subprocess.run(
        [sys.executable, str(package / "cdef_build.py")],
        env={
            **os.environ,
            "DTLSLISTEN_INCLUDEDIR": str(headers_of_tomorrow(tmp_path)),
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    done = imported(PYTHONPATH=str(package))
    assert done.returncode != 0
    assert "ImportError" in done.stderr
    assert "older" in done.stderr
    assert dtlslisten.library_version in done.stderr


def test_package_that_was_not_built(tmp_path: Path) -> None:
    """A copy of the sources, without declarations."""
    source = Path(dtlslisten.__file__).parent
    package = tmp_path / "dtlslisten"
    package.mkdir()
    for file in source.glob("*.py"):
        if file.name != "_cdef.py":
            (package / file.name).write_text(file.read_text())
    done = imported(PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "ImportError" in done.stderr
    assert "pip install" in done.stderr
