"""One change of a mirror: the new catalogue composed, written, signed and shown, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tcz.mirror.compose import compose, own_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcz.mirror.config import Config
    from tcz.mirror.model import Blob, Catalogue
    from tcz.mirror.objects import Objects
    from tcz.mirror.repository import Writer

    #: Returns more public files for those of a state: its signature.
    Sign = Callable[[Mapping[str, Blob], Objects], Mapping[str, Blob]]


def unsigned(_files: Mapping[str, Blob], _objects: Objects) -> Mapping[str, Blob]:
    """Add no signature."""
    return {}


def publish(
    writer: Writer,
    config: Config,
    new: Catalogue,
    *,
    old: Catalogue,
    anew: bool = False,
    sign: Sign = unsigned,
) -> Catalogue:
    """Show ``new`` in the place of ``old``, with the next serial; return it as it was published.

    Nothing is published, and ``old`` returned, where all would stay as it is. With ``anew`` no index is
    taken over from ``old``.
    """
    new = replace(new, serial=old.serial + 1, extra=_extra(config, new.extra, writer.objects))
    made = compose(new, replace(old, branches={}, indexes={}) if anew else old, writer.objects)
    if replace(made, serial=old.serial) == old and old.serial:
        return old
    files = own_files(made, writer.objects)
    files |= sign(files, writer.objects)
    writer.follow(made, files, keep=None if anew else config.keep)
    writer.prune(config.keep)
    return made


def _extra(config: Config, extra: Mapping[str, Blob], objects: Objects) -> Mapping[str, Blob]:
    """Return other files with what ``version -c`` asks for: Tiny Core's newest version, by architecture."""
    others = {path: blob for path, blob in extra.items() if not path.startswith("latest-")}
    return others | {
        f"latest-{arch}": objects.add_bytes(f"{text}\n".encode()) for arch, text in config.latest.items()
    }
