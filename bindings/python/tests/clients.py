# SPDX-License-Identifier: MIT
"""Clients that are not ours: OpenSSL's and GnuTLS' programs, and OpenSSL in
this process (pyOpenSSL) for what needs a finer hand.

None of them blocks or starts a thread: whoever waits runs a loop of its own.
"""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Optional, Union

from certificates import Pair
from OpenSSL import SSL

from dtlslisten import Address

__all__ = [
    "IDENTITY",
    "KEY",
    "Client",
    "Program",
    "gnutls_cli",
    "handshakes",
    "s_client",
]

IDENTITY = "sensor-17"
KEY = "8f0c6b1d52e94a7780d1c3be6a2f9e04"
_CIPHERTEXT_MTU = 16000
_RECORD_HEADER = 13


class Program:
    """A client that copies lines from its input to the server, and back to
    its output, which goes to a file."""

    def __init__(self, command: list[str]) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *unused: object) -> None:
        self.kill()

    def say(self, line: str) -> None:
        """A line for the server."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    @property
    def output(self) -> str:
        """What it has printed."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(
            "utf-8", "replace"
        )

    def saw(self, text: str) -> bool:
        """Whether it has printed that. AssertionError if it never will."""
        ended = self.ended
        if text in self.output:
            return True
        assert not ended, f"ended without {text!r}: {self.output}"
        return False

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def status(self) -> Optional[int]:
        """Its exit status."""
        return self._process.poll()

    def terminate(self) -> None:
        """Asks it to end."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it without a word to the server."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._output.close()


def s_client(server: Address, *options: Union[str, Path]) -> Program:
    """OpenSSL's program."""
    command = ["openssl", "s_client", "-dtls1_2", "-connect", str(server)]
    return Program(command + [str(option) for option in options])


def gnutls_cli(server: Address, *options: str) -> Program:
    """GnuTLS' program."""
    return Program(
        ["gnutls-cli", "--udp", "--insecure", "--no-ca-verification"]
        + ["--port", str(server.port), *options, server.host]
    )


def handshakes(server: Address, *options: str) -> Program:
    """Clients by the hundred, tests/interop/handshakes."""
    return Program(
        [os.environ["DTLSL_HANDSHAKES"], *options]
        + [server.host, str(server.port)]
    )


def _accept_all(*unused: object) -> bool:
    return True


def _records(flight: bytes) -> Iterator[bytes]:
    while flight:
        length = int.from_bytes(flight[11:_RECORD_HEADER], "big")
        yield flight[: _RECORD_HEADER + length]
        flight = flight[_RECORD_HEADER + length :]


class Client:
    """OpenSSL in this process, on a socket of its own; call step() until what
    you wait for is there."""

    def __init__(
        self,
        server: Address,
        *,
        pair: Optional[Pair] = None,
        alpn: Optional[list[bytes]] = None,
        name: Optional[bytes] = None,
        bind: Optional[tuple[str, int]] = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if bind is not None:
            self._socket.bind(bind)
        self._socket.connect((server.host, server.port))
        self._socket.setblocking(False)
        self.address = self._socket.getsockname()
        self.ssl = SSL.Connection(self._context(pair, alpn), None)
        self.ssl.set_ciphertext_mtu(_CIPHERTEXT_MTU)
        if name is not None:
            self.ssl.set_tlsext_host_name(name)
        self.ssl.set_connect_state()
        self.received: list[bytes] = []
        self.established = False
        self.ended = False

    @staticmethod
    def _context(pair: Optional[Pair], alpn: Optional[list[bytes]]) -> Any:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_verify(SSL.VERIFY_PEER, _accept_all)
        if pair is not None:
            context.use_certificate_file(str(pair.cert_file))
            context.use_privatekey_file(str(pair.key_file))
        if alpn is not None:
            context.set_alpn_protos(alpn)
        return context

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *unused: object) -> None:
        self.vanish()

    def _read(self) -> None:
        try:
            if not self.established:
                self.ssl.do_handshake()
                self.established = True
            while True:
                self.received.append(self.ssl.recv(65536))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True

    def _flush(self) -> None:
        try:
            flight = self.ssl.bio_read(1 << 20)
        except SSL.WantReadError:
            return
        for record in _records(flight):
            self._socket.send(record)

    def step(self) -> bool:
        """Takes what has come and sends what is due; True."""
        if self._socket.fileno() < 0:
            return True
        try:
            while True:
                self._read()
                self.ssl.bio_write(self._socket.recv(65536))
        except (BlockingIOError, ConnectionRefusedError):
            pass
        self._flush()
        return True

    def is_open(self) -> bool:
        """step(), and whether the handshake is complete."""
        return self.step() and self.established

    def has(self, message: bytes) -> bool:
        """step(), and whether that message has come."""
        return self.step() and message in self.received

    def was_told(self) -> bool:
        """step(), and whether the server's close_notify has come."""
        return self.step() and self.ended

    def send(self, message: bytes) -> None:
        """One message."""
        self.ssl.send(message)
        self._flush()

    def fileno(self) -> int:
        """Of its socket."""
        return self._socket.fileno()

    def send_raw(self, datagram: bytes) -> None:
        """One datagram as it is."""
        self._socket.send(datagram)

    def shutdown(self) -> None:
        """close_notify."""
        self.ssl.shutdown()
        self._flush()

    def vanish(self) -> None:
        """Without a word."""
        self._socket.close()
