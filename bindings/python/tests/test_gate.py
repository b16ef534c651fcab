# SPDX-License-Identifier: MIT
"""The gate, with hellos that real clients have sent (tests/hellos)."""
from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from strategies import Signed

import dtlslisten
from dtlslisten import CookieInput, Gate, Verdict, hello_id, is_client_hello

HELLOS = Path(__file__).resolve().parents[3] / "tests" / "hellos"
CLIENTS = sorted(path.name[:-6] for path in HELLOS.glob("*-1.bin"))
WHOLE = [client for client in CLIENTS if "fragmented" not in client]
PLACEHOLDER = bytes(range(0xC0, 0xD4))
PEER = ("192.0.2.1", 4433)


def first(client: str) -> bytes:
    """A client's first ClientHello."""
    return (HELLOS / f"{client}-1.bin").read_bytes()


def second(client: str, cookie: bytes) -> bytes:
    """Its second one, with a cookie of the length that it was sent."""
    hello = (HELLOS / f"{client}-2.bin").read_bytes()
    assert hello.count(PLACEHOLDER) == 1
    return hello.replace(PLACEHOLDER, cookie)


def cookie_of(reply: bytes) -> bytes:
    """What a HelloVerifyRequest has (RFC 6347 section 4.2.1)."""
    assert reply[0] == 22
    assert reply[1:3] in (b"\xfe\xff", b"\xfe\xfd")
    assert int.from_bytes(reply[11:13], "big") == len(reply) - 13
    message = reply[13:]
    assert message[0] == 3
    assert int.from_bytes(message[1:4], "big") == len(message) - 12
    assert message[6:9] == b"\0\0\0"
    assert int.from_bytes(message[9:12], "big") == len(message) - 12
    body = message[12:]
    assert body[0] == 0xFE
    assert body[2] == len(body) - 3
    return body[3:]


def lengthened(hello: bytes, cookie: bytes) -> bytes:
    """A second hello in one fragment, with a cookie of another length."""
    more = len(cookie) - len(PLACEHOLDER)
    start = hello.index(PLACEHOLDER) - 1

    def grown(begin: int, end: int) -> bytes:
        value = int.from_bytes(hello[begin:end], "big") + more
        return value.to_bytes(end - begin, "big")

    return (
        hello[:11]
        + grown(11, 13)
        + hello[13:14]
        + grown(14, 17)
        + hello[17:22]
        + grown(22, 25)
        + hello[25:start]
        + bytes([len(cookie)])
        + cookie
        + hello[start + 1 + len(PLACEHOLDER) :]
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_first_hello_is_replied(client: str) -> None:
    """With a HelloVerifyRequest that is no longer than the hello."""
    gate = Gate()
    verdict = gate.judge(first(client), PEER)
    assert verdict.action == "reply"
    assert verdict.reason == ""
    assert 1 <= len(cookie_of(verdict.reply)) <= 32
    assert len(verdict.reply) <= len(first(client))
    assert gate.counters["replied"] == 1
    with pytest.raises(KeyError):
        gate.counters["nosuch"]
    gate.close()


@pytest.mark.parametrize("client", WHOLE)
def test_second_hello_is_accepted(client: str) -> None:
    """The one that hmac's cookie was put into; nowhere else."""
    gate = Gate()
    cookie = cookie_of(gate.judge(first(client), PEER).reply)
    hello = lengthened(second(client, PLACEHOLDER), cookie)
    verdict = gate.judge(hello, PEER)
    assert verdict.action == "accept", verdict
    assert verdict.record_len == len(hello)
    assert verdict.reply == b""
    assert 0 <= verdict.cookie_age < 60
    for elsewhere in (("192.0.2.2", 4433), ("192.0.2.1", 4434)):
        assert gate.judge(hello, elsewhere).action == "reply"
    forged = bytearray(hello)
    forged[hello.index(cookie)] ^= 1
    assert gate.judge(bytes(forged), PEER).action == "reply"
    assert gate.counters["cookie_mismatch"] >= 3
    gate.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_strategy_of_python(client: str) -> None:
    """What it says is in the verdict; then the cookie is too old."""
    gate = Gate(cookie=Signed(app=b"app"))
    reply = gate.judge(first(client), PEER, now=(100, 1e9)).reply
    hello = second(client, cookie_of(reply))
    verdict = gate.judge(hello, PEER, now=(100.25, 1e9))
    assert verdict.action == "accept"
    assert verdict.cookie_age == 0.25
    assert verdict.node == 7
    assert verdict.cookie_app == b"app"
    assert gate.judge(hello, PEER, now=(101.5, 1e9)).action == "reply"
    assert gate.counters["cookie_expired"] == 1
    gate.close()


def test_injected_clock_expires_the_cookie() -> None:
    """hmac's lifetime, without waiting."""
    gate = Gate(cookie_options={"lifetime-ms": 10000})
    cookie = cookie_of(gate.judge(first("openssl"), PEER, now=(50, 9e8)).reply)
    hello = lengthened(second("openssl", PLACEHOLDER), cookie)
    for mono, action in ((51, "accept"), (59, "accept"), (80, "reply")):
        verdict = gate.judge(hello, PEER, now=(mono, 9e8 + mono))
        assert verdict.action == action, mono
    gate.close()


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        (b"", "drop_short"),
        (b"\x16\xfe", "drop_short"),
        (b"\x17\xfe\xfd" + bytes(20), "drop_type"),
        (b"\x16\x03\x01" + bytes(20), "drop_version"),
        (b"\x16\xfe\xfd" + bytes(8) + b"\xff\xff", "drop_record_length"),
    ],
)
def test_junk_is_dropped(junk: bytes, reason: str) -> None:
    """The reason is a counter's name."""
    gate = Gate()
    verdict = gate.judge(junk, PEER)
    assert verdict == Verdict("drop", reason, b"", 0, 0.0, 0, b"")
    assert gate.counters[reason] == 1
    assert not is_client_hello(junk)
    with pytest.raises(ValueError):
        hello_id(junk)
    gate.close()


