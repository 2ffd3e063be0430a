"""Whom a mirror copies from: a folder, a web server or an rsync server, as places that bring whole files."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from tcz.errors import ConfigError, VerifyError
from tcz.fetch import AbsentError, Downloads
from tcz.mirror import catalogue as catalogues
from tcz.mirror import views
from tcz.mirror.place import Folder, Web, regular
from tcz.mirror.rsync import Rsync
from tcz.mirror.trust import Seen
from tcz.mirror.vouch import Sealed, vouch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.mirror.known import Chosen
    from tcz.mirror.model import Branch, Entry
    from tcz.mirror.place import Place
    from tcz.mirror.sign import PublicKey
    from tcz.mirror.vouch import Vouched
    from tcz.paths import Dirs
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

    def promised(self) -> Mapping[str, Entry] | None:
        """Return what its catalogue promises of each package; ``None`` where it has none."""
        ...

    @property
    def base(self) -> Place | None:
        """The mirror's own folder, where its catalogue is; ``None`` where that is not known."""
        ...

    def moved(self) -> bool:
        """Tell whether it is known to have published since ``refresh``."""
        ...

    @property
    def signed(self) -> bool:
        """Whether what its catalogue promises is signed by a known key: all else is refused then."""
        ...


class FolderUpstream:
    """A folder of this machine: with the official layout below it, or the folder of the packages."""

    def __init__(self, path: Path, branch: Branch, view: str = "") -> None:
        """Raise ``ConfigError`` where there is no such folder, or in a mirror's no such view."""
        if not path.is_dir():
            raise ConfigError(f"there is no folder {path}", hint="name a mirror's folder or its address")
        path = views.shown(path, view)
        if (path / "public").is_dir():
            # One state from beginning to end, whatever its owner publishes meanwhile.
            path = (path / "public").resolve()
        below = path / branch.folder
        whole = str(path.resolve()).endswith(f"/{branch.folder}")
        self.base: Place | None = Folder(path.resolve().parents[2] if whole else path)
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

    def promised(self) -> Mapping[str, Entry] | None:
        """See ``Upstream``."""
        return _promised(self.base, self._branch)

    def moved(self) -> bool:
        """See ``Upstream``: one state was chosen."""
        return False

    signed = False


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
        authorities: str = "",
    ) -> None:
        """``cache`` keeps index files; ``pause`` is the first wait between attempts and doubles.

        ``authorities`` is for ``tcz.websession``.
        """
        address = address.rstrip("/")
        whole = address.endswith("/tcz")
        base = _base(address, branch)
        web = partial(Web, cache=cache, timeout=timeout, pause=pause, authorities=authorities)
        self.base: Place | None = None if base is None else web(base)
        self._branch = branch
        self._web = web(address if whole else f"{address}/{branch.folder}")
        self._downloads = Downloads(
            cache, attempts=_ATTEMPTS, pause=pause, timeout=timeout, authorities=authorities
        )
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

    def promised(self) -> Mapping[str, Entry] | None:
        """See ``Upstream``."""
        return _promised(self.base, self._branch)

    def moved(self) -> bool:
        """See ``Upstream``: index files do not tell."""
        return False

    signed = False


