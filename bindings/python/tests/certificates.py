# SPDX-License-Identifier: MIT
"""Certificates and keys for the tests, in files."""
from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Pair", "make_pair"]


class Pair(NamedTuple):
    """PEM files, and the certificate in DER."""

    cert_file: Path
    key_file: Path
    der: bytes


def _signed(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2020, 1, 1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        .sign(key, hashes.SHA256())
    )


def make_pair(folder: Path, name: str) -> Pair:
    """A new key, and a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _signed(name, key)
    pair = Pair(
        folder / "cert.pem",
        folder / "key.pem",
        cert.public_bytes(serialization.Encoding.DER),
    )
    pair.cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    pair.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    pair.key_file.chmod(0o600)
    return pair
