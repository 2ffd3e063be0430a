"""Certificates for the tests, and a server that has one: nothing of them is known outside a test."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY = timedelta(days=1)


class Authority:
    """Signs certificates; ``file`` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *names: str, days: int = 1) -> Path:
        """Return a file with a certificate for names or addresses, and its key; it ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        others: list[x509.GeneralName] = [
            x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names
        ]
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(
                self._name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key()
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 5 * _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.SubjectAlternativeName(others), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"{names[0]}{days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return file


@contextmanager
def serving_tls(folder: Path, certificate: Path | None, leads_to: str = "") -> Iterator[str]:
    """Serve a folder over TLS on the loopback; give its address.

    Without a certificate plain HTTP is spoken. With ``leads_to``, every request is led below that address.
    """

    class Handler(loopback.Files):
        def do_GET(self) -> None:
            if not leads_to:
                super().do_GET()
                return
            self.send_response(302)
            self.send_header("Location", leads_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

    wrap = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        wrap = partial(context.wrap_socket, server_side=True, do_handshake_on_connect=False)
    with loopback.serving(loopback.folder(folder, Handler), wrap) as port:
        yield f"http{'' if certificate is None else 's'}://127.0.0.1:{port}"
