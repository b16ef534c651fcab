#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An echo server with a socket and a loop of its own, and with pyOpenSSL
behind the gate: before a peer has proved that it owns its address, there is
no session for it.

    gate_pyopenssl.py CERT KEY HOST PORT

CERT and KEY are files in PEM, HOST is a numeric address, PORT 0 picks one.
SIGINT and SIGTERM stop it. It is examples/own_loop.c in Python.
"""
from __future__ import annotations

import select
import signal
import socket
import sys
import time
from typing import Any

from dtlslisten import Address, Gate, hello_id, is_client_hello
from OpenSSL import SSL

MAX_SESSIONS = 1000
MTU = 1232
IDLE = 30.0
TICK = 0.25  # seconds between looks at all sessions
DTLS_1_2 = 0xFEFD


class Session:
    """A verified peer. pyOpenSSL works on memory; datagrams come and go by
    the server's socket."""

    def __init__(
        self, context: SSL.Context, sock: socket.socket, peer: Any, id: bytes
    ) -> None:
        self.hello_id = id
        self._sock = sock
        self._peer = peer
        self._ssl = SSL.Connection(context, None)
        self._ssl.set_ciphertext_mtu(MTU)
        self._ssl.set_accept_state()
        self._established = False
        self.deadline = time.monotonic() + IDLE

    def start(self, hello: bytes) -> None:
        """Puts OpenSSL behind the ClientHello that the gate has accepted."""
        self._ssl.bio_write(hello)
        self._ssl.DTLSv1_listen()

    def run(self, datagram: bytes = b"") -> bool:
        """Handshake and echo, as far as they get; False when all is over.
        During a handshake each call re-sends a flight, if it is time."""
        try:
            if datagram:
                self._ssl.bio_write(datagram)
            if not self._established:
                self._ssl.do_handshake()
                self._established = True
            while True:
                self._ssl.send(self._ssl.recv(16384))
                self.deadline = time.monotonic() + IDLE
        except SSL.WantReadError:
            return time.monotonic() < self.deadline
        except SSL.Error:  # close_notify as well
            return False
        finally:
            self._flush()

    def close(self) -> None:
        """Sends close_notify."""
        if self._established:
            try:
                self._ssl.shutdown()
            except SSL.Error:
                pass
            self._flush()

    def _flush(self) -> None:
        """Sends what OpenSSL wrote. The memory has lost where datagrams end,
        so that each record becomes one."""
        try:
            written = self._ssl.bio_read(65536)
        except SSL.WantReadError:
            return
        while written:
            end = 13 + int.from_bytes(written[11:13], "big")
            self._sock.sendto(written[:end], self._peer)
            written = written[end:]


class Server:
    """The socket, the gate in front, and a session for each peer."""

    def __init__(self, context: SSL.Context, sock: socket.socket) -> None:
        # The gate has verified the cookie; OpenSSL asks once more.
        context.set_cookie_generate_callback(lambda ssl: b"not used")
        context.set_cookie_verify_callback(lambda ssl, cookie: True)
        self._context = context
        self._sock = sock
        self._gate = Gate(cookie="hmac")
        self._sessions: dict[Any, Session] = {}

    def run(self) -> None:
        """Serves until it is interrupted."""
        due = 0.0
        while True:
            select.select([self._sock], [], [], TICK)
            for _ in range(64):
                try:
                    datagram, peer = self._sock.recvfrom(65536)
                except BlockingIOError:
                    break
                self._route(datagram, peer)
            if time.monotonic() >= due:
                self._run_timers()
                due = time.monotonic() + TICK

    def _route(self, datagram: bytes, peer: Any) -> None:
        session = self._sessions.get(peer)
        try:
            id = hello_id(datagram) if is_client_hello(datagram) else None
        except ValueError:
            id = None  # another fragment
        if id is None:
            if session and not session.run(datagram):
                self._end(peer)
        elif session is None or session.hello_id != id:
            self._judge(datagram, peer, id)
        # else: a copy of the ClientHello that began the session

    def _judge(self, datagram: bytes, peer: Any, id: bytes) -> None:
        verdict = self._gate.judge(datagram, peer)
        if verdict.action == "reply":
            self._sock.sendto(verdict.reply, peer)
        elif verdict.action == "accept" and self._has_room(peer):
            self._start(datagram, verdict.record_len, peer, id)

    def _has_room(self, peer: Any) -> bool:
        return peer in self._sessions or len(self._sessions) < MAX_SESSIONS

    def _start(self, datagram: bytes, end: int, peer: Any, id: bytes) -> None:
        """Begins a session. A peer that shows a good cookie on a known
        address has started anew: the old session ends."""
        session = Session(self._context, self._sock, peer, id)
        try:
            session.start(datagram[:end])
        except SSL.Error:  # as for a ClientHello in fragments
            return
        self._sessions[peer] = session
        if not session.run() or not session.run(datagram[end:]):
            self._end(peer)

    def _run_timers(self) -> None:
        for peer, session in list(self._sessions.items()):
            if not session.run():
                self._end(peer)

    def _end(self, peer: Any) -> None:
        self._sessions.pop(peer).close()

    def close(self) -> None:
        for peer in list(self._sessions):
            self._end(peer)
        self._gate.close()


def make_context(cert: str, key: str) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
    context.use_certificate_chain_file(cert)
    context.use_privatekey_file(key)
    return context


def main(cert: str, key: str, host: str, port: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, int(port)))
        sock.setblocking(False)
        server = Server(make_context(cert, key), sock)
        print("listening", Address.of(sock.getsockname()), flush=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            server.run()
        except KeyboardInterrupt:
            server.close()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: gate_pyopenssl.py CERT KEY HOST PORT")
    main(*sys.argv[1:])
