# SPDX-License-Identifier: MIT
"""The tables of bench/run: what a run of each row is, in which columns its
figures go, and what they are held against.

The unit of a figure is the end of its name: cpu_ns, p99_ms, rss_kb, and sent_s
for a number in each second; one without a unit is a count, or a share of 1.
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Tuple,
)

from measure import (
    Failure,
    Figures,
    Program,
    Variant,
    last_line,
    port_of,
    rss_kb,
    slab_kb,
    thread_seconds,
)
from floods import flood_table, verified_table
from report import Column, Table, Target
from running import (
    FLOOR,
    FLOOR_ALL,
    GNUTLS,
    MBEDTLS,
    MTU,
    OPENSSL,
    OPENSSL_KEPT,
    OPENSSL_ONE,
    OURS,
    OURS_ALL,
    OURS_UNCACHED,
    RECV_BUFFER,
    REFLECTORS,
    SHARED,
    SLACK_S,
    WOLFSSL,
    Bench,
    Pace,
    Server,
    command_of,
    load,
    loaded,
    per,
    start,
)

SOURCES = ("-a", "1000", "-P", "4")  # enough of them to be divided evenly
RECORD = 37  # bytes of a record around its data: AES-GCM, RFC 5288


def hello_figures(told: Dict[str, Any]) -> Figures:
    """Of a flood of hellos: for each that was answered, also where the
    sender's own socket had no room for the answer."""
    replies = told["replies"] + told["unread"]
    return {
        "cpu_ns": per(told, "server_s", replies) * 1e9,
        "user_ns": per(told, "server_user_s", replies) * 1e9,
        "system_ns": per(told, "server_system_s", replies) * 1e9,
        "sent_ns": per(told, "client_s", told["sent"]) * 1e9,
        "sent_s": told["sent"] / told["seconds"],
        "replies_s": replies / told["seconds"],
        "answered": replies / told["sent"],
        "malformed": told["malformed"],
        "busy": told["server_s"] / told["seconds"],
    }


# ---- a hello without a cookie ----------------------------------------------


def hello_servers(bench: Bench) -> List[Server]:
    """The peers of the first table; fewer where time is short."""
    if bench.quick:
        return [FLOOR, FLOOR_ALL, OURS, OURS_ALL, OPENSSL, GNUTLS]
    peers = [OPENSSL, OPENSSL_KEPT, OPENSSL_ONE, GNUTLS, WOLFSSL, MBEDTLS]
    return [*REFLECTORS, OURS, OURS_ALL, SHARED, *peers]


def floor_of(labels: Tuple[str, ...]) -> List[str]:
    """The reflector with the socket options of that server."""
    return [(FLOOR_ALL if labels[0] == OURS_ALL.name else FLOOR).name]


def hello_run(bench: Bench, server: Server) -> Figures:
    """Of a server that has nothing else to do."""
    told = loaded(bench, command_of(bench, server), "flood", "-k", "hello")
    figures = hello_figures(told)
    if server in REFLECTORS:
        del figures["malformed"]
    return figures


def hello_table(bench: Bench) -> Table:
    """CPU for each cookie-less hello that was answered."""
    return Table(
        "hello",
        "HelloVerifyRequest: cost of a ClientHello without a cookie",
        ("server",),
        [
            Variant((server.name,), partial(hello_run, bench, server))
            for server in hello_servers(bench)
        ],
        [
            Column("CPU ns/hello", "cpu_ns"),
            Column("user", "user_ns"),
            Column("sys", "system_ns"),
            Column("answered/s", "replies_s"),
            Column("answered %", "answered", 0, 100),
            Column("malformed", "malformed"),
            Column(
                "CPU / reflector 64",
                "cpu_ns",
                2,
                bases=floor_of,
            ),
        ],
        [
            target
            for ours in (OURS, OURS_ALL)
            for target in (
                Target((ours.name,), "CPU / reflector 64", "<=", 1.12),
                Target((ours.name,), "user", "<=", 450),
            )
        ],
        [
            "A hello of 205 bytes from 8 addresses at full speed. The "
            "reflector answers 60 bytes without looking; with 64 it takes "
            "batches of so many. Ours on all addresses has to ask the kernel "
            "which one a datagram came to (IP_PKTINFO), and is held against "
            "a reflector that does so; all others, which do not, against one "
            "that does not. All sockets that listen have receive buffers of "
            "2 MB. CPU is by the process's clock; user and sys are its parts "
            "by ticks of 10 ms, so less exact."
        ],
    )


