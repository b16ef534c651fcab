#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Receives some datagrams on 127.0.0.1, and says what they were.

    sink.py COUNT [DATAGRAM]

It prints "port N" when it listens, and after COUNT datagrams how many
addresses, ports, sizes and contents they had:

    addresses N ports N sizes N contents N

Every sender is answered with DATAGRAM, hexadecimal, if that is given.
"""

from __future__ import annotations

import socket
import sys
from typing import List, Set, Tuple


def receive(sock: socket.socket, count: int,
            answer: bytes) -> List[Tuple[bytes, Tuple[str, int]]]:
    """So many datagrams with their senders, each of them answered."""
    got: List[Tuple[bytes, Tuple[str, int]]] = []
    while len(got) < count:
        data, sender = sock.recvfrom(65536)
        got.append((data, sender))
        if answer:
            sock.sendto(answer, sender)
    return got


def main() -> int:
    """Runs until it has received enough."""
    count = int(sys.argv[1])
    answer = bytes.fromhex(sys.argv[2]) if len(sys.argv) > 2 else b""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    print("port", sock.getsockname()[1], flush=True)
    got = receive(sock, count, answer)
    hosts: Set[str] = {sender[0] for _, sender in got}
    ports: Set[int] = {sender[1] for _, sender in got}
    sizes: Set[int] = {len(data) for data, _ in got}
    print("addresses", len(hosts), "ports", len(ports), "sizes", len(sizes),
          "contents", len({data for data, _ in got}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
