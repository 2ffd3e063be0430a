from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from remaster.bootcode import BootCodes
from remaster.menu import (
    Entry,
    EntrySpec,
    Menu,
    boot_msg,
    entries_for,
    grub_cfg,
    help_files,
    ipxe_script,
    isolinux_cfg,
)
from remaster.plan import menu_for
from remaster.variant import Variant, load
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Golden = Callable[[str, str], None]

CODES = BootCodes.load()
HELP = tuple(code for code in CODES.all() if code.floe)


def plain(words: tuple[str, ...], **more: Any) -> Menu:
    return menu_for("x", Variant(name="x", **more), words)


@pytest.mark.parametrize("name", ["linux", "docker"])
def test_menus_of_the_shipped_variants(golden: Golden, name: str) -> None:
    variant = load(name, CODES)
    menu = menu_for(f"floe {name} 1.0", variant, variant.boot_codes, HELP)
    golden(f"image/{name}.isolinux.cfg", isolinux_cfg(menu))
    golden(f"image/{name}.boot.msg", boot_msg(menu))
    golden(f"image/{name}.grub.cfg", grub_cfg(menu))
    golden(f"image/{name}.boot.ipxe", ipxe_script(menu))
    golden(f"image/{name}.help.txt", "".join(f"== {file}\n{text}" for file, text in help_files(menu)))


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
    assert plain((word,)).serial == serial


def test_a_menu_without_serial_line_or_end() -> None:
    menu = Menu(
        title="it's", entries=(Entry(label="a", title="A", words=("x=$y;z",)),), timeout=0, serial=None
    )
    assert "serial" not in isolinux_cfg(menu) + grub_cfg(menu)
    assert "timeout 0" in isolinux_cfg(menu)
    assert "set timeout=-1" in grub_cfg(menu)
    assert "'x=$y;z'" in grub_cfg(menu)


OWN = (
    EntrySpec(name="rescue", title="It's {odd} $x", add=("nodhcp", "console=ttyS1,9600"), remove=("cde",)),
    EntrySpec(name="debug", title="Another debug", remove=("quiet",)),
)
WORDS = ("quiet", "cde", "console=tty0", "a=b;c", "nodhcp=/x")


def test_entries_of_a_variant() -> None:
    menu = menu_for("x", Variant(name="x", entries=OWN, default_entry="rescue"), WORDS, HELP)
    assert [entry.label for entry in menu.entries] == ["floe", "debug", "safe", "serial", "rescue"]
    found = {entry.label: entry.words for entry in menu.entries}
    assert found["rescue"] == ("quiet", "console=tty0", "a=b;c", "nodhcp", "console=ttyS1,9600")
    assert found["debug"] == ("cde", "console=tty0", "a=b;c", "nodhcp=/x")
    assert found["serial"] == ("quiet", "cde", "a=b;c", "nodhcp=/x", "console=ttyS0,115200")
    assert "default rescue\n" in isolinux_cfg(menu)
    assert "set default=4\n" in grub_cfg(menu)
    assert 'Starts "rescue"' in boot_msg(menu)
    assert "choose --default rescue --timeout 3000 chosen || goto rescue" in ipxe_script(menu)


def test_no_entry_for_a_line_that_is_the_console_already_or_has_no_login() -> None:
    labels = [entry.label for entry in entries_for(("console=ttyS0",))]
    assert labels == ["floe", "debug", "safe"]
    assert [entry.label for entry in entries_for(("cde",), serial=False)] == labels


def test_names_are_the_same_for_every_loader() -> None:
    menu = menu_for("x", Variant(name="x", entries=OWN), WORDS, HELP)
    for entry in menu.entries:
        line = " ".join(entry.words)
        assert f"label {entry.label}\n  kernel {menu.kernel}\n" in isolinux_cfg(menu)
        assert f"  append {line}\n" in isolinux_cfg(menu)
        assert f":{entry.label}\nkernel vmlinuz initrd=initrd {line}\n" in ipxe_script(menu)
        assert f"--id {entry.label} {{" in grub_cfg(menu)
    for page in menu.pages:
        assert page.title in "".join(text for _, text in help_files(menu))
        assert page.title in ipxe_script(menu)


def test_an_entry_called_as_the_bases_own() -> None:
    with pytest.raises(ConfigError) as caught:
        entries_for((), "floe", [EntrySpec(name="floe", title="x")])
    assert "'floe', too" in str(caught.value.why)


def test_ipxe_would_expand_it() -> None:
    with pytest.raises(ConfigError, match="iPXE"):
        ipxe_script(plain(("a=${x}",)))


def test_help_names_every_code_and_fits_its_screens() -> None:
    files = help_files(menu_for("x", Variant(name="x"), ("cde",), CODES.all()))
    assert len(files) <= 8
    shown = "".join(text for _, text in help_files(menu_for("x", Variant(name="x"), ("cde",), HELP)))
    for code in HELP:
        assert f"\n{code.name}" in shown
    for _, text in files:
        lines = text.split("\r\n")
        assert len(lines) <= 26
        assert max(map(len, lines)) < 80


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="no grub-script-check here")
@pytest.mark.parametrize("title", ["plain", 'it\'s {odd} $x; "quoted"'])
def test_grub_reads_it(tmp_path: Path, title: str) -> None:
    menu = menu_for(title, Variant(name="x", entries=OWN), ("a=b;c", "d=$e", "f={g}"), HELP)
    (tmp_path / "grub.cfg").write_text(grub_cfg(menu))
    subprocess.run(["grub-script-check", tmp_path / "grub.cfg"], check=True)


def test_boot_msg_fits_a_screen() -> None:
    menu = menu_for("x" * 200, Variant(name="x"), ("cde",), HELP)
    lines = boot_msg(menu).split("\r\n")
    assert len(lines) <= 24
    assert max(map(len, lines)) < 80
    assert boot_msg(menu).isascii()