class RsyncUpstream:
    """An rsync server (``rsync://HOST/MODULE/...``), by the program rsync."""

    def __init__(self, address: str, branch: Branch, folder: Path, runner: Runner) -> None:
        """``folder`` takes what is copied; what is there already is not copied again."""
        address = address.rstrip("/")
        base = _base(address, branch)
        if base is None:
            self.base: Place | None = None
            self._place = Rsync(address, folder, runner)
        else:
            whole = Rsync(base, folder, runner)
            self.base = whole
            self._place = whole.below(branch.folder)
        self._branch = branch
        self.where = self._place.where

    def refresh(self) -> Place:
        """See ``Upstream``."""
        self.prepare([f"{name}{suffix}" for name in INDEXES for suffix in ("", ".gz")])
        return self._place

    def prepare(self, files: Sequence[str]) -> None:
        """See ``Upstream``: copy them all at once."""
        self._place.prepare(files)

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``."""
        step.detail(file)
        return _copied(self._place.folder / file, to, limit)

    def promised(self) -> Mapping[str, Entry] | None:
        """See ``Upstream``: its md5.db is what counts."""
        return None

    def moved(self) -> bool:
        """See ``Upstream``: index files do not tell."""
        return False

    signed = False


class SignedUpstream:
    """An upstream of which nothing is taken but what a catalogue names that one of ``keys`` signed."""

    def __init__(self, upstream: Upstream, branch: Branch, keys: Sequence[PublicKey], seen: Seen) -> None:
        """Raise ``ConfigError`` for an address that does not tell where the catalogue is."""
        if upstream.base is None:
            raise ConfigError(
                f"{upstream.where} is to be signed, and its catalogue lies elsewhere",
                hint=f"name the folder that holds {branch}, not one below it",
            )
        self.base: Place | None = upstream.base
        self._root = upstream.base
        self._upstream = upstream
        self._branch = branch
        self._keys = tuple(keys)
        self._seen = seen
        self._vouched: Vouched | None = None
        self.where = upstream.where

    def refresh(self) -> Place:
        """See ``Upstream``; raises ``VerifyError`` for a catalogue that is not to be believed."""
        self._vouched = vouch(self._root, self._keys, self._seen)
        return Sealed(self._upstream.refresh(), self._vouched.catalogue, f"{self._branch.folder}/")

    def prepare(self, files: Sequence[str]) -> None:
        """See ``Upstream``."""
        self._upstream.prepare(files)

    def bring(self, file: str, to: Path, step: Step, limit: int) -> bool:
        """See ``Upstream``: whether it is what was promised, is for who knows the promise."""
        return self._upstream.bring(file, to, step, limit)

    def promised(self) -> Mapping[str, Entry] | None:
        """See ``Upstream``."""
        return None if self._vouched is None else self._vouched.catalogue.entries(self._branch)

    def moved(self) -> bool:
        """See ``Upstream``."""
        before = self._vouched
        return before is not None and vouch(self._root, self._keys, self._seen).checked != before.checked

    signed = True


def open_signed(chosen: Chosen, branch: Branch, dirs: Dirs, runner: Runner) -> Upstream:
    """Return an upstream that is verified where its key is known; raises ``ConfigError``."""
    upstream = open_upstream(chosen, branch, dirs.cache, runner)
    if not chosen.keys:
        return upstream
    return SignedUpstream(upstream, branch, chosen.keys, Seen(dirs, chosen.view))


def open_upstream(chosen: Chosen, branch: Branch, cache: Path, runner: Runner) -> Upstream:
    """Return the upstream at an address or in a folder, unverified; raises ``ConfigError``."""
    address = chosen.address
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        return WebUpstream(address, branch, cache / "web", authorities=chosen.authorities)
    if scheme == "rsync":
        name = address.removeprefix("rsync://").replace("%", "%25").replace("/", "%2F")
        return RsyncUpstream(address, branch, cache / "rsync" / name / str(branch), runner)
    if scheme == "file" or "://" not in address:
        return FolderUpstream(Path(address.removeprefix("file://")), branch, chosen.view)
    raise ConfigError(f"{address} is no address of a mirror", hint="http://, https://, rsync:// or a folder")


def _copied(file: Path, to: Path, limit: int) -> bool:
    try:
        with regular(file) as source, to.open("wb") as target:
            size = os.fstat(source.fileno()).st_size
            if size > limit:
                raise VerifyError(f"larger than it should be: {size} of {limit} bytes", where=str(file))
            shutil.copyfileobj(source, target, 1 << 20)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    return True


def _base(address: str, branch: Branch) -> str | None:
    """Return the address of the mirror that a folder of packages belongs to; ``None`` for one elsewhere."""
    found = address.removesuffix(f"/{branch.folder}")
    return None if found.endswith("/tcz") and found == address else found


def _promised(base: Place | None, branch: Branch) -> Mapping[str, Entry] | None:
    root = None if base is None else base.read(catalogues.ROOT)
    if base is None or root is None or not root.lstrip().startswith(b"{"):
        return None
    return catalogues.parse(root, lambda path: catalogues.list_at(base, path)).entries(branch)
