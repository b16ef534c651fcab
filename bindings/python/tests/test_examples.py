# SPDX-License-Identifier: MIT
"""The examples that are written in Python: the CoAP server's protocol by the
table that C has too, and both servers as programs, with foreign clients."""
from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
VECTORS = ROOT / "tests" / "vectors" / "coap.txt"
PEER, NOW = "192.0.2.1:49152", 1767225600
LIMIT = 30

sys.path.insert(0, str(EXAMPLES))
import coap  # noqa: E402
import echo  # noqa: E402


def from_hex(word: str) -> bytes:
    return b"" if word == "-" else bytes.fromhex(word)


def vectors() -> list[Any]:
    lines = VECTORS.read_text().splitlines()
    rows = [line.split() for line in lines if line and line[0] != "#"]
    return [pytest.param(*map(from_hex, r[1:]), id=r[0]) for r in rows]


@pytest.mark.parametrize("message, wanted", vectors())
def test_each_message_has_its_answer(message: bytes, wanted: bytes) -> None:
    assert (coap.answer(message, PEER, NOW) or b"") == wanted


def mutants(count: int) -> Iterator[bytes]:
    chance = random.Random(1)
    for vector in vectors():
        for _ in range(count):
            message = bytearray(vector.values[0])
            for _ in range(chance.randint(1, 3)):
                at = chance.randrange(len(message) + 1)
                how = chance.choice(("cut", "add", "change"))
                if how == "cut":
                    del message[at:]
                elif how == "add" or at == len(message):
                    message.insert(at, chance.randrange(256))
                else:
                    message[at] = chance.randrange(256)
            yield bytes(message)


def test_damaged_messages_are_answered_in_form_or_not_at_all() -> None:
    answered = 0
    for message in mutants(200):
        reply = coap.answer(message, PEER, NOW)
        if reply is None:
            continue
        answered += 1
        kind, reply_kind = message[0] >> 4 & 3, reply[0] >> 4 & 3
        assert reply[2:4] == message[2:4]
        if (kind, reply_kind) == (coap.CON, coap.RST):
            assert reply == b"\x70\x00" + message[2:4]
        else:
            wanted = {coap.CON: coap.ACK, coap.NON: coap.NON}
            end = 4 + (message[0] & 15)
            assert reply_kind == wanted[kind]
            assert reply[4:end] == message[4:end]
            assert reply[1] >> 5 in (2, 4, 5)
    assert answered > 1000


# ---- as programs -----------------------------------------------------------


def run(*command: str, **options: Any) -> Any:
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env={**os.environ, "PYTHONPATH": path},
        **options,
    )


@contextmanager
def server(name: str, *arguments: str) -> Iterator[tuple[Any, str]]:
    """A running example, and its address."""
    with run(sys.executable, str(EXAMPLES / name), *arguments) as process:
        try:
            first = process.stdout.readline()
            assert first.startswith("listening "), (
                first + process.stdout.read()
            )
            yield process, first.split()[1]
        finally:
            process.kill()


