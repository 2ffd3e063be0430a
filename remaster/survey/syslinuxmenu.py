"""Menus of SYSLINUX and its kin read: isolinux.cfg, syslinux.cfg, extlinux.conf.

Format: the SYSLINUX configuration file (doc/syslinux.txt) and the menu system's (doc/menu.txt). Files that
are included count at the place where they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.survey.menutext import Around, BootConfig, Draft

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES: Final = (".c32", ".com", ".cbt", ".0")
_KERNELS: Final = ("kernel", "linux")


@dataclass(slots=True)
class _Menu:
    """What was read so far. ``first`` words of commands are labels, where there is a label of that name."""

    drafts: list[Draft] = field(default_factory=list)
    draft: Draft | None = None
    modules: set[str] = field(default_factory=set)
    outside: tuple[str, ...] = ()
    default: str = ""
    on_timeout: str = ""
    marked: str = ""
    timeout: float | None = None
    timeout_where: str = ""
    prompt: bool = False
    has_ui: bool = False
    depth: int = 0

    def take(self, where: str, key: str, value: str) -> None:
        first = value.split(maxsplit=1)[0] if value else ""
        if key == "label":
            self.draft = Draft(label=value, where=where)
            self.drafts.append(self.draft)
        elif key in ("menu begin", "menu end", "menu separator"):
            self.depth = max(0, self.depth + {"menu begin": 1, "menu end": -1}.get(key, 0))
            self.draft = None
        elif key == "default":
            self.default = first or self.default
        elif key == "ontimeout":
            self.on_timeout = first or self.on_timeout
        elif key == "ui":
            self.has_ui = True
        elif key == "prompt":
            self.prompt = first not in ("", "0")
        elif key == "timeout" and value.isdecimal() and not self.depth:
            self.timeout, self.timeout_where = int(value) / 10 or None, where
        elif key == "append" and self.draft is None:
            self.outside = _words(value)
        elif self.draft is not None:
            self._line(self.draft, key, value)

    def _line(self, draft: Draft, key: str, value: str) -> None:
        if key in _KERNELS:
            if value.lower().endswith(_MODULES):
                self.modules.add(draft.label)
            else:
                draft.kernel = value
        elif key == "initrd":
            draft.initrds = tuple(path for path in value.split(",") if path)
        elif key == "append":
            draft.words = _words(value)
        elif key == "menu label":
            draft.title = value.replace("^", "")
        elif key == "menu default" and not self.depth:
            self.marked = draft.label
        if draft.words is None and draft.kernel:
            draft.words = self.outside

    def started(self) -> str:
        """Return the label that is started when nobody does anything, or a command that is none.

        A menu starts at DEFAULT only where UI names its program; DEFAULT itself may name that. ONTIMEOUT
        counts where somebody is waited for: at a menu, and at a prompt.
        """
        labels = [draft.label for draft in self.drafts]
        is_label = self.default in labels
        by_default = self.default in self.modules or (
            not is_label and self.default.lower().endswith(_MODULES[0])
        )
        is_menu = self.has_ui or by_default
        if self.on_timeout in labels and self.timeout is not None and (is_menu or self.prompt):
            return self.on_timeout
        if is_label and (self.has_ui or not is_menu):
            return self.default
        return self.marked or (labels[0] if is_menu and labels else self.default)


def isolinux(text: str, where: str, around: Around | None = None) -> BootConfig:
    """Read isolinux.cfg, syslinux.cfg or extlinux.conf."""
    menu = _Menu()
    for place, key, value in _lines(text, where, around or Around(), where.rpartition("/")[0]):
        menu.take(place, key, value)
    begun = [draft for draft in menu.drafts if draft.kernel]
    wanted = menu.started()
    chosen = next((draft for draft in menu.drafts if draft.label == wanted), None)
    if chosen is None and begun:
        chosen = begun[0]
    entries = tuple(draft.entry("isolinux", default=draft is chosen) for draft in begun)
    return BootConfig(entries=entries, timeout=menu.timeout, timeout_where=menu.timeout_where)


def _lines(text: str, where: str, around: Around, folder: str) -> Iterator[tuple[str, str, str]]:
    """Give file, keyword and value of each line, those of included files in their place."""
    in_text = False
    for line in text.splitlines():
        key, value = _directive(line)
        if in_text or key == "text":
            in_text = key != "endtext"
        elif key in ("include", "menu include") and value:
            yield from _included(value, where, around, folder)
        else:
            yield where, key, value


def _included(value: str, where: str, around: Around, folder: str) -> Iterator[tuple[str, str, str]]:
    name, *title = value.split(maxsplit=1)
    # Programs of SYSLINUX look from the folder of the first file on.
    real, text = around.enter(name, where, (folder, where.rpartition("/")[0]))
    if not real:
        return
    if title:
        yield where, "menu begin", title[0]
    yield from _lines(text, real, around, folder)
    if title:
        yield where, "menu end", ""
    around.leave()


def _directive(line: str) -> tuple[str, str]:
    words = line.split(maxsplit=1)
    key, value = (words[0].lower(), words[1].strip()) if len(words) > 1 else (line.strip().lower(), "")
    if key == "menu":
        more = value.split(maxsplit=1)
        key, value = f"menu {value.split()[0].lower()}" if value else key, more[1] if len(more) > 1 else ""
    return key, value.strip()


def _words(value: str) -> tuple[str, ...]:
    return () if value == "-" else tuple(value.split())
