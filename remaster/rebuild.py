"""Images made again from what they say they are made of, and compared bit for bit.

The manifest inside an image names its packages by build id and hash, its base, its variant's files by hash
and the options that it was asked for with. All of that is looked for here; nothing is taken out of the image
itself but the public keys that may log in. What cannot be had is named with its hash.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from remaster import asked as asking
from remaster import differ, formats, image, imagelock, manifest, recorded
from remaster.lockwish import Again
from remaster.survey import look
from tcz import lock as locks
from tcz.errors import CheckError, ConfigError, FetchError, VerifyError
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.differ import Change
    from remaster.image import Job, Request
    from remaster.lockwish import Here
    from remaster.recorded import Recorded
    from remaster.survey.look import Examined
    from remaster.wish import Wish

Outcome = Literal["same", "different", "possible"]
_FORMATS: Final = {"iso": "iso", "disk": "disk", "qcow2": "qcow2", "tar": "tar", "folder": "netboot"}
_DISK_PACKAGE: Final = "grub-bios"
_PIECE: Final = 1 << 20
_HINT: Final = "give what is missing: --variant, --base, --package FILE, --file, --mirror, --recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCompared:
    """A file of the image: its hash, and that of the one made again."""

    name: str
    sha256: str
    rebuilt: str
    first_difference: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of it. ``possible``: nothing was built, and all that is needed is here."""

    image: str
    format: str
    outcome: Outcome
    files: tuple[FileCompared, ...] = ()
    changes: tuple[Change, ...] = ()
    more: int = 0
    notes: tuple[str, ...] = ()
    kept: str = ""


def verify(
    path: Path,
    wanted: Wish,
    here: Here,
    *,
    beside: Path | None = None,
    shown: int = 20,
    dry_run: bool = False,
) -> Verified:
    """Make an image again and compare; ``wanted.output`` keeps what was made, ``shown`` limits differences.

    ``beside`` is the copy of the manifest that lay beside the image: netboot folders and tar archives do not
    hold the Debian packages of build roots. Raises ``VerifyError`` for what has no manifest, ``FetchError``
    with every input that is gone.
    """
    examined = look.examine(path)
    told, kind = _told(examined, path), _format(examined, path)
    roots = _roots(told, beside or _usual(path))
    again = Again(told=told, debian=roots, near=path.absolute().parent, here=here)
    job, notes = _job(again, told, wanted, kind)
    if dry_run:
        return Verified(image=str(path), format=kind, outcome="possible", notes=notes)
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=here.dirs.cache_folder("rebuilt")) as folder:
        output = wanted.output or Path(folder) / path.name
        job = replace(job, request=replace(job.request, output=output))
        made = image.make(job, here.dirs, here.reporter, here.runner)
        pairs = _pairs(path, kind, made.outputs.images)
        files = tuple(_compared(one, other) for one, other in pairs)
        same = all(one.sha256 == one.rebuilt for one in files)
        changes = () if same else differ.compare(path, output).changes
    return Verified(
        image=str(path),
        format=kind,
        outcome="same" if same else "different",
        files=files,
        changes=changes[:shown],
        more=max(0, len(changes) - shown),
        notes=notes,
        kept="" if wanted.output is None else str(wanted.output),
    )


def _told(examined: Examined, path: Path) -> Recorded:
    found = examined.survey.manifest
    if found is None:
        why = "\n".join(examined.survey.unread) or None
        raise VerifyError("this image has no manifest: remaster did not make it", where=str(path), why=why)
    return recorded.loads(found.text, f"{path}: {found.where}")


def _format(examined: Examined, path: Path) -> str:
    kind = examined.survey.kind
    if kind not in _FORMATS or (kind == "folder" and not (path / "cmdline").is_file()):
        raise VerifyError(
            f"this is no image as remaster writes them, but a {kind}",
            where=str(path),
            hint=f"formats: {', '.join(formats.names())}",
        )
    return _FORMATS[kind]


def _usual(path: Path) -> Path | None:
    """Return the copy of the manifest that lies beside an image, where there is one."""
    beside = path.with_name(f"{formats.stem(path).name}.manifest.json")
    return beside if beside.is_file() else None


def _roots(told: Recorded, beside: Path | None) -> locks.Lock:
    """Return the Debian packages of build roots as a lock; of a copy only what the image vouches for."""
    roots = {root.digest: root.packages for root in told.roots}
    if not roots and beside is not None:
        copy = recorded.loads(beside.read_text(encoding="utf-8"), str(beside))
        named = {build.build_root for build in told.builds}
        roots = {root.digest: root.packages for root in copy.roots if root.digest in named}
    wrong = [digest for digest, packages in roots.items() if manifest.rows_digest(packages) != digest]
    if wrong:
        raise VerifyError(
            f"the build roots {', '.join(wrong)} are not what their names say", where=told.variant
        )
    debian = {
        locks.LockedDebian(name=name, version=version, sha256=hash_.removeprefix("sha256:"))
        for packages in roots.values()
        for name, version, hash_ in packages
        if hash_.startswith("sha256:")
    }
    return locks.Lock(
        recipes=(), epoch=told.epoch, debian=tuple(sorted(debian, key=lambda one: (one.name, one.version)))
    )


