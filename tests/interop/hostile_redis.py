# SPDX-License-Identifier: MIT
#
# Listens like Redis and answers like none: with the bytes of argument 1 (with
# Python's escapes) to whatever comes first. "endless" never ends a string,
# "silent" says nothing.
import socket
import sys
import threading

answer = sys.argv[1]


def serve(peer):
    try:
        if answer == "silent":
            while peer.recv(65536):
                pass
        elif answer == "endless":
            peer.recv(65536)
            peer.sendall(b"$536870912\r\n")
            while True:
                peer.sendall(b"x" * 65536)
        else:
            peer.recv(65536)
            peer.sendall(answer.encode().decode("unicode_escape").encode(
                "latin-1"))
            while peer.recv(65536):
                pass
    except OSError:
        pass
    peer.close()


listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],),
                     daemon=True).start()
