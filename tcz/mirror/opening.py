"""Opens what a user names: mirrors of ours, folders and addresses with the official layout, states."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, VerifyError
from tcz.mirror import known, views
from tcz.mirror.model import Branch
from tcz.mirror.place import Folder, Web
from tcz.mirror.repository import CONFIG, Mirror
from tcz.mirror.shelf import Catalogued, Indexed, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from tcz.mirror.known import Chosen
    from tcz.mirror.model import Blob
    from tcz.mirror.place import Place
    from tcz.mirror.shelf import Source
    from tcz.mirror.vouch import Vouched
    from tcz.paths import Dirs

_BRANCH = re.compile(r"/([0-9]+\.x/[a-z0-9_]+)/tcz\Z")
_WEB = ("http://", "https://")
_INDEXES = ("info.lst", "md5.db", "dep.db", "tags.db")


def open_shelf(mirrors: Sequence[Chosen], branch: str, dirs: Dirs) -> Shelf:
    """Return what several mirrors offer together, the first before the others.

    Each is a mirror of this toolkit, a folder or an address with the official layout; ``branch`` (such as
    ``17.x/x86_64``) may be empty where there is only one. Raises ``ConfigError``, and ``VerifyError`` for a
    mirror that is not signed by its key.
    """
    if not mirrors:
        raise ConfigError(
            "no mirror is named",
            hint="name one with --mirror, in TCZ_MIRROR or in config.toml: a folder or an address",
        )
    chosen = Branch.parse(branch) if branch else None
    return Shelf(tuple(open_source(mirror, chosen, dirs) for mirror in mirrors))


def open_source(mirror: Chosen, branch: Branch | None, dirs: Dirs) -> Source:
    """Return one branch of one mirror, verified where its key is known.

    Raises ``ConfigError``, and what ``vouch`` does.
    """
    if mirror.keys:
        return _verified(mirror, branch, dirs)
    address = mirror.address
    if address.startswith(_WEB):
        web = Web(address, dirs.cache / "web", authorities=mirror.authorities)
        return Indexed(web if branch is None else web.below(branch.folder))
    path = _path(address)
    if (path / CONFIG).is_file():
        return _own(Mirror.open(path), branch, views.shown(path, mirror.view) if mirror.view else None)
    return Indexed(_folder(path, branch))


def _path(address: str) -> Path:
    if "://" in address and not address.startswith("file://"):
        raise ConfigError(f"{address} is no address of a mirror", hint="http://, https:// or a folder")
    path = Path(address.removeprefix("file://"))
    if not path.is_dir():
        raise ConfigError(f"there is no folder {address}", hint="name a mirror's folder or its address")
    return path


def _vouched(mirror: Chosen, dirs: Dirs) -> tuple[str, Vouched]:
    """Return a mirror's own address and what it shows, as one of its keys signed it."""
    from tcz.mirror.trust import Seen  # noqa: PLC0415 - few mirrors need cryptography
    from tcz.mirror.vouch import vouch  # noqa: PLC0415

    found = _BRANCH.search(mirror.address.rstrip("/"))
    address = mirror.address.rstrip("/").removesuffix(found[0] if found else "")
    place: Place
    if address.startswith(_WEB):
        place = Web(address, dirs.cache / "web", authorities=mirror.authorities)
    else:
        path = _path(address)
        # One state from beginning to end, whatever its owner publishes meanwhile.
        place = Folder(views.shown(path, mirror.view).resolve())
    return address, vouch(place, mirror.keys, Seen(dirs, mirror.view))


def sums(mirror: Chosen, dirs: Dirs) -> Callable[[str], str | None]:
    """Return what tells the sha256 of each file that a mirror whose key is known shows, by path; verified."""
    _, vouched = _vouched(mirror, dirs)

    def of(path: str) -> str | None:
        blob = vouched.place.named(path)
        return None if blob is None else blob.sha256

    return of


def _verified(mirror: Chosen, branch: Branch | None, dirs: Dirs) -> Catalogued:
    """Return a branch by the catalogue that one of the mirror's keys signed."""
    address, vouched = _vouched(mirror, dirs)
    found = _BRANCH.search(mirror.address.rstrip("/"))
    chosen = branch or (Branch.parse(found[1]) if found else None)

    def opened(path: str, _blob: Blob) -> BinaryIO:
        file = vouched.place.open(path)
        if file is None:
            raise VerifyError("the catalogue does not name it", where=f"{address}/{path}")
        return file

    there = sorted(vouched.catalogue.branches)
    return Catalogued(address, vouched.catalogue, chosen or _only(there, address), opened)


def _own(mirror: Mirror, branch: Branch | None, state: Path | None = None) -> Catalogued:
    catalogue = mirror.catalogue(state)
    objects = mirror.objects
    chosen = branch or _only(sorted(catalogue.branches), str(mirror.root))
    return Catalogued(str(mirror.root), catalogue, chosen, lambda _, blob: objects.open(blob))


def _folder(path: Path, branch: Branch | None) -> Place:
    if branch is not None and (path / branch.folder).is_dir():
        return Folder(path / branch.folder)
    if branch is None or any(
        (path / f"{name}{suffix}").exists() for name in _INDEXES for suffix in ("", ".gz")
    ):
        below = sorted(path.glob("*.x/*/tcz"))
        if not below or branch is not None:
            return Folder(path)
        found = [Branch.parse(str(one.parent.relative_to(path))) for one in below]
        return Folder(path / _only(found, str(path)).folder)
    raise ConfigError(f"there is no {branch.folder} in {path}")


def _only(there: Sequence[Branch], where: str) -> Branch:
    if len(there) == 1:
        return there[0]
    if not there:
        raise ConfigError(f"the mirror {where} has no packages yet", hint="tcz mirror add, tcz mirror sync")
    raise ConfigError(
        f"the mirror {where} has several branches",
        hint=f"name one with --branch: {', '.join(map(str, there))}",
    )


def open_state(
    state: str, mirror: str | None, branch: str, dirs: Dirs, key_files: Sequence[Path] = ()
) -> Source:
    """Return a state to compare: of ``mirror`` a snapshot, a serial or ``public``; else a mirror itself.

    Raises ``ConfigError``, and what ``open_source`` does.
    """
    chosen = Branch.parse(branch) if branch else None
    if mirror is None:
        return open_source(known.chosen([state], key_files, dirs)[0], chosen, dirs)
    opened = Mirror.open(Path(mirror))
    if state == "public":
        return _own(opened, chosen)
    named = opened.snapshots()
    folder = named.get(state, opened.root / "states" / state)
    if "/" in state or not folder.is_dir():
        there = ", ".join((*named, "public"))
        raise ConfigError(f"{mirror} has no state {state!r}", hint=f"there are: {there}, and serials")
    return _own(opened, chosen, folder)
