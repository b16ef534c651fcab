#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An echo server on asyncio's loop, or on uvloop's.

    echo.py [--uvloop] [-o NAME=VALUE]... HOST [PORT]

HOST is a numeric address, "-" or "*" for all; PORT is 4433 unless given, 0
picks one. SIGUSR1 prints the counters, SIGINT and SIGTERM stop; see
dtlslisten-config(5).
"""
from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import dtlslisten

Handler = Callable[[dtlslisten.StreamConnection], Awaitable[None]]


async def echo(conn: dtlslisten.StreamConnection) -> None:
    async for message in conn:
        try:
            await conn.send(message)
        except dtlslisten.Error as error:
            print("not echoed:", error, file=sys.stderr)


def keywords(settings: Sequence[str]) -> dict[str, Any]:
    """The library's NAME=VALUE as keyword arguments."""
    options: dict[str, Any] = {}
    cookie: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError("-o takes NAME=VALUE")
        if name.startswith("cookie."):
            cookie[name[len("cookie.") :]] = value
        else:
            options[name.replace("-", "_")] = value
    return {**options, "cookie_options": cookie} if cookie else options


def print_counters(server: dtlslisten.Server) -> None:
    print(json.dumps(dict(server.counters.items())), flush=True)


async def serve(
    handler: Handler, host: str, port: int, options: dict[str, Any]
) -> None:
    """Serves until a signal says stop."""
    everywhere = host in ("-", "*")
    server = await dtlslisten.serve(
        handler, None if everywhere else host, port, **options
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print_counters, server)
    loop.add_signal_handler(signal.SIGINT, server.close)
    loop.add_signal_handler(signal.SIGTERM, server.close)
    print("listening", server.address, flush=True)
    await server.wait_closed()
    print_counters(server)


def main(handler: Handler, default_port: int) -> None:
    """The command line, and that of coap.py."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", metavar="NAME=VALUE", action="append")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("host")
    parser.add_argument("port", type=int, nargs="?", default=default_port)
    args = parser.parse_args()
    if args.uvloop:
        import uvloop

        uvloop.install()
    try:
        options = keywords(args.o or [])
        asyncio.run(serve(handler, args.host, args.port, options))
    except (dtlslisten.Error, TypeError, ValueError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main(echo, default_port=4433)
