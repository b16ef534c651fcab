# SPDX-License-Identifier: MIT
"""The servers that bench/run compares, and how a run of one with a load is
made: each on a CPU, on a free port of this machine, and never for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from measure import Failure, Program, port_of

HOST = "127.0.0.1"
SLACK_S = 30.0  # that a load may take beyond its time
RECV_BUFFER = "2097152"  # of all that listen: what recv-buffer is by default
MTU = "1232"  # of all, for the same datagrams: what mtu is by default
ALL = "0.0.0.0"


class Bench(NamedTuple):
    """How all is run: programs from 'build', the server's CPU and the load's,
    seconds of a run, certificates by kind of key as (certificate, key)."""

    build: Path
    cpus: Tuple[str, str]
    seconds: float
    quick: bool
    certificates: Dict[str, Tuple[Path, Path]]


class Pace(NamedTuple):
    """Of a table: rounds, seconds of a run that are measured, and about how
    many a run takes beside these: starting, opening sessions, ending."""

    rounds: int
    seconds: float
    more_s: float


class Server(NamedTuple):
    """A server that is compared: its program and arguments. 'settings' are
    for ours, as name=value; 'host' is what it listens on."""

    name: str
    program: str
    arguments: Tuple[str, ...] = ()
    settings: Tuple[str, ...] = ()
    host: str = HOST


OURS = Server("ours", "examples/echo")
OURS_ALL = Server("ours, all addresses", "examples/echo", host=ALL)
OURS_UNCACHED = Server(
    "ours, no session cache", "examples/echo", (), ("session-cache=0",)
)
OURS_ROOMY = Server(
    "ours, max-handshakes=4096", "examples/echo", (), ("max-handshakes=4096",)
)
SHARED = Server("ours, isolate=0", "examples/echo", (), ("isolate=0",))
OPENSSL = Server("OpenSSL", "bench/openssl_server")
OPENSSL_KEPT = Server("OpenSSL, kept HMAC", "bench/openssl_server", ("-H",))
OPENSSL_ONE = Server("OpenSSL, one SSL listens", "bench/openssl_one_server")
GNUTLS = Server("GnuTLS", "bench/gnutls_server")
WOLFSSL = Server("wolfSSL", "bench/wolfssl_server")
MBEDTLS = Server("mbedTLS", "bench/mbedtls_server")
FLOOR = Server("reflector, 64", "bench/reflector", ("-b", "64"))
FLOOR_ALL = Server(
    "reflector, 64, IP_PKTINFO",
    "bench/reflector",
    ("-b", "64", "-o"),
    host=ALL,
)
REFLECTORS = [
    FLOOR,
    FLOOR_ALL,
    Server("reflector, 1", "bench/reflector", ("-b", "1")),
    Server("libuv", "bench/reflector", ("-l",)),
    Server("libuv, RECVMMSG", "bench/reflector", ("-L",)),
]


def command_of(
    bench: Bench, server: Server, mtu: str = MTU, key: str = "ECDSA P-256"
) -> List[str]:
    """To start a server on a free port, with what all have alike."""
    path = str(bench.build / server.program)
    certificate, private = map(str, bench.certificates[key])
    settings = {
        "cert-file": certificate,
        "key-file": private,
        "mtu": mtu,
        "recv-buffer": RECV_BUFFER,
    }
    if server.program == OURS.program:
        pairs = [f"{name}={value}" for name, value in settings.items()]
        pairs += server.settings
        options = [part for pair in pairs for part in ("-o", pair)]
    else:
        options = ["-r", RECV_BUFFER]
        if server.program != FLOOR.program:
            options += ["-c", certificate, "-k", private, "-m", mtu]
    return [path, *server.arguments, *options, server.host, "0"]


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
