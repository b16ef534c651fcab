# SPDX-License-Identifier: MIT
"""A relay between one client and its server that sends datagrams of its own.

    junk.py HOST PORT

Prints "client PORT" for the client, then obeys lines on its input and answers
each with "done":

    strangers   the datagrams below, each from a socket of its own
    peer        the same from the client's address and port
    pair        the client's next two datagrams go on as one

The datagrams are one of each: empty, 65,507 zero bytes, a ClientHello and a
fatal alert in one, two ClientHellos in one, and an alert by itself.
"""

import os
import selectors
import socket
import struct
import sys


def record(kind, body):
    return struct.pack(">BHH6sH", kind, 0xFEFF, 0, bytes(6), len(body)) + body


def hello():
    body = (b"\xfe\xfd" + os.urandom(32) + b"\0\0" +
            b"\0\4\xc0\x2b\xc0\x2f" + b"\1\0")
    size = len(body).to_bytes(3, "big")
    return record(22, b"\1" + size + bytes(5) + size + body)


ALERT = record(21, b"\2\x28")


def datagrams():
    return (b"", bytes(65507), hello() + ALERT, hello() + hello(), ALERT)


class Relay:
    def __init__(self, server):
        self.server = server
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind(("127.0.0.1", 0))
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.connect(server)
        self.client = None
        self.pairing = 0
        self.held = b""

    def from_client(self):
        datagram, self.client = self.near.recvfrom(65536)
        if self.pairing:
            self.pairing -= 1
            self.held += datagram
            if self.pairing:
                print("held", flush=True)
                return
            datagram = self.held
        self.far.send(datagram)

    def from_server(self):
        datagram = self.far.recv(65536)
        if self.client is not None:
            self.near.sendto(datagram, self.client)

    def obey(self, order):
        if order == "strangers":
            for datagram in datagrams():
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                    own.connect(self.server)
                    own.send(datagram)
        elif order == "peer":
            for datagram in datagrams():
                self.far.send(datagram)
        elif order == "pair":
            self.pairing = 2
            self.held = b""
        print("done", order, flush=True)


def main():
    relay = Relay((sys.argv[1], int(sys.argv[2])))
    selector = selectors.DefaultSelector()
    selector.register(relay.near, selectors.EVENT_READ, relay.from_client)
    selector.register(relay.far, selectors.EVENT_READ, relay.from_server)
    selector.register(sys.stdin, selectors.EVENT_READ,
                      lambda: relay.obey(sys.stdin.readline().strip()))
    print("client", relay.near.getsockname()[1], flush=True)
    while True:
        for key, _ in selector.select():
            try:
                key.data()
            except ConnectionError:  # the other end has gone
                pass


main()
