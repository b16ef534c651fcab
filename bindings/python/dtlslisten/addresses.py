# SPDX-License-Identifier: MIT
"""Addresses as Python's sockets know them: host and port."""
from __future__ import annotations

import ipaddress
from typing import NamedTuple, Union

__all__ = ["Address", "AddressLike"]

AddressLike = Union[str, tuple[str, int], tuple[str, int, int, int]]


class Address(NamedTuple):
    """A numeric host, with its zone if it has one, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, written: str) -> Address:
        """From "192.0.2.1:4433" or "[2001:db8::1]:4433"."""
        host, _, port = written.rpartition(":")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def of(cls, address: AddressLike) -> Address:
        """From a text, or from what socket.recvfrom() gives."""
        if isinstance(address, str):
            return cls.parse(address)
        host, port = address[:2]
        zone = address[-1] if len(address) == 4 else 0
        if zone and "%" not in host:
            host = f"{host}%{zone}"
        return cls(host, port)

    @classmethod
    def of_bytes(cls, raw: bytes) -> Address:
        """From the 24 bytes of dtlsl_path: 16 address, 2 port, 4 zone."""
        address = ipaddress.IPv6Address(raw[:16])
        zone = int.from_bytes(raw[18:22], "big")
        host = str(address.ipv4_mapped or address)
        if zone:
            host += f"%{zone}"  # as the library writes it
        return cls(host, int.from_bytes(raw[16:18], "big"))
