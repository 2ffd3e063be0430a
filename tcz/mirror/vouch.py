"""A mirror whose catalogue is signed, read so that nothing of it is believed but what the signature covers.

Every consumer goes through ``vouch``: the signature of the catalogue, the keys that followed those in hand,
the list of revoked ones, and the highest serial that was seen. What it returns reads no file but those that
the catalogue names, and each only with the bytes that it names.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tcz.errors import VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import trust
from tcz.mirror.model import SUFFIXES
from tcz.mirror.publish import KEYS
from tcz.mirror.sign import signer
from tcz.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

    from tcz.mirror.model import Blob, Catalogue
    from tcz.mirror.place import Place
    from tcz.mirror.sign import PublicKey
    from tcz.mirror.trust import Checked, Seen

_ROUNDS: Final = 3
_BLOCK: Final = 1 << 20
_KEY_FILES_MAX: Final = 200
_KEY_FILE = re.compile(rf"{KEYS}/[A-Za-z0-9][A-Za-z0-9._-]{{0,80}}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What a mirror shows and its signer vouches for. ``place`` reads what the catalogue names, checked."""

    catalogue: Catalogue
    checked: Checked
    place: Sealed


class Sealed:
    """A ``Place`` of which only files of a catalogue are read, and only with the bytes that it names."""

    def __init__(self, place: Place, catalogue: Catalogue, start: str = "") -> None:
        """``start`` is where ``place`` is within the mirror: nothing, or a folder's path with a slash."""
        self._place = place
        self._catalogue = catalogue
        self._start = start
        self.where = place.where

    def named(self, path: str) -> Blob | None:
        """Return what the catalogue names there; entries are looked at one by one, for there may be many."""
        whole = self._start + path
        for files in (self._catalogue.extra, self._catalogue.indexes):
            if whole in files:
                return files[whole]
        for branch, entries in self._catalogue.branches.items():
            file = whole.removeprefix(f"{branch.folder}/")
            if file == whole or "/" in file:
                continue
            for suffix in SUFFIXES:
                name = file.removesuffix(f"{SUFFIX}{suffix}")
                if name != file and name in entries and suffix in (found := entries[name].files):
                    return found[suffix]
        return None

    def prepare(self, paths: Sequence[str]) -> None:
        """See ``Place``."""
        self._place.prepare([path for path in paths if self.named(path) is not None])

    def read(self, path: str) -> bytes | None:
        """See ``Place``; raises ``VerifyError`` for other bytes than the catalogue's, or none."""
        blob = self.named(path)
        if blob is None:
            return None
        data = self._place.read(path)
        refuse_other(data, blob, f"{self.where}/{path}")
        return data

    def open(self, path: str) -> BinaryIO | None:
        """See ``Place``, and ``read``."""
        blob = self.named(path)
        if blob is None:
            return None
        file = self._place.open(path)
        if file is None:
            refuse_other(None, blob, f"{self.where}/{path}")
            return None
        digest = hashlib.sha256()
        while data := file.read(_BLOCK):
            digest.update(data)
        file.seek(0)
        if digest.hexdigest() != blob.sha256:
            refuse_other(file.read(), blob, f"{self.where}/{path}")
        return file

    def below(self, path: str) -> Sealed:
        """See ``Place``."""
        return Sealed(self._place.below(path), self._catalogue, f"{self._start}{path}/")

    def files(self, suffix: str) -> Iterable[str] | None:
        """See ``Place``."""
        paths = (path for path, _ in self._catalogue.files() if path.startswith(self._start))
        found = (path.removeprefix(self._start) for path in paths if path.endswith(suffix))
        return sorted(path for path in found if "/" not in path)


def refuse_other(data: bytes | None, blob: Blob, where: str) -> None:
    """Raise ``VerifyError`` unless ``data`` is what a catalogue names."""
    if data is None:
        raise VerifyError("the catalogue names it, and it is not there", where=where, hint=_AGAIN)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != blob.sha256:
        why = f"expected {blob.size} bytes, sha256 {blob.sha256}\nfound    {len(data)} bytes, sha256 {sha256}"
        raise VerifyError("not the file that the catalogue names", where=where, why=why, hint=_AGAIN)


_AGAIN: Final = "run again, for it may just have changed; else tell who runs the mirror"


def vouch(place: Place, keys: Sequence[PublicKey], seen: Seen) -> Vouched:
    """Read and check the catalogue of the mirror at ``place``, its own folder, and remember it.

    Raises ``VerifyError`` for a mirror that none of ``keys`` and those that followed them has signed, for a
    state older than one that was seen, and for lists that are not the catalogue's.
    """
    for left in reversed(range(_ROUNDS)):
        place.prepare([catalogues.ROOT, catalogues.SIGNATURE])
        root = place.read(catalogues.ROOT)
        signature = place.read(catalogues.SIGNATURE)
        try:
            return _vouched(place, root, signature, keys, seen)
        except VerifyError as error:
            # Published between one file and the next: what is there now fits together again.
            place.prepare([catalogues.ROOT])
            if not left or place.read(catalogues.ROOT) == root:
                _name(error, place)
                raise
    raise AssertionError


def _name(error: VerifyError, place: Place) -> None:
    if error.where is None or not (error.where.startswith("/") or "://" in error.where):
        error.where = f"{place.where}/{error.where or catalogues.ROOT}"


def _vouched(
    place: Place, root: bytes | None, signature: bytes | None, keys: Sequence[PublicKey], seen: Seen
) -> Vouched:
    if root is None or signature is None:
        what = "no catalogue, which a signed mirror has" if root is None else "the mirror is not signed"
        raise VerifyError(
            what,
            where=catalogues.ROOT if root is None else catalogues.SIGNATURE,
            why="a key is known for it, so that nothing of it is used without its signature",
            hint="ask who runs the mirror",
        )
    by = signer(signature, catalogues.SIGNATURE)
    files = _key_files(place, root)
    start = (*keys, *seen.adopted(keys))
    gone = seen.revoked()
    if trust.grown(start, files, gone):
        listed = trust.revoked(start, files, gone)
        seen.note_revoked(listed)
        gone |= listed
    believed = trust.grown(start, files, gone)
    if by in gone or not believed:
        raise VerifyError(
            f"signed with the key {by}, {'which is revoked' if by in gone else 'and all known are revoked'}",
            where=catalogues.SIGNATURE,
            hint="get the mirror's new key by a way of its own",
        )
    checked = trust.check(root, signature, believed, seen.last(believed))
    catalogue = catalogues.parse(root, lambda path: catalogues.list_at(place, path))
    seen.note(checked)
    for key in keys:
        seen.adopt(key, trust.grown([key], files, gone))
    return Vouched(catalogue=catalogue, checked=checked, place=Sealed(place, catalogue))


def _key_files(place: Place, root: bytes) -> dict[str, bytes]:
    """Return the files below ``keys/``: they are signed themselves, so the catalogue need not be believed."""
    try:
        named = [path for path in json.loads(root)["extra"] if _KEY_FILE.match(path)]
    except (ValueError, TypeError, KeyError, RecursionError):
        named = []
    if len(named) > _KEY_FILES_MAX:
        raise VerifyError(f"more than {_KEY_FILES_MAX} keys", where=KEYS)
    place.prepare(named)
    read = {path: place.read(path) for path in named}
    return {path: data for path, data in read.items() if data is not None}
