# SPDX-License-Identifier: MIT
"""A program: many short sessions, and what memory is left behind.

    LD_PRELOAD=live_bytes.so python3 sessions.py PSK-FILE KEY WARM-UP COUNT

Prints one line of JSON: the bytes that the library holds and the process'
resident set, before and after COUNT sessions.
"""
from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import sys
from typing import Any

import dtlslisten
from dtlslisten import Server, StreamConnection


async def echo(conn: StreamConnection) -> None:
    """Each message goes back."""
    async for message in conn:
        await conn.send(message)


async def run_sessions(server: Server, key: str, count: int) -> None:
    """That many, four at a time: so many the listener takes at once."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    clients = await asyncio.create_subprocess_exec(
        *[os.environ["DTLSL_HANDSHAKES"], "-p", key, "-n", str(count)],
        *["-j", "4", "-e", "1", server.address.host],
        str(server.address.port),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await clients.wait() == 0
    while server.counters["conns"] or server.counters["handshakes"]:
        await asyncio.sleep(0.01)


def measure() -> dict[str, int]:
    """Bytes of the library, and pages of the process."""
    gc.collect()
    live = ctypes.CDLL(None).live_bytes
    live.restype = ctypes.c_size_t
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {"live": live(), "resident": pages * os.sysconf("SC_PAGE_SIZE")}


async def main(psk_file: str, key: str, warm_up: str, count: str) -> Any:
    """Both measurements, and how many sessions there were."""
    async with await dtlslisten.serve(
        echo, "127.0.0.1", psk_file=psk_file
    ) as server:
        await run_sessions(server, key, int(warm_up))
        before = measure()
        await run_sessions(server, key, int(count))
        return {
            "before": before,
            "after": measure(),
            "opened": server.counters["opened"],
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
