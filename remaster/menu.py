"""The boot menu once, written for two boot loaders: isolinux (BIOS) and GRUB (UEFI).

Formats: the syslinux configuration syntax as isolinux 6 reads it, and GRUB 2's script syntax.
isolinux is used without a menu module: it shows a text and waits at its ``boot:`` prompt, so that
it works on a serial line as well and needs no file but ldlinux.c32.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL_PATH = "/boot/vmlinuz64"
INITRD_PATH = "/boot/floe.img"

#: isolinux shows boot.msg on an 80 x 25 screen.
_COLUMNS = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the menu: ``label`` is what is typed at isolinux's prompt, ``words`` the command line."""

    label: str
    title: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """A whole menu: the first entry is the default, ``timeout`` in seconds (0: wait for ever)."""

    title: str
    entries: tuple[Entry, ...]
    timeout: int = 3
    serial: tuple[int, int] | None = (0, 115200)
    kernel: str = KERNEL_PATH
    initrd: str = INITRD_PATH


def entries_for(words: tuple[str, ...], label: str = "floe") -> tuple[Entry, ...]:
    """Return the entries every image has, made from the command line of the normal one, ``label``.

    ``debug`` prints all that the kernel has to say; ``safe`` loads no extension from a disk,
    restores no backup and starts no graphics mode.
    """
    quiet = ("quiet", "loglevel", "debug", "ignore_loglevel")
    loud = tuple(word for word in words if word.partition("=")[0] not in quiet)
    safe = tuple(word for word in words if word.partition("=")[0] not in ("tce", "restore", "protect"))
    extra = tuple(word for word in ("base", "norestore", "nomodeset") if word not in safe)
    return (
        Entry(label=label, title="Start", words=words),
        Entry(label="debug", title="Start with every kernel message", words=(*loud, "loglevel=7")),
        Entry(label="safe", title="Start without extensions and backup from disks", words=(*safe, *extra)),
    )


def isolinux_cfg(menu: Menu) -> str:
    """Return isolinux.cfg. Labels and words hold no line breaks: the variant's check sees to it."""
    lines = []
    if menu.serial is not None:
        # Must come first: isolinux sends nothing before this line to the serial port.
        lines.append(f"serial {menu.serial[0]} {menu.serial[1]}")
    lines += [
        "display boot.msg",
        f"default {menu.entries[0].label}",
        "prompt 1",
        # In tenths of a second; 0 waits for ever.
        f"timeout {menu.timeout * 10}",
    ]
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
        lines.append(
            f'Starts "{menu.entries[0].label}" after {menu.timeout} s. Type a name to choose another,'
        )
        lines.append("and add boot codes after it.")
    else:
        lines.append("Type a name, and boot codes after it.")
    clean = (line.encode("ascii", "replace").decode()[:_COLUMNS].rstrip() for line in lines)
    return "\r\n".join(clean) + "\r\n"


def _quoted(text: str) -> str:
    """Quote for GRUB's script: nothing is expanded between single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def grub_cfg(menu: Menu) -> str:
    """Return grub.cfg for the EFI image's GRUB, whose own configuration has found the medium.

    Words are quoted one by one, for ``;``, ``{``, ``$`` and the like mean something to GRUB.
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
    lines += [f"set timeout={menu.timeout or -1}", "set default=0"]
    for entry in menu.entries:
        words = " ".join(_word(word) for word in entry.words)
        lines += [
            "",
            f"menuentry {_quoted(f'{menu.title}: {entry.title}')} --id {entry.label} {{",
            f"  linux {menu.kernel} {words}".rstrip(),
            f"  initrd {menu.initrd}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _word(word: str) -> str:
    plain = all(char.isalnum() or char in "=,./:_-+@%" for char in word)
    return word if plain else _quoted(word)
