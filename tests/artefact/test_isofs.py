"""ISO images made by others, read by us, and what others say of the same images."""

from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from remaster import isofs
from tcz.errors import VerifyError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("genisoimage") is None, reason="no genisoimage here")
DEEP = "/".join("abcdefghijkl")
LONG = "Long name, with UPPER and ümläut." + "x" * 180
#: xorriso writes longer ones too; genisoimage loses the end of a target that does not fit one field twice.
TARGET = "/absolute/" + "y" * 90 + "/../" + "z" * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    (made / DEEP).mkdir(parents=True)
    (made / DEEP / LONG).write_bytes(b"deep\n")
    (made / "Two.Dots.txt").write_bytes(bytes(range(256)) * 100)
    (made / "empty").touch()
    (made / "setuid").write_bytes(b"x")
    (made / "setuid").chmod(0o4711)
    (made / "short").symlink_to("../../x/./y")
    (made / "long").symlink_to(TARGET)
    for number in range(300):
        (made / "a" / f"file-{number:03}").write_bytes(b"%d" % number)
    return made


def made_by(tool: str, folder: Path, output: Path, *options: str) -> isofs.IsoImage:
    argv = ["genisoimage", "-quiet"] if tool == "genisoimage" else ["xorriso", "-as", "mkisofs", "-quiet"]
    subprocess.run([*argv, *options, "-V", "A volume", "-o", output, folder], check=True, capture_output=True)
    return isofs.read(output)


@pytest.mark.parametrize("tool", ["genisoimage", "xorriso"])
def test_rock_ridge_has_everything(tool: str, folder: Path, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    found = made_by(tool, folder, tmp_path / "x.iso", "-R", "-J", "-joliet-long")
    assert (found.volume_id, found.names, found.boot, found.hybrid) == ("A volume", "rock ridge", (), False)
    expected = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert set(found.tree) - {"", "rr_moved"} == expected
    for path in expected:
        status, node = (folder / path).lstat(), found.tree[path]
        assert node.mode == status.st_mode
        assert node.mtime == int(status.st_mtime)
        if stat.S_ISREG(node.mode):
            assert node.read() == (folder / path).read_bytes()
    assert found.tree["short"].read() == b"../../x/./y"
    assert found.tree["long"].read().decode() == TARGET


def test_joliet_and_plain_names(folder: Path, tmp_path: Path) -> None:
    joliet = made_by("genisoimage", folder, tmp_path / "j.iso", "-J", "-joliet-long")
    assert joliet.names == "joliet"
    assert joliet.tree["Two.Dots.txt"].size == 25600
    plain = made_by("genisoimage", folder, tmp_path / "p.iso", "-iso-level", "1")
    assert plain.names == "plain"
    listed = subprocess.run(
        ["isoinfo", "-f", "-i", tmp_path / "p.iso"], check=True, capture_output=True, text=True
    )
    others = {line.partition(";")[0].rstrip(".").lower().lstrip("/") for line in listed.stdout.splitlines()}
    assert set(plain.tree) - {""} == others - {""}


def test_an_image_that_is_cut_off(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.iso"
    made_by("genisoimage", folder, file, "-R")
    data = file.read_bytes()
    for size in (len(data) // 2, 40_000, 33_000):
        file.write_bytes(data[:size])
        with pytest.raises(VerifyError, match="cut off"):
            isofs.read(file)


def test_a_folder_that_holds_itself(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.iso"
    made_by("genisoimage", folder, file, "-R")
    data = bytearray(file.read_bytes())
    root = int.from_bytes(data[32768 + 158 : 32768 + 162], "little")
    at = root * 2048
    for _ in range(2):
        at += data[at]
    data[at + 2 : at + 6] = root.to_bytes(4, "little")
    file.write_bytes(data)
    with pytest.raises(VerifyError, match="holds itself"):
        isofs.read(file)
