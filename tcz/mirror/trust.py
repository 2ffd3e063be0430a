"""Whom a client of a mirror believes, and how far: signed catalogues, successors of keys, no way back.

In a mirror lie, beside the signed catalogue: ``keys/NAME.pub``; for a key that followed another one,
``keys/NAME.pub.minisig``, made with the older; and ``keys/revoked`` with its signature, the ids of keys that
are believed no more. A client starts with one key that came another way and follows the signatures from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import views
from tcz.mirror.publish import KEYS
from tcz.mirror.sign import PublicKey, verify
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tcz.mirror.model import Blob
    from tcz.mirror.objects import Objects
    from tcz.mirror.sign import SecretKey
    from tcz.paths import Dirs

REVOKED: Final = f"{KEYS}/revoked"
_SIG: Final = ".minisig"
_PUB: Final = ".pub"
_COMMENT = re.compile(r"serial:(0|[1-9][0-9]{0,18})\tmirror:([^\t]*)\Z")
_ID = re.compile(r"[0-9A-F]{16}\Z")
_SUCCESSOR: Final = "tcz successor"
_REVOKED_COMMENT: Final = "tcz revoked keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A catalogue that may be believed. ``sha256`` is that of ``catalogue.json``."""

    serial: int
    title: str
    key: PublicKey
    sha256: str


def comment(serial: int, title: str) -> str:
    """Return the trusted comment of a catalogue's signature."""
    return f"serial:{serial}\tmirror:{' '.join(title.split())}"


def check(
    catalogue_bytes: bytes,
    signature_bytes: bytes,
    trusted_keys: Iterable[PublicKey],
    last_serial: int,
) -> Checked:
    """Check the signature of ``catalogue.json`` and that it is no older than one that was seen.

    Raises ``VerifyError`` for a signature that does not fit or is of an unknown key, and for a serial that
    is lower than ``last_serial`` or another than that in the catalogue.
    """
    found = verify(catalogue_bytes, signature_bytes, trusted_keys, catalogues.SIGNATURE)
    told = _COMMENT.match(found.comment)
    try:
        serial = json.loads(catalogue_bytes)["serial"]
    except (ValueError, TypeError, KeyError, RecursionError):
        serial = None
    if told is None or type(serial) is not int or int(told[1]) != serial:
        raise VerifyError("a signature of something else than this catalogue", where=catalogues.SIGNATURE)
    if serial < last_serial:
        raise VerifyError(
            f"the mirror shows its state {serial}, and its state {last_serial} was seen before",
            where=catalogues.ROOT,
            why="an old state with known faults may be shown to you on purpose",
            hint="ask who runs the mirror; a mirror goes back by publishing again, under a higher serial\n"
            "a snapshot is asked for as ADDRESS#snapshot=NAME",
        )
    sha256 = hashlib.sha256(catalogue_bytes).hexdigest()
    return Checked(serial=serial, title=told[2], key=found.key, sha256=sha256)


