"""The ``h1:`` hash of Go modules, as golang.org/x/mod/sumdb/dirhash defines it.

It is the sha256, in base64, of lines ``<sha256 of the file>  <name>``, one per file, sorted by name.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def hash1(files: Iterable[tuple[str, str]]) -> str:
    """Return ``h1:...`` for pairs of name and hex sha256; raise ``VerifyError`` for a newline in a name."""
    summary = hashlib.sha256()
    for name, digest in sorted(files, key=lambda item: item[0].encode()):
        if "\n" in name:
            raise VerifyError(f"a module's file has a newline in its name: {name!r}")
        summary.update(f"{digest}  {name}\n".encode())
    return "h1:" + base64.b64encode(summary.digest()).decode("ascii")


def hash_zip(path: Path) -> str:
    """Return the hash of a module's zip file; raise ``VerifyError`` when it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return hash1((info.filename, _digest(archive, info)) for info in archive.infolist())
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise VerifyError("damaged module file", where=str(path), why=str(error)) from error


def check_zip(path: Path, expected: str, *, what: str) -> None:
    """Raise ``VerifyError`` that tells both hashes unless the zip file has the expected one."""
    actual = hash_zip(path)
    if actual != expected:
        raise VerifyError(
            f"{what}: wrong sum",
            why=f"expected {expected}\nfound    {actual}\nthe file is {path}; nothing was used",
            hint="module versions never change: compare with go.sum of those who use it",
        )


def _digest(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with archive.open(info) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
