"""The keys of whoever runs mirrors: files below the user's configuration, secret ones for their eyes only."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError
from tcz.mirror import trust
from tcz.mirror.publish import KEYS
from tcz.mirror.sign import PublicKey, SecretKey, signer
from tcz.store import replacing, sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tcz.paths import Dirs

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PRIVATE: Final = 0o600
_LEFTOVER = re.compile(r"\..+\.(?:key|pub|minisig|revoked)\.[a-z0-9_]{8}\Z")
#: What a signature's file begins with, and no list of keys holds.
_SIGNATURE: Final = b"untrusted comment:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the ring, as it is listed; ``after`` tells whether an older key vouches for it."""

    name: str
    id: str
    secret: bool
    after: bool
    revoked: bool


class KeyRing:
    """Keys by name: ``NAME.key`` (mode 0600), ``NAME.pub``, ``NAME.pub.minisig`` made with an older key.

    ``NAME.revoked`` lists keys that are void, and holds the signature of that with NAME. Keys that follow one
    another are a family: a mirror shows that of its own key, for lists that clients cannot check would make
    them refuse it.

    A key is there as soon as its ``.pub`` is, which is written last: what a command left that ended early is
    nothing until the same command is given again, which goes on with it.
    """

    def __init__(self, dirs: Dirs) -> None:
        """Nothing is made until a key is."""
        self.folder = dirs.config / "keys"

    def keys(self) -> tuple[Key, ...]:
        """Return all keys, by name."""
        gone = self._gone()
        return tuple(
            Key(
                name=name,
                id=key.name,
                secret=(self.folder / f"{name}.key").exists(),
                after=(self.folder / f"{name}.pub.minisig").exists(),
                revoked=key.name in gone,
            )
            for name, key in self._public().items()
        )

    def new(self, name: str) -> PublicKey:
        """Make a key; raises ``ConfigError`` for a name that is taken or none."""
        with self._alone():
            return self._made(name, None)

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
        with self._alone():
            return self._made(new, self.secret(old))

    def _made(self, name: str, vouching: SecretKey | None) -> PublicKey:
        """Make a key, or what is lacking of one that was begun."""
        if not _NAME.match(name):
            raise ConfigError(f"{name!r} cannot name a key", hint="letters, digits, and . _ - between them")
        secret, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        if public.exists():
            raise ConfigError(f"there is a key {name} already", hint="keys are not made anew: choose a name")
        if secret.exists():
            key = self.secret(name)
        else:
            key = SecretKey.new()
            _write(secret, key.text().encode(), _PRIVATE)
        signature = self.folder / f"{name}.pub.minisig"
        if vouching is not None:
            _write(signature, trust.successor(vouching, key.public))
        elif signature.exists():
            signature.unlink()
            sync(self.folder)
        _write(public, key.public.text().encode())
        return key.public

    def revoke(self, name: str, by: str) -> None:
        """Declare a key void, signed with another one of its family. Raises ``ConfigError``."""
        with self._alone():
            self._revoke(name, by)

    def _revoke(self, name: str, by: str) -> None:
        gone = self._public().get(name)
        if gone is None:
            raise ConfigError(f"there is no key {name}", hint="tcz mirror keys list shows all there are")
        if name == by:
            raise ConfigError("a key cannot revoke itself", hint=f"tcz mirror keys rotate {name} NEW, first")
        key = self.secret(by)
        family = self._family([key.public])
        if name not in family:
            raise ConfigError(
                f"who trusts {name} has no reason to believe {by}",
                hint="a key is revoked by one that followed it",
            )
        names = {gone.name}.union(*(self._list(one) for one in family))
        # One file, as the list and its signature are nothing without each other.
        _write(self.folder / f"{by}.revoked", b"".join(trust.revocation(names, key)))

    def holder(self, key: PublicKey) -> str | None:
        """Return the name of a key that can sign; ``None`` for one whose secret is not here, or is void."""
        gone = self._gone()
        for name, one in self._public().items():
            if one == key and key.name not in gone and (self.folder / f"{name}.key").exists():
                return name
        return None

    def public_files(self, of: Iterable[PublicKey]) -> dict[str, bytes]:
        """Return what a mirror that is signed with one of these keys shows of the ring, by path."""
        family, gone = self._family(of), self._gone()
        found = {}
        for name in sorted(family):
            for file in (self.folder / f"{name}.pub", self.folder / f"{name}.pub.minisig"):
                if file.exists():
                    found[f"{KEYS}/{file.name}"] = file.read_bytes()
        lists = [name for name, key in family.items() if key.name not in gone and self._list(name)]
        if lists:
            longest = max(sorted(lists), key=lambda name: len(self._list(name)))
            found[trust.REVOKED], found[f"{trust.REVOKED}.minisig"] = self._revocation(longest)
        return found

    def _public(self) -> dict[str, PublicKey]:
        files = sorted(self.folder.glob("*.pub"))
        return {file.stem: PublicKey.parse(file.read_text(), str(file)) for file in files}

    def _family(self, of: Iterable[PublicKey]) -> dict[str, PublicKey]:
        """Return keys with all that vouch for them, and all that these vouch for."""
        known, start = self._public(), set(of)
        family = {name for name, key in known.items() if key in start}
        parents = {}
        for name in known:
            signature = self.folder / f"{name}.pub.minisig"
            if signature.exists():
                parents[name] = signer(signature.read_bytes(), str(signature))
        before: set[str] = set()
        while family != before:
            before = set(family)
            ids = {known[name].name for name in family}
            up = {parents[name] for name in family if name in parents}
            family |= {name for name in known if parents.get(name) in ids or known[name].name in up}
        return {name: known[name] for name in sorted(family)}

    def _list(self, name: str) -> frozenset[str]:
        try:
            return trust.parse_revoked(self._revocation(name)[0])
        except FileNotFoundError:
            return frozenset()

    def _revocation(self, name: str) -> tuple[bytes, bytes]:
        """Return the list of void keys that a key signed, and the signature."""
        file = self.folder / f"{name}.revoked"
        data = file.read_bytes()
        text, found, rest = data.partition(_SIGNATURE)
        # Rings of earlier versions have it in a file beside the list.
        return text, found + rest if found else file.with_name(f"{file.name}.minisig").read_bytes()

    def _gone(self) -> frozenset[str]:
        lists = (self._list(file.stem) for file in self.folder.glob("*.revoked"))
        return frozenset().union(*lists)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other command change the ring meanwhile; remove what those left that ended early."""
        missing = [one for one in (self.folder, *self.folder.parents) if not one.exists()]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in reversed(missing):
            sync(one.parent)
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for leftover in self.folder.iterdir():
                if _LEFTOVER.match(leftover.name):
                    leftover.unlink()
            yield
        finally:
            os.close(handle)


def _write(file: Path, data: bytes, mode: int = 0o644) -> None:
    with replacing(file, lasting=True, mode=mode) as new:
        new.write_bytes(data)
