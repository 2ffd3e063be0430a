"""A package as checks see it: its tree, its image, its companions, and what follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from tcz import elf, metadata
from tcz.errors import VerifyError
from tcz.names import is_package_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcz.elf import Elf
    from tcz.lint.image import ImageFacts
    from tcz.model import Allow
    from tcz.tree import Node, Tree

STARTUP: Final = "usr/local/tce.installed"
#: Endings of companions, as they stand behind ``NAME.tcz``.
COMPANIONS: Final = (".dep", ".info", ".list", ".md5.txt", ".tree", ".zsync", ".build-dep")
#: Files that are larger are not looked into for text.
LARGEST_TEXT: Final = 1 << 20
_MODULES = re.compile(r"(usr/local/|usr/)?lib/modules/([^/]+)/")
_ROLES = (
    ("dev", re.compile(r".*[-_](?:base-)?dev\Z")),
    ("doc", re.compile(r".*-doc\Z")),
    ("locale", re.compile(r".*-locale\Z")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A file beside a .tcz: its ending, its bytes, and its mode where it lies on a disk."""

    suffix: str
    data: bytes
    mode: int | None = None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A package. ``name`` has no suffix; ``damage`` says why the image could not be read."""

    name: str
    tree: Tree
    image: ImageFacts | None = None
    companions: tuple[Companion, ...] = ()
    allowed: tuple[Allow, ...] = ()
    damage: str | None = None
    where: str = field(default="", compare=False)

    # -- companions

    def companion(self, suffix: str) -> bytes | None:
        """Return the bytes of a companion, or ``None``."""
        return next((one.data for one in self.companions if one.suffix == suffix), None)

    def text(self, suffix: str) -> str | None:
        """Return a companion as text, its line ends as they are; Latin-1 where it is not UTF-8."""
        data = self.companion(suffix)
        if data is None:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def with_companion(self, suffix: str, data: bytes | None) -> Subject:
        """Return the package with a companion replaced, added, or (``None``) taken away."""
        others = tuple(one for one in self.companions if one.suffix != suffix)
        if data is None:
            return replace(self, companions=others)
        added = (*others, Companion(suffix=suffix, data=data))
        return replace(self, companions=tuple(sorted(added, key=lambda one: one.suffix)))

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The names in the .dep that are names, without suffix, in order."""
        words = (
            "".join(line.split()).removesuffix(".tcz") for line in (self.text(".dep") or "").splitlines()
        )
        return tuple(dict.fromkeys(word for word in words if is_package_name(word)))

    @cached_property
    def info(self) -> metadata.Info | None:
        """The .info file, or ``None``."""
        data = self.companion(".info")
        return None if data is None else metadata.parse_info(metadata.decode(data))

    # -- the tree

    @cached_property
    def files(self) -> tuple[tuple[str, Node], ...]:
        """All regular files, each inode once."""
        return tuple((path, node) for path, node in self.tree.items() if node.is_file and node.link is None)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths of all that is no folder."""
        return tuple(path for path, node in self.tree.items() if not node.is_dir)

    @property
    def elves(self) -> tuple[tuple[str, Elf], ...]:
        """All ELF files with what they say of themselves."""
        return tuple((path, found) for path, found, _ in self._elves if found is not None)

    @property
    def broken_elves(self) -> tuple[tuple[str, str], ...]:
        """All files that begin as ELF files and cannot be read, and why."""
        return tuple((path, why) for path, _, why in self._elves if why)

    @cached_property
    def _elves(self) -> tuple[tuple[str, Elf | None, str], ...]:
        return tuple(self._inspected())

    def _inspected(self) -> Iterator[tuple[str, Elf | None, str]]:
        for path, node in self.files:
            if self.head(path)[:4] != elf.MAGIC:
                continue
            try:
                yield path, elf.inspect(node.read()), ""
            except VerifyError as error:
                yield path, None, error.what

    def head(self, path: str) -> bytes:
        """Return the first bytes of a file, read once."""
        return self._heads[path]

    @cached_property
    def _heads(self) -> dict[str, bytes]:
        return {path: next(iter(node.pieces()), b"")[:256] for path, node in self.files}

    @cached_property
    def texts(self) -> tuple[tuple[str, bytes], ...]:
        """All files that are text and not too large to be looked into."""
        return tuple(
            (path, node.read())
            for path, node in self.files
            if 0 < node.size <= LARGEST_TEXT and b"\0" not in self.head(path)
        )

    @cached_property
    def scripts(self) -> tuple[tuple[str, str], ...]:
        """All files that begin with ``#!``, and that line without it."""
        found = []
        for path, _ in self.files:
            head = self.head(path)
            if head.startswith(b"#!"):
                line = head[2:].split(b"\n", 1)[0]
                found.append((path, line.decode(errors="replace")))
        return tuple(found)

    @cached_property
    def startup(self) -> tuple[str, ...]:
        """All that lies below usr/local/tce.installed."""
        return tuple(path for path in self.tree if path.startswith(STARTUP + "/"))

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """The kernel releases that the package holds modules for."""
        found = {match[2] for path in self.paths if (match := _MODULES.match(path))}
        return tuple(sorted(found))

    @property
    def role(self) -> str:
        """What the name says the package is for: ``dev``, ``doc``, ``locale``, or ``main``."""
        return next((role for role, pattern in _ROLES if pattern.match(self.name)), "main")

    # -- changes

    def with_tree(self, nodes: Iterable[tuple[str, Node]]) -> Subject:
        """Return the package with another tree."""
        return replace(self, tree=type(self.tree)(nodes))

    def without(self, paths: Iterable[str]) -> Subject:
        """Return the package without paths and all below them, and without folders that become empty."""
        gone = set(paths)
        kept = {
            path: node
            for path, node in self.tree.items()
            if not any(path == one or path.startswith(f"{one}/") for one in gone)
        }
        for path in sorted(kept, key=len, reverse=True):
            was_parent = any(one.startswith(f"{path}/") for one in gone)
            if path and was_parent and not any(other.startswith(f"{path}/") for other in kept):
                del kept[path]
        return self.with_tree(kept.items())