def calls_of(text: str) -> Dict[str, int]:
    """How often each system call was made, from what strace -c prints."""
    found = re.findall(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$",
        text,
        re.MULTILINE,
    )
    return {name: int(number) for number, name in found if name != "total"}


def calls_run(bench: Bench, server: Server) -> Figures:
    """System calls for each hello that is answered, by strace; its CPU says
    nothing."""
    trace = ["strace", "-qq", "-f", "-c", "-o", "/dev/stdout", "-p"]
    with start(bench, command_of(bench, server)) as running:
        port_of(running)
        with Program(
            [*trace, str(running.pid)], bench.cpus[0], bench.build
        ) as strace:
            running.wait_until_traced()
            with load(
                bench, running, "flood", "-k", "hello", "-t", "1"
            ) as client:
                told = client.result(1 + SLACK_S)
            text = strace.interrupt(SLACK_S)
    calls = calls_of(text)
    if not calls:
        raise Failure("strace saw nothing: " + last_line(text))
    return {
        name: number / max(told["replies"], 1)
        for name, number in calls.items()
        if number >= 0.005 * told["replies"]
    }


def calls_table(bench: Bench) -> Table:
    """What the columns are, is only known afterwards."""
    return Table(
        "calls",
        "System calls for each hello that is answered",
        ("server",),
        [
            Variant((server.name,), partial(calls_run, bench, server))
            for server in hello_servers(bench)
            if not bench.quick or server in (OURS, OPENSSL)
        ],
        [],
        [],
        ["Counted by strace in a run of its own, fewer than 0.005 left out."],
    )


# ---- idle sessions ---------------------------------------------------------


def ready(client: Program, seconds: float) -> int:
    """How many sessions are open; Failure if there is none in that time."""
    count = int(client.line("ready ", seconds).split()[0])
    if count == 0:
        raise Failure("no session could be opened")
    return count


def roomy(server: Server) -> Server:
    """With room for many sessions for ever, if it is ours."""
    more = ("max-conns=1000000", "idle-timeout-ms=0")
    return server._replace(settings=(*server.settings, *more))


def with_idle(
    bench: Bench,
    server: Server,
    count: int,
    figures: Callable[[Program], Figures],
) -> Figures:
    """Figures of a server that holds so many idle sessions; the callable gets
    it, and what the client that holds them tells is added."""
    hold = bench.seconds + 600
    with start(bench, command_of(bench, roomy(server))) as running:
        port_of(running)
        before = rss_kb(running.pid), slab_kb()
        with load(
            bench, running, "load", "idle", "-c", str(count), "-t", str(hold)
        ) as client:
            count = ready(client, 60 + count / 20)
            now = rss_kb(running.pid), slab_kb()
            more = figures(running)
            client.terminate()
            told = client.result(SLACK_S)
        running.check()
    return {
        **more,
        "base_kb": before[0],
        "rss_kb": (now[0] - before[0]) / count,
        "slab_kb": (now[1] - before[1]) / count,
        "total_kb": (now[0] - before[0] + now[1] - before[1]) / count,
        "failed": told["failed"],
        "retransmitted": told["retransmitted"],
        "opened_s": told["handshakes_per_second"],
    }


def flooded(bench: Bench, running: Program, *more: str) -> Figures:
    """Of a flood of hellos beside what the server has to do."""
    flood = ("flood", "-k", "hello", *more, "-t", str(bench.seconds))
    with load(bench, running, *flood) as client:
        return hello_figures(client.result(bench.seconds + SLACK_S))


def sessions_run(bench: Bench, server: Server, count: int) -> Figures:
    if count == 0:
        return hello_run(bench, roomy(server))
    return with_idle(bench, server, count, partial(flooded, bench))


def sessions_table(bench: Bench) -> Table:
    """What a hello costs a server that holds sessions."""
    counts = [0, 1000] if bench.quick else [0, 1000, 10000]
    servers = [OURS, OPENSSL] if bench.quick else [OURS, OPENSSL, GNUTLS]
    return Table(
        "sessions",
        "Cost of a hello against the number of idle sessions",
        ("server", "idle sessions"),
        [
            Variant(
                (server.name, f"{n:,}"),
                partial(sessions_run, bench, server, n),
            )
            for server in servers
            for n in counts
        ],
        [
            Column("CPU ns/hello", "cpu_ns"),
            Column("answered/s", "replies_s"),
            Column("sender's CPU ns/hello", "sent_ns"),
            Column("opened/s", "opened_s"),
            Column(
                "CPU / none",
                "cpu_ns",
                2,
                bases=lambda labels: [f"{labels[0]}, 0"],
            ),
        ],
        [Target((OURS.name, f"{counts[-1]:,}"), "CPU / none", "<=", 1.10)],
        [
            "The sender's CPU has the kernel's search for the socket in it: "
            "on loopback it is done while sending."
        ],
    )


