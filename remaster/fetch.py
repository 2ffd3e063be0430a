"""Distribution files of a release of Tiny Core, fetched from a mirror and kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import toml
from tcz.errors import VerifyError
from tcz.store import Store
from tcz.tinycore import Mirror

if TYPE_CHECKING:
    from tcz.paths import Dirs
    from tcz.reporting import Reporter

PINS: Final = Path(__file__).parent / "tinycore-files.toml"


def distribution(
    release: str, dirs: Dirs, reporter: Reporter, *, address: str | None, update: bool
) -> dict[str, Path]:
    """Return kernel and initrd of a release such as ``17.x``, by name.

    The mirror's .md5.txt is checked when they are fetched; from then on their sha256, kept with the
    first fetch, is: what was once built upon stays the same until an update is asked for. Raises
    ``FetchError``, ``VerifyError``, and ``ConfigError`` where no mirror is known.
    """
    store = Store(dirs.cache / "store")
    asked = address or os.environ.get("TCZ_MIRROR") or configured(dirs)
    found = mirror(dirs, reporter, address=asked, update=update).distribution(release)
    known = pinned(release)
    for name, file in found.items():
        if known.get(name, file.sha256) != file.sha256:
            raise VerifyError(
                f"{name} of Tiny Core {release} is not the one that this version knows",
                where=asked,
                why=f"expected sha256 {known[name]}\nfound           {file.sha256}",
                hint="do not use this mirror, or look for a newer version of this toolkit",
            )
    return {name: store.path(file.sha256) for name, file in found.items()}


def mirror(dirs: Dirs, reporter: Reporter, *, address: str | None, update: bool) -> Mirror:
    """Return a mirror whose files are kept in the cache."""
    return Mirror(dirs, Store(dirs.cache / "store"), reporter, address=address, update=update)


def pinned(release: str) -> dict[str, str]:
    """Return the sha256 of files of a release that this version knows, by name."""
    document = toml.read(PINS)
    table = document.root
    table.integer("schema", low=1, high=1)
    files = [
        (file.string("release"), file.string("name"), file.string("sha256")) for file in table.tables("file")
    ]
    document.finish("the known files of Tiny Core")
    return {name: sha256 for of, name, sha256 in files if of == release}


def configured(dirs: Dirs) -> str | None:
    """Return ``tinycore-mirror`` of the user's config.toml."""
    file = dirs.config / "config.toml"
    if not file.is_file():
        return None
    document = toml.read(file)
    value = document.root.string("tinycore-mirror", "")
    document.root.ignore_rest()
    document.finish("the configuration")
    return value or None
