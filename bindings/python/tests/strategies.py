# SPDX-License-Identifier: MIT
"""A cookie strategy in Python that is a good one: 8 bytes of the clock and 12
of an HMAC over peer, hello and clock."""
from __future__ import annotations

import hashlib
import hmac
import os
from typing import Optional, Union

import dtlslisten
from dtlslisten import CookieInput, CookieResult, CookieStatus

__all__ = ["Signed"]


class Signed(dtlslisten.CookieStrategy):
    """Keeps what it was asked, and says ``age``, ``node`` and ``app``."""

    name = "signed"
    max_cookie_len = 20

    def __init__(self, lifetime_ms: int = 1000, app: bytes = b"") -> None:
        self.lifetime_ms = lifetime_ms
        self.app = app
        self.options: Optional[dict[str, str]] = None
        self.minted: list[CookieInput] = []
        self.verified: list[CookieInput] = []
        self.closed = 0
        self._key = os.urandom(32)

    def _sign(self, hello: CookieInput, clock: bytes) -> bytes:
        data = hello.peer_bytes + clock + hello.core
        return hmac.new(self._key, data, hashlib.sha256).digest()[:12]

    def open(self, options: dict[str, str]) -> None:
        """Takes lifetime-ms."""
        self.options = dict(options)
        self.lifetime_ms = int(options.pop("lifetime-ms", self.lifetime_ms))
        super().open(options)

    def close(self) -> None:
        """Counts."""
        self.closed += 1

    def mint(self, hello: CookieInput) -> bytes:
        """Clock and HMAC."""
        self.minted.append(hello)
        clock = hello.mono_ms.to_bytes(8, "big")
        return clock + self._sign(hello, clock)

    def verify(
        self, hello: CookieInput, cookie: bytes
    ) -> Union[bool, CookieStatus, CookieResult]:
        """With its age."""
        self.verified.append(hello)
        if len(cookie) != self.max_cookie_len:
            return CookieStatus.MALFORMED
        if not hmac.compare_digest(cookie[8:], self._sign(hello, cookie[:8])):
            return False
        age = hello.mono_ms - int.from_bytes(cookie[:8], "big")
        if age > self.lifetime_ms:
            return CookieStatus.EXPIRED
        return CookieResult(age_ms=age, node=7, app=self.app)
