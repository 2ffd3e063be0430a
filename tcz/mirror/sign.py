"""Signatures in the format of minisign: Ed25519 over the BLAKE2b hash of a file.

https://jedisct1.github.io/minisign/ describes the files. Two keys of one name differ in their eight-byte id;
the *trusted* comment of a signature is signed too, the other one is not and means nothing. Secret keys are
written and read without a password: what protects them is who may read the file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tcz.errors import ConfigError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNTRUSTED: Final = "untrusted comment: "
_TRUSTED: Final = "trusted comment: "
_KEY: Final = b"Ed"
_HASHED: Final = b"ED"
_WHOLE: Final = b"Ed"
_NO_PASSWORD: Final = b"\0\0"
_CHECKSUM: Final = b"B2"
_ID_SIZE: Final = 8
_KEY_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_SECRET_SIZE: Final = 158
_LINES: Final = 4
#: Salt and limits of the password's hash: of no meaning where there is no password.
_NO_LIMITS: Final = bytes(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What signatures are checked with; ``id`` says which key a signature claims to be of."""

    id: bytes
    key: bytes

    @classmethod
    def parse(cls, text: str, where: str = "public key") -> PublicKey:
        """Read a .pub file, or its second line alone; raises ``VerifyError``."""
        lines = text.splitlines()
        data = _decoded(lines[-1] if lines else "", where)
        if len(lines) > 2 or not data.startswith(_KEY) or len(data) != 2 + _ID_SIZE + _KEY_SIZE:  # noqa: PLR2004
            raise VerifyError("not a public key of minisign", where=where)
        return cls(id=data[2 : 2 + _ID_SIZE], key=data[2 + _ID_SIZE :])

    @property
    def name(self) -> str:
        """Its id as minisign shows it."""
        return self.id[::-1].hex().upper()

    def text(self) -> str:
        """Return the .pub file."""
        return f"{_UNTRUSTED}minisign public key {self.name}\n{_encoded(_KEY + self.id + self.key)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """What signatures are made with; it never appears in a message."""

    public: PublicKey
    _seed: bytes

    def __repr__(self) -> str:
        """Name the key, not its bytes."""
        return f"SecretKey({self.public.name})"

    @classmethod
    def new(cls) -> SecretKey:
        """Make a key."""
        private = Ed25519PrivateKey.generate()
        public = PublicKey(id=secrets.token_bytes(_ID_SIZE), key=private.public_key().public_bytes_raw())
        return cls(public=public, _seed=private.private_bytes_raw())

    @classmethod
    def parse(cls, text: str, where: str) -> SecretKey:
        """Read a secret key file; raises ``ConfigError`` for one with a password, ``VerifyError`` else."""
        lines = text.splitlines()
        data = _decoded(lines[1] if len(lines) == 2 else "", where)  # noqa: PLR2004
        if len(data) != _SECRET_SIZE or data[:2] != _KEY or data[4:6] != _CHECKSUM:
            raise VerifyError("not a secret key of minisign", where=where)
        if data[2:4] != _NO_PASSWORD:
            raise ConfigError(
                f"the key {where} has a password, and this program has nobody to ask for it",
                hint=f"take the password away: minisign -C -W -s {where}",
            )
        at = len(_KEY + _NO_PASSWORD + _CHECKSUM + _NO_LIMITS)
        key_id, seed, public = data[at : at + 8], data[at + 8 : at + 40], data[at + 40 : at + 72]
        if Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() != public:
            raise VerifyError("a damaged secret key", where=where)
        return cls(public=PublicKey(id=key_id, key=public), _seed=seed)

    def text(self) -> str:
        """Return the secret key file, without a password."""
        head = _KEY + _NO_PASSWORD + _CHECKSUM + _NO_LIMITS
        data = head + self.public.id + self._seed + self.public.key + bytes(_KEY_SIZE)
        return f"{_UNTRUSTED}minisign encrypted secret key\n{_encoded(data)}\n"

    def sign(self, data: bytes, comment: str) -> bytes:
        """Return the .minisig file for ``data``; ``comment`` is one line, and signed with it."""
        return self.sign_hash(hashlib.blake2b(data).digest(), comment)

    def sign_hash(self, digest: bytes, comment: str) -> bytes:
        """Return the .minisig file for data whose BLAKE2b hash of 64 bytes is ``digest``; see ``sign``."""
        if not comment.isprintable() and not comment.replace("\t", "").isprintable():
            raise ConfigError(f"{comment!r} cannot be the comment of a signature: one line of text")
        private = Ed25519PrivateKey.from_private_bytes(self._seed)
        signature = private.sign(digest)
        whole = private.sign(signature + comment.encode())
        return (
            f"{_UNTRUSTED}signature from key {self.public.name}\n"
            f"{_encoded(_HASHED + self.public.id + signature)}\n{_TRUSTED}{comment}\n{_encoded(whole)}\n"
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that holds: by whom, and the comment that was signed with it."""

    key: PublicKey
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A .minisig file taken apart; nothing of it is checked."""

    kind: bytes
    key_id: bytes
    signed: bytes
    comment: str
    whole: bytes


def _parts(signature: bytes, where: str) -> _Parts:
    try:
        lines = signature.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        lines = []
    if (
        len(lines) != _LINES
        or not lines[0].startswith(_UNTRUSTED)
        or not lines[2].startswith(_TRUSTED)
        or any("\r" in line for line in lines)
    ):
        raise VerifyError("not a signature of minisign", where=where)
    first, whole = _decoded(lines[1], where), _decoded(lines[3], where)
    kind, key_id, signed = first[:2], first[2 : 2 + _ID_SIZE], first[2 + _ID_SIZE :]
    if kind not in (_HASHED, _WHOLE) or len(signed) != _SIGNATURE_SIZE:
        raise VerifyError("not a signature of minisign", where=where)
    comment = lines[2].removeprefix(_TRUSTED)
    return _Parts(kind=kind, key_id=key_id, signed=signed, comment=comment, whole=whole)


def signer(signature: bytes, where: str) -> str:
    """Return the id of the key that a .minisig file claims to be of; raises ``VerifyError``."""
    return _parts(signature, where).key_id[::-1].hex().upper()


def verify(data: bytes, signature: bytes, keys: Iterable[PublicKey], where: str) -> Verified:
    """Check a .minisig file for ``data``; raises ``VerifyError`` unless one of ``keys`` made it."""
    found = _parts(signature, where)
    return _verify(found, hashlib.blake2b(data).digest() if found.kind == _HASHED else data, keys, where)


def verify_file(path: Path, signature: bytes, keys: Iterable[PublicKey], where: str) -> Verified:
    """Check a .minisig file for the file at ``path``, however large; see ``verify``."""
    found = _parts(signature, where)
    with path.open("rb") as file:
        signed = file.read() if found.kind != _HASHED else hashlib.file_digest(file, hashlib.blake2b).digest()
    return _verify(found, signed, keys, where)


def _verify(found: _Parts, signed: bytes, keys: Iterable[PublicKey], where: str) -> Verified:
    key = next((key for key in keys if key.id == found.key_id), None)
    if key is None:
        raise VerifyError(
            f"signed with the key {found.key_id[::-1].hex().upper()}, which is not trusted",
            where=where,
            hint="get the mirror's key by a way of its own, and compare",
        )
    public = Ed25519PublicKey.from_public_bytes(key.key)
    try:
        public.verify(found.signed, signed)
        public.verify(found.whole, found.signed + found.comment.encode())
    except InvalidSignature:
        raise VerifyError(
            "the signature does not fit", where=where, why="the file or its signature was changed"
        ) from None
    return Verified(key=key, comment=found.comment)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str, where: str) -> bytes:
    """Decode base64 in the one form that encodes these bytes."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        data = b""
    if not data or _encoded(data) != text:
        raise VerifyError("not a key or signature of minisign", where=where)
    return data
