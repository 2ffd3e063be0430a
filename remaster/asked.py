"""What was asked for, so that it can be asked for again and told apart: options, settings, files by hash.

A *setting* is a line of a request with all that a variant extends and a command line adds already in it: the
same image has the same settings. Contents are told by hash. Those that not everybody on the machine may read,
and settings that may be secrets, are told by a slow one, from which nobody can guess them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remaster.variant import FileSpec, Variant

#: Fields that decide no byte: remarks, and where something was read.
_SILENT: Final = ("where", "origin", "summary", "extends", "needed", "lines")
_FOR_ALL: Final = 0o004
_SCRYPT: Final = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a command line said beside the variant. ``files`` are the paths of ``--file`` in the image.

    Packages that were given as files are named alone; their hashes are those of the packages. ``more`` are
    options of texts by name.
    """

    packages: tuple[str, ...] = ()
    boot_codes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    kernel: str | None = None
    more: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFile:
    """A file that a variant was read from: the variant's own first, then what it extends."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTold:
    """A file that a variant or ``--file`` (``given``) puts into the root; ``hash`` names its algorithm."""

    path: str
    mode: int
    owner: str
    hash: str
    given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All of a request that a manifest tells: enough to make it again, and to know that it is the same."""

    variant_files: tuple[VariantFile, ...]
    options: Options
    compressor: str
    level: int | None
    mode: str
    keys: tuple[str, ...]
    files: tuple[FileTold, ...]
    settings: str


@lru_cache(maxsize=64)
def hash_of(content: bytes, mode: int, path: str) -> str:
    """Return ``sha256:...``, or ``scrypt:...`` for what not everybody on the machine may read."""
    if mode & _FOR_ALL:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    return _slow(content, f"image file {path}")


@lru_cache(maxsize=64)
def _slow(content: bytes, salt: str) -> str:
    return f"scrypt:{hashlib.scrypt(content, salt=salt.encode(), **_SCRYPT).hex()}"


def told(files: Iterable[FileSpec], given: Sequence[str]) -> tuple[FileTold, ...]:
    """Return a variant's files as a manifest tells them."""
    return tuple(
        FileTold(
            path=spec.path,
            mode=spec.mode,
            owner=spec.owner,
            hash=hash_of(spec.content, spec.mode, spec.path),
            given=spec.path in given,
        )
        for spec in files
    )


def settings(
    variant: Variant, more: Iterable[tuple[str, object]], files: Iterable[FileTold]
) -> tuple[str, ...]:
    """Return every setting as ``key: value``, in order; lists keep theirs. Empty values are not told."""
    lines: list[str] = []
    for field in fields(variant):
        if field.name != "files" and not _silent(field.name):
            lines += _lines(_key(field.name), getattr(variant, field.name))
    for key, value in more:
        lines += _lines(key, value)
    lines += [f"file /{one.path}: {one.mode:o} {one.owner} {one.hash}" for one in files]
    return tuple(dict.fromkeys(sorted(lines, key=_key_of)))


def _silent(name: str) -> bool:
    return name in _SILENT or name.endswith("_where")


def _key_of(line: str) -> str:
    return line.partition(": ")[0]


def _key(name: str) -> str:
    return name.replace("_", "-")


def _lines(key: str, value: object) -> Iterator[str]:
    match value:
        case None | "" | () | b"":
            return
        case bytes():
            yield f"{key}: sha256:{hashlib.sha256(value).hexdigest()}"
        case tuple() | list():
            for number, item in enumerate(value):
                yield from _lines(key if isinstance(item, str) else f"{key}.{number}", item)
        case Path():
            return
        case _ if is_dataclass(value):
            for field in fields(value):
                inner = getattr(value, field.name)
                if field.metadata.get("private") and inner:
                    yield f"{key}.{_key(field.name)}: {_slow(repr(inner).encode(), f'setting {field.name}')}"
                elif not _silent(field.name):
                    yield from _lines(f"{key}.{_key(field.name)}", inner)
        case _:
            yield f"{key}: {value}"


def digest(lines: Iterable[str]) -> str:
    """Return the hash of settings."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def differences(locked: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each setting that differs."""
    before, after = _grouped(locked), _grouped(now)
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, []), after.get(key, [])
        if old == new:
            continue
        gone = [value for value in old if value not in new]
        came = [value for value in new if value not in old]
        if not gone and not came:
            found.append(f"{key}: another order: {' '.join(old)} -> {' '.join(new)}")
        elif not old or not new:
            found.append(f"{key}: {' '.join(old or new)} {'is new' if new else 'is no longer asked for'}")
        else:
            parts = [f"-{value}" for value in gone] + [f"+{value}" for value in came]
            found.append(f"{key}: {' '.join(parts)}")
    return tuple(found)


def _grouped(lines: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(": ")
        found.setdefault(key, []).append(value)
    return found


def variant_files(first: Path, named: Sequence[Path]) -> tuple[VariantFile, ...]:
    """Return the files that a variant is read from, following ``extends``; ``named`` are those that ship."""
    by_name = {path.stem: path for path in named}
    found: dict[Path, VariantFile] = {}
    path: Path | None = first
    while path is not None and path.is_file() and path.resolve() not in found:
        data = path.read_bytes()
        found[path.resolve()] = VariantFile(name=path.name, sha256=hashlib.sha256(data).hexdigest())
        document = toml.parse(data.decode(), str(path))
        extends = document.root.string("extends", "", empty=True)
        beside = path.parent / extends
        path = beside if extends.endswith(".toml") and beside.is_file() else by_name.get(extends)
    return tuple(found.values())
