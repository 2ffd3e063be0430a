"""Files of a release of Tiny Core, fetched from a mirror and kept; and which of them are known.

Tiny Core's mirrors offer md5 alone. Which sha256 a file must have is told by ``tinycore-files.toml``: the one
that ships, and one of the user's beside config.toml, which ``pin`` adds to (schema 1)::

    [[file]]
    release = "17.x"
    version = "17.0"               # for people; several versions of a release may be known
    name = "corepure64.gz"
    sha256 = "..."
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import foreign
from tcz import toml
from tcz.errors import ConfigError, VerifyError
from tcz.store import Store, replacing
from tcz.tinycore import Mirror

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remaster.base import Release
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.tinycore import Remote

PINS: Final = Path(__file__).parent / "tinycore-files.toml"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A file of a release that is known by its hash."""

    release: str
    name: str
    sha256: str
    version: str = ""


def own_pins(dirs: Dirs) -> Path:
    """Return where the user's pins are."""
    return dirs.config / PINS.name


def files(
    release: Release, remotes: Sequence[Remote], dirs: Dirs, reporter: Reporter, *, update: bool
) -> dict[str, Path]:
    """Return what a release is made of, by name: kernel and initrd of a series, the ISO image of a version.

    They are checked when they are fetched: by what the mirror's key vouches for where there is one, by
    .md5.txt, and by the sha256 that is pinned. What is not pinned is told. From then on their sha256 is,
    which is kept: what was once built upon stays the same until an update is asked for. Raises
    ``FetchError``, ``VerifyError``, and ``ConfigError`` where no mirror is known.
    """
    known = pinned(release.series, dirs)
    found = _fetched(release, remotes, dirs, reporter, update=update)
    for name, sha256 in found.items():
        if name in known and sha256 not in known[name]:
            raise VerifyError(
                f"{name} of Tiny Core {release.series} is none that is pinned",
                why="\n".join(
                    (*(f"expected sha256 {one}" for one in known[name]), f"found           {sha256}")
                ),
                hint="do not use this mirror; if it is a new version whose hash you have from elsewhere: "
                f"remaster pin {release.name} --sha256 {name}=HASH",
            )
    unknown = sorted({*found} - {*known})
    if unknown:
        names = " and ".join(unknown)
        reporter.warn(
            f"the sha256 of {names} of Tiny Core {release.series} is not pinned: what was fetched first "
            f"is kept, and named in the image's lock; `remaster pin {release.name}` pins it"
        )
    store = Store(dirs.cache / "store")
    return {name: store.path(sha256) for name, sha256 in found.items()}


def _fetched(
    release: Release, remotes: Sequence[Remote], dirs: Dirs, reporter: Reporter, *, update: bool
) -> dict[str, str]:
    """Return the sha256 of the files by name; ``Store`` has them."""
    store = Store(dirs.cache / "store")
    try:
        mirror = Mirror(dirs, store, reporter, remotes=remotes, update=update)
        if release.image:
            found = mirror.image(release.series, release.version, release.image)
        else:
            found = mirror.distribution(release.series)
    except ConfigError as error:
        hint = "name one with --mirror, in TCZ_MIRROR or in config.toml: the address that holds 17.x"
        raise ConfigError(error.what, error.problems, hint=hint) from error
    return {name: file.sha256 for name, file in found.items()}


def pinned(series: str, dirs: Dirs) -> dict[str, tuple[str, ...]]:
    """Return every sha256 that a file of a series (``17.x``) may have, by name. Raises ``ConfigError``."""
    places = (PINS, own_pins(dirs))
    found: dict[str, tuple[str, ...]] = {}
    for pin in (pin for path in places if path.is_file() for pin in read(path)):
        if pin.release == series:
            found[pin.name] = (*found.get(pin.name, ()), pin.sha256)
    return found


def _hash_complaint(text: str) -> str | None:
    return None if _SHA256.fullmatch(text) else "a sha256 has 64 digits and small letters a to f"


def read(path: Path) -> tuple[Pin, ...]:
    """Read a file of pins. Raises ``ConfigError`` with all that is wrong in it."""
    document = toml.read(path)
    table = document.root
    table.integer("schema", low=1, high=1)
    pins = tuple(
        Pin(
            release=file.string("release"),
            name=file.string("name"),
            sha256=file.string("sha256", check=_hash_complaint),
            version=file.string("version", ""),
        )
        for file in table.tables("file")
    )
    document.finish("the known files of Tiny Core")
    return pins


def pin(
    release: Release,
    remotes: Sequence[Remote],
    dirs: Dirs,
    reporter: Reporter,
    *,
    into: Path,
    update: bool = False,
    expected: Mapping[str, str] | None = None,
) -> tuple[Pin, ...]:
    """Fetch the files of a release, check them as far as the mirror allows, and add what is new to ``into``.

    ``expected`` has the sha256 of files by name, from elsewhere: what does not fit is refused. Returns the
    pins that were added. Raises as ``files`` does.
    """
    found = _fetched(release, remotes, dirs, reporter, update=update)
    for name, sha256 in (expected or {}).items():
        if found.get(name) != sha256:
            raise VerifyError(
                f"{name} of Tiny Core {release.series} is not the one that was named; nothing is pinned",
                why=f"expected sha256 {sha256}\nfound           {found.get(name, 'no such file')}",
            )
    store = Store(dirs.cache / "store")
    base = foreign.open_foreign(release.name, {name: store.path(of) for name, of in found.items()})
    there = read(into) if into.is_file() else ()
    known = {(one.release, one.name, one.sha256) for one in there}
    added = tuple(
        Pin(release=release.series, name=name, sha256=sha256, version=base.release)
        for name, sha256 in found.items()
        if (release.series, name, sha256) not in known
    )
    if added:
        text = into.read_text() if into.is_file() else "schema = 1\n"
        into.parent.mkdir(parents=True, exist_ok=True)
        with replacing(into) as new:
            new.write_text(text + "".join(map(_text, added)))
    return added


def _text(one: Pin) -> str:
    version = f'version = "{one.version}"\n' if re.fullmatch(r"[0-9A-Za-z.]+", one.version) else ""
    return f'\n[[file]]\nrelease = "{one.release}"\n{version}name = "{one.name}"\nsha256 = "{one.sha256}"\n'
