"""Packages out of mirrors for whoever uses them here: verified, examined, and kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcz.metadata import Md5, dep_text, md5_text
from tcz.mirror import catalogue as catalogues
from tcz.mirror.bring import Bringer, wanted
from tcz.mirror.objects import Objects
from tcz.mirror.shelf import Indexed, Shelf
from tcz.mirror.upstream import open_signed
from tcz.names import file_name
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.mirror.bring import Want
    from tcz.mirror.known import Chosen
    from tcz.mirror.model import Branch, Entry
    from tcz.mirror.upstream import Upstream
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner

_RECORD = "parcel.json"
#: What is known anew each time.
_NOT_KEPT = ("path", "needs", "mirror", "serial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A package that lies at ``path``, its .dep and .md5.txt beside it; ``mirror`` is where it came from.

    ``serial`` is that of what the mirror showed, where it tells one.
    """

    name: str
    path: Path
    sha256: str
    size: int
    installed: int
    needs: tuple[str, ...]
    version: str
    summary: str
    license: str
    mirror: str
    serial: int | None = None


class Parcels:
    """What several mirrors offer together, the first before the others; asked when it must be."""

    def __init__(
        self, mirrors: Sequence[Chosen], branch: Branch, dirs: Dirs, runner: Runner, reporter: Reporter
    ) -> None:
        """See ``tcz.mirror.known`` for mirrors and their keys."""
        self._mirrors = tuple(mirrors)
        self._branch = branch
        self._dirs = dirs
        self._runner = runner
        self._reporter = reporter
        self._folder = dirs.cache / "mirrors"
        self._offers: tuple[tuple[Indexed, Upstream], ...] | None = None

    def _opened(self) -> tuple[tuple[Indexed, Upstream], ...]:
        if self._offers is None:
            found = []
            for mirror in self._mirrors:
                with self._reporter.step(f"asking {mirror.address}"):
                    upstream = open_signed(mirror, self._branch, self._dirs, self._runner)
                    found.append((Indexed(upstream.refresh()), upstream))
            self._offers = tuple(found)
        return self._offers

    @property
    def shelf(self) -> Shelf:
        """What there is. Raises what ``vouch`` does for a mirror that is to be verified."""
        return Shelf(tuple(source for source, _ in self._opened()))

    def bring(self, names: Sequence[str]) -> tuple[Parcel, ...]:
        """Return packages, each from the first mirror that has it; all of ``names`` must be on the shelf.

        Raises ``FetchError`` and ``VerifyError`` for what cannot be had as it was promised.
        """
        found: dict[str, Parcel] = {}
        for source, upstream in self._opened():
            mine = [name for name in names if name not in found and source.needs(name) is not None]
            promised = upstream.promised() if mine else None
            serial = _serial(upstream) if mine else None
            wants = [wanted(source, name, promised, strict=upstream.signed) for name in mine]
            brought = self._brought(wants, upstream)
            found |= {parcel.name: replace(parcel, serial=serial) for parcel in brought}
        return tuple(found[name] for name in names)

    def _brought(self, wants: Sequence[Want], upstream: Upstream) -> Iterator[Parcel]:
        there = {want: self._known(want, upstream) for want in wants}
        missing = [want for want, parcel in there.items() if parcel is None]
        if missing:
            with self._alone():
                objects = Objects(self._folder)
                bringer = Bringer(upstream, {}, objects, self._reporter, jobs=4)
                bringer.bring(missing)
                entries = bringer.brought_of(missing)
                for want in missing:
                    self._keep(want, entries[want.name], objects, upstream)
                bringer.forget()
                for name in ("objects", "tmp"):  # what was kept has links of its own
                    shutil.rmtree(self._folder / name, ignore_errors=True)
        for want, parcel in there.items():
            found = parcel or self._known(want, upstream)
            assert found is not None  # noqa: S101 - it was written a moment ago
            yield found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._dirs.cache_folder("mirrors")
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _place(self, want: Want) -> Path:
        told = (want.name, want.md5, want.sha256, *want.needs)
        return self._folder / "packages" / hashlib.sha256("\n".join(told).encode()).hexdigest()

    def _known(self, want: Want, upstream: Upstream) -> Parcel | None:
        """Return a package that was brought before; what was damaged since is brought again."""
        folder = self._place(want)
        path = folder / file_name(want.name)
        try:
            told: dict[str, Any] = json.loads((folder / _RECORD).read_bytes())
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            parcel = Parcel(**told, path=path, needs=want.needs, mirror=upstream.where)
        except (OSError, ValueError, TypeError):
            return None
        return parcel if parcel.sha256 == sha256 and want.sha256 in ("", sha256) else None

    def _keep(self, want: Want, entry: Entry, objects: Objects, upstream: Upstream) -> None:
        folder = self._place(want)
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            path = new / file_name(want.name)
            objects.link(entry.files[""], path)
            (new / f"{path.name}.md5.txt").write_text(md5_text(Md5(md5=want.md5, name=path.name)))
            needs = dep_text(want.needs)
            if needs is not None:
                (new / f"{path.name}.dep").write_text(needs)
            parcel = Parcel(
                name=want.name,
                path=path,
                sha256=entry.sha256,
                size=entry.size,
                installed=entry.installed,
                needs=want.needs,
                version=entry.version,
                summary=entry.summary,
                license=entry.license,
                mirror=upstream.where,
            )
            told = {k: v for k, v in asdict(parcel).items() if k not in _NOT_KEPT}
            with replacing(new / _RECORD) as record:
                record.write_text(json.dumps(told))
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _serial(upstream: Upstream) -> int | None:
    """Return the serial of what a mirror of this toolkit shows; ``None`` for one that has none."""
    root = None if upstream.base is None else upstream.base.read(catalogues.ROOT)
    try:
        told = json.loads(root or b"{}")
    except ValueError:
        return None
    serial = told.get("serial") if isinstance(told, dict) else None
    return serial if isinstance(serial, int) else None
