"""What readers of boot menus have in common: what a menu is, and the medium as they see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.survey.model import BootEntry
from remaster.survey.rootfacts import text_at
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

#: SYSLINUX nests as deep.
_DEPTH_MAX: Final = 16
_INCLUDES_MAX: Final = 128
#: What is read of menus: one file, and all together.
_MENU_MAX: Final = 1 << 20
_MENUS_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """A menu: its entries, seconds until the default starts (``None``: it waits), and where that is said."""

    entries: tuple[BootEntry, ...]
    timeout: float | None
    timeout_where: str = ""


@dataclass(slots=True)
class Draft:
    """An entry that is being read; ``words`` are ``None`` until it has any, or says that it has none."""

    label: str
    where: str
    title: str = ""
    kernel: str = ""
    initrds: tuple[str, ...] = ()
    words: tuple[str, ...] | None = None
    elsewhere: bool = False

    def entry(self, program: str, *, default: bool) -> BootEntry:
        """Take initrd= out of the words: isolinux hands it to the kernel, and loads what it names."""
        said = self.words or ()
        named = [word[7:] for word in said if word.startswith("initrd=")]
        initrds = self.initrds or tuple(path for text in named for path in text.split(",") if path)
        return BootEntry(
            program=program,
            label=self.label,
            title=self.title or self.label,
            kernel=self.kernel,
            initrds=initrds,
            words=tuple(word for word in said if not word.startswith("initrd=")),
            default=default,
            where=self.where,
            elsewhere=self.elsewhere,
        )


class Places:
    """Finds what paths of menus mean, any number of them."""

    def __init__(self, files: Tree) -> None:
        """Take the files of a medium."""
        self._files = files
        self._low: dict[str, str] = {}

    def find(self, path: str) -> str | None:
        """Return where a path is on the medium: its root is the medium's, case may differ."""
        wanted = "/".join(part for part in path.split("/") if part not in ("", "."))
        if wanted in self._files:
            return wanted
        if not self._low:
            for here in self._files:
                self._low.setdefault(here.lower(), here)
        return self._low.get(wanted.lower())


@dataclass(slots=True)
class Around:
    """The medium that menus are on.

    ``labels`` are what its file systems are called, UUIDs too. ``notes`` gets sentences on what menus include
    and is not there; ``included`` the paths that were. Loops end, and so does whatever grows without end.
    """

    files: Tree = field(default_factory=Tree)
    labels: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    included: set[str] = field(default_factory=set)
    _left: int = _MENUS_MAX
    _includes: int = _INCLUDES_MAX
    _open: list[str] = field(default_factory=list)
    _places: Places | None = None

    def find(self, path: str) -> str | None:
        """Return where a path is on the medium, or ``None``."""
        if self._places is None:
            self._places = Places(self.files)
        return self._places.find(path)

    def text(self, path: str) -> str | None:
        """Return the text of a menu, ``None`` for what is none, or too large for one."""
        if self.files[path].size > min(_MENU_MAX, self._left):
            return None
        text = text_at(self.files, path)
        self._left -= len(text or "")
        return text

    def enter(self, name: str, where: str, folders: Iterable[str], *, tell: bool = True) -> tuple[str, str]:
        """Return path and text of what the menu ``where`` includes; both are empty where that cannot be.

        ``folders`` are those that a path without leading slash may be in. Whoever got a path leaves it again.
        """
        tried = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders]
        real = next(filter(None, map(self.find, tried)), None)
        if real is None or not self.files[real].is_file:
            if tell:
                self._say(f"{where} includes {name}, which is not there")
            return "", ""
        if real in self._open or real == where or len(self._open) >= _DEPTH_MAX:
            self._say(f"{where} includes {name}, which leads back to it, or too deep")
            return "", ""
        self._includes -= 1
        text = self.text(real) if self._includes >= 0 else None
        if text is None:
            self._say(f"{where} includes {name}, which is more than any menu has")
            return "", ""
        self._open.append(real)
        self.included.add(real)
        return real, text

    def leave(self) -> None:
        """Be done with what was entered last."""
        self._open.pop()

    def _say(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
