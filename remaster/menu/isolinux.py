"""isolinux.cfg and the texts that isolinux shows, for BIOS.

The syntax is that of syslinux, as isolinux 4 and 6 read it. isolinux is used without a menu module: it
shows a text and waits at its ``boot:`` prompt, so that it works on a serial line as well and needs no file
but ldlinux.c32. F-keys show texts, on a serial line those that a terminal sends as xterm does. isolinux 6.04
does not send the text above the first prompt to the serial line; F1 brings it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remaster.menu.model import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.menu.model import Menu

#: F1 shows the menu again; F2 and so on the screens of help.
_FIRST_KEY: Final = 2


def isolinux_cfg(menu: Menu) -> str:
    """Return isolinux.cfg. Labels and words hold no line breaks: the variant's check sees to it."""
    lines = []
    if menu.serial is not None:
        # Must come first: isolinux sends nothing before this line to the serial port.
        lines.append(f"serial {menu.serial[0]} {menu.serial[1]}")
    lines += [
        "display boot.msg",
        f"default {menu.chosen.label}",
        "prompt 1",
        # In tenths of a second; 0 waits for ever.
        f"timeout {menu.timeout * 10}",
    ]
    if menu.pages:
        lines.append("F1 boot.msg")
    lines += [f"F{key} f{key}.msg" for key, _ in enumerate(menu.pages, _FIRST_KEY)]
    for entry in menu.entries:
        lines += [
            "",
            f"label {entry.label}",
            f"  kernel {menu.kernel}",
            f"  initrd {menu.initrd}",
            f"  append {' '.join(entry.words)}".rstrip(),
        ]
    return "\n".join(lines) + "\n"


def boot_msg(menu: Menu) -> str:
    """Return the text shown above isolinux's prompt: ASCII, 25 lines at most."""
    width = max(len(entry.label) for entry in menu.entries)
    lines = [menu.title, ""]
    lines += [f"  {entry.label:<{width}}  {entry.title}" for entry in menu.entries]
    lines += [""]
    if menu.timeout:
        lines.append(f'Starts "{menu.chosen.label}" after {menu.timeout} s. Type a name to choose another,')
        lines.append("and add boot codes after it.")
    else:
        lines.append("Type a name, and boot codes after it.")
    if menu.pages:
        last = _FIRST_KEY + len(menu.pages) - 1
        keys = f"F{_FIRST_KEY} to F{last}" if len(menu.pages) > 1 else f"F{_FIRST_KEY}"
        lines.append(f"Help: {keys}. F1 shows this again, the tab key lists the names.")
    return _text(lines)


def help_files(menu: Menu) -> tuple[tuple[str, str], ...]:
    """Return name and text of every screen of help."""
    return tuple(
        (f"f{key}.msg", _text(["", page.title, "", *page.lines]))
        for key, page in enumerate(menu.pages, _FIRST_KEY)
    )


def _text(lines: Iterable[str]) -> str:
    clean = (line.encode("ascii", "replace").decode()[:COLUMNS].rstrip() for line in lines)
    return "\r\n".join(clean) + "\r\n"