def _job(again: Again, told: Recorded, wanted: Wish, kind: str) -> tuple[Job, tuple[str, ...]]:
    gone = f"what {told.variant} {told.version} was made of is not all here"
    try:
        asked = again.request(replace(wanted, formats=(kind,)))
        if told.package(_DISK_PACKAGE) is not None:
            asked = replace(asked, other_formats=formats.named(("disk",)))
        job = again.job(asked, wanted, tuple(_unlike(told, asked)), gone)
    except ConfigError as error:
        raise FetchError(gone, why="\n".join(error.lines()), hint=_HINT) from error
    except VerifyError as error:
        raise FetchError(error.what, where=error.where, why=error.why, hint=_HINT) from error
    tool = json.loads(job.document)["tool"]
    notes = (f"it was made by {told.tool}, and this is {tool}",) if tool != told.tool else ()
    return job, (*notes, *job.notes)


def _unlike(told: Recorded, asked: Request) -> Iterator[str]:
    """Yield what of the settings is another, as far as a manifest tells: it has a hash of all of them."""
    before = told.asked
    if before is None or asking.digest(imagelock.settings(asked)) == before.settings:
        return
    now = imagelock.asked(asked)
    old_files = {one.name: one.sha256 for one in before.variant_files}
    new_files = {one.name: one.sha256 for one in now.variant_files}
    for name, sha256 in old_files.items():
        if new_files.get(name) != sha256:
            yield f"variant file {name}: sha256 {sha256} is needed, {new_files.get(name, 'none')} is here"
    old, new = {one.path: one for one in before.files}, {one.path: one for one in now.files}
    for path in sorted({*old, *new}):
        one, other = old.get(path), new.get(path)
        if (
            one is None
            or other is None
            or (one.hash, one.mode, one.owner) != (other.hash, other.mode, other.owner)
        ):
            yield f"file /{path}: {_file(one)} is needed, {_file(other)} is here"
    for what, wanted, found in (
        ("boot codes", told.boot_codes, asked.variant.boot_codes),
        ("services", told.services, asked.variant.services),
        ("SSH keys", before.keys, now.keys),
    ):
        if wanted != found and (told.origin is None or what != "boot codes"):
            yield f"{what}: {' '.join(wanted) or 'none'} -> {' '.join(found) or 'none'}"
    yield f"settings: {before.settings} is their hash, {now.settings} is that of those here"


def _file(one: asking.FileTold | None) -> str:
    return "none" if one is None else f"{one.mode:o} {one.owner} {one.hash}"


def _pairs(path: Path, kind: str, made: tuple[Path, ...]) -> tuple[tuple[Path, Path], ...]:
    targets = formats.FORMATS[kind].targets(path)
    return tuple(zip(targets, made, strict=True))


def _compared(one: Path, other: Path) -> FileCompared:
    if not one.is_file():
        return FileCompared(name=one.name, sha256="", rebuilt=sha256_file(other), first_difference=0)
    first, again = sha256_file(one), sha256_file(other)
    at = None if first == again else _first_difference(one, other)
    return FileCompared(name=one.name, sha256=first, rebuilt=again, first_difference=at)


def _first_difference(one: Path, other: Path) -> int:
    at = 0
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            left, right = first.read(_PIECE), second.read(_PIECE)
            if left != right:
                same = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
                return at + (min(len(left), len(right)) if same is None else same)
            if not left:
                return at
            at += len(left)


def lines(found: Verified) -> tuple[str, ...]:
    """Return the outcome as text."""
    head = [f"note: {note}" for note in found.notes]
    if found.outcome == "possible":
        return (*head, f"{found.image}: all that it was made of is here")
    if found.outcome == "same":
        head += [f"{found.image}: same, byte for byte"]
        return (*head, *(f"  {one.name}  sha256 {one.sha256}" for one in found.files))
    head.append(f"{found.image}: made again it is another one")
    for one in found.files:
        if one.sha256 == one.rebuilt:
            head.append(f"  {one.name}  the same, sha256 {one.sha256}")
            continue
        head += [
            f"  {one.name}  sha256 {one.sha256 or 'none, it is not there'}",
            f"    made again  {one.rebuilt}",
        ]
        head.append(f"    the first byte that differs is at {one.first_difference}")
    told = differ.Differences(first=found.image, second="made again", changes=found.changes)
    if found.changes:
        head += differ.lines(told)
    else:
        head.append("files, modes, owners and boot codes are the same: times or the layout differ")
    if found.more:
        head.append(f"and {found.more} more")
    return tuple(head)


def require(found: Verified) -> None:
    """Raise ``CheckError`` for an image that is another one when it is made again."""
    if found.outcome == "different":
        raise CheckError("made again it is not the same", where=found.image)
