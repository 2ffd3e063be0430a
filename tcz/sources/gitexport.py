"""What git says about a tree, read; and the tree written as a tar that is the same everywhere.

Formats: git-ls-tree(1) with ``-z -l``, git-cat-file(1) with ``--batch``, git-config(1) with ``-z --list``.
"""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from tcz.errors import ConfigError, Problem, VerifyError
from tcz.tree import safe_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE, EXECUTABLE, SYMLINK, SUBMODULE = "100644", "100755", "120000", "160000"
#: Very old trees have files that their group may write.
_MODES = {FILE: 0o644, "100664": 0o644, EXECUTABLE: 0o755, SYMLINK: 0o777, SUBMODULE: 0o755}
_ID = r"[0-9a-f]{40}|[0-9a-f]{64}"
_LINE = re.compile(rb"([0-7]{6}) ([a-z]+) (" + _ID.encode() + rb") +(\d+|-)\t(.+)", re.DOTALL)
_HEADER = re.compile(rb"(" + _ID.encode() + rb") ([a-z]+) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of a commit's tree."""

    path: str
    mode: str
    id: str
    size: int


def entries(listing: bytes, where: str) -> tuple[Entry, ...]:
    """Read what ``git ls-tree -r -z -l`` prints; raise ``VerifyError`` for paths that leave the tree."""
    found: list[Entry] = []
    for line in listing.split(b"\0")[:-1]:
        match = _LINE.fullmatch(line)
        if match is None or (mode := match[1].decode()) not in _MODES:
            raise VerifyError("a tree's entry is of no known kind", where=where, why=repr(line))
        path = match[5].decode(errors="surrogateescape")
        parts = path.split("/")
        if path.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
            raise VerifyError(f"a tree's entry has a path that is not allowed: {path!r}", where=where)
        size = 0 if match[4] == b"-" else int(match[4])
        found.append(Entry(path=safe_path(path), mode=mode, id=match[3].decode(), size=size))
    return tuple(found)


def objects(answer: bytes, wanted: Iterable[str], where: str) -> Iterator[bytes]:
    """Yield the contents of the objects ``wanted`` from what ``git cat-file --batch`` printed for them."""
    at = 0
    for one in wanted:
        end = answer.find(b"\n", at)
        match = _HEADER.fullmatch(answer[at:end]) if end >= 0 else None
        if match is None or match[1].decode() != one or match[2] != b"blob":
            raise VerifyError(
                f"git did not give the file {one}", where=where, why=repr(answer[at : at + 100])
            )
        at = end + 1
        size = int(match[3])
        data = answer[at : at + size]
        if len(data) != size or answer[at + size : at + size + 1] != b"\n":
            raise VerifyError(f"git gave only a part of the file {one}", where=where)
        at += size + 1
        yield data


def submodule_urls(listing: bytes, base: str, where: str) -> Mapping[str, str]:
    """Read a .gitmodules, as ``git config -z --list`` prints it: addresses by path.

    Addresses relative to ``base``, the repository's own, are made whole. Raises ``ConfigError`` for one
    that cannot be.
    """
    settings: dict[str, dict[str, str]] = {}
    for item in listing.decode(errors="surrogateescape").split("\0")[:-1]:
        key, _, value = item.partition("\n")
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "submodule" and name:
            settings.setdefault(name, {})[variable] = value
    return {
        found["path"].strip("/"): _absolute(found["url"], base, where)
        for found in settings.values()
        if found.get("path", "").strip("/") and found.get("url")
    }


def _absolute(url: str, base: str, where: str) -> str:
    if not url.startswith(("./", "../")):
        return url
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    for part in url.split("/"):
        if part == "..":
            path, slash, _ = path.rpartition("/")
            if not slash:
                message = f"{url!r} leads out of {base}"
                raise ConfigError("a submodule has no address", [Problem(where=where, message=message)])
        elif part not in ("", "."):
            path += f"/{part}"
    return parts._replace(path=path, query="", fragment="").geturl()


class TarWriter:
    """Writes trees into one tar: entries as they come, all with one time and no owner."""

    def __init__(self, file: IO[bytes]) -> None:
        """Write to ``file``, which stays open."""
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, path: str, mode: str, data: bytes, time: int) -> None:
        """Add a file, a link (its target is ``data``) or, for a submodule, an empty folder."""
        info = tarfile.TarInfo(path)
        info.mode = _MODES[mode]
        info.mtime = time
        if mode == SUBMODULE:
            info.type = tarfile.DIRTYPE
            self._tar.addfile(info)
        elif mode == SYMLINK:
            info.type = tarfile.SYMTYPE
            info.linkname = data.decode(errors="surrogateescape")
            self._tar.addfile(info)
        else:
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()
