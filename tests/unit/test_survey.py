from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remaster.survey import bootconfig, look, text
from tcz import cpio
from tcz.errors import VerifyError
from tcz.tree import Tree, regular
from tests.unit import standins
from tests.unit.standins import Release, needs_tools

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from remaster.survey.model import Survey

pytestmark = needs_tools
RELEASES = (
    Release(number="10.1", kernel="4.19.10-tinycore64", libc="2.28", libc_kernel=(4, 14, 10)),
    Release(number="13.1", kernel="5.15.10-tinycore64", libc="2.34", libc_kernel=(5, 4, 3)),
    Release(),
    Release(number="17.0", kernel="6.18.2-tinycore64", libc="2.42", libc_kernel=(6, 6, 8)),
)


def told(found: Survey) -> str:
    return "\n".join(text.lines(found))


@pytest.mark.parametrize("release", RELEASES, ids=lambda one: one.number)
def test_an_official_image_is_told_by_what_is_in_it(tmp_path: Path, release: Release) -> None:
    found = look.survey(standins.official_iso(tmp_path, "corepure64", release).rename(tmp_path / "x"))
    assert found.kind == "iso"
    assert found.volume_id is not None
    assert found.volume_id.value == "TC-standin"
    facts: tuple[Any, ...] = (
        (found.release, release.number, "etc/os-release"),
        (found.distribution, "TinyCore", "etc/os-release"),
        (found.architecture, "x86_64", "bin/busybox"),
        (found.libc, f"glibc {release.libc}", "lib/libc.so.6"),
        (found.libc_kernel, ".".join(map(str, release.libc_kernel)), "lib/libc.so.6"),
        (found.kernel, release.kernel, "boot/vmlinuz64"),
    )
    for fact, value, where in facts:
        assert (fact.value, fact.where) == (value, where)
    assert [fact.value for fact in found.modules] == [release.kernel]
    (entry,) = found.entries
    assert (entry.label, entry.kernel, entry.words) == ("corepure64", "/boot/vmlinuz64", ("loglevel=3",))
    assert [member.compressor for member in found.initrds[0].members] == ["gzip", "gzip"]
    assert [loader.program for loader in found.loaders] == ["isolinux"]
    assert found.timeout is not None
    assert found.timeout.value == "30"
    assert not found.contradictions
    assert not found.unread
    assert f"modules       {release.kernel}" in told(found)
    assert json.loads(json.dumps(asdict(found)))["release"]["value"] == release.number


def test_initrds_that_are_loaded_one_after_the_other(tmp_path: Path) -> None:
    found = look.survey(standins.official_iso(tmp_path, "split"))
    assert found.entries[0].initrds == ("/boot/rootfs64.gz", "/boot/modules64.gz")
    assert [(one.path, one.root, bool(one.modules)) for one in found.initrds] == [
        ("boot/rootfs64.gz", True, False),
        ("boot/modules64.gz", False, True),
    ]
    assert not found.contradictions


def test_packages_of_an_image(tmp_path: Path) -> None:
    found = look.survey(standins.official_iso(tmp_path, "cde"))
    (folder,) = found.cde
    assert dict(folder.lists) == {"onboot.lst": ("Xvesa", "flwm", "absent"), "xbase.lst": ("Xvesa",)}
    assert folder.flags == ("copy2fs.flg",)
    assert [(one.name, one.version, one.onboot) for one in found.extensions] == [
        ("Xvesa", "", True),
        ("flwm", "1.18", True),
    ]
    assert found.contradictions == ("cde/onboot.lst names absent, not to be found in cde/optional",)


def test_both_boot_loaders(tmp_path: Path) -> None:
    found = look.survey(standins.official_iso(tmp_path, "efi"))
    assert [(one.firmware, one.program, one.where) for one in found.loaders] == [
        ("bios", "isolinux", "boot/isolinux/isolinux.bin"),
        ("uefi", "grub", "EFI/BOOT/efiboot.img"),
    ]
    assert found.loaders[1].version == "2.02~beta2"
    assert [(one.program, one.words) for one in found.entries] == [
        ("grub", ("loglevel=3",)),
        ("isolinux", ("loglevel=3",)),
    ]


