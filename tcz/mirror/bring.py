"""Brings packages from an upstream, several at a time, and examines each: what ``sync`` found to differ.

They come into ``incoming/`` of the mirror, where an interrupted download waits for the next run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Final

from tcz.errors import FetchError, ToolkitError, VerifyError
from tcz.metadata import Md5, dep_text, md5_text, parse_md5
from tcz.mirror import official
from tcz.mirror.examine import examine
from tcz.mirror.repository import INCOMING
from tcz.mirror.several import whose
from tcz.mirror.vouch import refuse_other
from tcz.names import file_name
from tcz.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tcz.mirror.model import Blob, Entry
    from tcz.mirror.objects import Objects
    from tcz.mirror.shelf import Indexed
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Reporter, Step

#: What an entry's origin begins with that was brought from an upstream.
ORIGIN: Final = "upstream "
_BESIDE: Final = (".info", ".list", ".zsync", ".build-dep")
_FAILURES_MAX: Final = 20
#: Larger than any .list or .zsync of a real mirror, and than a squashfs that Tiny Core would load.
_BESIDE_MAX: Final = 64 << 20
_PACKAGE_MAX: Final = 16 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A package as the upstream promises it; ``beside``: its other files, where a catalogue names them."""

    name: str
    md5: str
    sha256: str
    size: int | None
    needs: tuple[str, ...]
    tags: str | None
    beside: tuple[tuple[str, Blob], ...] | None = None


def wanted(source: Indexed, name: str, promised: Mapping[str, Entry] | None, *, strict: bool) -> Want:
    """Return a package as an upstream's index files, and the catalogue where it has one, promise it.

    Raises ``FetchError`` where nothing tells its md5, ``VerifyError`` (``strict``) where the two disagree.
    """
    md5 = source.md5s.get(name) or _told_md5(source, name)
    want = Want(
        name=name,
        md5=md5,
        sha256="",
        size=source.sizes.get(name),
        needs=tuple(need for need in source.needs(name) or () if need != name),
        tags=source.tags.get(name) if source.tags else None,
    )
    if promised is None:
        return want
    ours = promised.get(name)
    if ours is None or ours.md5 != md5:
        if not strict:
            return want
        raise VerifyError(
            f"the catalogue and the index files disagree about {file_name(name)}",
            where=source.title,
            hint="run again, for it may just have changed",
        )
    beside = tuple(sorted((suffix, blob) for suffix, blob in ours.files.items() if suffix))
    return replace(want, sha256=ours.sha256, size=ours.size, beside=beside)


def _told_md5(source: Indexed, name: str) -> str:
    file = f"{file_name(name)}.md5.txt"
    data = source.place.read(file)
    where = f"{source.title}/{file}"
    if data is None:
        raise FetchError("neither md5.db nor this file tells its md5", where=where)
    return parse_md5(official.text(data, where)).md5


