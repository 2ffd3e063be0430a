"""What a mirror is signed with: the newest of its keys whose secret is in the user's ring.

The keys of a mirror stand in its configuration; as long as there is one, nothing is published unsigned
unless that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import config as configs
from tcz.mirror import trust
from tcz.mirror.publish import publish, unsigned
from tcz.mirror.repository import CONFIG
from tcz.mirror.sign import PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tcz.mirror.config import Config
    from tcz.mirror.keyring import KeyRing
    from tcz.mirror.model import Blob
    from tcz.mirror.objects import Objects
    from tcz.mirror.publish import Sign
    from tcz.mirror.repository import Mirror
    from tcz.mirror.sign import SecretKey
    from tcz.reporting import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A ``Sign``: ``public`` are the files that a mirror shows of its keys, by path."""

    key: SecretKey
    title: str
    public: Mapping[str, bytes]

    def refuse(self, mirror: Mirror, config: Config) -> None:
        """See ``Sign``: nothing is wrong with a signature."""

    def files(self) -> Mapping[str, bytes]:
        """See ``Sign``."""
        return self.public

    def stands(self, mirror: Mirror) -> bool:
        """See ``Sign``."""
        try:
            return check_shown(mirror, [self.key.public]).title == " ".join(self.title.split())
        except (VerifyError, FileNotFoundError):
            return False

    def __call__(self, files: Mapping[str, Blob], objects: Objects) -> Mapping[str, Blob]:
        """See ``Sign``."""
        return trust.signature(files, objects, key=self.key, title=self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What ``tcz mirror sign`` did; ``key`` is the name of a key in the ring, ``id`` its own."""

    key: str
    id: str
    serial: int
    published: bool


def keys_of(config: Config) -> tuple[PublicKey, ...]:
    """Return the keys that a mirror is signed with, the newest last; raises ``VerifyError``."""
    return tuple(PublicKey.parse(text, CONFIG) for text in config.keys)


def signing(mirror: Mirror, ring: KeyRing) -> Sign:
    """Return what a mirror's next publication is signed with.

    Raises ``ConfigError`` where the mirror is signed and none of its secret keys is in the ring.
    """
    config = configs.read(mirror.root)
    keys = keys_of(config)
    for key in reversed(keys):
        name = ring.holder(key)
        if name is not None:
            return _signer(ring, name, config)
    if keys:
        raise ConfigError(
            f"the mirror {mirror.root} is signed, and its secret key is not here",
            hint=f"put the key {' or '.join(key.name for key in keys)} into {ring.folder}, or choose another "
            "with tcz mirror sign --key NAME; --unsigned publishes without: who trusts the key refuses that",
        )
    unsigned.refuse(mirror, config)
    return unsigned


def begun(config: Config, ring: KeyRing, name: str) -> tuple[Config, Signer]:
    """Return the configuration of a new mirror with a key, and what to sign with. Raises ``ConfigError``."""
    signer = _signer(ring, name, config)
    return replace(config, keys=(signer.key.public.text().splitlines()[-1],)), signer


def _signer(ring: KeyRing, name: str, config: Config) -> Signer:
    key = ring.secret(name)
    return Signer(key=key, title=config.title, public=ring.public_files([key.public]))


def sign(
    mirror: Mirror, ring: KeyRing, name: str | None, reporter: Reporter, *, dry_run: bool = False
) -> Signed:
    """Sign what a mirror shows, and all that it will: with the key ``name``, else its own, else the only one.

    The key is written into the configuration. What is shown is published again, unless it is signed so
    already. Raises ``ConfigError`` for a mirror that shows nothing, and for keys that cannot sign.
    """
    config = configs.read(mirror.root)
    held = [found for key in reversed(keys_of(config)) if (found := ring.holder(key)) is not None]
    chosen = name or (held[0] if held else ring.only())
    signer = _signer(ring, chosen, config)
    public = signer.key.public
    with mirror.writing(reporter) as writer:
        old = made = mirror.catalogue()
        if not old.serial:
            raise ConfigError(f"{mirror.root} has published nothing yet", hint="add or sync packages first")
        if not dry_run:
            config = configs.add_key(mirror.root, public.text().splitlines()[-1])
            made = publish(writer, config, old, old=old, sign=signer)
    return Signed(key=chosen, id=public.name, serial=made.serial, published=made.serial != old.serial)


def check_shown(mirror: Mirror, keys: Iterable[PublicKey], last_serial: int = 0) -> trust.Checked:
    """Check the signature of what a mirror shows. Raises ``VerifyError``."""
    state = mirror.shown() or mirror.public
    try:
        signature = (state / catalogues.SIGNATURE).read_bytes()
    except FileNotFoundError:
        signature = b""
    return trust.check((state / catalogues.ROOT).read_bytes(), signature, keys, last_serial)