def stop(process: Any) -> dict[str, int]:
    """Stops it, and returns the counters that it prints at its end."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output
    counters: dict[str, int] = json.loads(output.splitlines()[-1])
    return counters


def s_client(address: str, text: str) -> str:
    """What the server said to a line of text."""
    command = ["openssl", "s_client", "-dtls1_2", "-quiet", "-connect"]
    with run(*command, address, stdin=subprocess.PIPE) as client:
        try:
            client.stdin.write(text + "\n")
            client.stdin.flush()
            for line in client.stdout:
                if line.rstrip() == text:
                    return text
        finally:
            client.kill()
    return ""


@pytest.mark.parametrize("arguments", [(), ("--uvloop",)])
def test_echo_serves_counts_and_stops(arguments: tuple[str, ...]) -> None:
    options = ("-o", "self-signed=1", "-o", "cookie.lifetime-ms=30000")
    with server("echo.py", *arguments, *options, "127.0.0.1", "0") as (
        process,
        address,
    ):
        assert s_client(address, "a word and back") == "a word and back"
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline())["opened"] == 1
        assert stop(process)["data_in"] == 1


@pytest.mark.parametrize("host", ["-", "*"])
def test_echo_serves_on_all_addresses(host: str) -> None:
    with server("echo.py", "-o", "self-signed=1", host, "0") as (
        process,
        address,
    ):
        port = address.rpartition(":")[2]
        assert s_client(f"127.0.0.1:{port}", "word") == "word"
        assert s_client(f"[::1]:{port}", "word") == "word"
        assert stop(process)["opened"] == 2


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("-o", "self-singed=1", "::1", "0"), "self_signed"),
        (("-o", "self-signed", "::1", "0"), "NAME=VALUE"),
        (("-o", "mtu=1", "-o", "self-signed=1", "::1", "0"), "mtu"),
        (("::1", "0"), "cert-file"),
        (("-o", "self-signed=1", "::1", "70000"), "65535"),
        (("-o", "self-signed=1", "localhost", "0"), "localhost"),
    ],
)
def test_echo_refuses(arguments: tuple[str, ...], words: str) -> None:
    script = str(EXAMPLES / "echo.py")
    with run(sys.executable, script, *arguments) as process:
        output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 2
    assert words in output
    assert "Traceback" not in output


def test_the_options_of_the_command_line_become_keywords() -> None:
    settings = ["idle-timeout-ms=5", "cookie=hmac", "cookie.lifetime-ms=7"]
    assert echo.keywords(settings) == {
        "idle_timeout_ms": "5",
        "cookie": "hmac",
        "cookie_options": {"lifetime-ms": "7"},
    }
    assert echo.keywords([]) == {}


def coap_client() -> Optional[str]:
    return shutil.which("coap-client-openssl")


@pytest.mark.skipif(not coap_client(), reason="needs libcoap3-bin")
def test_coap_answers_a_foreign_client(tmp_path: Path) -> None:
    psk = tmp_path / "psk"
    psk.write_text(f"me:{b'secret'.hex()}\n")
    with server("coap.py", "-o", f"psk-file={psk}", "127.0.0.1", "0") as (
        process,
        address,
    ):
        done = subprocess.run(
            ["coap-client-openssl", "-u", "me", "-k", "secret"]
            + [f"coaps://{address}/hello"],
            stdout=subprocess.PIPE,
            universal_newlines=True,
            timeout=LIMIT,
        )
        assert "hello, 127.0.0.1:" in done.stdout
        assert stop(process)["opened"] == 1


# ---- the gate in front of pyOpenSSL ----------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: Any) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-pkeyopt"]
        + ["ec_paramgen_curve:P-256", "-subj", "/CN=localhost"]
        + ["-keyout", key, "-out", cert],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return cert, key


@contextmanager
def gate(certificate: tuple[str, str]) -> Iterator[str]:
    pytest.importorskip("OpenSSL")
    with server("gate_pyopenssl.py", *certificate, "127.0.0.1", "0") as (
        process,
        address,
    ):
        yield address
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=LIMIT)
        assert (process.returncode, output) == (0, "")


def test_the_gate_serves_one_after_another(
    certificate: tuple[str, str]
) -> None:
    with gate(certificate) as address:
        assert s_client(address, "one") == "one"
        assert s_client(address, "two") == "two"


@pytest.mark.parametrize("loss", ["verify", "flight", "answer", "finish"])
def test_the_gate_serves_over_lossy_paths(
    certificate: tuple[str, str], loss: str
) -> None:
    relay = str(ROOT / "tests" / "interop" / "relay.py")
    with gate(certificate) as address:
        host, port = address.split(":")
        with run(sys.executable, relay, host, port, loss, "way") as process:
            try:
                way = process.stdout.readline().split()[1]
                assert s_client(f"127.0.0.1:{way}", "word") == "word"
            finally:
                process.kill()


def test_the_gate_survives_what_strangers_send(
    certificate: tuple[str, str]
) -> None:
    chance = random.Random(1)
    with gate(certificate) as address:
        host, port = address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(2000):
                head = chance.choice([b"", bytes([22, 254, 253])])
                rest = chance.randbytes(chance.randrange(100))
                sock.sendto(head + rest, (host, int(port)))
        assert s_client(address, "word") == "word"
