# SPDX-License-Identifier: MIT
"""The servers that bench/run compares, and how a run of one with a load is
made: each on a CPU, on a free port of this machine, and never for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from measure import Failure, Program, port_of

HOST = "127.0.0.1"
SLACK_S = 30.0  # that a load may take beyond its time
SHARED_SOCKET = ("isolate=0",)


class Bench(NamedTuple):
    """How all is run: programs from 'build', the server's CPU and the load's,
    seconds of a run, certificates by kind of key as (certificate, key)."""

    build: Path
    cpus: Tuple[str, str]
    seconds: float
    quick: bool
    certificates: Dict[str, Tuple[Path, Path]]


class Server(NamedTuple):
    """A server that is compared: its program and arguments. 'settings' are
    for ours, as name=value."""

    name: str
    program: str
    arguments: Tuple[str, ...] = ()
    settings: Tuple[str, ...] = ()


OURS = Server("ours", "examples/echo")
SHARED = Server("ours, isolate=0", "examples/echo", (), SHARED_SOCKET)
OPENSSL = Server("OpenSSL", "bench/openssl_server")
OPENSSL_KEPT = Server("OpenSSL, kept HMAC", "bench/openssl_server", ("-H",))
OPENSSL_ONE = Server("OpenSSL, one SSL listens", "bench/openssl_one_server")
GNUTLS = Server("GnuTLS", "bench/gnutls_server")
WOLFSSL = Server("wolfSSL", "bench/wolfssl_server")
MBEDTLS = Server("mbedTLS", "bench/mbedtls_server")
FLOOR = Server("reflector, 64", "bench/reflector", ("-b", "64", "-o"))
REFLECTORS = [
    FLOOR,
    Server("reflector, 1", "bench/reflector", ("-b", "1")),
    Server("libuv", "bench/reflector", ("-l",)),
    Server("libuv, RECVMMSG", "bench/reflector", ("-L",)),
]


def command_of(
    bench: Bench, server: Server, mtu: int = 0, key: str = "ECDSA P-256"
) -> List[str]:
    """To start a server on a free port; with an MTU other than its own."""
    path = str(bench.build / server.program)
    certificate, private = map(str, bench.certificates[key])
    place = [HOST, "0"]
    if server.program == "bench/reflector":
        return [path, *server.arguments, *place]
    if server.program != OURS.program:
        more = ["-m", str(mtu)] if mtu else []
        pair = ["-c", certificate, "-k", private]
        return [path, *server.arguments, *pair, *more, *place]
    settings = [f"cert-file={certificate}", f"key-file={private}"]
    settings += list(server.settings) + ([f"mtu={mtu}"] if mtu else [])
    options = [part for one in settings for part in ("-o", one)]
    return [path, *server.arguments, *options, *place]


def start(bench: Bench, command: Sequence[str]) -> Program:
    """A server, on its CPU."""
    return Program(command, bench.cpus[0], bench.build)


def load(
    bench: Bench,
    server: Program,
    *arguments: str,
    cpu: str = "",
    nice: int = 0,
) -> Program:
    """A load generator, by its name and options, for a server that listens;
    it knows the server's process."""
    place = ["-p", str(server.pid), HOST, port_of(server)]
    path = str(bench.build / "bench" / arguments[0])
    return Program(
        [path, *arguments[1:], *place],
        cpu or bench.cpus[1],
        bench.build,
        nice,
    )


def loaded(
    bench: Bench, command: Sequence[str], *arguments: str
) -> Dict[str, Any]:
    """What a load tells that runs for the time that a run takes."""
    with start(bench, command) as server:
        with load(
            bench, server, *arguments, "-t", str(bench.seconds)
        ) as client:
            told = client.result(bench.seconds + SLACK_S)
        server.check()
    return told


def per(told: Dict[str, Any], field: str, count: float) -> float:
    """Of a sum, each one's part; Failure if there was none."""
    if count <= 0:
        raise Failure("nothing came back")
    return float(told[field]) / count
