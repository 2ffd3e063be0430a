"""The mirrors that a user knows: ``[[mirror]]`` in config.toml, with the keys that they are signed with.

Whatever asks a mirror looks it up here, by name or by address, so that one whose key is known is never used
unverified.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz import toml
from tcz.errors import ConfigError, VerifyError
from tcz.mirror import config as configs
from tcz.mirror import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tcz.mirror.config import Upstream
    from tcz.mirror.sign import PublicKey
    from tcz.paths import Dirs


_BELOW = re.compile(r"(?:/public)?(?:/[0-9]+\.x/[a-z0-9_]+/tcz)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A mirror to read: where it is, and the keys one of which signs it; none: it is not checked.

    ``authorities`` is a file of those that may vouch for its server, empty for the usual ones; ``view`` tells
    which of its states is meant (see ``tcz.mirror.views``).
    """

    address: str
    keys: tuple[PublicKey, ...] = ()
    authorities: str = ""
    view: str = ""


def mirrors(dirs: Dirs) -> tuple[Upstream, ...]:
    """Return the mirrors of the user's configuration, the highest priority first. Raises ``ConfigError``."""
    file = dirs.config / "config.toml"
    if not file.is_file():
        return ()
    document = toml.read(file)
    found = tuple(configs.upstream(table) for table in document.root.tables("mirror"))
    document.root.ignore_rest()
    document.finish("the configuration")
    return tuple(sorted(found, key=lambda one: -one.priority))


def chosen(
    given: Sequence[str], key_files: Sequence[Path], dirs: Dirs, usual: str = ""
) -> tuple[Chosen, ...]:
    """Return the mirrors that are meant: those given, else the ``usual`` one, else all of the configuration.

    Each of ``given`` is an address, a folder or the name of a configured mirror; ``key_files`` hold the keys
    for all of them, in the place of those configured. Raises ``ConfigError``.
    """
    configured = mirrors(dirs)
    if key_files and not given:
        raise ConfigError("a key is for a mirror that is named", hint="name it with --mirror")
    own = tuple(read_key(file) for file in key_files)
    names = given or ([usual] if usual else [one.name for one in configured])
    return tuple(meant(name, configured, own) for name in names)


def meant(name: str, known: Iterable[Upstream], keys: Sequence[PublicKey] = ()) -> Chosen:
    """Return the mirror called ``name`` or at that address; ``keys`` go before the one that is known.

    Either may end in a view; without one, that of the configuration is meant. Raises ``ConfigError``.
    """
    known = tuple(known)
    name, view = views.split(name)
    same = [one for one in known if one.name == name] or [one for one in known if same_place(one.url, name)]
    configured = [views.split(one.url) for one in same[:1]] or [(name, "")]
    return Chosen(
        address=configured[0][0] if same and same[0].name == name else name,
        keys=tuple(keys) or tuple(key_of(one) for one in same if one.key),
        authorities=next((one.authorities for one in same if one.authorities), ""),
        view=view or configured[0][1],
    )


def upstream(name: str, upstreams: Sequence[Upstream], key_files: Sequence[Path], dirs: Dirs) -> Chosen:
    """Return the upstream that ``sync`` copies from: one of the mirror's, or of the user's, or an address."""
    return meant(name, (*upstreams, *mirrors(dirs)), [read_key(file) for file in key_files])


def same_place(one: str, other: str) -> bool:
    """Tell whether two addresses or folders are of one mirror; either may be that of a branch's packages."""
    return _plain(one) == _plain(other)


def _plain(address: str) -> str:
    text = views.split(address)[0].removeprefix("file://")
    if "://" not in text:
        text = os.path.abspath(text)  # noqa: PTH100 - links are not followed: public changes
    return _BELOW.sub("", text.rstrip("/"))


def key_of(mirror: Upstream) -> PublicKey:
    """Return the key of a configured mirror. Raises ``ConfigError``."""
    from tcz.mirror.sign import PublicKey  # noqa: PLC0415 - few mirrors are signed

    try:
        return PublicKey.parse(mirror.key)
    except VerifyError as error:
        raise ConfigError(f"the key of the mirror {mirror.name} is no public key of minisign") from error


def read_key(file: Path) -> PublicKey:
    """Return the public key in a .pub file. Raises ``ConfigError``."""
    from tcz.mirror.sign import PublicKey  # noqa: PLC0415 - see key_of

    try:
        return PublicKey.parse(file.read_text(encoding="ascii"), str(file))
    except (OSError, ValueError, VerifyError) as error:
        why = getattr(error, "strerror", None) or "it is no public key of minisign"
        raise ConfigError(f"{file} cannot be used as a key: {why}", hint="name a .pub file") from error
