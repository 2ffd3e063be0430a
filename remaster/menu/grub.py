"""grub.cfg, for UEFI and for disks, in GRUB 2's script language."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remaster.menu.model import Menu, Page


def _quoted(text: str) -> str:
    """Quote for GRUB's script: nothing is expanded between single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _word(word: str) -> str:
    plain = all(char.isalnum() or char in "=,./:_-+@%" for char in word)
    return word if plain else _quoted(word)


def grub_cfg(menu: Menu) -> str:
    """Return grub.cfg for a GRUB whose own configuration has found the medium.

    Words are quoted one by one, for ``;``, ``{``, ``$`` and the like mean something to GRUB. Screens of help
    are entries of a submenu.
    """
    lines = []
    if menu.serial is not None:
        unit, speed = menu.serial
        # GRUB fails the whole command when the port is absent; then the console alone is used.
        lines += [
            f"if serial --unit={unit} --speed={speed}; then",
            "  terminal_input console serial",
            "  terminal_output console serial",
            "fi",
        ]
    # By number: identifiers came with GRUB 2.00, and a base of others has what it has.
    lines += [f"set timeout={menu.timeout or -1}", f"set default={menu.entries.index(menu.chosen)}"]
    for entry in menu.entries:
        words = " ".join(_word(word) for word in entry.words)
        lines += [
            "",
            f"menuentry {_quoted(f'{menu.title}: {entry.title}')} --id {entry.label} {{",
            f"  linux {menu.kernel} {words}".rstrip(),
            f"  initrd {menu.initrd}",
            "}",
        ]
    if menu.pages:
        lines += ["", "submenu 'Help' --id help {"]
        for page in menu.pages:
            lines += _page(page)
        lines.append("}")
    return "\n".join(lines) + "\n"


def _page(page: Page) -> list[str]:
    echoes = [f"    echo {_quoted(line or ' ')}" for line in page.lines]
    # What a key ends; without it the menu would be drawn over the text at once.
    return [
        f"  menuentry {_quoted(page.title)} {{",
        *echoes,
        "    echo 'Escape goes back. The key e changes an entry before it is started.'",
        "    sleep --interruptible 3600",
        "  }",
    ]
