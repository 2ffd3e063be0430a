"""Packages of mirrors by hash: out of the objects of a folder, or what a mirror shows, if it is the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from remaster.manifest import plain_address
from tcz.errors import FetchError, VerifyError
from tcz.names import file_name
from tcz.store import Store, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.mirror.known import Chosen
    from tcz.paths import Dirs
    from tcz.reporting import Reporter

_WEB = ("http://", "https://")


class MirrorFiles:
    """A ``locked.Fetching``. Signatures are not looked at: the hash says what is wanted."""

    def __init__(self, mirrors: Sequence[Chosen], branch: str, dirs: Dirs, reporter: Reporter) -> None:
        """``mirrors`` are asked in order, then that which a package came from; ``branch`` is 17.x/x86_64."""
        self._mirrors = tuple(mirrors)
        self._branch = branch
        self._store = Store(dirs.cache / "store")
        self._reporter = reporter

    def fetched(self, name: str, sha256: str, origin: str) -> Path | None:
        """Return the file in the store, or ``None``; whatever has other bytes is passed over."""
        for place in self._places(name, sha256, origin):
            if isinstance(place, Path):
                if place.is_file() and sha256_file(place) == sha256:
                    return self._taken(place, sha256)
                continue
            try:
                return self._fetched(place, sha256, name)
            except (FetchError, VerifyError) as error:
                self._reporter.note(f"{place}: {error.what}")
        return None

    def _places(self, name: str, sha256: str, origin: str) -> Iterator[Path | str]:
        file = file_name(name)
        for mirror in self._mirrors:
            address = mirror.address.rstrip("/")
            if address.startswith(_WEB):
                folder = address if address.endswith("/tcz") else f"{address}/{self._branch}/tcz"
                yield f"{folder}/{file}"
                continue
            root = Path(address.removeprefix("file://"))
            yield root / "objects" / sha256[:2] / sha256[2:]
            yield from (
                root / inner / file for inner in ("", f"{self._branch}/tcz", f"public/{self._branch}/tcz")
            )
        plain = plain_address(origin)
        if plain.startswith(_WEB):
            yield f"{plain.rstrip('/')}/{file}"

    def _fetched(self, url: str, sha256: str, name: str) -> Path:
        from tcz.fetch import Fetcher  # noqa: PLC0415 - slow to import, and rarely needed

        return Fetcher(self._store, self._reporter, attempts=1).fetch(url, sha256, what=file_name(name))

    def _taken(self, file: Path, sha256: str) -> Path:
        with tempfile.TemporaryDirectory(prefix="remaster-") as folder:
            copy = Path(folder) / file.name
            shutil.copyfile(file, copy)
            return self._store.take(copy, sha256, what=file.name)
