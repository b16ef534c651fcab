# SPDX-License-Identifier: MIT
"""README.md does what it says: its programs run, those that serve with
openssl s_client as their client, with certificates made by its commands."""
from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
LIMIT = 30
WORD = "there and back again"


def blocks(language: str) -> list[Any]:
    """The blocks, each named by the heading that it is under."""
    heading, found = "", []
    pattern = rf"^#+ ([^\n]+)$|^```{language}\n(.*?)^```"
    for match in re.finditer(pattern, README.read_text(), re.M | re.S):
        if match[1]:
            heading = match[1].lower().replace(" ", "-")
        else:
            found.append(pytest.param(match[2], id=heading))
    return found


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET6, kind) as sock:
        sock.bind(("::", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """With the files that the README's commands make."""
    path: Path = tmp_path_factory.mktemp("readme")
    for block in blocks("sh"):
        subprocess.run(
            ["sh", "-ec", block.values[0]],
            cwd=path,
            check=True,
            stderr=subprocess.DEVNULL,
        )
    return path


def start(command: list[str], folder: Path) -> Any:
    path = os.pathsep.join(os.path.abspath(p) for p in sys.path if p)
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )


def client_arguments(program: str, folder: Path) -> list[str]:
    """What the server asks of its clients, and they of it."""
    if "ca_file" in program:
        return ["-cert", "client.pem", "-key", "client.key"]
    if "psk_file" in program:
        identity, key = (folder / "psk").read_text().strip().split(":")
        return ["-psk_identity", identity, "-psk", key]
    if "cert_file" in program:
        trust = ["-verify_return_error", "-verify_hostname", "localhost"]
        return ["-CAfile", "ca.pem", *trust]
    return []


def echoed(port: int, arguments: list[str], folder: Path) -> bool:
    """Whether one client had its word back."""
    command = ["openssl", "s_client", "-dtls1_2", "-quiet", "-connect"]
    client = start([*command, f"127.0.0.1:{port}", *arguments], folder)
    with client:
        try:
            client.stdin.write(WORD + "\n")
            client.stdin.flush()
            return any(line.rstrip() == WORD for line in client.stdout)
        except BrokenPipeError:
            return False
        finally:
            client.kill()


def listens(port: int) -> bool:
    """Whether a UDP socket of this machine has the port."""
    tables = [Path("/proc/net/udp"), Path("/proc/net/udp6")]
    text = "".join(t.read_text() for t in tables if t.exists())
    return f":{port:04X} " in text


def serve(program: str, folder: Path) -> None:
    udp, tcp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    program = program.replace("4433", str(udp)).replace("9100", str(tcp))
    server = start([sys.executable, "-c", program], folder)
    with server:
        try:
            while not listens(udp):
                assert server.poll() is None, server.stdout.read()
            arguments = client_arguments(program, folder)
            assert echoed(udp, arguments, folder)
            if "SIGHUP" in program:
                server.send_signal(signal.SIGHUP)
                assert echoed(udp, arguments, folder)
            if "prometheus" in program:
                page = urllib.request.urlopen(f"http://127.0.0.1:{tcp}/")
                assert b"dtlslisten_opened_total 1.0" in page.read()
            assert server.poll() is None
        finally:
            server.kill()
            output = server.stdout.read()
    assert "Traceback" not in output


@pytest.mark.parametrize("program", blocks("python"))
def test_the_program_runs(program: str, folder: Path) -> None:
    if "4433" in program:
        serve(program, folder)
        return
    with start([sys.executable, "-c", program], folder) as process:
        output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output
    assert output