def test_cut_hellos_never_pass() -> None:
    """At every length."""
    gate = Gate()
    hello = first("gnutls")
    for length in range(len(hello)):
        assert gate.judge(hello[:length], PEER).action == "drop", length
    gate.close()


def test_refused_addresses() -> None:
    """Nobody can answer these; and these are none."""
    gate = Gate()
    verdict = gate.judge(first("openssl"), ("192.0.2.1", 0))
    assert (verdict.action, verdict.reason) == ("drop", "drop_source")
    verdict = gate.judge(first("openssl"), PEER, ("224.0.1.187", 5684))
    assert (verdict.action, verdict.reason) == ("drop", "drop_destination")
    for wrong in ("192.0.2.1", "nowhere:1", "", "[::1", "1.2.3.4:99999"):
        with pytest.raises(ValueError):
            gate.judge(first("openssl"), wrong)
    for wrong_tuple in (
        ("localhost", 1),
        ("192.0.2.1", -1),
        ("192.0.2.1:4433\0", 1),
    ):
        with pytest.raises(ValueError):
            gate.judge(first("openssl"), wrong_tuple)
    gate.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_of_recvfrom(host: str) -> None:
    """As they are, and as text, they are the same peer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(
        family, socket.SOCK_DGRAM
    ) as client:
        server.bind((host, 0))
        client.bind((host, 0))
        client.sendto(first("openssl"), server.getsockname())
        datagram, peer = server.recvfrom(2048)
    gate = Gate()
    local = server_name = str(dtlslisten.Address(host, 4433))
    verdict = gate.judge(datagram, peer, local)
    assert verdict.action == "reply"
    hello = lengthened(
        second("openssl", PLACEHOLDER), cookie_of(verdict.reply)
    )
    assert gate.judge(hello, peer, server_name).action == "accept"
    text = str(dtlslisten.Address(*peer[:2]))
    assert gate.judge(hello, text, server_name).action == "accept"
    gate.close()


def test_mapped_addresses_are_ipv4() -> None:
    """A dual-stack socket gives ::ffff:a.b.c.d."""
    gate = Gate()
    reply = gate.judge(first("openssl"), ("::ffff:192.0.2.1", 4433, 0, 0))
    cookie = cookie_of(reply.reply)
    hello = lengthened(second("openssl", PLACEHOLDER), cookie)
    assert gate.judge(hello, PEER).action == "accept"
    gate.close()


def test_hello_id() -> None:
    """Equal for copies with another record number, else different."""
    ids = set()
    for client in CLIENTS:
        hello = second(client, PLACEHOLDER)
        assert is_client_hello(hello)
        assert len(hello_id(hello)) == 32
        copy = hello[:10] + bytes([hello[10] ^ 1]) + hello[11:]
        assert hello_id(copy) == hello_id(hello)
        other = second(client, PLACEHOLDER[::-1])
        ids |= {hello_id(hello), hello_id(other), hello_id(first(client))}
    assert len(ids) == 3 * len(CLIENTS)


def wide(datagram: bytes) -> memoryview:
    """The same bytes in one row, so that len() is 1."""
    return memoryview(datagram).cast("B", (1, len(datagram)))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, wide])
def test_all_kinds_of_bytes(kind: Any) -> None:
    """What recv_into() fills can be judged in place."""
    gate = Gate()
    hello = kind(first("openssl"))
    assert gate.judge(hello, PEER).action == "reply"
    assert is_client_hello(hello)
    assert hello_id(hello) == hello_id(first("openssl"))
    gate.close()


def test_closed() -> None:
    """It says so, and closing twice is closing once."""
    gate = Gate()
    gate.judge(first("openssl"), PEER)
    gate.close()
    gate.close()
    with pytest.raises(ValueError, match="closed"):
        gate.judge(first("openssl"), PEER)
    assert gate.counters["replied"] == 1


@pytest.mark.parametrize("call", ["close", "judge"])
def test_a_strategy_cannot_use_its_gate(call: str) -> None:
    """What asks it would be freed, or overwritten."""

    class Meddling(Signed):
        """Tries it."""

        gate: Any = None

        def mint(self, hello: CookieInput) -> bytes:
            """It is refused, the peer is not."""
            if self.gate is not None:
                given = () if call == "close" else (first("openssl"), PEER)
                with pytest.raises(RuntimeError, match="judging"):
                    getattr(self.gate, call)(*given)
            return super().mint(hello)

    strategy = Meddling()
    gate = strategy.gate = Gate(cookie=strategy)
    assert gate.judge(first("openssl"), PEER).action == "reply"
    assert strategy.errors == 0
    gate.close()
    assert strategy.closed == 1


def test_live_hellos_in_front_of_openssl() -> None:
    """A client of OpenSSL goes through the gate and on to a server of
    OpenSSL, as in the recipe."""
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    client = SSL.Connection(context, None)
    client.set_ciphertext_mtu(1400)
    client.set_connect_state()
    gate = Gate()
    now = time.monotonic(), time.time()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    verdict = gate.judge(client.bio_read(2048), PEER, now=now)
    client.bio_write(verdict.reply)
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    hello = client.bio_read(2048)
    assert gate.judge(hello, PEER, now=now).action == "accept"
    gate.close()