class Seen:
    """The highest serial that was seen, by key; one small file each below the state of this user.

    Of a view (a snapshot or a state by its number, see ``tcz.mirror.views``) that was asked for, what it is
    stays the same for ever; no older state counts as seen in the place of it, nor it in the place of others.
    """

    def __init__(self, dirs: Dirs, view: str = "") -> None:
        """Nothing is written until something was seen."""
        self._folder = dirs.state / "mirrors"
        self._view = view

    def last(self, keys: Iterable[PublicKey]) -> int:
        """Return the highest serial seen under any of ``keys``, below which none is shown; 0 for a view."""
        return 0 if self._view else max((self._read(self._file(key))[0] for key in keys), default=0)

    def note(self, checked: Checked) -> None:
        """Remember a catalogue.

        Raises ``VerifyError`` where the same serial, or the same view, named other bytes before.
        """
        if self._view:
            self._note_view(checked)
        serial, sha256 = self._read(self._file(checked.key))
        if serial == checked.serial and sha256 != checked.sha256:
            raise VerifyError(
                f"the mirror shows two different states as number {serial}",
                where=catalogues.ROOT,
                hint="ask who runs the mirror: somebody else may hold its key",
            )
        if checked.serial > serial:
            self._write(self._file(checked.key), checked)

    def _note_view(self, checked: Checked) -> None:
        if self._view.startswith(views.STATE) and int(self._view.removeprefix(views.STATE)) != checked.serial:
            raise VerifyError(
                f"the mirror shows its state {checked.serial}, and {self._view} was asked for",
                where=catalogues.ROOT,
            )
        file = self._file(checked.key).with_suffix(f".{self._view}")
        serial, sha256 = self._read(file)
        if serial and (serial, sha256) != (checked.serial, checked.sha256):
            raise VerifyError(
                f"{self._view} was the state {serial}, and is shown as another: {checked.serial}",
                where=catalogues.ROOT,
                why="a snapshot never changes; another old state with known faults may be shown on purpose",
                hint=f"ask who runs the mirror; if a new one has that name, remove {file}",
            )
        if not serial:
            self._write(file, checked)

    def _write(self, file: Path, checked: Checked) -> None:
        with replacing(file, lasting=True) as new:
            new.write_text(f"{checked.serial} {checked.sha256} {checked.title}\n")

    def revoked(self) -> frozenset[str]:
        """Return the ids of the keys that ``note_revoked`` was told of."""
        try:
            return parse_revoked((self._folder / "revoked").read_bytes())
        except FileNotFoundError:
            return frozenset()

    def note_revoked(self, names: frozenset[str]) -> None:
        """Remember revoked keys, whether or not a mirror goes on listing them."""
        known = self.revoked()
        if not names <= known:
            with replacing(self._folder / "revoked", lasting=True) as new:
                new.write_text("".join(f"{name}\n" for name in sorted(names | known)))

    def adopted(self, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
        """Return the keys that ``adopt`` was told of, for any of ``keys``."""
        found = []
        for key in keys:
            file = self._file(key).with_suffix(".successors")
            texts = file.read_text().splitlines() if file.exists() else []
            found += [PublicKey.parse(text, str(file)) for text in texts]
        return tuple(found)

    def adopt(self, key: PublicKey, following: Iterable[PublicKey]) -> None:
        """Remember the keys that followed one, as long as it is believed: it may be revoked one day."""
        known = self.adopted([key])
        new = tuple(dict.fromkeys((*known, *(one for one in following if one != key))))
        if new != known:
            with replacing(self._file(key).with_suffix(".successors"), lasting=True) as file:
                file.write_text("".join(f"{one.text().splitlines()[-1]}\n" for one in new))

    def _file(self, key: PublicKey) -> Path:
        return self._folder / f"{key.name}-{hashlib.sha256(key.key).hexdigest()[:16]}"

    def _read(self, file: Path) -> tuple[int, str]:
        try:
            fields = file.read_text().split(" ", 2)
            return int(fields[0]), fields[1]
        except FileNotFoundError:
            return 0, ""
        except (ValueError, IndexError) as error:
            raise VerifyError(
                "what was seen of a mirror before can no longer be read",
                where=str(file),
                hint="restore the file, or remove it to begin anew with this mirror",
            ) from error


def followed(
    trusted: Iterable[PublicKey], files: Mapping[str, bytes], gone: frozenset[str] = frozenset()
) -> tuple[PublicKey, ...]:
    """Return the keys to believe, given those in hand and the files below ``keys/`` of a mirror, by path.

    A successor counts when a believed key signed it. A key that a believed one revoked, or that is in
    ``gone`` already, does not count, nor do its successors: whoever stole it could have named them.
    Raises ``VerifyError`` for a list of revoked keys that no believed key signed.
    """
    start = tuple(trusted)
    return grown(start, files, gone | revoked(start, files, gone))


def grown(
    start: Iterable[PublicKey], files: Mapping[str, bytes], gone: frozenset[str]
) -> tuple[PublicKey, ...]:
    """Return keys with those that follow them, but for those in ``gone`` and what only these vouch for."""
    found = [key for key in start if key.name not in gone]
    waiting = [path for path in sorted(files) if path.endswith(_PUB) and path + _SIG in files]
    grew = True
    while grew:
        grew = False
        for path in tuple(waiting):
            try:
                signed = verify(files[path], files[path + _SIG], found, path + _SIG)
                key = PublicKey.parse(files[path].decode("ascii", "replace"), path)
            except VerifyError:
                continue
            waiting.remove(path)
            if signed.comment == _SUCCESSOR and key.name not in gone:
                found.append(key)
                grew = True
    return tuple(dict.fromkeys(found))


def revoked(
    trusted: Iterable[PublicKey], files: Mapping[str, bytes], gone: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Return the ids of the keys that a mirror lists as revoked; none where it has no list.

    Raises ``VerifyError`` for a list that no believed key signed.
    """
    text = files.get(REVOKED)
    if text is None:
        return frozenset()
    keys = grown(trusted, files, gone)
    found = verify(text, files.get(REVOKED + _SIG, b""), keys, REVOKED + _SIG)
    names = parse_revoked(text)
    if found.comment != _REVOKED_COMMENT or found.key.name in names:
        raise VerifyError("a list of revoked keys that no other key signed", where=REVOKED)
    return names


def parse_revoked(text: bytes) -> frozenset[str]:
    """Read the list of revoked keys: one id a line. Raises ``VerifyError``."""
    names = text.decode("ascii", "replace").splitlines()
    if not all(map(_ID.match, names)):
        raise VerifyError("not a list of revoked keys", where=REVOKED)
    return frozenset(names)


def successor(old: SecretKey, new: PublicKey) -> bytes:
    """Return the signature that makes ``new`` follow ``old``."""
    return old.sign(new.text().encode(), _SUCCESSOR)


def revocation(names: Iterable[str], by: SecretKey) -> tuple[bytes, bytes]:
    """Return a list of revoked keys and its signature."""
    text = "".join(f"{name}\n" for name in sorted(set(names))).encode()
    return text, by.sign(text, _REVOKED_COMMENT)


def signature(files: Mapping[str, Blob], objects: Objects, *, key: SecretKey, title: str) -> dict[str, Blob]:
    """Return, for the files of a state as ``state_files`` gives them, the signature of its catalogue."""
    root = objects.read(files[catalogues.ROOT])
    made = key.sign(root, comment(json.loads(root)["serial"], title))
    return {catalogues.SIGNATURE: objects.add_bytes(made)}