@pytest.mark.parametrize("options", [("-R",), ("-J",), ("-r", "-J"), ("-iso-level", "2")])
def test_names_of_every_kind(tmp_path: Path, options: tuple[str, ...]) -> None:
    made = standins.medium(tmp_path / "m", "corepure64")
    found = look.survey(standins.iso(made, tmp_path / "x.iso", *options))
    assert found.names == {"-R": "rock ridge", "-J": "joliet", "-r": "rock ridge"}.get(options[0], "plain")
    assert found.kernel is not None
    assert found.kernel.where == "boot/vmlinuz64"
    if options[0] != "-iso-level":  # corepure64.gz has ten letters: plain names cannot hold two dots
        assert found.release is not None


@pytest.mark.parametrize("names", [("corepure64.gz",), ("rootfs64.gz", "modules64.gz"), ("a", "b")])
def test_a_folder_of_distribution_files(tmp_path: Path, names: tuple[str, ...]) -> None:
    whole, parts = (standins.corepure64_gz(),), (standins.packed(standins.root_tree()), None)
    for name, data in zip(names, whole if len(names) == 1 else parts, strict=True):
        (tmp_path / name).write_bytes(data or standins.packed(standins.modules_tree()))
    (tmp_path / "anything").write_bytes(standins.kernel_image("6.12.11-tinycore64"))
    (tmp_path / "README.gz").write_bytes(cpio.compress(b"no archive", "gzip"))
    found = look.examine(tmp_path)
    assert found.kernel == "anything"
    assert found.initrds == names
    assert found.survey.release is not None
    assert [fact.value for fact in found.survey.modules] == ["6.12.11-tinycore64"]
    assert not found.survey.contradictions


def test_an_initrd_alone_and_a_root_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(standins.corepure64_gz())
    found = look.survey(file)
    assert (found.kind, found.initrds[0].path) == ("initrd", "x.gz")
    assert found.release is not None
    folder = tmp_path / "unpacked"
    for path, data in standins.contents(Release()).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    rooted = look.survey(folder)
    assert rooted.kind == "root"
    assert rooted.libc == found.libc
    assert "unpacked root file system" in told(rooted)


def test_facts_that_contradict_one_another(tmp_path: Path) -> None:
    made = standins.medium(tmp_path / "m", "corepure64", Release(number="11.1", libc_kernel=(6, 6, 8)))
    (made / "boot/vmlinuz64").write_bytes(standins.kernel_image("5.4.3-tinycore", is_64=False))
    config = made / "boot/isolinux/isolinux.cfg"
    config.write_text(config.read_text() + "label other\nkernel /boot/absent\ninitrd /boot/corepure64.gz\n")
    root = dict(standins.root_tree(Release(number="11.1", libc_kernel=(6, 6, 8)), modules=True).items())
    root["usr/share/doc/tc/release.txt"] = regular(b"11.0\n")
    (made / "boot/corepure64.gz").write_bytes(standins.packed(Tree(root)))
    said = look.survey(standins.iso(made, tmp_path / "x.iso")).contradictions
    for part in (
        "'other' starts /boot/absent, which is not there",
        "etc/os-release says 11.1, usr/share/doc/tc/release.txt says 11.0",
        "is Linux 5.4.3-tinycore, but the modules are for 6.12.11-tinycore64",
        "bin/busybox is for x86_64, but boot/vmlinuz64 is a 32-bit kernel",
        "lib/libc.so.6 wants Linux 6.6.8 or newer, but boot/vmlinuz64 is 5.4.3-tinycore",
    ):
        assert part in "\n".join(said)
    assert len(said) == 5


