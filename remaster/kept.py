"""Bases that were looked at, kept in the user's cache, for finding out what a base is takes long.

What is kept is named by a hash of the base's files, of their names, and of this program, so that it is never
what another base was, or what another version would find. Two files each: the facts (a pickle of a few
classes, which nothing else is loaded from, behind its own sha256), and the contents of the root's files one
behind the other. Both are hashed before they are believed.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, Final

from remaster.isofs import BootImage, IsoImage
from remaster.program import own_code
from remaster.survey import model
from remaster.survey.look import Examined
from remaster.survey.medium import Medium
from tcz.errors import NoSpaceError
from tcz.paths import need_space
from tcz.store import replacing, sha256_file, sweep
from tcz.sums import Sums, state
from tcz.tree import FileRef, Node, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcz.paths import Dirs

    #: Names and paths.
    Files = tuple[tuple[str, Path], ...]

FOLDER: Final = "bases"
_FORM: Final = 1
_DIGEST: Final = hashlib.sha256().digest_size
#: A node as it is kept: its numbers, where its content lies (bytes, or file, offset and size), device, link.
_Place = tuple[str, int, int]
_Row = tuple[str, int, int, int, int, "bytes | _Place", tuple[int, int], "str | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found out of a base: what it is, and the hash of all that is given in it."""

    examined: Examined
    identity: str


class _NotKept(Exception):  # noqa: N818 - nothing went wrong
    """A base with contents that cannot be told by a file and a place in it."""


@dataclass(frozen=True, slots=True)
class Bases:
    """The bases that are kept in the user's cache."""

    folder: Path
    sums: Sums

    @classmethod
    def of_user(cls, dirs: Dirs) -> Bases:
        """Return those of the user's cache."""
        return cls(dirs.cache_folder(FOLDER), Sums.of_user(dirs))

    def known(
        self, origin: str, files: Files, look: Callable[[Mapping[Path, str]], Known]
    ) -> tuple[Known, tuple[str, ...]]:
        """Return what ``look`` finds out of a base, or found out at another time, and the files' sha256.

        ``files`` are all that the base is made of; ``look`` is given the sha256 of each. The contents of the
        root's files are then in the cache. Raises what ``look`` raises, which is never kept.
        """
        before = [state(path) for _, path in files]
        sums = tuple(self.sums.of(path) for _, path in files)
        given = [(name, str(path), sha256) for (name, path), sha256 in zip(files, sums, strict=True)]
        told = (_FORM, sys.version, own_code(), origin, given)
        place = self.folder / hashlib.sha256(repr(told).encode()).hexdigest()
        known = self._read(place)
        if known is not None:
            return known, sums
        fresh = look({path: sha256 for (_, path), sha256 in zip(files, sums, strict=True)})
        if [state(path) for _, path in files] != before:
            return fresh, sums  # what was looked at may not be what was hashed
        try:
            self._write(place, fresh)
        except (_NotKept, OSError, NoSpaceError):
            return fresh, sums  # a cache that cannot be written is no fault of the base
        # Whoever finds it there gets the same as who put it there.
        return self._read(place, just_written=True) or fresh, sums

    def _write(self, place: Path, known: Known) -> None:
        sweep(self.folder)
        content = _content(place)
        need_space(self.folder, known.examined.root.content_size(), "what a base holds")
        with replacing(content) as temporary:
            with temporary.open("wb") as file:
                rows = _root_rows(known.examined.root, content, file)
            size, sha256 = temporary.stat().st_size, sha256_file(temporary)
        examined = known.examined
        medium = replace(examined.medium, loaded=None, root=None)
        buffer = io.BytesIO()
        _Writer(buffer, protocol=5).dump((size, sha256, rows, examined.survey, medium, examined.initrds,
                                         examined.kernel, known.identity))  # fmt: skip
        facts = buffer.getvalue()
        with replacing(place) as temporary:
            temporary.write_bytes(hashlib.sha256(facts).digest() + facts)

    def _read(self, place: Path, *, just_written: bool = False) -> Known | None:
        """Return what is kept at a place; nothing where there is none, or it is damaged."""
        content = _content(place)
        try:
            data = place.read_bytes()
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            size, sha256, rows, survey, medium, initrds, kernel, identity = _Reader(
                io.BytesIO(data[_DIGEST:])
            ).load()
            whole = content.stat().st_size == size
            if not whole or not (just_written or self.sums.of(content) == sha256):
                return None
        except (OSError, ValueError, TypeError, EOFError, AttributeError, pickle.UnpicklingError):
            return None
        root = _tree(rows)
        examined = Examined(survey=survey, medium=medium, root=root, initrds=initrds, kernel=kernel)
        return Known(examined=examined, identity=identity)


def _content(place: Path) -> Path:
    return place.with_name(f"{place.name}.content")


# -- trees ----------------------------------------------------------------------------------------


def _root_rows(tree: Tree, content: Path, file: io.BufferedWriter) -> list[_Row]:
    """Write the contents of a tree's files into ``file``, whose name will be ``content``."""
    rows, offset = [], 0
    for path, node in tree.items():
        data = node.data
        if node.is_file and node.size:
            file.writelines(node.pieces())
            rows.append(_row(path, node, (str(content), offset, node.size)))
            offset += node.size
        else:
            rows.append(_row(path, node, _told(data)))
    return rows


def _rows(tree: Tree) -> list[_Row]:
    return [_row(path, node, _told(node.data)) for path, node in tree.items()]


def _told(data: object) -> bytes | _Place:
    if isinstance(data, FileRef):
        return str(data.path), data.offset, data.size
    if isinstance(data, bytes):
        return data
    raise _NotKept


def _row(path: str, node: Node, data: bytes | _Place) -> _Row:
    return path, node.mode, node.uid, node.gid, node.mtime, data, node.rdev, node.link


def _tree(rows: list[_Row]) -> Tree:
    files: dict[str, Path] = {}

    def content(told: bytes | _Place) -> bytes | FileRef:
        if isinstance(told, bytes):
            return told
        name, offset, size = told
        file = files.get(name) or files.setdefault(name, Path(name))
        return FileRef(file, offset, size)

    return Tree.ordered(
        {
            path: Node(mode=mode, uid=uid, gid=gid, mtime=mtime, data=content(data), rdev=rdev, link=link)
            for path, mode, uid, gid, mtime, data, rdev, link in rows
        }
    )


# -- pickles of these classes only ----------------------------------------------------------------

_CLASSES: Final = {
    (one.__module__, one.__qualname__): one
    for one in (
        *(one for one in vars(model).values() if isinstance(one, type) and one.__module__ == model.__name__),
        BootImage,
        IsoImage,
        Medium,
        PosixPath,
    )
}
_NAMED: Final = {(_tree.__module__, _tree.__qualname__): _tree}


class _Writer(pickle.Pickler):
    def reducer_override(self, thing: object) -> Any:  # noqa: ANN401 - as in pickle
        """Write trees as rows."""
        return (_tree, (_rows(thing),)) if isinstance(thing, Tree) else NotImplemented


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """Find nothing but the classes that bases are told with: whatever a pickle names, it runs no code."""
        found = _CLASSES.get((module, name)) or _NAMED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a base")
        return found
