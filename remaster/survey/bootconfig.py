"""Boot menus read: isolinux.cfg and its kin, and grub.cfg. Pure, and patient with what people write.

Formats: the SYSLINUX configuration file (doc/syslinux.txt), GRUB's script as far as menus go: variables
and conditions are not followed, ``menuentry`` blocks are, wherever they stand.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from remaster.survey.model import BootEntry

_MENUENTRY = re.compile(
    r"""^\s*menuentry\s+(?P<title>'(?:[^']|'\\'')*'|"(?:[^"\\]|\\.)*"|\S+)(?P<rest>.*)$"""
)
_ID = re.compile(r"--id(?:=|\s+)(\S+)")
_LINUX = ("linux", "linux16", "linuxefi")
_INITRD = ("initrd", "initrd16", "initrdefi")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """A menu: its entries, seconds until the default starts (``None``: it waits), files it includes."""

    entries: tuple[BootEntry, ...]
    timeout: float | None
    includes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    label: str
    title: str = ""
    kernel: str = ""
    initrds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def entry(self, program: str, where: str, *, default: bool) -> BootEntry:
        """Take initrd= out of the words: isolinux hands it to the kernel, and loads what it names."""
        named = [word[7:] for word in self.words if word.startswith("initrd=")]
        initrds = self.initrds or tuple(path for text in named for path in text.split(",") if path)
        words = tuple(word for word in self.words if not word.startswith("initrd="))
        return BootEntry(
            program=program,
            label=self.label,
            title=self.title or self.label,
            kernel=self.kernel,
            initrds=initrds,
            words=words,
            default=default,
            where=where,
        )


def isolinux(text: str, where: str) -> BootConfig:
    """Read isolinux.cfg, syslinux.cfg or extlinux.conf."""
    drafts: list[_Draft] = []
    outside: tuple[str, ...] = ()
    default, menu_default, timeout = "", "", None
    includes: list[str] = []
    for line in text.splitlines():
        key, value = _directive(line)
        draft = drafts[-1] if drafts else None
        if key == "label":
            drafts.append(_Draft(label=value))
        elif key in ("default", "ontimeout"):
            default = value.split()[0] if value else default
        elif key == "timeout" and value.isdecimal():
            timeout = int(value) / 10 or None
        elif key == "include" and value:
            includes.append(value.split()[0])
        elif key == "append" and draft is None:
            outside = tuple(value.split())
        elif draft is not None:
            _line(draft, key, value.strip())
            menu_default = draft.label if key == "menu default" else menu_default
    default = menu_default or default
    for draft in drafts:
        draft.words = draft.words or outside
    started = [draft for draft in drafts if draft.kernel]
    if default not in [draft.label for draft in started] and started:
        default = started[0].label
    entries = tuple(draft.entry("isolinux", where, default=draft.label == default) for draft in started)
    return BootConfig(entries=entries, timeout=timeout, includes=tuple(includes))


def _directive(line: str) -> tuple[str, str]:
    words = line.split(maxsplit=1)
    key, value = (words[0].lower(), words[1].strip()) if len(words) > 1 else (line.strip().lower(), "")
    if key == "menu":
        more = value.split(maxsplit=1)
        key, value = f"menu {value.split()[0].lower()}" if value else key, more[1] if len(more) > 1 else ""
    return key, value


def _line(draft: _Draft, key: str, value: str) -> None:
    if key in ("kernel", "linux"):
        if not value.lower().endswith((".c32", ".com", ".cbt", ".0")):
            draft.kernel = value
    elif key == "initrd":
        draft.initrds = tuple(path for path in value.split(",") if path)
    elif key == "append":
        draft.words = () if value == "-" else tuple(value.split())
    elif key == "menu label":
        draft.title = value.replace("^", "")


def grub(text: str, where: str) -> BootConfig:
    """Read grub.cfg."""
    drafts: list[_Draft] = []
    default, timeout = "0", None
    for line in text.replace("\\\n", " ").splitlines():
        found = _MENUENTRY.match(line)
        if found:
            title = _words(found["title"])
            marked = _ID.search(found["rest"])
            drafts.append(_Draft(label=marked[1] if marked else "", title=" ".join(title)))
            continue
        words = _words(line)
        if not words:
            continue
        if words[0] == "set" and len(words) > 1:
            name, _, value = words[1].partition("=")
            if name == "timeout":
                timeout = None if not value.isdecimal() else float(value)
            elif name == "default" and value:
                default = value
        elif drafts and words[0] in _LINUX and len(words) > 1:
            drafts[-1].kernel, drafts[-1].words = words[1], tuple(words[2:])
        elif drafts and words[0] in _INITRD:
            drafts[-1].initrds = tuple(words[1:])
    started = [draft for draft in drafts if draft.kernel]
    position = int(default) if default.isdecimal() else 0
    chosen = started[min(position, len(started) - 1)] if started else None
    named = [draft for draft in started if default in (draft.label, draft.title)]
    chosen = named[0] if named else chosen
    entries = tuple(draft.entry("grub", where, default=draft is chosen) for draft in started)
    return BootConfig(entries=entries, timeout=timeout)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()
