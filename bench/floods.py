# SPDX-License-Identifier: MIT
"""The tables of bench/run on floods: what honest users notice of one."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, Iterator, List, Tuple

from measure import Figures, Program, Variant, rss_kb
from report import Column, Table, Target
from running import (
    GNUTLS,
    OPENSSL,
    OURS,
    OURS_ROOMY,
    SHARED,
    SLACK_S,
    Bench,
    Server,
    command_of,
    load,
    per,
    start,
)

FLOOD_NICE = 10  # honest users come first on the CPU that they share
LATEST_S = 8.0  # for an honest handshake, three retransmissions


def mixed_figures(told: Dict[str, Any]) -> Figures:
    """Of honest users: sessions that echo, and newcomers."""
    echo, storm = told["paced"], told["storm"]
    started = storm["started"]
    return {
        "lost": per(echo, "lost", echo["messages"] + echo["lost"]),
        "p50_ms": echo["p50_ms"],
        "p99_ms": echo["p99_ms"],
        "max_ms": echo["max_ms"],
        "ok_8s": per(storm, "within_8s", started),
        "failed_4s": 1 - per(storm, "within_4s", started),
        "retransmitted": per(storm, "retransmitted", started),
        "handshake_p99_ms": storm["p99_ms"],
    }


def flood_figures(told: Dict[str, Any]) -> Figures:
    """Of the flood itself."""
    return {
        "sent_s": told["sent"] / told["seconds"],
        "replies_s": told["replies"] / told["seconds"],
        "reflected": per(told, "reply_bytes", told["sent_bytes"]),
    }


def flood_run(bench: Bench, server: Server, kind: str, cpu: str) -> Figures:
    """Honest clients on a CPU, from their first datagram to their last beside
    a flood on the load's."""
    seconds = max(1.0, bench.seconds)
    mixed = ("load", "mixed", "-c", "20", "-r", "50", "-R", "50")
    figures: Figures = {}
    with start(bench, command_of(bench, server)) as running:
        with load(
            bench, running, *mixed, "-t", str(seconds), cpu=cpu
        ) as honest:
            peers = honest.line("peers ", 20)
            figures["before_kb"] = rss_kb(running.pid)
            if kind == "none":
                told = honest.result(seconds + LATEST_S + SLACK_S)
            else:
                told, flood = flood_beside(bench, running, kind, peers, honest)
                figures.update(flood_figures(flood))
        figures["after_kb"] = rss_kb(running.pid)
        running.check()
    return {**figures, **mixed_figures(told)}


