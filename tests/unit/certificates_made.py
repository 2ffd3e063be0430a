"""Certificates made on the spot."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def certificates() -> tuple[bytes, bytes, bytes]:
    """Return an authority's certificate, its key, and a certificate that it signed for a server, all PEM."""
    key = ed25519.Ed25519PrivateKey.generate()
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

    def certificate(name: str, *, authority: bool) -> bytes:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
        end = start.replace(year=2040)
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 7, start, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        return builder.sign(key, None).public_bytes(Encoding.PEM)

    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate("root", authority=True), private, certificate("server", authority=False)