def memory_table(bench: Bench) -> Table:
    """What an idle session takes."""
    count = 1000 if bench.quick else 10000
    peers = [OPENSSL] if bench.quick else [OPENSSL, GNUTLS, WOLFSSL]
    return Table(
        "memory",
        f"Memory of each of {count:,} idle sessions",
        ("server",),
        [
            Variant(
                (server.name,),
                partial(with_idle, bench, server, count, lambda _: {}),
            )
            for server in [OURS, *peers]
        ],
        [
            Column("RSS KB", "rss_kb", 1),
            Column("kernel KB", "slab_kb", 1),
            Column("together KB", "total_kb", 1),
            Column("server without KB", "base_kb"),
            Column("failed", "failed"),
            Column("retransmitted", "retransmitted"),
            Column("opened/s", "opened_s"),
        ],
        [Target((OURS.name,), "together KB", "<=", 38)],
        [
            "The kernel's part is SUnreclaim of /proc/meminfo: an upper "
            "bound, as it is the whole machine's, the clients' sockets and "
            "what else happened included."
        ],
    )


def held_run(bench: Bench, count: int, apart: int, hold: int) -> Figures:
    """Sessions that are all open, and echo once in so many seconds."""
    with start(bench, command_of(bench, roomy(OURS))) as running:
        port_of(running)
        before = rss_kb(running.pid)
        idle = ("load", "idle", "-c", str(count), "-e", str(apart))
        with load(bench, running, *idle, "-t", "3600") as client:
            count = ready(client, 1200)
            time.sleep(hold)
            held = rss_kb(running.pid)
            client.terminate()
            told = client.result(120)
        running.check()
    return {
        "open": told["open"],
        "failed": told["failed"],
        "closed": told["closed"],
        "messages": told["messages"],
        "lost": told["lost"],
        "opened_s": told["handshakes_per_second"],
        "rss_mb": held / 1024,
        "session_kb": (held - before) / count,
    }


def held_table(bench: Bench) -> Table:
    """So many sessions as a machine is to hold."""
    count = 1000 if bench.quick else 100000
    return Table(
        "held",
        f"{count:,} sessions, each echoing once in 30 s",
        ("server",),
        [Variant((OURS.name,), partial(held_run, bench, count, 30, 95))],
        [
            Column("open", "open"),
            Column("failed", "failed"),
            Column("ended", "closed"),
            Column("echoes", "messages"),
            Column("lost", "lost"),
            Column("opened/s", "opened_s"),
            Column("server's RSS MB", "rss_mb"),
            Column("RSS KB/session", "session_kb", 1),
        ],
        [
            Target((OURS.name,), "open", ">=", count),
            Target((OURS.name,), "lost", "<=", 0),
        ],
    )


# ---- handshakes and echoes -------------------------------------------------


def bound_run(bench: Bench, field: str, *arguments: str) -> Figures:
    """Of OpenSSL in memory: what cannot be had for less."""
    certificate, key = map(str, bench.certificates["ECDSA P-256"])
    command = [
        str(bench.build / "bench/bound"),
        *arguments,
        *("-c", certificate, "-k", key, "-t", str(bench.seconds)),
    ]
    with Program(command, bench.cpus[0], bench.build) as program:
        told = program.result(2 * bench.seconds + SLACK_S)
    scale = 1e6 if field == "cpu_us" else 1e9
    return {field: per(told, "server_s", told["operations"]) * scale}


def handshake_run(
    bench: Bench, server: Server, count: int, *arguments: str
) -> Figures:
    storm = ("load", "storm", "-n", str(count), *arguments)
    with start(bench, command_of(bench, server)) as running:
        with load(bench, running, *storm, "-t", "60") as client:
            told = client.result(60 + SLACK_S)
        running.check()
    done = told["completed"]
    return {
        "cpu_us": per(told, "server_s", done) * 1e6,
        "user_us": per(told, "server_user_s", done) * 1e6,
        "system_us": per(told, "server_system_s", done) * 1e6,
        "done_s": done / told["seconds"],
        "failed": told["failed"] / told["started"],
        "retransmitted": told["retransmitted"] / told["started"],
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
    }


