"""What a mirror is at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tcz.mirror import catalogue as catalogues
from tcz.mirror import config as configs
from tcz.mirror.locks import lock_files
from tcz.mirror.repository import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tcz.mirror.config import Upstream
    from tcz.mirror.model import Entry
    from tcz.mirror.repository import Mirror

#: Without a package of this name, with needs, Tiny Core's update-everything refuses a mirror.
_ASKED_FOR = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchStatus:
    """``size`` is that of the .tcz files, ``installed`` unpacked."""

    branch: str
    packages: int
    size: int
    installed: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """``changed`` is when the shown state was published, in seconds since 1970.

    ``signed_by`` is the id of the key that signed it, ``key_name`` what the mirror calls that; ``fault`` says
    why clients refuse the signature, or its absence. ``keys`` are those of the configuration.
    """

    title: str
    serial: int
    changed: int | None
    signed: bool
    signed_by: str
    key_name: str
    fault: str
    keys: tuple[str, ...]
    branches: tuple[BranchStatus, ...]
    states: tuple[int, ...]
    snapshots: Mapping[str, int]
    locks: tuple[str, ...]
    upstreams: tuple[Upstream, ...]


def status(mirror: Mirror) -> Status:
    """Return what a mirror holds. Raises ``ConfigError`` and ``VerifyError`` for what cannot be read."""
    config = configs.read(mirror.root)
    shown = mirror.shown()
    catalogue = mirror.catalogue(shown)
    folder = mirror.root / STATES
    states = [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    branches = dict.fromkeys((*config.branches, *catalogue.branches))
    signed = shown is not None and (shown / catalogues.SIGNATURE).is_file()
    signature = None
    if shown is not None and (signed or config.keys):
        from tcz.mirror import signatures  # noqa: PLC0415 - few mirrors need cryptography

        signature = signatures.look(shown, config, now=True)
    return Status(
        title=config.title,
        serial=catalogue.serial,
        changed=None if shown is None else int((shown / catalogues.ROOT).stat().st_mtime),
        signed=signed,
        signed_by=signature.key if signature else "",
        key_name=signature.name if signature else "",
        fault=signature.fault if signature else "",
        keys=config.keys,
        branches=tuple(_branch(str(branch), catalogue.entries(branch)) for branch in branches),
        states=tuple(sorted(states)),
        snapshots={name: int(path.name) for name, path in mirror.snapshots().items()},
        locks=tuple(str(path) for path in lock_files(mirror.root, config)),
        upstreams=config.upstreams,
    )


def _branch(name: str, entries: Mapping[str, Entry]) -> BranchStatus:
    size = installed = 0
    for entry in entries.values():
        size += entry.size
        installed += entry.installed
    return BranchStatus(
        branch=name,
        packages=len(entries),
        size=size,
        installed=installed,
        warnings=tuple(_warnings(entries)),
    )


def _warnings(entries: Mapping[str, Entry]) -> Iterator[str]:
    if entries and not (_ASKED_FOR in entries and entries[_ASKED_FOR].needs):
        yield "no zstd.tcz that needs something: update-everything refuses the mirror"


def _signed(found: Status) -> str:
    if not found.signed_by:
        return f"not to be believed: its signature {found.fault}" if found.fault else "not signed"
    who = f"signed by {found.signed_by}{f' ({found.key_name})' if found.key_name else ''}"
    if found.fault:
        return f"{who}, and clients refuse that: {found.fault}"
    return who if found.keys else f"{who}; mirror.toml names no key"


def lines(found: Status, size_text: Callable[[int], str]) -> Iterator[str]:
    """Return a status as lines."""
    when = (
        "never"
        if found.changed is None
        else f"{datetime.fromtimestamp(found.changed, UTC):%Y-%m-%d %H:%M} UTC"
    )
    if found.title:
        yield found.title
    yield f"serial {found.serial}, published {when}, {_signed(found)}"
    for branch in found.branches:
        sizes = f"{size_text(branch.size)}, {size_text(branch.installed)} unpacked"
        yield f"{branch.branch}: {branch.packages} packages, {sizes}"
        yield from (f"  warning: {warning}" for warning in branch.warnings)
    yield f"states: {' '.join(map(str, found.states))}"
    if found.snapshots:
        yield f"snapshots: {', '.join(f'{name} ({serial})' for name, serial in found.snapshots.items())}"
    yield from (f"lock: {lock}" for lock in found.locks)
    yield from (f"upstream {one.name}: {one.url}, priority {one.priority}" for one in found.upstreams)
