from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remaster import base
from tcz import tar
from tcz.errors import ConfigError, VerifyError
from tcz.model import BuiltPackage
from tcz.paths import Dirs
from tcz.tree import Tree, directory, regular, symlink

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.model import Form


def package(name: str, path: Path, form: Form) -> BuiltPackage:
    return BuiltPackage(name=name, form=form, path=path, sha256="0" * 64, size=1, installed=1, needs=())


def layer(folder: Path, name: str, tree: Tree) -> BuiltPackage:
    tar.write(tree, folder / f"{name}.tar")
    return package(name, folder / f"{name}.tar", "layer")


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


def test_floe_unless_told_otherwise(dirs: Dirs) -> None:
    assert base.choose(None, dirs).name == "floe"
    assert "no other" in base.choose(None, dirs).why
    assert "--base" in base.choose("floe", dirs).why
    dirs.config.mkdir()
    (dirs.config / "config.toml").write_text('base = "floe"\nsomething-else = 1\n')
    assert "config.toml" in base.choose(None, dirs).why


@pytest.mark.parametrize("name", ["CorePure64-16.1.iso", "./x.iso", "corepure64", "flo", "nonsense"])
def test_other_bases_are_refused(dirs: Dirs, name: str) -> None:
    with pytest.raises(ConfigError):
        base.choose(name, dirs)


def test_a_broken_configuration(dirs: Dirs) -> None:
    dirs.config.mkdir()
    (dirs.config / "config.toml").write_text("base = 7\n")
    with pytest.raises(ConfigError, match="configuration"):
        base.choose(None, dirs)


def test_layers_follow_the_kernel() -> None:
    spec = base.load("floe", "kernel-lts")
    assert spec.kernel == "kernel-lts"
    assert "kernel-lts-base" in spec.layers
    assert spec.layers[0] == "floe-base"
    assert set(spec.packages()) >= {"kernel-lts", "syslinux", "grub-efi"}


def test_later_layers_leave_folders_alone(tmp_path: Path) -> None:
    tree = base.assemble(
        (
            layer(tmp_path, "one", Tree({"opt": directory(0o2775, gid=50), "lib64": symlink("lib")})),
            layer(
                tmp_path,
                "two",
                Tree({"opt": directory(0o700), "opt/x": regular(b"x"), "lib64/y": regular(b"")}),
            ),
        )
    )
    assert tree["opt"].mode & 0o7777 == 0o2775
    assert tree["opt"].gid == 50
    assert tree["opt/x"].read() == b"x"
    assert tree["lib64"].is_link


def test_layers_that_share_a_file(tmp_path: Path) -> None:
    one = layer(tmp_path, "one", Tree({"bin/x": regular(b"1")}))
    two = layer(tmp_path, "two", Tree({"bin/x": regular(b"2")}))
    with pytest.raises(VerifyError, match="one and two both have /bin/x"):
        base.assemble((one, two))


def test_forms_are_checked(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="made of layers"):
        base.assemble((package("x", tmp_path, "files"),))
    with pytest.raises(VerifyError, match="plain files"):
        base.kernel_image(package("x", tmp_path, "layer"))
    with pytest.raises(VerifyError, match="has no vmlinuz"):
        base.kernel_image(package("x", tmp_path, "files"))


def test_loader_files_are_found_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("isolinux.bin", "ldlinux.c32", "isohdpfx.bin", "efiboot.img"):
        (tmp_path / "a/b" / name).write_bytes(b"")
    both = package("x", tmp_path, "files")
    assert base.loaders(both, both).mbr.name == "isohdpfx.bin"
