# SPDX-License-Identifier: MIT
"""A DTLS server on one UDP port: libdtlslisten for Python.

``Listener`` for plain loops, ``serve`` for asyncio, ``dtlslisten.trio.serve``
for trio, ``Gate`` for a socket that you have already.
"""
from ._library import lib as _lib
from ._library import text as _text
from ._streams import StreamConnection
from .addresses import Address
from .aio import Server, serve
from .connection import Connection
from .cookies import (
    CookieInput,
    CookieResult,
    CookieStatus,
    CookieStrategy,
    Refused,
)
from .counters import Counters, ListenerCounters
from .errors import (
    Busy,
    ConfigError,
    ConnectionClosed,
    Error,
    SocketError,
    TooBig,
)
from .gate import Gate, Verdict, hello_id, is_client_hello
from .listener import Event, Listener

__version__ = "0.1.0"
library_version = _text(_lib.dtlsl_version_string())

__all__ = [
    "Address",
    "Busy",
    "ConfigError",
    "Connection",
    "ConnectionClosed",
    "CookieInput",
    "CookieResult",
    "CookieStatus",
    "CookieStrategy",
    "Counters",
    "Error",
    "Event",
    "Gate",
    "Listener",
    "ListenerCounters",
    "Refused",
    "Server",
    "SocketError",
    "StreamConnection",
    "TooBig",
    "Verdict",
    "hello_id",
    "is_client_hello",
    "library_version",
    "serve",
]
