"""``ca-certificates``: authorities that are trusted besides the public ones.

Each file, PEM (RFC 7468), becomes one of /usr/local/share/ca-certificates, from where the package
ca-certificates, ours like Tiny Core's own, puts it into the bundle that programs read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant import secrets
from remaster.variant.fields import Texts
from remaster.variant.parts import Effects, FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tcz import toml

CERTIFICATES = Texts(
    "ca-certificates",
    "Files with certificates of further authorities (PEM), beside the variant's.",
    example='ca-certificates = ["corporate.pem"]\n',
)
_FOLDER: Final = "usr/local/share/ca-certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A file of certificates: what it is called, and they themselves, one PEM block after the other."""

    name: str
    pem: bytes
    where: str


def read(table: toml.Table, path: Path) -> tuple[Certificate, ...]:
    """Return the files; ``path`` is the variant's."""
    found: list[Certificate] = []
    for index, name in enumerate(CERTIFICATES.read(table)):
        file = path.parent / name
        try:
            pem, complaint = normal(file.read_bytes())
        except OSError as error:
            pem, complaint = b"", f"cannot be read: {error.strerror}"
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", file.stem)
        if complaint is None and any(stem == one.name for one in found):
            complaint = f"two files would be named {stem}.crt"
        if complaint is not None:
            table.fail_item(CERTIFICATES.name, index, f"{file}: {complaint}")
        found.append(Certificate(name=stem, pem=pem, where=table.where(CERTIFICATES.name)))
    return tuple(found)


def normal(content: bytes) -> tuple[bytes, str | None]:
    """Return the certificates of a file, remarks left out, and what is wrong with it."""
    from cryptography import x509  # noqa: PLC0415 - slow to import, and few variants have any
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    complaint = secrets.in_content(content)
    if complaint is not None:
        return b"", complaint
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        return b"", "this is no file of certificates in PEM form"
    for one in found:
        name = one.subject.rfc4514_string() or "without a name"
        try:
            basic = one.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            continue  # old roots have none
        except ValueError:
            return b"", f"{name}: its extensions are damaged"
        if not basic.ca and one.issuer != one.subject:
            return b"", f"{name} is not an authority's certificate; give that of who signed it"
    return b"".join(one.public_bytes(Encoding.PEM) for one in found), None


def merged(first: tuple[Certificate, ...], then: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """Return both; a file of ``then`` replaces one of its name."""
    return tuple(({one.name: one for one in first} | {one.name: one for one in then}).values())


def effects(given: tuple[Certificate, ...]) -> Effects:
    """Return the files, and the package that makes the bundle."""
    files = tuple(
        FileSpec(path=f"{_FOLDER}/{one.name}.crt", content=one.pem, where=one.where) for one in given
    )
    return Effects(files=files, packages=("ca-certificates",) if files else ())
