"""One change of a mirror: the new catalogue composed, written, signed and shown, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from tcz.errors import ConfigError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import past
from tcz.mirror.compose import compose, own_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.mirror.config import Config
    from tcz.mirror.model import Blob, Catalogue
    from tcz.mirror.objects import Objects
    from tcz.mirror.repository import Mirror, Writer

KEYS: Final = "keys"


class Sign(Protocol):
    """What a publication is signed with (``tcz.mirror.signing``), or that it is not."""

    def refuse(self, mirror: Mirror, config: Config) -> None:
        """Raise ``ConfigError`` where a mirror must not be published so."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Return what lies below ``keys/`` of the mirror, by path."""
        ...

    def stands(self, mirror: Mirror) -> bool:
        """Tell whether what is shown is signed as it would be anew."""
        ...

    def __call__(self, files: Mapping[str, Blob], objects: Objects) -> Mapping[str, Blob]:
        """Return more public files for those of a state: its signature."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """No signature; of a mirror that is signed only ``on_purpose``."""

    on_purpose: bool = False

    def refuse(self, mirror: Mirror, config: Config) -> None:
        """See ``Sign``."""
        if is_signed(mirror, config) and not self.on_purpose:
            raise ConfigError(
                f"the mirror {mirror.root} is signed, and no key was chosen to sign with",
                hint="tcz mirror sign --key NAME chooses one; --unsigned publishes without",
            )

    def files(self) -> Mapping[str, bytes]:
        """See ``Sign``."""
        return {}

    def stands(self, mirror: Mirror) -> bool:
        """See ``Sign``."""
        shown = mirror.shown()
        return shown is None or not (shown / catalogues.SIGNATURE).is_file()

    def __call__(self, files: Mapping[str, Blob], objects: Objects) -> Mapping[str, Blob]:  # noqa: ARG002
        """See ``Sign``."""
        return {}


unsigned: Final = Unsigned()
#: What ``--unsigned`` asks for.
stripped: Final = Unsigned(on_purpose=True)


def is_signed(mirror: Mirror, config: Config) -> bool:
    """Tell whether clients of a mirror may count on its signature."""
    shown = mirror.shown()
    return bool(config.keys) or (shown is not None and (shown / catalogues.SIGNATURE).is_file())


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

    Nothing is published, and ``old`` returned, where all would stay as it is, the signature included. With
    ``anew`` no index is taken over from ``old``. Raises ``ConfigError`` for a signed mirror without a key.
    """
    sign.refuse(writer.mirror, config)
    made = planned(config, new, old=old, anew=anew, sign=sign, objects=writer.objects)
    if replace(made, serial=old.serial) == old and old.serial and sign.stands(writer.mirror):
        return old
    files = own_files(made, writer.objects)
    files |= sign(files, writer.objects)
    past.note(writer.mirror.root, past.gone(old, made))
    writer.follow(made, files, keep=None if anew else config.keep)
    writer.prune(config.keep)
    return made


def planned(
    config: Config, new: Catalogue, *, old: Catalogue, anew: bool, sign: Sign, objects: Objects
) -> Catalogue:
    """Return ``new`` as ``publish`` would show it."""
    extra = _extra(config, new.extra, sign.files(), objects)
    new = replace(new, serial=old.serial + 1, extra=extra)
    return compose(new, replace(old, branches={}, indexes={}) if anew else old, objects)


def _extra(
    config: Config, extra: Mapping[str, Blob], keys: Mapping[str, bytes], objects: Objects
) -> Mapping[str, Blob]:
    """Return other files with those that every publication makes.

    These are public keys, and what ``version -c`` asks for: Tiny Core's newest version, by architecture.
    """
    others = {path: blob for path, blob in extra.items() if not path.startswith(("latest-", f"{KEYS}/"))}
    latest = {f"latest-{arch}": f"{text}\n".encode() for arch, text in config.latest.items()}
    return others | {path: objects.add_bytes(data) for path, data in {**latest, **keys}.items()}