def handshake_variants(bench: Bench) -> List[Variant]:
    """The same group for all, then what each takes by itself."""
    count = max(100, int(700 * bench.seconds))
    groups = {"P-256": ("-g", "P-256"), "default": ()}
    variants = []
    for group, option in groups.items():
        variants.append(
            Variant(
                ("in memory", group),
                partial(bound_run, bench, "cpu_us", "handshake", *option),
            )
        )
        peers = [GNUTLS] if bench.quick else [GNUTLS, WOLFSSL, MBEDTLS]
        ours = [OURS] if bench.quick else [OURS, OURS_UNCACHED]
        for server in [*ours, OPENSSL, *(peers if option else [])]:
            # Debian's mbedTLS is slow, and loses more with many at once.
            n, at_once = (count // 4, 8) if server is MBEDTLS else (count, 32)
            variants.append(
                Variant(
                    (server.name, group),
                    partial(
                        handshake_run,
                        bench,
                        server,
                        n,
                        "-j",
                        str(at_once),
                        *option,
                    ),
                )
            )
    return variants


def handshake_table(bench: Bench) -> Table:
    """The server's CPU for a full handshake."""
    return Table(
        "handshake",
        "Full handshakes (ECDSA P-256, AES-128-GCM)",
        ("server", "groups"),
        handshake_variants(bench),
        [
            Column("CPU us", "cpu_us"),
            Column("user", "user_us"),
            Column("sys", "system_us"),
            Column("done/s", "done_s"),
            Column("failed %", "failed", 2, 100),
            Column("retransmitted %", "retransmitted", 2, 100),
            Column("p50 ms", "p50_ms", 1),
            Column("p99 ms", "p99_ms", 1),
            Column(
                "CPU / in memory",
                "cpu_us",
                2,
                bases=lambda labels: [f"in memory, {labels[1]}"],
            ),
            Column(
                "CPU / OpenSSL P-256",
                "cpu_us",
                2,
                bases=lambda _: [f"{OPENSSL.name}, P-256"],
            ),
            Column(
                "CPU / OpenSSL same groups",
                "cpu_us",
                2,
                bases=lambda labels: [f"{OPENSSL.name}, {labels[1]}"],
            ),
        ],
        [
            target
            for ours in ([OURS] if bench.quick else [OURS, OURS_UNCACHED])
            for target in (
                Target((ours.name, "P-256"), "CPU / in memory", "<=", 1.12),
                Target(
                    (ours.name, "default"), "CPU / OpenSSL P-256", "<=", 0.65
                ),
            )
        ],
        [
            "The clients take no tickets: by default ours keeps their "
            "sessions to resume them; the other servers keep none, as ours "
            "with session-cache=0.",
            "The client is the limit of done/s. With default groups client "
            "and server agree on X25519; what that alone is worth is the "
            "difference of the last two columns.",
        ],
    )


def echo_run(bench: Bench, server: Server, size: int) -> Figures:
    mtu = "1400" if size > 1000 else MTU
    told = loaded(
        bench, command_of(bench, server, mtu), "load", "echo", "-s", str(size)
    )
    done = told["messages"]
    return {
        "cpu_ns": per(told, "server_s", done) * 1e9,
        "user_ns": per(told, "server_user_s", done) * 1e9,
        "system_ns": per(told, "server_system_s", done) * 1e9,
        "done_s": done / told["seconds"],
        "lost": told["lost"] / (done + told["lost"]),
        "p50_ms": told["p50_ms"],
    }


def reflect_run(bench: Bench, batch: int, size: int) -> Figures:
    """Datagrams as long as the record, which come back as they are."""
    server = Server("", "bench/reflector", ("-b", str(batch), "-a", "0"))
    told = loaded(
        bench,
        command_of(bench, server),
        *("flood", "-k", "junk", "-s", str(size + RECORD)),
    )
    figures = hello_figures(told)
    return {
        **{name: figures[name] for name in ("cpu_ns", "user_ns", "system_ns")},
        "done_s": figures["replies_s"],
    }


def echo_variants(bench: Bench, size: int) -> List[Variant]:
    """For records of so many bytes."""
    label = f"{size:,} B"
    peers = [] if bench.quick else [WOLFSSL, MBEDTLS]
    batches = [64] if bench.quick else [64, 1]
    return [
        Variant(
            (label, "in memory"),
            partial(bound_run, bench, "cpu_ns", "echo", "-s", str(size)),
        ),
        *[
            Variant(
                (label, f"reflector {n}"),
                partial(reflect_run, bench, n, size),
            )
            for n in batches
        ],
        *[
            Variant(
                (label, server.name), partial(echo_run, bench, server, size)
            )
            for server in [OURS, OPENSSL, GNUTLS, *peers]
        ],
    ]


def echo_table(bench: Bench) -> Table:
    """The server's CPU for a record that comes in and goes out."""
    return Table(
        "echo",
        "Echo, 20 sessions with 4 records on their way",
        ("record", "server"),
        [*echo_variants(bench, 64), *echo_variants(bench, 1200)],
        [
            Column("CPU ns/record", "cpu_ns"),
            Column("user", "user_ns"),
            Column("sys", "system_ns"),
            Column("records/s", "done_s"),
            Column("lost %", "lost", 2, 100),
            Column("p50 ms", "p50_ms", 2),
            Column(
                "CPU / (reflector 64 + in memory)",
                "cpu_ns",
                2,
                bases=lambda labels: [
                    f"{labels[0]}, reflector 64",
                    f"{labels[0]}, in memory",
                ],
            ),
        ],
        [
            Target(
                (label, OURS.name),
                "CPU / (reflector 64 + in memory)",
                "<=",
                1.05,
            )
            for label in ("64 B", "1,200 B")
        ],
        [
            f"A record is {RECORD} bytes longer than its data, and so are "
            "the reflector's datagrams, which come at full speed."
        ],
    )


# ---- workers ---------------------------------------------------------------


def workers_run(bench: Bench, workers: int) -> Figures:
    """A flood of hellos for so many threads, all on the server's CPU: what
    they cost, and how they share one that leaves the CPU idle at times. Under
    more they would get equal shares of the CPU, whatever they do with it."""
    many = OURS._replace(
        arguments=("-w", str(workers)),
        settings=(f"recv-buffer={int(RECV_BUFFER) // workers}",),
    )
    with start(bench, command_of(bench, many)) as running:
        port_of(running)
        figures = flooded(bench, running, *SOURCES)
        before = thread_seconds(running.pid)
        flooded(bench, running, *SOURCES, "-r", "20000")
        after = thread_seconds(running.pid)
    if len(after) < workers:
        raise Failure(f"it has {len(after)} threads, not {workers}")
    # The main thread of several waits for signals.
    used = sorted(after[one] - before.get(one, 0.0) for one in after)
    busiest = used[-1] / max(sum(used[-workers:]), 1e-9)
    return {**figures, "busiest": busiest}


def workers_table(bench: Bench) -> Table:
    """Whether a second thread costs anything by itself."""
    counts = [1, 2]
    return Table(
        "workers",
        "Hellos for one thread and for two",
        ("workers",),
        [Variant((str(n),), partial(workers_run, bench, n)) for n in counts],
        [
            Column("CPU ns/hello", "cpu_ns"),
            Column("answered/s", "replies_s"),
            Column("busiest thread's share %", "busiest", 0, 100),
            Column("CPU / one worker", "cpu_ns", 2, bases=lambda _: ["1"]),
        ],
        [
            Target(("2",), "CPU / one worker", "<=", 1.05),
            Target(("2",), "busiest thread's share %", "<=", 55),
        ],
        [
            "Both threads are on the server's CPU: it is the cost of sharing "
            "that shows, not the gain. Their receive buffers are together as "
            "large as the one's, as memory that is not in a cache costs more "
            "than they do. Shares of the CPU are those of 20,000 "
            "hellos a second, from 4,000 addresses and ports as all."
        ],
    )


TABLES: Dict[str, Callable[[Bench], Table]] = {
    "hello": hello_table,
    "calls": calls_table,
    "sessions": sessions_table,
    "handshake": handshake_table,
    "echo": echo_table,
    "memory": memory_table,
    "flood": flood_table,
    "verified": verified_table,
    "workers": workers_table,
    "held": held_table,
}

# Of a full run: more rounds where small ratios count, fewer where a run is
# long or what it shows is large.
PACES: Dict[str, Pace] = {
    "hello": Pace(7, 2.0, 0.8),
    "calls": Pace(1, 1.0, 1.5),
    "sessions": Pace(3, 2.0, 8.0),
    "handshake": Pace(5, 2.0, 1.5),
    "echo": Pace(5, 2.0, 1.0),
    "memory": Pace(3, 2.0, 17.0),
    "flood": Pace(3, 3.0, 4.0),
    "verified": Pace(3, 3.0, 6.0),
    "workers": Pace(5, 2.0, 4.0),
    "held": Pace(1, 2.0, 300.0),
}


def duration_s(bench: Bench, paces: Dict[str, Pace]) -> float:
    """About how long all the tables take, were no run void."""
    return sum(
        pace.rounds
        * len(TABLES[name](bench).variants)
        * (pace.seconds + pace.more_s)
        for name, pace in paces.items()
    )