def flood_beside(
    bench: Bench, server: Program, kind: str, peers: str, honest: Program
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """What the honest clients tell, and the flood that is sent as long as
    they are there."""
    limit = max(1.0, bench.seconds) + LATEST_S + SLACK_S
    spoofed = ["-v", peers] if kind == "epoch1" else []
    with load(
        bench,
        server,
        *("flood", "-k", kind, "-t", str(limit), *spoofed),
        nice=FLOOD_NICE,
    ) as flood:
        told = honest.result(limit)
        flood.terminate()
        return told, flood.result(SLACK_S)


def flood_labels(bench: Bench) -> Iterator[Tuple[Server, str, str]]:
    """All that are run: server, flood, whose CPU the clients have."""
    kinds = ["none", "hello", "cookie", "junk", "epoch1"]
    if bench.quick:
        for server in (OURS, OPENSSL):
            for place in ("load's", "server's"):
                yield server, "hello", place
        for kind in kinds[2:]:
            yield OURS, kind, "load's"
        return
    for place in ("load's", "server's"):
        for kind in kinds:
            for server in (OURS, SHARED, OPENSSL, GNUTLS):
                yield server, kind, place


def flood_targets(bench: Bench) -> List[Target]:
    """Of ours, for each flood; with the clients on the server's CPU only
    hellos, where the peers in the same run are the target."""
    targets = []
    for server, kind, place in flood_labels(bench):
        row = (server.name, kind, place)
        if server is not OURS or kind == "none":
            continue
        targets.append(Target(row, "replies/requests, bytes", "<=", 1))
        if place == "load's":
            targets.append(Target(row, "echo lost %", "<=", 0))
            targets.append(Target(row, "echo p99 ms", "<=", 2))
            targets.append(Target(row, "handshakes in 8 s %", ">=", 100))
        elif kind == "hello":
            others = [
                f"{other.name}, {kind}, {place}"
                for other, k, p in flood_labels(bench)
                if (k, p) == (kind, place) and other in (OPENSSL, GNUTLS)
            ]
            targets.append(Target(row, "retransmitted %", "<", others))
            targets.append(Target(row, "failed in 4 s %", "<", others))
    return targets


def flood_table(bench: Bench) -> Table:
    """What floods do to honest users."""
    places = {"load's": bench.cpus[1], "server's": bench.cpus[0]}
    return Table(
        "flood",
        "Honest users beside a flood at full speed: 20 sessions with 50 "
        "echoes a second each, 50 new clients a second",
        ("server", "flood", "clients' CPU"),
        [
            Variant(
                (server.name, kind, place),
                partial(flood_run, bench, server, kind, places[place]),
            )
            for server, kind, place in flood_labels(bench)
        ],
        [
            Column("flood sent/s", "sent_s"),
            Column("answered/s", "replies_s"),
            Column("echo lost %", "lost", 2, 100),
            Column("echo p50 ms", "p50_ms", 2),
            Column("echo p99 ms", "p99_ms", 1),
            Column("echo max ms", "max_ms", 0),
            Column("handshakes in 8 s %", "ok_8s", 1, 100),
            Column("failed in 4 s %", "failed_4s", 1, 100),
            Column("retransmitted %", "retransmitted", 1, 100),
            Column("handshake p99 ms", "handshake_p99_ms", 0),
            Column("RSS KB before", "before_kb"),
            Column("RSS KB after", "after_kb"),
            Column("replies/requests, bytes", "reflected", 2),
        ],
        flood_targets(bench),
        [
            "The flood shares the load's CPU at nice 10. Clients on that CPU "
            "never send while it does; on the server's they do.",
        ],
    )


def verified_run(
    bench: Bench, server: Server, addresses: int, key: str
) -> Figures:
    """Newcomers 150 ms away beside second hellos with good cookies."""
    seconds = max(1.0, bench.seconds)
    limit = seconds + LATEST_S + SLACK_S
    flood = ("flood", "-k", "verified", "-r", "10000", "-a", str(addresses))
    storm = ("load", "storm", "-r", "50", "-n", str(int(50 * seconds)))
    delay = ("-d", "150", "-y", str(LATEST_S), "-t", str(seconds + LATEST_S))
    with start(bench, command_of(bench, server, key=key)) as running:
        with load(
            bench, running, *flood, "-t", str(limit), nice=FLOOD_NICE
        ) as attack:
            with load(bench, running, *storm, *delay) as client:
                told = client.result(limit)
            attack.terminate()
            sent = attack.result(SLACK_S)
        running.check()
    started = told["started"]
    return {
        "ok_8s": per(told, "within_8s", started),
        "ok_4s": per(told, "within_4s", started),
        "retransmitted": per(told, "retransmitted", started),
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "busy": told["server_s"] / told["seconds"],
        "rss_mb": told["server_rss_kb"] / 1024,
        "verified_s": sent["verified"] / sent["seconds"],
    }


def verified_table(bench: Bench) -> Table:
    """What an attacker does who can receive at his addresses."""
    sources = {"one address": 1, "a /16": 65536}
    servers = [OURS] if bench.quick else [OURS, OURS_ROOMY, OPENSSL, GNUTLS]
    keys = ["ECDSA P-256"] if bench.quick else ["ECDSA P-256", "RSA-2048"]
    return Table(
        "verified",
        "50 honest clients a second, 150 ms away, beside 10,000 valid second "
        "hellos a second",
        ("server", "key", "hellos from"),
        [
            Variant(
                (server.name, key, source),
                partial(verified_run, bench, server, n, key),
            )
            for server in servers
            for key in keys
            for source, n in sources.items()
            if server is not OURS_ROOMY or n > 1
        ],
        [
            Column("second hellos/s", "verified_s"),
            Column("honest in 8 s %", "ok_8s", 1, 100),
            Column("in 4 s %", "ok_4s", 1, 100),
            Column("retransmitted %", "retransmitted", 1, 100),
            Column("p50 ms", "p50_ms", 0),
            Column("p99 ms", "p99_ms", 0),
            Column("server's CPU %", "busy", 0, 100),
            Column("server's RSS MB", "rss_mb", 1),
        ],
        [
            Target(
                (OURS.name, key, "one address"), "honest in 8 s %", ">=", 100
            )
            for key in keys
        ],
        [
            "So many addresses share max-handshakes (1024) with the honest: "
            "a room for more is a chance for more, if the CPU can sign for "
            "all. Peers have no such bound; what they do not read in time "
            "is lost in their sockets."
        ],
    )
