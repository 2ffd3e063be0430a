"""Boot menus: where they are on a medium, who reads which, and what all of them say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster.survey.grubmenu import grub
from remaster.survey.ipxemenu import command_line, ipxe
from remaster.survey.model import Fact
from remaster.survey.syslinuxmenu import isolinux

if TYPE_CHECKING:
    from remaster.survey.menutext import Around
    from remaster.survey.model import BootEntry

__all__ = ["grub", "ipxe", "isolinux", "menus"]

_MENUS = {
    "isolinux.cfg": isolinux,
    "syslinux.cfg": isolinux,
    "extlinux.conf": isolinux,
    "grub.cfg": grub,
    "boot.ipxe": ipxe,
    "cmdline": command_line,
}


def menus(around: Around) -> tuple[tuple[BootEntry, ...], Fact | None]:
    """Return the entries of all menus, and the seconds that the first one waits.

    Files that another menu includes are part of that one, and no menu of their own.
    """
    found = {}
    for path in around.files:
        reader = _MENUS.get(path.rpartition("/")[2].lower())
        text = None if reader is None else around.text(path)
        if reader is not None and text is not None:
            found[path] = reader(text, path, around)
    own = {path: menu for path, menu in found.items() if path not in around.included} or found
    told = (menu for menu in own.values() if menu.timeout is not None)
    first = next(told, None)
    timeout = None if first is None else Fact(value=f"{first.timeout:g}", where=first.timeout_where)
    return tuple(entry for menu in own.values() for entry in menu.entries), timeout
