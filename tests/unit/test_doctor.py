from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcz import doctor
from tcz.doctor import Check
from tcz.paths import Dirs
from tcz.run import HostRunner
from tcz.squashfs import known

if TYPE_CHECKING:
    from pathlib import Path


class Without(HostRunner):
    """This machine, but for some programs."""

    def __init__(self, *absent: str) -> None:
        self.absent = absent

    def which(self, program: str) -> Path | None:
        return None if program in self.absent else super().which(program)


def dirs(folder: Path) -> Dirs:
    return Dirs(cache=folder / "not" / "there" / "yet", config=folder, state=folder)


def test_boot_sector_is_what_it_says(tmp_path: Path) -> None:
    data = doctor.boot_sector()
    assert len(data) == 512
    assert data[510:] == b"\x55\xaa"
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    (tmp_path / "code").write_bytes(data)
    argv = ["objdump", "-D", "-b", "binary", "-m", "i8086", "--stop-address=0x5e", str(tmp_path / "code")]
    listing = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    for words in ("lgdtw  0x7c88", "mov    %eax,%cr3", "wrmsr", "mov    %eax,%cr0", "ljmp   $0x8,$0x7c5e"):
        assert words in listing


def test_emulation_really_boots() -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU is not installed")
    found = doctor.probe_emulation(HostRunner())
    assert found.state == "works", found.detail


def test_kvm_absent(tmp_path: Path) -> None:
    found = doctor.probe_kvm(HostRunner(), tmp_path / "kvm")
    assert found.state == "absent"
    assert str(tmp_path / "kvm") in found.detail


def test_missing_programs_are_told_with_their_packages(tmp_path: Path) -> None:
    checks = doctor.examine(dirs(tmp_path), Without("bwrap", "dpkg-deb", "qemu-system-x86_64"))
    by_name = {check.name: check for check in checks}
    assert not by_name["bwrap"].ok
    assert by_name["bwrap"].hint == "sudo apt-get install bubblewrap"
    assert not by_name["sandbox without root"].ok
    assert not by_name["qemu-system-x86_64"].needed
    assert not doctor.healthy(checks)
    text = "\n".join(doctor.lines(checks))
    assert "MISSING bwrap" in text
    assert "-> sudo apt-get install dpkg" in text
    assert text.endswith("something that is needed is missing")


def test_sandbox_is_tried() -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    check = doctor._namespaces(HostRunner())
    tried = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], check=False, capture_output=True
    )
    assert check.ok == (tried.returncode == 0)


def test_only_what_is_needed_counts() -> None:
    good = Check(name="a", ok=True, detail="x")
    optional = Check(name="bb", ok=False, detail="y", hint="do", needed=False)
    assert doctor.healthy([good, optional])
    assert doctor.lines([good, optional]) == (
        "ok      a   x",
        "no      bb  y",
        "          -> do",
        "all that is needed is here",
    )
    assert not doctor.healthy([Check(name="a", ok=False, detail="x")])


def test_compressors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "different", lambda: ())
    assert doctor._compressors().ok
    monkeypatch.setattr(known, "different", lambda: ("xz", "lz4"))
    check = doctor._compressors()
    assert not check.ok
    assert not check.needed
    assert "xz, lz4" in check.detail


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SPACE_NEEDED", 1)
    assert doctor._space(tmp_path / "a" / "b").ok
    monkeypatch.setattr(doctor, "SPACE_NEEDED", 1 << 60)
    assert not doctor._space(tmp_path / "a" / "b").ok
