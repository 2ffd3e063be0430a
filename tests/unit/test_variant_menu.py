"""Entries of the boot menu, as variants give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remaster import variant
from remaster.bootcode import BootCodes
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CODES = BootCodes.load()
HEAD = 'schema = 1\nname = "x"\nsummary = "x"\n'


def loaded(folder: Path, text: str, head: str = HEAD) -> variant.Variant:
    path = folder / "x.toml"
    path.write_text(head + text)
    return variant.load(str(path), CODES)


def complaints(folder: Path, text: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, head)
    return [f"{p.where}: {p.message} ({p.hint})" for p in caught.value.problems]


ENTRY = '[[entry]]\nname = "rescue"\ntitle = "Rescue"\nadd = ["nodhcp", "superuser"]\nremove = ["cde"]\n'


def test_entries_and_default_are_inherited_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "parent.toml").write_text(HEAD + ENTRY + '[menu]\ndefault = "rescue"\n')
    head = HEAD + 'extends = "parent.toml"\nboot-codes = ["cde", "noembed"]\n'
    found = loaded(tmp_path, '[[entry]]\nname = "kiosk"\ntitle = "Kiosk"\nadd = ["text"]\n', head)
    assert [spec.name for spec in found.entries] == ["rescue", "kiosk"]
    assert found.default_entry == "rescue"
    found = loaded(tmp_path, '[[entry]]\nname = "rescue"\ntitle = "Other"\n[menu]\ndefault = "safe"\n', head)
    assert [(spec.title, spec.add) for spec in found.entries] == [("Other", ())]
    assert found.default_entry == "safe"


def test_mistakes_have_lines(tmp_path: Path) -> None:
    found = complaints(
        tmp_path,
        '[[entry]]\nname = "Bad Name"\ntitle = "a\\nb"\n'
        'add = ["noembd", "isolcpus=1"]\nremove = ["waitsub"]\n'
        '[[entry]]\nname = "normal"\ntitle = "x"\nwords = []\n',
    )
    told = "\n".join(found)
    for wanted in (
        "x.toml:5: name: 'Bad Name' is not a lower-case name",
        "x.toml:6: title: must be one line",
        "x.toml:7: add[0]: noembd: no such boot code (did you mean 'noembed'",
        "x.toml:7: add[1]: isolcpus=1: Tiny Core takes every word that begins with iso",
        "x.toml:8: remove[0]: there is no boot code 'waitsub'",
        "'normal' stands for the first entry",
        "words: unknown key",
    ):
        assert wanted in told


def test_an_entry_whose_codes_clash_with_the_variants(tmp_path: Path) -> None:
    (line,) = complaints(
        tmp_path,
        '[[entry]]\nname = "disk"\ntitle = "x"\nadd = ["tce=sda1"]\n',
        HEAD + 'boot-codes = ["base"]\n',
    )
    assert "x.toml:6" in line
    assert "entry disk" in line
    assert "clashes with" in line


def test_the_command_lines_codes_are_checked_against_the_entries(tmp_path: Path) -> None:
    mine = loaded(tmp_path, '[[entry]]\nname = "disk"\ntitle = "x"\nadd = ["tce=sda1"]\n')
    with pytest.raises(ConfigError, match="boot menu"):
        variant.extended(mine, CODES, boot_codes=["base"])


def test_a_default_that_is_no_entry(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, ENTRY + '[menu]\ndefault = "resuce"\n')
    assert "there is no entry 'resuce' (did you mean 'rescue'?)" in line


def test_an_entry_that_is_there_twice(tmp_path: Path) -> None:
    assert any("rescue is there twice" in line for line in complaints(tmp_path, ENTRY + ENTRY))