def test_a_damaged_initrd_of_a_sound_image_is_told(tmp_path: Path) -> None:
    made = standins.medium(tmp_path / "m", "corepure64")
    file = made / "boot/corepure64.gz"
    file.write_bytes(file.read_bytes()[:-100])
    found = look.survey(standins.iso(made, tmp_path / "x.iso"))
    assert found.unread == ("boot/corepure64.gz: offset 0: the gzip stream is truncated",) or (
        "truncated" in found.unread[0]
    )
    assert found.release is None
    assert "could not be read" in told(found)


@pytest.mark.parametrize("data", [b"", b"x" * 100_000, bytes(510) + b"\x55\xaa" + bytes(100_000)])
def test_what_is_no_image(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(VerifyError, match="this is"):
        look.survey(tmp_path / "x")


# -- menus ----------------------------------------------------------------------------------------


def test_isolinux_menus_as_people_write_them() -> None:
    config = bootconfig.isolinux(
        "UI menu.c32\nAPPEND quiet\nLABEL tc\n MENU LABEL ^TinyCore\n KERNEL /boot/vmlinuz\n"
        " APPEND initrd=/boot/core.gz,/boot/my.gz cde\nlabel memtest\n\tkernel memtest.c32\n"
        "label tcw\n\tmenu default\n\tlinux /boot/vmlinuz\n\tinitrd /boot/core.gz\nTIMEOUT 50\n",
        "isolinux.cfg",
    )
    first, second = config.entries
    assert (first.title, first.initrds, first.words) == (
        "TinyCore",
        ("/boot/core.gz", "/boot/my.gz"),
        ("cde",),
    )
    assert (second.label, second.words, second.default) == ("tcw", ("quiet",), True)
    assert config.timeout == 5


def test_grub_menus_as_people_write_them() -> None:
    config = bootconfig.grub(
        "set timeout=-1\nset default=tc\nif true; then\nmenuentry 'Tiny \"Core\"' --class x --id tc {\n"
        "\tlinuxefi /boot/vmlinuz64 loglevel=3 \\\n cde 'a b'\n\tinitrdefi /boot/a.gz /boot/b.gz\n}\n"
        'menuentry "Reboot" {\n reboot\n}\nmenuentry plain {\n linux /k\n}\nfi\n',
        "grub.cfg",
    )
    first, second = config.entries
    assert (first.label, first.title, first.default) == ("tc", 'Tiny "Core"', True)
    assert (first.initrds, first.words) == (("/boot/a.gz", "/boot/b.gz"), ("loglevel=3", "cde", "a b"))
    assert (second.title, second.kernel, second.initrds) == ("plain", "/k", ())
    assert config.timeout is None


@given(st.text(max_size=300))
def test_any_text_is_some_menu(noise: str) -> None:
    for reader in (bootconfig.isolinux, bootconfig.grub):
        for lead in ("", "label x\nkernel ", "menuentry "):
            reader(lead + noise, "x")


# -- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    made = standins.medium(folder / "m", "cde")
    small = Tree({"init": regular(b"#!/bin/sh\n", 0o755), "etc/os-release": regular(b"VERSION_ID=16.1\n")})
    (made / "boot/corepure64.gz").write_bytes(standins.packed(small))
    (made / "boot/vmlinuz64").write_bytes(standins.kernel_image("6.12.11-tinycore64"))
    return standins.iso(made, folder / "x.iso").read_bytes()


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_image_is_told_and_nothing_else(
    sound: bytes, tmp_path: Path, chance: random.Random
) -> None:
    image = bytearray(sound)
    # Most of an image is content; what steers the reader is at its beginning.
    for _ in range(chance.randint(1, 12)):
        image[chance.randrange(32768, 32768 + (1 << chance.randint(8, 17)))] = chance.randrange(256)
    if chance.random() < 0.3:
        del image[chance.randrange(len(image)) :]
    file = tmp_path / "x.iso"
    file.write_bytes(image)
    with contextlib.suppress(VerifyError):
        told(look.survey(file))
