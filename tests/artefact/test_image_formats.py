"""One image in all formats, made of small stand-in packages, looked at with the tools of others."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remaster import differ, explaining, extract, formats, image, initrds
from remaster.kernels import configured
from remaster.survey import look, text
from tcz import cpio
from tcz.compress import DEFAULT_LIMIT
from tcz.errors import ConfigError, VerifyError
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tree import Tree, regular
from tests.artefact import test_image as small
from tests.artefact.test_formats import ENV, tool
from tests.unit import standins
from tests.unit.formats_made import boot_img, core_img

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    *small.pytestmark,
    pytest.mark.skipif(shutil.which("sgdisk", path=ENV["PATH"]) is None, reason="no gdisk here"),
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-utils here"),
]


MIB = 1 << 20
CORE = core_img()


def stocked(folder: Path, core: bytes) -> small.Shelf:
    """The usual shelf with GRUB's stand-ins, and extensions that are squashfs."""
    shutil.rmtree(folder, ignore_errors=True)
    shelf = small.stock(folder)
    for name, files in (
        ("grub-bios", {"boot.img": boot_img(), "core.img": core}),
        ("grub-efi", {"efiboot.img": bytes(1 << 20), "BOOTX64.EFI": b"MZ" * 999}),
    ):
        (folder / name).mkdir(exist_ok=True)
        for file, data in files.items():
            (folder / name / file).write_bytes(data)
        (folder / name / "SHA256SUMS").unlink(missing_ok=True)
        shelf.put(name, "files", folder / name)
    for name, needs in (
        ("libfoo", ()),
        ("modules-6.1", ()),
        ("foo", ("libfoo", "modules-KERNEL")),
        ("extra", ()),
    ):
        path = folder / f"{name}.tcz"
        path.unlink()
        files = {f"usr/local/bin/{name}": regular(name.encode() * 500, 0o4755, uid=0, gid=50)}
        writer.write(Tree(files), path, SquashOptions(), epoch=0)
        shelf.put(name, "extension", path, tuple(need.replace("KERNEL", "6.1") for need in needs))
    return shelf


