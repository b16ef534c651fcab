# SPDX-License-Identifier: MIT
"""Second ClientHellos with forged cookies of the strategy "cluster".

    forged.py HOST PORT FROM DIRECT COUNT

FROM is a local address whose first hello reaches one server and whose second
another; DIRECT one whose hellos all reach that other. The forgeries are one
genuine cookie with each bit flipped, with each of its lengths, from another
port and for another random; and COUNT made up ones, half of them with a head
as a node would write it. Prints "sent N" for these, and then "genuine yes" if
the cookie itself is still answered by a ServerHello.
"""

import random
import socket
import struct
import sys

CLIENT_HELLO, SERVER_HELLO, VERIFY = 1, 2, 3
BATCH = 50
# supported_groups secp256r1, signature_algorithms ecdsa_secp256r1_sha256
EXTENSIONS = bytes.fromhex("0010" "000a000400020017" "000d000400020403")


def client_hello(seq, client_random, cookie):
    body = (b"\xfe\xfd" + client_random + b"\0" +
            bytes([len(cookie)]) + cookie +
            b"\0\4\xc0\x2b\xc0\x2f" + b"\1\0" + EXTENSIONS)
    size = len(body).to_bytes(3, "big")
    message = (bytes([CLIENT_HELLO]) + size + struct.pack(">H", seq) +
               bytes(3) + size + body)
    return (b"\x16\xfe\xff\0\0" + seq.to_bytes(6, "big") +
            struct.pack(">H", len(message)) + message)


class Client:
    def __init__(self, local, server):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((local, 0))
        self.socket.connect(server)
        self.socket.settimeout(30)
        self.random = bytes(random.randrange(256) for _ in range(32))

    def send(self, seq, cookie):
        self.socket.send(client_hello(seq, self.random, cookie))

    def receive(self, message):
        while True:
            datagram = self.socket.recv(2048)
            if datagram[0] == 22 and datagram[13] == message:
                return datagram

    def cookie(self):
        self.send(0, b"")
        datagram = self.receive(VERIFY)
        return datagram[28:28 + datagram[27]]


def altered(cookie):
    for bit in range(len(cookie) * 8):
        flipped = bytearray(cookie)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    for length in range(1, 256):
        if length != len(cookie):
            yield (cookie + bytes(255))[:length]


def made_up(cookie, count):
    issued = struct.unpack(">I", cookie[2:6])[0]
    for i in range(count):
        made = bytearray(random.randrange(256) for _ in range(len(cookie)))
        if i % 2:
            shift = random.randrange(-300000, 300000)
            made[:2] = cookie[:2]
            made[2:6] = struct.pack(">I", (issued + shift) % 2**32)
        yield bytes(made)


def send_all(client, probe, cookies):
    """In batches; an answer to the probe says that one was read."""
    sent = 0
    for cookie in cookies:
        client.send(1, cookie)
        sent += 1
        if sent % BATCH == 0:
            probe.cookie()
    probe.cookie()
    return sent


def main():
    server = (sys.argv[1], int(sys.argv[2]))
    random.seed(1)
    client = Client(sys.argv[3], server)
    probe = Client(sys.argv[4], server)
    cookie = client.cookie()
    other_port = Client(sys.argv[3], server)
    other_port.random = client.random
    other_random = Client(sys.argv[3], server)
    sent = send_all(client, probe, altered(cookie))
    sent += send_all(client, probe, made_up(cookie, int(sys.argv[5])))
    sent += send_all(other_port, probe, [cookie])
    sent += send_all(other_random, probe, [cookie])
    print("sent", sent, flush=True)
    client.send(1, cookie)
    client.receive(SERVER_HELLO)
    print("genuine yes")


main()
