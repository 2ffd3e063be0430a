"""A package on disk with what lies beside it, as an entry of a mirror: checked, cleaned, and kept as objects.

Nothing of it is believed. What cannot be read in one way only is refused; what every client would read in
the same way but is not in the one form that a mirror publishes is put into it, and told.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import companions, metadata, zsync
from tcz.errors import ConfigError, ToolkitError, VerifyError
from tcz.mirror.model import Entry
from tcz.names import SUFFIX, file_name, package_name
from tcz.squashfs.image import Image
from tcz.store import md5_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.mirror.model import Blob
    from tcz.mirror.objects import Objects
    from tcz.tree import Tree

#: Larger than any .list, .tree or .zsync of a real mirror.
_LARGEST: Final = 64 << 20
_TAGS = re.compile(r"Tags:(.*)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A package that may be published, and what was put right or is missing."""

    entry: Entry
    notes: tuple[str, ...]


def examine(path: Path, objects: Objects) -> Examined:
    """Return the package at ``path`` with all its files kept in ``objects``.

    Of its companions .md5.txt must be right, .dep and .info are cleaned; .list is made from the image where
    it is missing, .md5.txt and .zsync are made. Raises ``ConfigError`` for a name or a need that must not
    reach a client, ``VerifyError`` for a damaged image or bytes that are not what is said of them.
    """
    try:
        return _examine(path, objects)
    except ToolkitError as error:
        if error.where is None:
            error.where = str(path)
        raise


def _examine(path: Path, objects: Objects) -> Examined:
    if not path.name.endswith(SUFFIX):
        raise ConfigError(f"not a package: its name does not end in {SUFFIX}")
    name = package_name(path.name)
    if not path.is_file():
        raise ConfigError("not a file")
    blob = objects.add_file(path)
    (objects.root / "tmp").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=objects.root / "tmp") as folder:
        # What is looked at from here on are the bytes that were kept, whatever ``path`` becomes meanwhile.
        own = Path(folder) / file_name(name)
        objects.link(blob, own)
        work = _Work(name, path, own, objects)
        tree = work.image()
        notes = work.notes
        needs = work.needs()
        files: dict[str, Blob | None] = {
            "": blob,
            ".md5.txt": work.md5(),
            ".dep": work.kept(metadata.dep_text(needs)),
            ".info": work.info(),
            ".list": work.list(tree),
            ".zsync": work.zsync(),
            ".build-dep": work.kept(work.text(".build-dep")),
        }
        info = metadata.parse_info(work.text(".info") or "")
        entry = Entry(
            name=name,
            md5=work.digest,
            files={suffix: one for suffix, one in files.items() if one is not None},
            needs=needs,
            tags=_tags(work.text(".info") or ""),
            version=_first(info.version),
            summary=_first(info.description),
            license=_first(info.copying_policy),
            installed=sum(node.size for _, node in tree.items() if node.is_file),
            origin=work.origin(),
        )
    return Examined(entry=entry, notes=tuple(notes))


