# SPDX-License-Identifier: MIT
"""A UDP relay that loses one flight, once, by what is in it.

    relay.py HOST PORT LOSS NAME...

A port of its own for each NAME is printed as "NAME PORT". LOSS is what each
loses, by the order of a DTLS 1.2 handshake:

    none     nothing
    hello    the client's first ClientHello
    verify   the server's first HelloVerifyRequest
    flight   the server's first flight, ServerHello to ServerHelloDone
    answer   the client's flight after it, up to Finished
    finish   the server's last flight, up to Finished

A flight is lost in one piece, in however many datagrams it comes, and only
the first time. At SIGTERM a line is printed for each NAME: the ClientHellos
that the client sent (a fragmented one counts once), how many of them after
the ServerHelloDone had been handed to it, the datagrams of either direction,
how many of them were lost, the epoch-0 record numbers of the server that the
client had seen before, and the ServerHellos that do not have the number of
the ClientHello that they answer (RFC 6347 section 4.2.1).
"""

import selectors
import signal
import socket
import struct
import sys

CHANGE_CIPHER_SPEC = 20
HANDSHAKE = 22
CLIENT_HELLO = 1
SERVER_HELLO = 2
HELLO_VERIFY_REQUEST = 3
SERVER_HELLO_DONE = 14
ENCRYPTED = -1  # a handshake message of epoch 1: Finished


def records(datagram):
    """(type, epoch, number, body) of each record."""
    while len(datagram) >= 13:
        kind, _, epoch = struct.unpack(">BHH", datagram[:5])
        number = int.from_bytes(datagram[5:11], "big")
        end = 13 + int.from_bytes(datagram[11:13], "big")
        yield kind, epoch, number, datagram[13:end]
        datagram = datagram[end:]


def messages(datagram):
    """(type, first, last, record number) of each handshake message: is this
    its first fragment, its last one?"""
    for kind, epoch, number, body in records(datagram):
        if kind != HANDSHAKE:
            continue
        if epoch > 0:
            yield ENCRYPTED, True, True, number
            continue
        while len(body) >= 12:
            length = int.from_bytes(body[1:4], "big")
            offset = int.from_bytes(body[6:9], "big")
            size = int.from_bytes(body[9:12], "big")
            yield body[0], offset == 0, offset + size >= length, number
            body = body[12 + size:]


# Whose flight is lost, and the message that ends it.
LOSSES = {
    "none": (None, None),
    "hello": ("client", CLIENT_HELLO),
    "verify": ("server", HELLO_VERIFY_REQUEST),
    "flight": ("server", SERVER_HELLO_DONE),
    "answer": ("client", ENCRYPTED),
    "finish": ("server", ENCRYPTED),
}


class Relay:
    """One client's way to the server and back."""

    def __init__(self, name, server, loss):
        self.name = name
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.near = socket.socket(family, socket.SOCK_DGRAM)
        self.near.bind(("::1" if ":" in server[0] else "127.0.0.1", 0))
        self.far = socket.socket(family, socket.SOCK_DGRAM)
        self.far.connect(server)
        self.client = None
        self.loser, self.last = LOSSES[loss]
        self.losing = loss not in ("answer", "finish", "flight")
        self.sent = {"client": 0, "server": 0}
        self.lost = 0
        self.hellos = 0
        self.hellos_late = 0
        self.hello_number = None
        self.answering = False  # the server has sent a ServerHello
        self.done = False  # its ServerHelloDone was handed to the client
        self.answered = False  # the client's Finished was handed on
        self.numbers = set()
        self.replayed = 0
        self.misnumbered = 0

    def loses(self, side, found):
        """Does this datagram belong to what is to be lost?"""
        if side != self.loser:
            return False
        kinds = [kind for kind, _, _, _ in found]
        if not self.losing:
            # Behind the hellos all that a side sends is of the flight.
            if side == "client":
                self.losing = self.done and CLIENT_HELLO not in kinds
            elif self.last == SERVER_HELLO_DONE:
                self.losing = SERVER_HELLO in kinds
            else:
                self.losing = self.answered
            if not self.losing:
                return False
        if any(kind == self.last and end for kind, _, end, _ in found):
            self.loser = None
        self.lost += 1
        return True

    def count_client(self, found):
        for kind, first, _, number in found:
            if kind == CLIENT_HELLO and first:
                self.hellos += 1
                self.hellos_late += self.done
                self.hello_number = number

    def count_server(self, found):
        for kind, _, _, number in found:
            if kind == SERVER_HELLO and not self.answering:
                self.answering = True
                self.misnumbered += number != self.hello_number

    def count_handed(self, datagram, found):
        """Of the server's, what gets to the client."""
        if any(kind == SERVER_HELLO_DONE and end for kind, _, end, _ in found):
            self.done = True
        for _, epoch, number, _ in records(datagram):
            if epoch == 0:
                self.replayed += number in self.numbers
                self.numbers.add(number)

    def from_client(self):
        datagram, self.client = self.near.recvfrom(65536)
        found = list(messages(datagram))
        self.sent["client"] += 1
        self.count_client(found)
        if not self.loses("client", found):
            if any(kind == ENCRYPTED for kind, _, _, _ in found):
                self.answered = True
            self.far.send(datagram)

    def from_server(self):
        datagram = self.far.recv(65536)
        found = list(messages(datagram))
        self.sent["server"] += 1
        self.count_server(found)
        if not self.loses("server", found):
            self.count_handed(datagram, found)
            self.near.sendto(datagram, self.client)

    def text(self):
        return (f"{self.name} hellos={self.hellos} late={self.hellos_late} "
                f"client={self.sent['client']} server={self.sent['server']} "
                f"lost={self.lost} replayed={self.replayed} "
                f"misnumbered={self.misnumbered}")


class Stop(Exception):
    pass


def on_term(*_):
    raise Stop


def main():
    server = (sys.argv[1], int(sys.argv[2]))
    relays = [Relay(name, server, sys.argv[3]) for name in sys.argv[4:]]
    selector = selectors.DefaultSelector()
    signal.signal(signal.SIGTERM, on_term)
    for relay in relays:
        selector.register(relay.near, selectors.EVENT_READ, relay.from_client)
        selector.register(relay.far, selectors.EVENT_READ, relay.from_server)
        print(relay.name, relay.near.getsockname()[1])
    print("relaying", flush=True)
    try:
        while True:
            for key, _ in selector.select():
                try:
                    key.data()
                except ConnectionError:  # the other end has gone
                    pass
    except Stop:
        for relay in relays:
            print(relay.text())


main()