def make(place: Path, *names: str, output: str = "out/x.iso", core: bytes = CORE) -> image.Finished:
    dirs = Dirs(cache=place / "cache", config=place, state=place)
    request = replace(small.request_for(place / output), formats=formats.named(names))
    job = image.prepare(request, stocked(place / "shelf", core))
    return image.make(job, dirs, SilentReporter(), HostRunner())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the image in all formats."""
    place = tmp_path_factory.mktemp("formats")
    make(place, ",".join(formats.names()))
    return place / "out"


def test_everything_is_there_and_summed_up(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {
        *("x.iso", "x.img", "x.qcow2", "x.netboot", "x.tar"),
        *("x.lock", "x.manifest.json", "x.sha256", "x.sizes.txt"),
    }
    assert tool("sha256sum", "-c", "x.sha256", cwd=made).count(": OK") == 12
    assert tool("sha256sum", "-c", "SHA256SUMS", cwd=made / "x.netboot").count(": OK") == 4
    artefacts = json.loads((made / "x.manifest.json").read_text())["artefacts"]
    assert {one["name"] for one in artefacts} >= {"x.img", "x.qcow2", "x.tar", "initrd"}


def test_the_same_bytes_wherever_and_whenever(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    old = os.umask(0o077)
    try:
        again = make(tmp_path / "else where", ",".join(formats.names()))
    finally:
        os.umask(old)
        monkeypatch.undo()
        time.tzset()
    for path in again.outputs.all():
        relative = path.relative_to(again.outputs.lock.parent)
        assert sha256_file(path) == sha256_file(made / relative), relative


def test_the_disk(made: Path, tmp_path: Path) -> None:
    disk = made / "x.img"
    assert "No problems found" in tool("sgdisk", "-v", disk)
    parts = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]["partitions"]
    assert [part["name"] for part in parts] == ["bios-boot", "floe-system", "floe-data"]
    assert parts[2]["attrs"] == "GUID:59"
    data = disk.read_bytes()
    assert data[:440] != bytes(440)
    assert data[MIB : MIB + 499] == core_img()[:499]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).write_bytes(data[part["start"] * 512 : (part["start"] + part["size"]) * 512])
    tool("fsck.fat", "-n", tmp_path / "1")
    tool("e2fsck", "-f", "-n", tmp_path / "2")
    assert "LABEL=floe-data" in tool("blkid", "-p", "-o", "export", tmp_path / "2")
    names = set(tool("mdir", "-/", "-b", "-i", tmp_path / "1", "::").split("\n"))
    assert names >= {
        "::/EFI/BOOT/BOOTX64.EFI",
        "::/boot/grub/grub.cfg",
        "::/boot/vmlinuz64",
        "::/boot/floe.img",
        "::/cde/onboot.lst",
        "::/cde/optional/foo.tcz",
        "::/cde/optional/foo.tcz.md5.txt",
        "::/manifest.json",
    }
    assert not any("isolinux" in name or "efiboot" in name for name in names)
    assert "linux /boot/vmlinuz64 noembed cde" in tool("mtype", "-i", tmp_path / "1", "::/boot/grub/grub.cfg")
    assert disk.stat().st_blocks * 512 < 32 * MIB


def test_every_format_can_be_looked_into(made: Path, tmp_path: Path) -> None:
    iso = look.survey(made / "x.iso")
    assert iso.manifest is not None
    for name in ("x.img", "x.qcow2", "x.tar", "x.netboot"):
        found = look.survey(made / name)
        assert found.manifest is not None, name
        assert found.manifest.packages == iso.manifest.packages, name
        assert not found.unread, name
    netboot = look.survey(made / "x.netboot")
    (entry,) = (one for one in netboot.entries if one.default)
    words = tuple((made / "x.netboot/cmdline").read_text().split())
    assert (entry.program, entry.kernel, entry.initrds, entry.words) == (
        "ipxe",
        "vmlinuz",
        ("initrd",),
        words,
    )
    assert netboot.contradictions == ()
    assert f"boot codes    {' '.join(words)}" in text.lines(netboot)
    disk = look.survey(made / "x.img")
    assert [(one.number, one.name, one.file_system, one.label, one.chosen) for one in disk.partitions] == [
        (1, "bios-boot", "", "", False),
        (2, "floe-system", "fat32", "FLOE_SYSTEM", True),
        (3, "floe-data", "ext4", "floe-data", False),
    ]
    assert disk.extensions == iso.extensions
    assert [entry.words for entry in disk.entries] == [
        entry.words for entry in iso.entries if entry.program == "grub"
    ]
    assert differ.compare(made / "x.img", made / "x.qcow2").same
    sections = {change.section for change in differ.compare(made / "x.iso", made / "x.img").changes}
    assert sections == {"facts", "boot entries", "medium"}
    (part,) = extract.extract(made / "x.qcow2", "foo", tmp_path)
    assert (part.folder / "usr/local/bin/foo").read_bytes() == b"foo" * 500


def test_the_configuration_of_the_kernel_is_in_every_format(tmp_path: Path) -> None:
    """Where the kernel does not hold it itself."""
    shelf = stocked(tmp_path / "shelf", CORE)
    folder = tmp_path / "shelf/kernel"
    (folder / "vmlinuz").write_bytes(standins.kernel_image("6.1.9-own"))
    (folder / "config").write_text("# Linux/x86 6.1.9 Kernel Configuration\nCONFIG_NAMESPACES=y\n")
    (folder / "SHA256SUMS").unlink()
    shelf.put("kernel", "files", folder)
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path, state=tmp_path)
    wanted = replace(small.request_for(tmp_path / "out/x.iso"), formats=formats.named(formats.names()))
    job = image.prepare(wanted, shelf)
    image.make(job, dirs, SilentReporter(), HostRunner())
    for name in ("x.iso", "x.img", "x.qcow2", "x.tar", "x.netboot", "x.netboot/initrd"):
        assert configured.read(tmp_path / "out" / name).value("NAMESPACES") == "y", name
    found = explaining.in_image("/usr/share/doc/floe/config-6.1.9-own.gz", tmp_path / "out/x.iso", dirs)
    assert [(one.kind, one.what) for one in found.owners] == [
        ("generated", "the configuration of the kernel")
    ]
    # One that holds it itself needs no other.
    (folder / "config").write_text("# x\nCONFIG_IKCONFIG=y\n")
    assert not any("config-" in path for path in initrds.root(job))


def test_qcow2_is_the_same_disk(made: Path) -> None:
    assert "No errors were found" in tool("qemu-img", "check", made / "x.qcow2")
    said = tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", made / "x.img", made / "x.qcow2")
    assert "identical" in said


def test_the_data_partition_grows_with_the_disk(made: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    shutil.copyfile(made / "x.img", disk)
    with disk.open("r+b") as file:
        file.truncate(2 << 30)
    tool("sgdisk", "-e", disk)
    tool("sfdisk", "-q", "-N", "3", disk, input=", +\n")
    assert "No problems found" in tool("sgdisk", "-v", disk)
    part = json.loads(tool("sfdisk", "-J", disk))["partitiontable"]["partitions"][2]
    assert part["size"] * 512 > (1 << 30) + (512 << 20)
    assert part["attrs"] == "GUID:59"


def test_netboot(made: Path) -> None:
    folder = made / "x.netboot"
    assert (folder / "cmdline").read_text() == "noembed console=ttyS0,115200\n"
    script = (folder / "boot.ipxe").read_text()
    assert script.startswith("#!ipxe\n")
    assert "\nkernel vmlinuz initrd=initrd noembed console=ttyS0,115200\ninitrd initrd\nboot" in script
    assert not re.search(r"^kernel.* (cde|waitusb)", script, re.MULTILINE)
    assert (folder / "vmlinuz").read_bytes() == b"kernel" * 3000
    tree = cpio.read((folder / "initrd").read_bytes(), limit=DEFAULT_LIMIT)
    assert tree["tmp/builtin/onboot.lst"].read() == b"foo.tcz\n"
    assert {path.rpartition("/")[2] for path in tree if path.startswith("tmp/builtin/optional/")} >= {
        "foo.tcz",
        "foo.tcz.dep",
        "foo.tcz.md5.txt",
        "libfoo.tcz",
        "extra.tcz",
    }
    assert (tree["tmp/builtin"].mode & 0o7777, tree["tmp/builtin"].gid) == (0o775, 50)
    assert tree["tmp"].mode & 0o7777 == 0o1777
    assert tree["init"].mode & 0o7777 == 0o755
    packed = tree["tmp/builtin/optional/foo.tcz"].read()
    assert hashlib.sha256(packed).hexdigest() == sha256_file(made.parent / "shelf/foo.tcz")


def test_tar(made: Path) -> None:
    listed = tool("tar", "--numeric-owner", "-tvf", made / "x.tar")
    rows = {line.split()[5]: line.split() for line in listed.splitlines()}
    assert rows["bin/busybox"][0] == "-rwsr-xr-x"
    assert rows["opt/motd"][:2] == ["-rw-r-----", "1001/50"]
    assert rows["dev/console"][0] == "crw-------"
    assert rows["dev/console"][2] == "5,1"
    assert rows["usr/local/bin/foo"][:2] == ["-rwsr-xr-x", "0/50"]
    assert {"usr/local/bin/libfoo", "usr/local/bin/modules-6.1", "usr/local/tce.installed/foo"} <= set(rows)
    # Only what is loaded at boot.
    assert "usr/local/bin/extra" not in rows
    with tarfile.open(fileobj=io.BytesIO((made / "x.tar").read_bytes())) as archive:
        assert {member.mtime for member in archive} == {1735689600}


def test_one_format_goes_where_it_is_told(tmp_path: Path) -> None:
    finished = make(tmp_path, "netboot", output="out/pxe")
    assert finished.outputs.images[0] == tmp_path / "out/pxe/vmlinuz"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("pxe", "pxe.lock", "pxe.manifest.json", "pxe.sha256", "pxe.sizes.txt")
    }
    again = make(tmp_path, "netboot", output="out/pxe")
    assert not again.changed
    assert make(tmp_path, "tar", output="out/root.tar").outputs.images == (tmp_path / "out/root.tar",)


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    (tmp_path / "out/x.netboot/vmlinuz").mkdir(parents=True)
    with pytest.raises(ConfigError, match="is a folder"):
        make(tmp_path, "netboot", "disk")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.netboot"]


def test_nothing_is_left_of_what_fails_in_the_middle(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"core\.img"):
        make(tmp_path, "netboot", "disk", output="out/deep/x.iso", core=b"not GRUB")
    assert not (tmp_path / "out").exists()