class _Work:
    """One package while it is examined."""

    def __init__(self, name: str, path: Path, own: Path, objects: Objects) -> None:
        self.name = name
        self.path = path
        self.own = own
        self.objects = objects
        self.notes: list[str] = []
        self.digest = md5_file(own)

    def kept(self, text: str | None) -> Blob | None:
        return None if text is None else self.objects.add_bytes(text.encode(errors="surrogateescape"))

    def data(self, suffix: str) -> bytes | None:
        """Return a companion's bytes, ``None`` where there is none."""
        beside = companions.beside(self.path, suffix)
        try:
            status = beside.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            # A link in a folder from elsewhere could publish any file of this machine.
            if beside.resolve().parent != self.path.parent.resolve():
                raise ConfigError(f"its {suffix} is a link that leads out of the folder")
            status = beside.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"its {suffix} is not a file")
        if status.st_size > _LARGEST:
            raise VerifyError(f"its {suffix} is larger than that of any package: {status.st_size} bytes")
        return beside.read_bytes()

    def text(self, suffix: str) -> str | None:
        """Return a companion's text with LF, a final one included, and without control characters."""
        data = self.data(suffix)
        if data is None:
            return None
        text = _CONTROL.sub("", metadata.decode(data))
        return text if text.endswith("\n") or not text else text + "\n"

    def image(self) -> Tree:
        try:
            self._image = Image(self.own)
            return self._image.tree()
        except VerifyError as error:
            raise VerifyError(error.what, where=str(self.path), why=error.why, hint=error.hint) from error

    def md5(self) -> Blob | None:
        data = self.data(".md5.txt")
        wanted = metadata.md5_text(metadata.Md5(md5=self.digest, name=file_name(self.name)))
        if data is None:
            self.notes.append("had no .md5.txt")
        else:
            said = metadata.parse_md5(metadata.decode(data))
            if said.md5 != self.digest:
                raise VerifyError(
                    "not the file that its .md5.txt speaks of",
                    why=f"expected md5 {said.md5}\nfound    md5 {self.digest}",
                    hint="fetch or build it again",
                )
            if data != wanted.encode():
                self.notes.append(f"its .md5.txt was rewritten: it said {said.name!r}, or in another form")
        return self.kept(wanted)

    def needs(self) -> tuple[str, ...]:
        data = self.data(".dep")
        if data is None:
            return ()
        try:
            found = metadata.parse_dep(metadata.decode(data))
        except ConfigError as error:
            raise ConfigError(f"its .dep cannot be published: {error.what}", hint=error.hint) from error
        needs = tuple(need for need in found if need != self.name)
        if (metadata.dep_text(needs) or "").encode() != data:
            self.notes.append("its .dep was cleaned: blanks, empty lines, line ends, repetitions or suffixes")
        return needs

    def info(self) -> Blob | None:
        data, text = self.data(".info"), self.text(".info")
        if data is None or text is None:
            self.notes.append("has no .info: it has no tags to be found by")
        elif text.encode() != data:
            self.notes.append("its .info was cleaned: encoding, line ends or control characters")
        return self.kept(text)

    def list(self, tree: Tree) -> Blob | None:
        given = self.text(".list")
        if given is None:
            self.notes.append("its .list was made from the image")
            return self.kept(metadata.list_text(path for path, node in tree.items() if not node.is_dir))
        return self.kept(given)

    def zsync(self) -> Blob:
        """Keep the .zsync that is there if it is right: to make it takes the longest of all."""
        data = self.data(zsync.SUFFIX)
        if data is None or not self._speaks_of_it(data):
            # The moment in the image: the same package gives the same bytes everywhere.
            data = zsync.control(self.own, epoch=self._image.superblock.time)
        return self.objects.add_bytes(data)

    def _speaks_of_it(self, data: bytes) -> bool:
        try:
            said = zsync.parse(data)
        except VerifyError:
            return False
        names = {said.name, said.url}
        if names != {file_name(self.name)} or said.length != self.own.stat().st_size:
            return False
        with self.own.open("rb") as file:
            sha1 = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
        return said.sha1 == sha1

    def origin(self) -> str:
        """Return which recipe made it, as the .build.json beside it says."""
        data = self.data(companions.PROVENANCE)
        if data is None:
            return ""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return ""
        told: Mapping[str, object] = value if isinstance(value, dict) else {}
        recipe, build = told.get("recipe"), told.get("build_id")
        if not isinstance(recipe, str) or not isinstance(build, str):
            return ""
        return _first(f"recipe {recipe} {build}")


def _tags(info: str) -> str:
    for line in info.split("\n"):
        found = _TAGS.match(line)
        if found:
            return found[1]
    return ""


def _first(text: str) -> str:
    """Return the first line of a value, without what has no place in a line."""
    line = text.split("\n", 1)[0]
    return "".join(letter for letter in line if letter.isprintable())[:1000]
