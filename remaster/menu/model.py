"""What a boot menu is."""

from __future__ import annotations

from dataclasses import dataclass

KERNEL_PATH = "/boot/vmlinuz64"
INITRD_PATH = "/boot/floe.img"

#: isolinux shows texts on an 80 x 25 screen.
COLUMNS = 78
ROWS = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the menu: ``label`` is what is typed at isolinux's prompt, ``words`` the command line."""

    label: str
    title: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A screen of help: at most ``ROWS`` lines of ``COLUMNS`` characters, ASCII."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """A whole menu: ``timeout`` in seconds (0: wait for ever), ``default`` a label, the first when empty."""

    title: str
    entries: tuple[Entry, ...]
    timeout: int = 3
    serial: tuple[int, int] | None = (0, 115200)
    kernel: str = KERNEL_PATH
    initrd: str = INITRD_PATH
    default: str = ""
    pages: tuple[Page, ...] = ()

    @property
    def chosen(self) -> Entry:
        """The entry that starts by itself."""
        return next((one for one in self.entries if one.label == self.default), self.entries[0])
