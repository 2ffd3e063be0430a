"""Opens what a user names: mirrors of ours, folders and addresses with the official layout, states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError
from tcz.mirror.model import Branch
from tcz.mirror.place import Folder, Web
from tcz.mirror.repository import CONFIG, Mirror
from tcz.mirror.shelf import Indexed, Own, Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.mirror.place import Place
    from tcz.mirror.shelf import Source
    from tcz.paths import Dirs

_WEB = ("http://", "https://")
_INDEXES = ("info.lst", "md5.db", "dep.db", "tags.db")


def open_shelf(mirrors: Sequence[str], branch: str, dirs: Dirs) -> Shelf:
    """Return what several mirrors offer together, the first before the others.

    Each is a mirror of this toolkit, a folder or an address with the official layout; ``branch`` (such as
    ``17.x/x86_64``) may be empty where there is only one. Raises ``ConfigError``.
    """
    if not mirrors:
        raise ConfigError(
            "no mirror is named", hint="name one with --mirror or in TCZ_MIRROR: a folder or an address"
        )
    chosen = Branch.parse(branch) if branch else None
    return Shelf(tuple(open_source(mirror, chosen, dirs) for mirror in mirrors))


def open_source(mirror: str, branch: Branch | None, dirs: Dirs) -> Source:
    """Return one branch of one mirror; raises ``ConfigError``."""
    if mirror.startswith(_WEB):
        web = Web(mirror, dirs.cache / "web")
        return Indexed(web if branch is None else web.below(branch.folder))
    if "://" in mirror:
        raise ConfigError(f"{mirror} is no address of a mirror", hint="http://, https:// or a folder")
    path = Path(mirror)
    if (path / CONFIG).is_file():
        return _own(Mirror.open(path), branch)
    if not path.is_dir():
        raise ConfigError(f"there is no folder {mirror}", hint="name a mirror's folder or its address")
    return Indexed(_folder(path, branch))


def _own(mirror: Mirror, branch: Branch | None, state: Path | None = None) -> Own:
    there = sorted(mirror.catalogue(state).branches)
    return Own(mirror, branch or _only(there, str(mirror.root)), state)


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


def open_state(state: str, mirror: str | None, branch: str, dirs: Dirs) -> Source:
    """Return a state to compare: of ``mirror`` a snapshot, a serial or ``public``; else a mirror itself.

    Raises ``ConfigError``.
    """
    chosen = Branch.parse(branch) if branch else None
    if mirror is None:
        return open_source(state, chosen, dirs)
    opened = Mirror.open(Path(mirror))
    if state == "public":
        return _own(opened, chosen)
    named = opened.snapshots()
    folder = named.get(state, opened.root / "states" / state)
    if "/" in state or not folder.is_dir():
        known = ", ".join((*named, "public"))
        raise ConfigError(f"{mirror} has no state {state!r}", hint=f"there are: {known}, and serials")
    return _own(opened, chosen, folder)
