#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A CoAP server over DTLS (RFC 7252) on asyncio's loop, or on uvloop's.

    coap.py [--uvloop] [-o NAME=VALUE]... HOST [PORT]

HOST is a numeric address, "-" or "*" for all; PORT is 5684 unless given. It
has /hello, /time and /.well-known/core. SIGUSR1 prints the counters, SIGINT
and SIGTERM stop; see dtlslisten-config(5).
"""
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Optional

import dtlslisten
import echo

CON, NON, ACK, RST = range(4)
GET, CONTENT = 0x01, 0x45
BAD_OPTION, NOT_FOUND, NOT_ALLOWED, NOT_ACCEPTABLE = 0x82, 0x84, 0x85, 0x86
PROXYING_NOT_SUPPORTED = 0xA5
URI_HOST, URI_PORT, URI_PATH, CONTENT_FORMAT = 3, 7, 11, 12
URI_QUERY, ACCEPT, PROXY_URI, PROXY_SCHEME = 15, 17, 35, 39

Options = list[tuple[int, bytes]]


def extended(nibble: int, data: bytes, at: int) -> tuple[int, int]:
    """An option's delta or length, and where it ends (section 3.1)."""
    if nibble < 13:
        return nibble, at
    size, base = {13: (1, 13), 14: (2, 269)}.get(nibble, (0, 0))
    if size == 0 or at + size > len(data):
        raise ValueError("reserved or cut")
    return base + int.from_bytes(data[at : at + size], "big"), at + size


def read_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and values, up to the payload; ValueError if malformed."""
    number = at = 0
    while at < len(data) and data[at] != 0xFF:
        first = data[at]
        delta, at = extended(first >> 4, data, at + 1)
        length, at = extended(first & 15, data, at)
        if at + length > len(data):
            raise ValueError("cut")
        number += delta
        yield number, data[at : at + length]
        at += length
    if at + 1 == len(data):
        raise ValueError("a marker without payload")


def understood(number: int, length: int, again: bool) -> bool:
    """Whether an option may be there (section 5.4 and 5.10)."""
    if number % 2 == 0:  # elective
        return True
    if number in (URI_PATH, URI_QUERY):
        return length <= 255
    shortest = 1 if number == URI_HOST else 0
    longest = {URI_HOST: 255, URI_PORT: 2, ACCEPT: 2}.get(number, -1)
    return shortest <= length <= longest and not again


def refusal(options: Options) -> int:
    """The code for the first option that is in the way, 0 without one."""
    before = -1
    for number, value in options:
        if number in (PROXY_URI, PROXY_SCHEME):
            return PROXYING_NOT_SUPPORTED
        if not understood(number, len(value), number == before):
            return BAD_OPTION
        before = number
    return 0


def content(path: list[bytes], peer: str, now: float) -> tuple[int, str]:
    """The Content-Format and the text of a resource; -1 without one."""
    if path == [b"hello"]:
        return 0, f"hello, {peer}"
    if path == [b"time"]:
        return 0, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if path == [b".well-known", b"core"]:
        return 40, "</hello>;ct=0,</time>;ct=0"
    return -1, ""


def respond(
    method: int, options: Options, peer: str, now: float
) -> tuple[int, bytes]:
    """The code of the response, and what follows the token in it."""
    refused = refusal(options)
    if refused:
        return refused, b""
    path = [value for number, value in options if number == URI_PATH]
    accept = [value for number, value in options if number == ACCEPT]
    form, text = content(path, peer, now)
    if form < 0:
        return NOT_FOUND, b""
    if method != GET:
        return NOT_ALLOWED, b""
    if accept and int.from_bytes(accept[0], "big") != form:
        return NOT_ACCEPTABLE, b""
    value = bytes([form]) if form else b""
    head = bytes([CONTENT_FORMAT << 4 | len(value)]) + value
    return CONTENT, head + b"\xff" + text.encode()


def answer(message: bytes, peer: str, now: float) -> Optional[bytes]:
    """What goes back to a peer for its message; ``now`` as time.time()."""
    if len(message) < 4 or message[0] >> 6 != 1:
        return None
    first, code = message[:2]
    kind, end = first >> 4 & 3, 4 + (first & 15)
    if kind in (ACK, RST):
        return None
    # What is empty, malformed or no request is rejected (section 4.2, 4.3).
    reset = bytes([0x70, 0]) + message[2:4] if kind == CON else None
    if not 1 <= code <= 31 or end > 12 or end > len(message):
        return reset
    try:
        options = list(read_options(message[end:]))
    except ValueError:
        return reset
    code, rest = respond(code, options, peer, now)
    if code == BAD_OPTION and kind == NON:
        return None
    # A response to NON is NON; its message id is as unique as the request's.
    first |= ACK << 4 if kind == CON else 0
    return bytes([first, code]) + message[2:end] + rest


async def coap(conn: dtlslisten.StreamConnection) -> None:
    async for message in conn:
        reply = answer(message, str(conn.peer), time.time())
        if reply is not None:
            await conn.send(reply)


if __name__ == "__main__":
    echo.main(coap, default_port=5684)
