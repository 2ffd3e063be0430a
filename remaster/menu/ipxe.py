"""boot.ipxe: the menu for machines that start over the network.

Commands and syntax are those of iPXE's scripts: words end at white space, nothing is quoted, and then
``${name}`` is expanded in each. A build of iPXE without menus starts the default entry.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz.errors import ConfigError

if TYPE_CHECKING:
    from remaster.menu.model import Entry, Menu


def ipxe_script(menu: Menu) -> str:
    """Return the script; kernel and initrd lie beside it, and addresses are relative to its own.

    Raises ``ConfigError`` for a boot code that iPXE would change.
    """
    default = menu.chosen.label
    lines = ["#!ipxe"]
    if len(menu.entries) > 1:
        wait = f" --timeout {menu.timeout * 1000}" if menu.timeout else ""
        lines += [
            ":menu",
            f"menu {_text(menu.title)} || goto {default}",
            *(f"item {entry.label} {_text(entry.title)}" for entry in menu.entries),
            *(["item help Help"] if menu.pages else []),
            f"choose --default {default}{wait} chosen || goto {default}",
            "goto ${chosen}",
        ]
    for entry in menu.entries:
        lines += [f":{entry.label}", *_start(entry)]
    if len(menu.entries) > 1 and menu.pages:
        lines += _help(menu)
    return "\n".join(lines) + "\n"


def _start(entry: Entry) -> tuple[str, ...]:
    for word in entry.words:
        if "${" in word or "\n" in word:
            raise ConfigError(f"iPXE cannot hand on the boot code {word!r}", hint="leave ${ out of it")
    # A kernel that is told the name of its initrd finds it by UEFI as well.
    line = " ".join(("kernel vmlinuz initrd=initrd", *entry.words))
    return (line, "initrd initrd", "boot || exit 1")


def _text(text: str) -> str:
    """Return a text that is shown as it is, but for several blanks, which are shown as one."""
    return text.encode("ascii", "replace").decode().replace("${", "$ {")


def _spaced(line: str, widths: set[int]) -> str:
    """Put the variables of ``_blanks`` in place of several blanks; add what is used to ``widths``."""

    def variable(found: re.Match[str]) -> str:
        widths.add(len(found[0]))
        return f"${{s{len(found[0])}}}"

    return re.sub(" {2,}", variable, _text(line))


def _blanks(widths: set[int]) -> list[str]:
    lines = []
    for width in sorted(widths):
        lines += [f"set s{width}:hex {':'.join(['20'] * width)}", f"set s{width} ${{s{width}:string}}"]
    return lines


def _help(menu: Menu) -> list[str]:
    widths: set[int] = set()
    shown: list[str] = []
    for page in menu.pages:
        shown += [f"echo {_text(page.title)}", *(f"echo {_spaced(line, widths)}" for line in page.lines)]
        shown.append("prompt Any key goes on || goto menu")
    return [":help", *_blanks(widths), *shown, "goto menu"]
