# SPDX-License-Identifier: MIT
"""What can go wrong, as exceptions."""
from __future__ import annotations

import os
from typing import Any, NoReturn

from ._library import lib, text

__all__ = [
    "Busy",
    "ConfigError",
    "ConnectionClosed",
    "Error",
    "SocketError",
    "TooBig",
]


class Error(Exception):
    """An error of the library.

    ``code`` is its number, ``name`` the same as a word ("DTLSL_ERR_STATE",
    "EADDRINUSE"). Compare names: numbers of system errors differ between
    platforms. ``str()`` is a sentence for people.
    """

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        self.name = text(lib.dtlsl_err_name(code))
        self.message = message or text(lib.dtlsl_strerror(code))
        super().__init__(f"{self.message} [{self.name}]")

    def __reduce__(self) -> Any:
        return type(self), (self.code, self.message)

    def __str__(self) -> str:
        return f"{self.message} [{self.name}]"


class ConfigError(Error, ValueError):
    """A value of an option is refused: what, where, the remedy."""


class ConnectionClosed(Error, ConnectionError):
    """The connection is gone, or about to go."""


class Busy(Error, BlockingIOError):
    """The socket is full and nothing was sent; a "writable" event follows."""


class TooBig(Error, ValueError):
    """The message is longer than ``Connection.mtu``; nothing was sent."""


class SocketError(Error, OSError):
    """An error of the system; ``errno`` and ``strerror`` are set as for every
    OSError."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(code, message)
        self.errno = -code
        self.strerror = os.strerror(-code)


_CLASSES: dict[int, type[Error]] = {
    lib.DTLSL_ERR_ARGUMENT: ConfigError,
    lib.DTLSL_ERR_OPTION: ConfigError,
    lib.DTLSL_ERR_CREDENTIALS: ConfigError,
    lib.DTLSL_ERR_FILE: ConfigError,
    lib.DTLSL_ERR_PLUGIN: ConfigError,
    lib.DTLSL_ERR_NOCONN: ConnectionClosed,
    lib.DTLSL_ERR_BUSY: Busy,
    lib.DTLSL_ERR_TOOBIG: TooBig,
}


def fail(code: int, message: str = "") -> NoReturn:
    """Raises the exception for a negative result."""
    if code > lib.DTLSL_ERR_ARGUMENT:
        raise SocketError(code, message)
    raise _CLASSES.get(code, Error)(code, message)
