from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from remaster.bootcode import BootCodes
from remaster.menu import Entry, Menu, boot_msg, entries_for, grub_cfg, isolinux_cfg
from remaster.plan import menu_for
from remaster.variant import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Golden = Callable[[str, str], None]

CODES = BootCodes.load()


@pytest.mark.parametrize("name", ["linux", "docker"])
def test_menus_of_the_shipped_variants(golden: Golden, name: str) -> None:
    variant = load(name, CODES)
    menu = menu_for(f"floe {name} 1.0", variant.boot_codes, variant.timeout)
    golden(f"image/{name}.isolinux.cfg", isolinux_cfg(menu))
    golden(f"image/{name}.boot.msg", boot_msg(menu))
    golden(f"image/{name}.grub.cfg", grub_cfg(menu))


def test_every_entry_has_a_valid_command_line() -> None:
    for name in ("linux", "docker"):
        for entry in entries_for(load(name, CODES).boot_codes):
            CODES.parse(" ".join(entry.words))
    for entry in entries_for(("tce=sda1", "restore=sda1", "quiet")):
        CODES.parse(" ".join(entry.words))


@pytest.mark.parametrize(
    ("word", "serial"),
    [
        ("console=ttyS1,9600", (1, 9600)),
        ("console=ttyS0,115200n8", (0, 115200)),
        ("console=ttyS0", (0, 9600)),
        ("console=tty0", None),
    ],
)
def test_the_serial_line_follows_console(word: str, serial: tuple[int, int] | None) -> None:
    assert menu_for("x", (word,), 3).serial == serial


def test_a_menu_without_serial_line_or_end() -> None:
    menu = Menu(
        title="it's", entries=(Entry(label="a", title="A", words=("x=$y;z",)),), timeout=0, serial=None
    )
    assert "serial" not in isolinux_cfg(menu) + grub_cfg(menu)
    assert "timeout 0" in isolinux_cfg(menu)
    assert "set timeout=-1" in grub_cfg(menu)
    assert "'x=$y;z'" in grub_cfg(menu)


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="no grub-script-check here")
@pytest.mark.parametrize("title", ["plain", 'it\'s {odd} $x; "quoted"'])
def test_grub_reads_it(tmp_path: Path, title: str) -> None:
    menu = Menu(title=title, entries=entries_for(("a=b;c", "d=$e", "f={g}")), serial=(0, 115200))
    (tmp_path / "grub.cfg").write_text(grub_cfg(menu))
    subprocess.run(["grub-script-check", tmp_path / "grub.cfg"], check=True)


def test_boot_msg_fits_a_screen() -> None:
    menu = menu_for("x" * 200, ("cde",), 3)
    lines = boot_msg(menu).split("\r\n")
    assert len(lines) <= 24
    assert max(map(len, lines)) < 80
    assert boot_msg(menu).isascii()
