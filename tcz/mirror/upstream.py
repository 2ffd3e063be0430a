"""Whom a mirror copies from: a folder, a web server or an rsync server, as places that bring whole files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.fetch import AbsentError, Downloads
from tcz.mirror import catalogue as catalogues
from tcz.mirror.entries import Entries
from tcz.mirror.place import Folder, Web
from tcz.run import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.mirror.model import Branch, Entry
    from tcz.mirror.place import Place
    from tcz.reporting import Step
    from tcz.run import Runner

#: The index files that tell what an upstream has; any may be missing.
INDEXES: Final = ("info.lst", "md5.db", "sizelist", "dep.db", "tags.db")
_ATTEMPTS: Final = 4


class Upstream(Protocol):
    """The packages of one branch, elsewhere."""

    @property
    def where(self) -> str:
        """How messages call it."""
        ...

    def refresh(self) -> Place:
        """Return the place of its index files, as they are now."""
        ...

    def prepare(self, files: Sequence[str]) -> None:
        """Learn which files will be asked for; raises ``FetchError``."""
        ...

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """Complete the file ``to``, whose beginning may be there; false where there is no such file.

        Raises ``FetchError``, ``VerifyError`` for one of more than ``limit`` bytes. May be called by
        several threads.
        """
        ...

    def promised(self) -> Mapping[str, Entry]:
        """Return what its catalogue promises of each package; empty where it has none."""
        ...


class FolderUpstream:
    """A folder of this machine: with the official layout below it, or the folder of the packages."""

    def __init__(self, path: Path, branch: Branch) -> None:
        """Raise ``ConfigError`` where there is no such folder."""
        if not path.is_dir():
            raise ConfigError(f"there is no folder {path}", hint="name a mirror's folder or its address")
        if (path / "public").is_dir():
            # One state from beginning to end, whatever its owner publishes meanwhile.
            path = (path / "public").resolve()
        below = path / branch.folder
        self._base = Folder(path)
        self._branch = branch
        self._place = Folder(below if below.is_dir() else path)
        self.where = self._place.where

    def refresh(self) -> Place:
        """See ``Upstream``."""
        return self._place

    def prepare(self, files: Sequence[str]) -> None:
        """See ``Upstream``: nothing to do."""

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``."""
        step.detail(file)
        return _copied(self._place.path / file, to, limit)

    def promised(self) -> Mapping[str, Entry]:
        """See ``Upstream``."""
        return _promised(self._base, self._branch)


class WebUpstream:
    """A web server; the address is that of a mirror, or ends in ``/tcz``: the folder of the packages."""

    def __init__(
        self,
        address: str,
        branch: Branch,
        cache: Path,
        *,
        pause: float = 1.0,
        timeout: tuple[float, float] = (5.0, 60.0),
    ) -> None:
        """``cache`` keeps index files; ``pause`` is the first wait between attempts and doubles."""
        address = address.rstrip("/")
        whole = address.endswith("/tcz")
        self._base = None if whole else Web(address, cache, timeout=timeout)
        self._branch = branch
        self._web = Web(address if whole else f"{address}/{branch.folder}", cache, timeout=timeout)
        self._downloads = Downloads(cache, attempts=_ATTEMPTS, pause=pause, timeout=timeout)
        self.where = self._web.where

    def refresh(self) -> Place:
        """See ``Upstream``."""
        return self._web

    def prepare(self, files: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        """See ``Upstream``: each file is asked for when its turn comes."""
        self._downloads.answers(self.where)  # the index files came from there

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``."""
        step.detail(file)
        address = self._web.address(file)
        self._downloads.refuse_dead(address, file)
        try:
            with to.open("ab") as part:
                self._downloads.complete(address, part, step, file, limit)
        except AbsentError:
            return False
        return True

    def promised(self) -> Mapping[str, Entry]:
        """See ``Upstream``."""
        return {} if self._base is None else _promised(self._base, self._branch)


class RsyncUpstream:
    """An rsync server (``rsync://HOST/MODULE/...``), by the program rsync."""

    def __init__(self, address: str, branch: Branch, folder: Path, runner: Runner) -> None:
        """``folder`` takes what is copied; what is there already is not copied again."""
        address = address.rstrip("/")
        self.where = address if address.endswith("/tcz") else f"{address}/{branch.folder}"
        self._folder = folder
        self._runner = runner

    def refresh(self) -> Place:
        """See ``Upstream``."""
        self.prepare([f"{name}{suffix}" for name in INDEXES for suffix in ("", ".gz")])
        return Folder(self._folder)

    def prepare(self, files: Sequence[str]) -> None:
        """See ``Upstream``: copy them all at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # A file of the same size and second may be another: what is asked for here is compared whole.
        options = (
            "--ignore-times",
            "--copy-links",
            "--partial",
            "--ignore-missing-args",
            "--delete-missing-args",
        )
        words = ("rsync", *options, "--timeout=60", "--files-from=-", f"{self.where}/", f"{self._folder}/")
        try:
            self._runner.run(words, stdin="".join(f"{file}\n" for file in files).encode())
        except CommandError as error:
            hint = "check the address, or run again later"
            raise FetchError("rsync failed", where=self.where, why=error.why, hint=hint) from error

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``."""
        step.detail(file)
        return _copied(self._folder / file, to, limit)

    def promised(self) -> Mapping[str, Entry]:
        """See ``Upstream``: its md5.db is what counts."""
        return {}


def open_upstream(address: str, branch: Branch, cache: Path, runner: Runner) -> Upstream:
    """Return the upstream at an address or in a folder; raises ``ConfigError``."""
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        return WebUpstream(address, branch, cache / "web")
    if scheme == "rsync":
        name = address.removeprefix("rsync://").replace("%", "%25").replace("/", "%2F")
        return RsyncUpstream(address, branch, cache / "rsync" / name / str(branch), runner)
    if scheme == "file" or "://" not in address:
        return FolderUpstream(Path(address.removeprefix("file://")), branch)
    raise ConfigError(f"{address} is no address of a mirror", hint="http://, https://, rsync:// or a folder")


def _copied(file: Path, to: Path, limit: int) -> bool:
    try:
        size = file.stat().st_size
        if size > limit:
            raise VerifyError(f"larger than it should be: {size} of {limit} bytes", where=str(file))
        shutil.copyfile(file, to)
    except FileNotFoundError:
        return False
    return True


def _promised(base: Place, branch: Branch) -> Mapping[str, Entry]:
    root = base.read(catalogues.ROOT)
    if root is None or not root.lstrip().startswith(b"{"):
        return {}

    def read(path: str, _blob: object) -> bytes:
        data = base.read(path)
        if data is None:
            raise VerifyError("a list that the catalogue names is missing", where=f"{base.where}/{path}")
        return data

    return catalogues.parse(root, read, Entries.read).entries(branch)
