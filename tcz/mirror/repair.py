"""A damaged mirror mended: from copies of the same bytes, from what they follow from, or by giving up."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tcz import metadata, zsync
from tcz.errors import VerifyError
from tcz.mirror import config as configs
from tcz.mirror import rescue
from tcz.mirror import verify as work
from tcz.mirror.compose import compose, own_files
from tcz.mirror.entries import Entries
from tcz.mirror.model import EMPTY, Blob
from tcz.mirror.objects import sync_disk
from tcz.mirror.publish import publish, unsigned
from tcz.mirror.repository import STATES
from tcz.names import file_name
from tcz.squashfs.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tcz.mirror.config import Config
    from tcz.mirror.model import Catalogue, Entry
    from tcz.mirror.publish import Sign
    from tcz.mirror.repository import Mirror, Writer
    from tcz.mirror.rescue import Reach
    from tcz.mirror.verify import Survey, Verified
    from tcz.reporting import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What was mended: objects brought back or made again, files of states linked anew, what was given up."""

    restored: int
    derived: int
    linked: int
    dropped: tuple[str, ...]
    verified: Verified


def repair(
    mirror: Mirror,
    reporter: Reporter,
    *,
    sources: Sequence[str] = (),
    drop: bool = False,
    reach: Reach | None = None,
    sign: Sign = unsigned,
) -> Repaired:
    """Mend what ``verify`` finds wrong; what cannot be mended stays as it is, or is given up with ``drop``.

    Bytes come from other states, from ``sources`` and upstreams (folders of the mirror's layout or of
    packages, and with ``reach`` addresses), and from what they follow from; they are taken only if their hash
    is right. Raises ``ConfigError`` where a signed mirror would have to be published without its key.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        survey = work.survey(mirror, reporter)
        wanted = _lost(mirror, survey)
        places = (*sources, *_upstreams(config))
        folders = [Path(one) for one in places if "://" not in one]
        restored = _restore(mirror, survey, wanted, folders)
        derived = _derive(mirror, survey, wanted)
        addresses = [one for one in places if "://" in one]
        if wanted and addresses and reach is not None:
            restored += rescue.fetch(mirror, survey.catalogues.values(), wanted, addresses, reach, reporter)
            derived += _derive(mirror, survey, wanted)
        linked = _link(mirror, survey, wanted)
        dropped = _drop(writer, config, survey, wanted, sign) if drop else ()
        sync_disk(mirror.root)
        found = work.verify(mirror, reporter)
        if any(one.kind in ("index", "signature") for one in found.damage):
            now = mirror.catalogue()
            shown = mirror.shown()
            made = publish(writer, config, _canonical(mirror, now), old=now, anew=True, sign=sign)
            if shown is not None and made.serial != now.serial and shown in _refused(mirror, found):
                writer.remove(shown)
            found = work.verify(mirror, reporter)
    return Repaired(restored=restored, derived=derived, linked=linked, dropped=dropped, verified=found)


def outlook(mirror: Mirror, reporter: Reporter) -> Repaired:
    """Tell what ``repair`` would begin with: what ``verify`` finds. Nothing is written."""
    found = work.verify(mirror, reporter)
    return Repaired(restored=0, derived=0, linked=0, dropped=(), verified=found)


def _refused(mirror: Mirror, found: Verified) -> set[Path]:
    """Return the states that clients refuse for their signature, but for those that have a name."""
    states = {
        mirror.root / STATES / one.path.split("/")[1] for one in found.damage if one.kind == "signature"
    }
    return states - set(mirror.snapshots().values())


def _upstreams(config: Config) -> Iterator[str]:
    """Return the upstreams: folders as paths, the others as addresses."""
    for upstream in sorted(config.upstreams, key=lambda one: -one.priority):
        local = urlsplit(upstream.url).scheme == "file"
        yield unquote(urlsplit(upstream.url).path) if local else upstream.url


def _lost(mirror: Mirror, survey: Survey) -> dict[str, Blob]:
    """Take damaged objects away and return those that a catalogue names."""
    damaged = {one.sha256 for one in survey.found.damage if one.sha256}
    for one in survey.found.damage:
        if one.kind == "object":
            mirror.objects.path(one.sha256).unlink(missing_ok=True)
    return {
        blob.sha256: blob
        for state, catalogue in survey.catalogues.items()
        for _, blob in work.files_of(state, catalogue)
        if blob.sha256 in damaged and not mirror.objects.path(blob.sha256).exists()
    }


def _restore(mirror: Mirror, survey: Survey, wanted: dict[str, Blob], folders: Sequence[Path]) -> int:
    """Bring objects back from files that have their bytes; return how many."""
    before = len(wanted)
    for state, catalogue in survey.catalogues.items():
        for path, blob in work.files_of(state, catalogue):
            if blob.sha256 not in wanted:
                continue
            places = [state / path]
            for folder in folders:
                places += [folder / path, folder / Path(path).name]
            if any(_taken(mirror, place, blob) for place in places):
                del wanted[blob.sha256]
    return before - len(wanted)


def _taken(mirror: Mirror, place: Path, blob: Blob) -> bool:
    try:
        if not place.is_file() or place.stat().st_size != blob.size:
            return False
        mirror.objects.add_file(place, blob)
    except (VerifyError, PermissionError):
        return False
    return True


def _derive(mirror: Mirror, survey: Survey, wanted: dict[str, Blob]) -> int:
    """Make objects again that follow from others; return how many."""
    before = len(wanted)
    for state, catalogue in survey.catalogues.items():
        if not wanted:
            break
        for entries in catalogue.branches.values():
            for entry in entries.values():
                _derive_companions(mirror, entry, wanted)
        if any(blob.sha256 in wanted for _, blob in work.files_of(state, catalogue)):
            own_files(catalogue, mirror.objects)
            # Where a .list is lost, what can be made without it is made.
            with suppress(VerifyError):
                compose(replace(catalogue, indexes={}), EMPTY, mirror.objects)
        for sha256, blob in list(wanted.items()):
            if mirror.objects.has(blob):
                del wanted[sha256]
    return before - len(wanted)


def _derive_companions(mirror: Mirror, entry: Entry, wanted: Mapping[str, Blob]) -> None:
    lost = {suffix for suffix, blob in entry.files.items() if blob.sha256 in wanted}
    if not lost or "" in lost:
        return
    objects = mirror.objects
    objects.add_bytes(metadata.md5_text(metadata.Md5(md5=entry.md5, name=file_name(entry.name))).encode())
    objects.add_bytes((metadata.dep_text(entry.needs) or "").encode())
    if lost & {".list", zsync.SUFFIX}:
        with tempfile.TemporaryDirectory(dir=mirror.root / "tmp") as folder:
            own = Path(folder) / file_name(entry.name)
            objects.link(entry.files[""], own)
            image = Image(own)
            paths = [path for path, node in image.items() if not node.is_dir]
            objects.add_bytes(metadata.list_text(paths).encode(errors="surrogateescape"))
            if zsync.SUFFIX in lost:
                objects.add_bytes(zsync.control(own, epoch=image.superblock.time))


def _link(mirror: Mirror, survey: Survey, wanted: Mapping[str, Blob]) -> int:
    """Put the right files into states, each in one step; return how many."""
    count = 0
    (mirror.root / "tmp").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=mirror.root / "tmp") as folder:
        for state, catalogue in survey.catalogues.items():
            wrong = list(work.wrong_files(mirror, state, catalogue))
            for path, blob in sorted(wrong, key=lambda one: one[1] is not None):
                target = state / path
                if blob is None:
                    target.unlink()
                elif blob.sha256 in wanted:
                    continue
                else:
                    new = Path(folder) / "file"
                    mirror.objects.link(blob, new)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    new.replace(target)
                count += 1
    return count


def _drop(
    writer: Writer, config: Config, survey: Survey, wanted: dict[str, Blob], sign: Sign
) -> tuple[str, ...]:
    """Publish what is left, and remove states that cannot be mended; return what was given up."""
    told: list[str] = []
    mirror = writer.mirror
    shown = mirror.shown()
    last = max(int(state.name) for state in (*writer.states(), *filter(None, [shown])))
    now = survey.catalogues.get(shown) if shown else None
    if now is None and survey.catalogues:
        newest = max(survey.catalogues, key=lambda state: int(state.name))
        now = survey.catalogues[newest]
        told.append(f"the state that was shown: {newest.name} is shown again")
    if now is None:
        raise VerifyError("no state of the mirror can be read", where=str(mirror.root / STATES))
    left = {
        branch: {
            name: mended
            for name, entry in entries.items()
            if (mended := _left(f"{branch}/{file_name(name)}", entry, wanted, told)) is not None
        }
        for branch, entries in now.branches.items()
    }
    extra = {path: blob for path, blob in now.extra.items() if blob.sha256 not in wanted}
    told += sorted(now.extra.keys() - extra.keys())
    if told:
        new = replace(now, branches=left, extra=extra)
        # The next serial must be one that no client has seen.
        publish(writer, config, new, old=replace(EMPTY, serial=last), anew=True, sign=sign)
    told += _drop_states(writer, survey, wanted)
    return tuple(told)


def _left(where: str, entry: Entry, wanted: Mapping[str, Blob], told: list[str]) -> Entry | None:
    """Return what is left of an entry; ``None`` where the package itself is lost."""
    lost = {suffix for suffix, blob in entry.files.items() if blob.sha256 in wanted}
    if lost:
        told += [where + suffix for suffix in sorted(lost)]
    if "" in lost:
        return None
    return (
        replace(entry, files={s: blob for s, blob in entry.files.items() if s not in lost}) if lost else entry
    )


def _drop_states(writer: Writer, survey: Survey, wanted: Mapping[str, Blob]) -> Iterator[str]:
    mirror = writer.mirror
    shown = mirror.shown()
    gone = set()
    unsigned_states = {one.path.split("/")[1] for one in survey.found.damage if one.kind == "signature"}
    for state in writer.states():
        catalogue = survey.catalogues.get(state)
        if shown == state:
            continue
        if (
            catalogue is None
            or state.name in unsigned_states
            or any(blob.sha256 in wanted for _, blob in work.files_of(state, catalogue))
        ):
            gone.add(state.name)
            writer.remove(state)
            yield f"the state {state.name}"
    for name, state in mirror.snapshots().items():
        if state.name in gone or not state.is_dir():
            writer.unname(name)
            yield f"the snapshot {name}"


def _canonical(mirror: Mirror, catalogue: Catalogue) -> Catalogue:
    """Return a catalogue whose .md5.txt and .dep files say what its entries say."""
    branches = {}
    for branch, entries in catalogue.branches.items():
        said = ((entry, _said(mirror, entry)) for entry in entries.values())
        branches[branch] = Entries.of(entries).changed(new for old, new in said if new != old)
    return replace(catalogue, branches=branches)


def _said(mirror: Mirror, entry: Entry) -> Entry:
    files = {suffix: blob for suffix, blob in entry.files.items() if suffix != ".dep"}
    text = metadata.md5_text(metadata.Md5(md5=entry.md5, name=file_name(entry.name)))
    files[".md5.txt"] = mirror.objects.add_bytes(text.encode())
    dep = metadata.dep_text(entry.needs)
    if dep is not None:
        files[".dep"] = mirror.objects.add_bytes(dep.encode())
    return entry if files == entry.files else replace(entry, files=files)


def lines(found: Repaired) -> Iterator[str]:
    """Return a result as lines."""
    yield f"brought back {found.restored}, made again {found.derived}, linked anew {found.linked}"
    yield from (f"given up: {what}" for what in found.dropped)
    yield from work.lines(found.verified)
