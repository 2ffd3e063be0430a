"""Signatures and checksums beside an image: written with a secret key, and checked by whoever gets the image.

The format is minisign's (``tcz.mirror.sign``): beside X.iso lies X.iso.minisig, beside X.sha256, which has
the sum of every file of the image and of its companions, X.sha256.minisig. `minisign -V` reads both.
"""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import formats
from tcz.errors import ConfigError, VerifyError
from tcz.mirror.keyring import KeyRing
from tcz.mirror.known import read_key
from tcz.mirror.sign import SecretKey, verify_file
from tcz.store import replacing, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remaster.outputs import Outputs
    from tcz.mirror.sign import PublicKey
    from tcz.paths import Dirs

SUFFIX: Final = ".minisig"
SUMS: Final = ".sha256"
_ROW = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChecked:
    """A file: its hash, who signed it (the id of a key, empty for nobody), the comment signed with it."""

    name: str
    sha256: str
    signed_by: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An image that is as it was written. ``signed_by`` is empty where no key was given."""

    image: str
    signed_by: str
    files: tuple[FileChecked, ...]


def secret(wanted: str, dirs: Dirs) -> SecretKey:
    """Return a secret key: by its file, or by its name among those of `tcz mirror keys`.

    Raises ``ConfigError`` for one that is not there, has a password, or that others may read.
    """
    path = Path(wanted)
    if "/" not in wanted and not path.is_file():
        return KeyRing(dirs).secret(wanted)
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"the key {path} cannot be read: {why}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"others may read the secret key {path}", hint=f"chmod 600 {path}")
    return SecretKey.parse(text, str(path))


def signed(outputs: Outputs) -> tuple[Path, ...]:
    """Return the files that get a signature: each image that is one file, and the sums of all."""
    alone = [path for path in outputs.images if path.parent == outputs.sums.parent]
    return (*alone, outputs.sums)


def sign(outputs: Outputs, key: SecretKey) -> tuple[Path, ...]:
    """Write the signatures of an image; return them. The same image and key give the same bytes."""
    made = []
    for path in signed(outputs):
        target = path.with_name(path.name + SUFFIX)
        with replacing(target) as new:
            new.write_bytes(key.sign_hash(_blake2b(path), f"file:{path.name}\thashed"))
        made.append(target)
    return tuple(made)


def stale(outputs: Outputs) -> tuple[Path, ...]:
    """Return signatures that lie beside an image which was written without any: they are of another one."""
    paths = (path.with_name(path.name + SUFFIX) for path in signed(outputs))
    return tuple(path for path in paths if path.is_file())


def _blake2b(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()


def public(files: Sequence[Path]) -> tuple[PublicKey, ...]:
    """Return the public keys in files. Raises ``ConfigError``."""
    return tuple(read_key(file) for file in files)


def check(image: Path, keys: Sequence[PublicKey]) -> Checked:
    """Check an image against what lies beside it: with ``keys`` its signatures, and the sums in any case.

    Raises ``VerifyError`` with everything that does not fit, and where there is nothing to check by.
    """
    if not image.exists():
        raise ConfigError(f"there is no image {image}")
    sums = _sums_of(image)
    wrong: list[str] = []
    by_sums = "" if sums is None else _by(sums, keys, wrong)
    rows = dict(_rows(sums)) if sums is not None else {}
    files = []
    for path in _files(image):
        name = path.relative_to(image.parent).as_posix()
        digest, own = sha256_file(path), path.with_name(path.name + SUFFIX)
        by = _by(path, keys, wrong) if keys and own.is_file() else ""
        if rows and rows.get(name) != digest:
            wrong.append(
                f"{name}: {digest} is not what {sums and sums.name} says: {rows.get(name, 'nothing')}"
            )
        if not by and (not by_sums or name not in rows) and keys:
            wrong.append(f"{name}: no signature vouches for it")
        comment = _comment(path, keys) if by else ""
        files.append(FileChecked(name=name, sha256=digest, signed_by=by or by_sums, comment=comment))
    if sums is None and not keys:
        wrong.append("no sums lie beside it, and no key was given: there is nothing to check it by")
    if wrong:
        raise VerifyError(
            "not the image that was written", where=str(image), why="\n".join(dict.fromkeys(wrong))
        )
    signers = {one.signed_by for one in files}
    return Checked(image=str(image), signed_by=" ".join(sorted(signers - {""})), files=tuple(files))


def _sums_of(image: Path) -> Path | None:
    name = image.name if image.name.endswith(SUMS) else f"{formats.stem(image).name}{SUMS}"
    sums = image.with_name(name)
    return sums if sums.is_file() else None


def _files(image: Path) -> Iterator[Path]:
    if not image.is_dir():
        yield image
        return
    yield from (path for path in sorted(image.iterdir()) if path.is_file() and path.suffix != SUFFIX)


def _rows(sums: Path) -> Iterator[tuple[str, str]]:
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        found = _ROW.fullmatch(line)
        if found is None:
            raise VerifyError("not a list of sums as sha256sum writes it", where=str(sums))
        yield found[2], found[1]
    yield sums.name, sha256_file(sums)


def _by(path: Path, keys: Sequence[PublicKey], wrong: list[str]) -> str:
    """Return the key that signed a file; note in ``wrong`` a signature that does not hold."""
    signature = path.with_name(path.name + SUFFIX)
    if not keys or not signature.is_file():
        return ""
    try:
        return verify_file(path, signature.read_bytes(), keys, signature.name).key.name
    except VerifyError as error:
        wrong.append(": ".join(filter(None, (error.where, error.what))))
        return ""


def _comment(path: Path, keys: Sequence[PublicKey]) -> str:
    signature = path.with_name(path.name + SUFFIX)
    return verify_file(path, signature.read_bytes(), keys, signature.name).comment


def lines(found: Checked) -> tuple[str, ...]:
    """Return the outcome as text."""
    by = f"signed by {found.signed_by}" if found.signed_by else "its sums are right; no key was given"
    return (
        f"{found.image}: {by}",
        *(f"  {one.name}  sha256 {one.sha256}" for one in found.files),
    )
