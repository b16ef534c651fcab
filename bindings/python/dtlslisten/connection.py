# SPDX-License-Identifier: MIT
"""A verified peer, whatever delivers its messages."""
from __future__ import annotations

from typing import Any, Optional

from . import errors
from ._library import Bytes, encoded, ffi, grown, lib, text
from .addresses import Address

__all__ = ["BaseConnection", "Connection"]

_ADDRESS_MAX: int = lib.DTLSL_ADDRESS_MAX


class BaseConnection:
    """A verified peer. Its methods raise ConnectionClosed once it is gone.

    ``id`` is never reused. ``peer`` is its address. ``close_reason`` is None
    while it lives, then one word: "peer", "local", "idle", "timeout",
    "replaced", "evicted", "stopped", "alert", "tls" or "nomem";
    ``close_text`` is a sentence on it. ``data`` is yours.
    """

    def __init__(self, handle: Any, conn: int) -> None:
        self._handle = handle
        self.id = conn
        self.peer = Address.parse(self._address(lib.dtlsl_conn_peer))
        self.close_reason: Optional[str] = None
        self.close_text = ""
        self.data: Any = None

    def __repr__(self) -> str:
        state = self.close_reason or "open"
        return f"<dtlslisten.Connection {self.id} {self.peer} {state}>"

    def _address(self, function: Any) -> str:
        buffer = ffi.new("char[]", _ADDRESS_MAX)
        self._ask(function, buffer, _ADDRESS_MAX)
        return text(buffer)

    def _ask(self, function: Any, *rest: Any) -> int:
        result: int = function(self._handle.pointer, self.id, *rest)
        if result < 0:
            self._refuse(result)
        return result

    def _refuse(self, result: int) -> None:
        gone = self._handle.pointer == ffi.NULL or self.closed
        if result == lib.DTLSL_ERR_STATE or gone:
            raise errors.ConnectionClosed(
                lib.DTLSL_ERR_NOCONN if gone else result, self.close_text
            )
        errors.fail(result)

    def _read(self, function: Any, *rest: Any) -> bytes:
        def call(buffer: Any, size: int) -> int:
            pointer = self._handle.pointer
            return int(function(pointer, self.id, *rest, buffer, size))

        length, buffer = grown(call)
        if length < 0:
            self._refuse(length)
        return bytes(ffi.buffer(buffer, length))

    def _end(self, reason: str, words: str) -> None:
        self.close_reason = reason
        self.close_text = words

    @property
    def closed(self) -> bool:
        """Whether its "close" or "failed" event was delivered, or its
        listener closed."""
        return self.close_reason is not None

    @property
    def local(self) -> Address:
        """Our address that the peer uses."""
        return Address.parse(self._address(lib.dtlsl_conn_local))

    @property
    def mtu(self) -> int:
        """The longest message that send() takes now, in bytes."""
        return self._ask(lib.dtlsl_conn_mtu)

    def info(self, name: str) -> str:
        """A fact on the session: "alpn", "cipher", "version", "server-name"
        or "psk-identity"; "" where there is none."""
        read = self._read(lib.dtlsl_conn_info, encoded(name))
        return read.decode("utf-8", "replace")

    @property
    def alpn(self) -> str:
        """The application protocol (RFC 7301), "" if none was agreed on."""
        return self.info("alpn")

    @property
    def cipher(self) -> str:
        """The cipher suite, as OpenSSL calls it."""
        return self.info("cipher")

    @property
    def version(self) -> str:
        """The protocol's version, as OpenSSL calls it: "DTLSv1.2"."""
        return self.info("version")

    @property
    def server_name(self) -> str:
        """The name that the peer asked for (RFC 6066 section 3)."""
        return self.info("server-name")

    @property
    def psk_identity(self) -> str:
        """The identity of the pre-shared key (RFC 4279), "" without one."""
        return self.info("psk-identity")

    def peer_certificate(self) -> Optional[bytes]:
        """The peer's certificate in DER, None without one."""
        return self._read(lib.dtlsl_conn_peer_certificate) or None

    def export_keying_material(
        self, label: str, length: int, context: Optional[Bytes] = None
    ) -> bytes:
        """``length`` bytes of keying material (RFC 5705)."""
        out = ffi.new("uint8_t[]", max(length, 1))
        given = ffi.NULL if context is None else ffi.from_buffer(context)
        size = 0 if context is None else len(given)
        self._ask(
            lib.dtlsl_conn_export, encoded(label), given, size, out, length
        )
        return bytes(ffi.buffer(out, length))

    @property
    def cookie_age(self) -> float:
        """Seconds from the cookie's minting to its return: at least one
        round trip."""
        return self._ask(lib.dtlsl_conn_cookie_age) / 1000

    @property
    def cookie_app(self) -> bytes:
        """The application data in its cookie."""
        return self._read(lib.dtlsl_conn_cookie_app)

    def send_nowait(self, data: Bytes) -> None:
        """Sends one message, of a byte at least: all of it, or an exception
        and nothing.

        Busy when the socket is full (a "writable" event follows), TooBig
        above ``mtu``, ConnectionClosed before "open" and after the end.
        """
        message = ffi.from_buffer(data)
        result = lib.dtlsl_conn_send(
            self._handle.pointer, self.id, message, len(message)
        )
        if result < 0:
            if len(message) == 0:
                raise ValueError("a message has one byte at least")
            self._refuse(result)

    def close(self) -> None:
        """Sends close_notify; the "close" event comes later. For a
        connection that is gone it does nothing."""
        if self._handle.pointer != ffi.NULL:
            lib.dtlsl_conn_close(self._handle.pointer, self.id)


class Connection(BaseConnection):
    """A connection of a Listener."""

    def send(self, data: Bytes) -> None:
        """The same as send_nowait(). The answers to a batch of datagrams
        leave together, when the last of its events was pulled, or at the
        next poll() or timeout()."""
        self.send_nowait(data)
