"""What other tools say of an ISO image of ours. The boot files here only look like real ones."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from remaster.iso import IsoPlan, write_iso

if TYPE_CHECKING:
    from pathlib import Path

ISOLINUX = bytes(64) + b"\xfb\xc0\x78\x70" + bytes(30_000)
LONG = "cde/optional/Docker-Engine-29.8.1-6.12.57+deb13-amd64-with-a-long-Name.tcz"


def need(tool: str) -> str:
    path = shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iso")
    big = folder / "big"
    big.write_bytes(bytes(range(256)) * 40_000)
    output = folder / "x.iso"
    files: tuple[tuple[str, Path | bytes], ...] = (
        ("boot/vmlinuz64", big),
        ("boot/isolinux/isolinux.bin", ISOLINUX),
        ("EFI/BOOT/efiboot.img", bytes(65536)),
        (LONG, b"content"),
    )
    write_iso(
        IsoPlan(
            volume_id="floe-docker-v29.8.1",
            files=files,
            epoch=1735689600,
            mbr_code=b"\x33\xed" + bytes(430),
        ),
        output,
    )
    return output


def run(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, check=True, env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/"}
    )
    return (done.stdout + done.stderr).decode(errors="replace")


def test_xorriso_finds_both_ways_to_boot_and_a_hybrid_record(image: Path) -> None:
    said = run(
        need("xorriso"), "-indev", str(image), "-report_system_area", "plain", "-report_el_torito", "plain"
    )
    assert "Volume id    : 'floe-docker-v29.8.1'" in said
    assert re.search(r"System area summary: MBR (isohybrid )?cyl-align-on\n", said)
    assert re.search(r"MBR partition +: +1 +0x80 +0x00 +0 +\d+", said)
    assert re.search(r"MBR partition +: +2 +0x00 +0xef +\d+ +128\n", said)
    assert "MBR partition path :   2  /EFI/BOOT/efiboot.img" in said
    bios = re.search(r"El Torito boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 +(\d+)", said)
    assert bios
    assert int.from_bytes(image.read_bytes()[432:440], "little") == int(bios[1]) * 4
    assert re.search(r"El Torito boot img : +2 +UEFI +y +none +0x0000 +0x00 +128 ", said)
    assert "El Torito img opts :   1  boot-info-table isohybrid-suitable" in said
    assert "GPT" not in said


def test_xorriso_extracts_what_was_put_in(image: Path, tmp_path: Path) -> None:
    run(need("xorriso"), "-osirrox", "on", "-indev", str(image), "-extract", "/", str(tmp_path / "out"))
    assert (tmp_path / "out" / LONG).read_bytes() == b"content"
    assert (tmp_path / "out/boot/vmlinuz64").read_bytes() == bytes(range(256)) * 40_000
    assert (tmp_path / "out" / LONG).stat().st_mtime == 1735689600
    isolinux = (tmp_path / "out/boot/isolinux/isolinux.bin").read_bytes()
    assert isolinux[8:12] == (16).to_bytes(4, "little")
    assert isolinux[64:] == ISOLINUX[64:]


def test_isoinfo_reads_long_names(image: Path) -> None:
    assert f"/{LONG}" in run(need("isoinfo"), "-R", "-f", "-i", str(image)).splitlines()


def test_fdisk_and_file_know_it(image: Path) -> None:
    said = run(need("file"), str(image))
    assert "ISO 9660 CD-ROM filesystem data (DOS/MBR boot sector) 'floe-docker-v29.8.1' (bootable)" in said
    table = run(need("sfdisk"), "-d", str(image))
    assert "label: dos" in table
    assert re.search(r"1 : start= +0, size= +\d+, type=0, bootable", table)
    assert re.search(r"2 : start= +\d+, size= +128, type=ef", table)
