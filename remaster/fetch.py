"""Distribution files of a release of Tiny Core, fetched from a mirror and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import toml
from tcz.errors import ConfigError, VerifyError
from tcz.store import Store
from tcz.tinycore import Mirror

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.tinycore import Remote

PINS: Final = Path(__file__).parent / "tinycore-files.toml"


def distribution(
    release: str, remotes: Sequence[Remote], dirs: Dirs, reporter: Reporter, *, update: bool
) -> dict[str, Path]:
    """Return kernel and initrd of a release such as ``17.x``, by name.

    They are checked when they are fetched: by what the mirror's key vouches for where there is one, by
    .md5.txt, and by the sha256 that this version knows. From then on their sha256 is, which is kept: what
    was once built upon stays the same until an update is asked for. Raises ``FetchError``,
    ``VerifyError``, and ``ConfigError`` where no mirror is known.
    """
    store = Store(dirs.cache / "store")
    try:
        found = Mirror(dirs, store, reporter, remotes=remotes, update=update).distribution(release)
    except ConfigError as error:
        hint = "name one with --mirror, in TCZ_MIRROR or in config.toml: the address that holds 17.x"
        raise ConfigError(error.what, error.problems, hint=hint) from error
    known = pinned(release)
    for name, file in found.items():
        if known.get(name, file.sha256) != file.sha256:
            raise VerifyError(
                f"{name} of Tiny Core {release} is not the one that this version knows",
                why=f"expected sha256 {known[name]}\nfound           {file.sha256}",
                hint="do not use this mirror, or look for a newer version of this toolkit",
            )
    return {name: store.path(file.sha256) for name, file in found.items()}


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