class _One:
    """What several downloads tell of themselves at a time: their names; all end when it is stopped."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.stopped = Event()

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:  # noqa: ARG002
        if self.stopped.is_set():
            raise FetchError("stopped before its end")

    def detail(self, text: str) -> None:
        self.progress(0)
        self._step.detail(text)


class Bringer:
    """Brings what is wanted, once each; ``before`` are the mirror's packages as they are."""

    def __init__(
        self,
        upstream: Upstream,
        before: Mapping[str, Entry],
        objects: Objects,
        reporter: Reporter,
        *,
        jobs: int,
    ) -> None:
        """``jobs`` are done at a time."""
        self._upstream = upstream
        self._before = before
        self._objects = objects
        self._reporter = reporter
        self._jobs = jobs
        self._folder = objects.root / INCOMING
        self._brought: dict[Want, Entry] = {}

    def forget(self) -> None:
        """Remove what waits for another run."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def brought_of(self, wants: Iterable[Want]) -> dict[str, Entry]:
        """Return the entries of packages that were brought."""
        return {want.name: self._brought[want] for want in wants}

    def bring(self, wants: Sequence[Want]) -> None:
        """Bring and examine packages; raises one error for all that cannot be had."""
        left = [want for want in wants if want not in self._brought]
        if not left:
            return
        self._folder.mkdir(exist_ok=True)
        files = [file_name(want.name) + suffix for want in left for suffix in ("", *_BESIDE)]
        self._upstream.prepare(files)
        errors: list[ToolkitError] = []
        with (
            self._reporter.step("copying packages", total=len(left)) as step,
            Threads(self._jobs) as pool,
        ):
            one = _One(step)
            tasks = {pool.submit(self._one, want, one): want for want in left}
            try:
                for count, task in enumerate(as_completed(tasks), 1):
                    try:
                        self._brought[tasks[task]] = task.result()
                    except ToolkitError as error:
                        error.where = error.where or file_name(tasks[task].name)
                        errors.append(error)
                        if len(errors) >= _FAILURES_MAX:
                            break
                    step.progress(count, len(left))
            finally:
                one.stopped.set()
        if errors:
            raise _all_of(errors, self._upstream.where)

    def _one(self, want: Want, step: Step) -> Entry:
        folder = self._folder / want.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / file_name(want.name)
        was = self._before.get(want.name)
        if was is not None and _holds(was, want) and self._objects.has(was.files[""]):
            self._objects.link(was.files[""], path)
        else:
            path.hardlink_to(self._package(want, step))
        for suffix in _BESIDE:
            self._beside(want, suffix, folder / f"{path.name}{suffix}", step)
        (folder / f"{path.name}.md5.txt").write_text(md5_text(Md5(md5=want.md5, name=path.name)))
        needs = dep_text(want.needs)
        if needs is not None:
            (folder / f"{path.name}.dep").write_text(needs)
        entry = examine(path, self._objects).entry
        shutil.rmtree(folder)
        self._remember(want, entry)
        return replace(entry, origin=f"{ORIGIN}{whose(self._upstream, want.name).where}")

    def _beside(self, want: Want, suffix: str, file: Path, step: Step) -> None:
        """Bring a companion: as the catalogue names it, else where there is one."""
        promised = None if want.beside is None else dict(want.beside).get(suffix)
        if want.beside is not None and promised is None:
            return
        limit = _BESIDE_MAX if promised is None else min(promised.size, _BESIDE_MAX)
        there = self._upstream.bring(file.name, file, step, limit)
        if promised is not None:
            refuse_other(
                file.read_bytes() if there else None, promised, f"{self._upstream.where}/{file.name}"
            )
        elif not there or official.is_page(_beginning(file)):
            file.unlink(missing_ok=True)

    def _remember(self, want: Want, entry: Entry) -> None:
        """Let the next run find what this one brought, should it end early.

        A symbolic link: of an object, hard links are counted (see ``Objects.durable``).
        """
        self._path(want, "part").unlink(missing_ok=True)
        done = self._path(want, "done")
        done.unlink(missing_ok=True)
        done.symlink_to(os.path.relpath(self._objects.path(entry.sha256), self._folder))

    def _path(self, want: Want, kind: str) -> Path:
        return self._folder / f"{want.name}.{want.md5}.{kind}"

    def _package(self, want: Want, step: Step) -> Path:
        """Return the .tcz, checked: what was begun by an earlier run is gone on with, once."""
        done, part = self._path(want, "done"), self._path(want, "part")
        if done.exists() and _problem(done, want) is None:
            return done.resolve()  # never written to: it is an object of the mirror
        resumed = part.exists()
        self._fill(want, part, step)
        problem = _problem(part, want)
        if problem is not None and resumed:
            # What lay there may have been the beginning of something else.
            part.unlink()
            self._fill(want, part, step)
            problem = _problem(part, want)
        if problem is not None:
            part.unlink()
            raise problem
        return part

    def _fill(self, want: Want, part: Path, step: Step) -> None:
        limit = _PACKAGE_MAX if want.size is None else want.size
        try:
            there = self._upstream.bring(file_name(want.name), part, step, limit)
        except VerifyError:
            part.unlink(missing_ok=True)
            raise
        if not there:
            part.unlink(missing_ok=True)
            raise FetchError(
                "the index files name it, and it is not there",
                where=f"{self._upstream.where}/{file_name(want.name)}",
            )


def _holds(entry: Entry, want: Want) -> bool:
    """Tell whether the bytes of a package are the wanted ones."""
    return entry.md5 == want.md5 and want.sha256 in ("", entry.sha256)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(256)


def _problem(path: Path, want: Want) -> VerifyError | None:
    """Return what is wrong with a .tcz that was brought."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest() if want.sha256 else ""
    size = path.stat().st_size
    if md5 == want.md5 and sha256 == want.sha256:
        return None
    if official.is_page(_beginning(path)):
        return VerifyError("the server sent a web page for it", where=file_name(want.name))
    why = f"expected md5 {want.md5}, found {md5}"
    if want.size is not None and want.size != size:
        why += f"\nexpected {want.size} bytes, found {size}"
    if md5 == want.md5:
        why = f"expected sha256 {want.sha256}, found {sha256}"
    return VerifyError(
        "not what the index files promise", where=file_name(want.name), why=why, hint="run again later"
    )


def _all_of(errors: Sequence[ToolkitError], where: str) -> ToolkitError:
    if len(errors) == 1:
        return errors[0]
    told = sorted(" ".join(filter(None, (f"{one.where}: {one.what}", one.why))) for one in errors)
    kind = VerifyError if all(isinstance(one, VerifyError) for one in errors) else FetchError
    return kind(
        f"{len(errors)} packages could not be copied; nothing was changed",
        where=where,
        why="\n".join(told),
        hint="run again: what was brought is kept",
    )
