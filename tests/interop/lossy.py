# SPDX-License-Identifier: MIT
"""A UDP relay for one client that loses some application data.

    lossy.py HOST PORT NUMBER...

It prints its own port, then loses those datagrams with application data,
counted from 1 in both directions together.
"""

import socket
import sys

APPLICATION_DATA = 23


def main() -> None:
    server = (sys.argv[1], int(sys.argv[2]))
    losses = {int(number) for number in sys.argv[3:]}
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(("127.0.0.1", 0))
    print("port", near.getsockname()[1], flush=True)
    client = server  # until it has spoken
    count = 0
    while True:
        datagram, sender = near.recvfrom(65536)
        if sender != server:
            client = sender
        if datagram[:1] == bytes([APPLICATION_DATA]):
            count += 1
            if count in losses:
                continue
        near.sendto(datagram, client if sender == server else server)


if __name__ == "__main__":
    main()
