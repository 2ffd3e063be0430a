"""The keys of whoever runs mirrors: files below the user's configuration, secret ones for their eyes only."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import trust
from tcz.mirror.compose import compose, state_files
from tcz.mirror.repository import CONFIG
from tcz.mirror.sign import PublicKey, SecretKey
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tcz.mirror.repository import Mirror
    from tcz.paths import Dirs
    from tcz.reporting import Reporter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the ring, as it is listed; ``after`` tells whether an older key vouches for it."""

    name: str
    id: str
    secret: bool
    after: bool
    revoked: bool


class KeyRing:
    """Keys by name: ``NAME.key`` (mode 0600), ``NAME.pub``, ``NAME.pub.minisig``; and ``revoked``."""

    def __init__(self, dirs: Dirs) -> None:
        """Nothing is made until a key is."""
        self.folder = dirs.config / "keys"

    def keys(self) -> tuple[Key, ...]:
        """Return all keys, by name."""
        found = []
        gone = self._gone()
        for file in sorted(self.folder.glob("*.pub")):
            key = PublicKey.parse(file.read_text(), str(file))
            found.append(
                Key(
                    name=file.stem,
                    id=key.name,
                    secret=file.with_suffix(".key").exists(),
                    after=file.with_name(f"{file.name}.minisig").exists(),
                    revoked=key.name in gone,
                )
            )
        return tuple(found)

    def new(self, name: str) -> PublicKey:
        """Make a key; raises ``ConfigError`` for a name that is taken or none."""
        if not _NAME.match(name):
            raise ConfigError(f"{name!r} cannot name a key", hint="letters, digits, and . _ - between them")
        secret, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        if public.exists() or secret.exists():
            raise ConfigError(f"there is a key {name} already", hint="keys are not made anew: choose a name")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = SecretKey.new()
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(handle, "w") as file:
            file.write(key.text())
            file.flush()
            os.fsync(handle)
        _write(public, key.public.text().encode())
        return key.public

    def secret(self, name: str) -> SecretKey:
        """Return a key to sign with; raises ``ConfigError``: missing, revoked or open to others."""
        file = self.folder / f"{name}.key"
        try:
            mode = file.stat().st_mode
            text = file.read_text()
        except FileNotFoundError:
            known = [key.name for key in self.keys() if key.secret]
            raise ConfigError(
                f"there is no secret key {name}", hint=f"there are: {', '.join(known) or 'none'}"
            ) from None
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigError(f"others may read the secret key {file}", hint=f"chmod 600 {file}")
        key = SecretKey.parse(text, str(file))
        if key.public.name in self._gone():
            raise ConfigError(f"the key {name} is revoked", hint="sign with another one")
        return key

    def only(self) -> str:
        """Return the name of the one key that can sign; raises ``ConfigError`` unless there is one."""
        names = [key.name for key in self.keys() if key.secret and not key.revoked]
        if len(names) != 1:
            raise ConfigError(
                "there is no key to sign with" if not names else f"there are the keys {', '.join(names)}",
                hint="make one: tcz mirror keys new NAME" if not names else "choose one with --key",
            )
        return names[0]

    def rotate(self, old: str, new: str) -> PublicKey:
        """Make a key that ``old`` vouches for: who trusts that one will trust it too."""
        signer = self.secret(old)
        key = self.new(new)
        _write(self.folder / f"{new}.pub.minisig", trust.successor(signer, key))
        return key

    def revoke(self, name: str, by: str) -> None:
        """Declare a key void, signed with another one. Raises ``ConfigError``."""
        gone = next((key for key in self.keys() if key.name == name), None)
        if gone is None:
            raise ConfigError(f"there is no key {name}", hint="tcz mirror keys list shows all there are")
        if name == by:
            raise ConfigError("a key cannot revoke itself", hint=f"tcz mirror keys rotate {name} NEW, first")
        text, signature = trust.revocation({*self._gone(), gone.id}, self.secret(by))
        _write(self.folder / "revoked.minisig", signature)
        _write(self.folder / "revoked", text)

    def public_files(self) -> dict[str, bytes]:
        """Return what a mirror shows of the ring, by path."""
        patterns: Iterable[str] = ("*.pub", "*.pub.minisig", "revoked", "revoked.minisig")
        found = [file for pattern in patterns for file in sorted(self.folder.glob(pattern))]
        return {f"{trust.KEYS}/{file.name}": file.read_bytes() for file in found}

    def _gone(self) -> frozenset[str]:
        try:
            return trust.parse_revoked((self.folder / "revoked").read_bytes())
        except FileNotFoundError:
            return frozenset()


def _write(file: Path, data: bytes) -> None:
    with replacing(file) as new:
        new.write_bytes(data)


def sign(mirror: Mirror, ring: KeyRing, name: str, title: str, reporter: Reporter) -> int:
    """Publish what the mirror shows again, signed and with the ring's public keys; return the new serial.

    Raises ``ConfigError`` for a mirror that shows nothing yet, and for a key that cannot sign.
    """
    key = ring.secret(name)
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        if not old.serial:
            raise ConfigError(f"{mirror.root} has published nothing yet", hint="add or sync packages first")
        extra = {path: blob for path, blob in old.extra.items() if not path.startswith(f"{trust.KEYS}/")}
        extra |= {path: writer.objects.add_bytes(data) for path, data in ring.public_files().items()}
        new = compose(replace(old, serial=old.serial + 1, extra=extra), old, writer.objects)
        files = state_files(new, writer.objects)
        files |= trust.signature(files, writer.objects, key=key, title=title)
        writer.publish(files, new.serial)
        return new.serial


def check_shown(mirror: Mirror, keys: Iterable[PublicKey], last_serial: int = 0) -> trust.Checked:
    """Check the signature of what a mirror shows. Raises ``VerifyError``."""
    state = mirror.shown() or mirror.public
    try:
        signature = (state / catalogues.SIGNATURE).read_bytes()
    except FileNotFoundError:
        signature = b""
    return trust.check((state / catalogues.ROOT).read_bytes(), signature, keys, last_serial)


def title_of(mirror: Mirror) -> str:
    """Return the title in ``mirror.toml``; empty where it has none. Raises ``ConfigError`` for no TOML."""
    try:
        title = tomllib.loads((mirror.root / CONFIG).read_text()).get("title", "")
    except ValueError as error:
        raise ConfigError(f"{mirror.root / CONFIG} is not TOML: {error}") from error
    return title if isinstance(title, str) else ""
