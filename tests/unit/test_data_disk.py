"""The data disk's rules under BusyBox, with files for disks: which is taken, formatted, checked, grown.

What is mounted and kept is tried on a booted machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import uuid
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from remaster.formats import gpt

FILES = Path(__file__).parents[2] / "recipes/container-host/files/usr/local"
BUSYBOX = shutil.which("busybox")
TOOLS = f"{os.environ['PATH']}:/usr/sbin:/sbin"
MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    BUSYBOX is None or shutil.which("mkfs.ext4", path=TOOLS) is None, reason="needs busybox and e2fsprogs"
)


@dataclass(frozen=True)
class Box:
    """A folder that stands for /dev, /sys and the boot codes of a machine."""

    root: Path

    def disk(self, name: str, size: int = 8 * MIB, data: bytes = b"", *, of: str = "") -> Path:
        """Add a disk, or a partition ``of`` one."""
        node = self.root / "dev" / name
        with node.open("wb") as file:
            file.write(data)
            file.truncate(size)
        real = self.root / "devices" / of / name
        real.mkdir(parents=True)
        (real / "size").write_text(f"{size // 512}\n")
        (real / "ro").write_text("0\n")
        if of:
            (real / "partition").write_text(name[-1] + "\n")
            (real / "start").write_text("2048\n")
        (self.root / "sys" / name).symlink_to(real)
        return node

    def ext4(self, name: str, label: str, size: int = 8 * MIB) -> Path:
        node = self.disk(name, size)
        subprocess.run(["mkfs.ext4", "-q", "-L", label, node], check=True, env={"PATH": TOOLS})
        return node

    def run(self, script: str, codes: str = "", *, status: int = 0) -> str:
        """Run a script with the rules read in; both outputs are returned."""
        (self.root / "cmdline").write_text(f"quiet {codes}\n")
        # Another blkid than BusyBox's comes first where util-linux is loaded; both are tried.
        helpers = 'say() { echo "$*"; }\nproblem() { echo "$*" >>$FLOE_RUN/problems; }\n'
        done = subprocess.run(
            [str(BUSYBOX), "sh", "-c", f"{helpers}. {FILES}/lib/container-host/data-disk\n{script}"],
            env={
                "PATH": TOOLS,
                "FLOE_RUN": str(self.root / "run"),
                "DATA_SYS": str(self.root / "sys"),
                "DATA_DEV": str(self.root / "dev"),
                "DATA_CMDLINE": str(self.root / "cmdline"),
                "DATA_LABEL_FILE": str(self.root / "data-label"),
                "DATA_PAUSE": "1",
                "DATA_NO_KERNEL": "1",
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout


@pytest.fixture
def box(tmp_path: Path) -> Box:
    for name in ("dev", "sys", "devices", "run"):
        (tmp_path / name).mkdir()
    return Box(tmp_path)


def userdata(magic: str, keys: bytes = b"ssh-ed25519 AAAA test\n") -> bytes:
    """Return what docker-machine writes at the beginning of an empty disk."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in ((magic, b""), (".ssh/authorized_keys", keys)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return packed.getvalue()[:4096]


# -- which disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nvme0n1", "vda", "sdb", "mmcblk0", "xvda"])
@pytest.mark.parametrize("label", ["floe-data", "boot2docker-data", "boot2podman-data"])
def test_a_label_is_found_on_a_disk_of_any_name(box: Box, name: str, label: str) -> None:
    box.disk("vdz")
    box.ext4(name, label)
    box.ext4("sr0", label)
    assert box.run("find_disk") == f"{name}\n"


def test_the_images_own_label_comes_first(box: Box) -> None:
    box.ext4("vda", "floe-data")
    box.ext4("vdb", "mine")
    (box.root / "data-label").write_text("mine\n")
    assert box.run("find_disk") == "vdb\n"
    assert box.run("find_disk", "data=LABEL=floe-data") == "vda\n"
    assert box.run("find_disk", "data=/dev/vdb") == "vdb\n"
    assert box.run("find_disk", "data=vdc", status=1) == ""


def test_a_partition_is_found_by_its_name_if_it_has_a_file_system(box: Box) -> None:
    box.disk("nvme0n1")
    empty = box.disk("nvme0n1p1", of="nvme0n1")
    (box.root / "sys/nvme0n1p1/uevent").write_text("DEVTYPE=partition\nPARTNAME=floe-data\n")
    box.run("find_disk", status=1)
    said = box.run("data_start", "nothing")
    assert "partition nvme0n1p1 is called floe-data and has no file system" in said
    subprocess.run(["mkfs.ext4", "-q", "-L", "other", empty], check=True, env={"PATH": TOOLS})
    assert box.run("find_disk") == "nvme0n1p1\n"


def test_one_label_on_two_disks_is_told(box: Box) -> None:
    box.ext4("vda", "floe-data")
    box.ext4("vdb", "floe-data")
    said = box.run("find_disk")
    assert said.splitlines()[-1] == "vda"
    assert "is on vda vdb; vda is taken" in said
    assert "vda is taken" in (box.root / "run/problems").read_text()


def test_data_none_touches_nothing(box: Box) -> None:
    before = box.disk("vda", data=userdata("boot2docker, please format-me")).read_bytes()
    assert "not wanted" in box.run("data_start", "data=none")
    assert (box.root / "dev/vda").read_bytes() == before


# -- formatting ------------------------------------------------------------------------------------


def label(node: Path) -> str:
    done = subprocess.run(["e2label", node], env={"PATH": TOOLS}, capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.mark.parametrize("family", ["floe", "boot2docker", "boot2podman"])
def test_a_disk_that_asks_for_it_is_formatted_and_its_userdata_saved(box: Box, family: str) -> None:
    data = userdata(f"{family}, please format-me")
    node = box.disk("vda", data=data)
    assert box.run("format_asked").splitlines()[-1] == "vda"
    assert label(node) == f"{family}-data"
    assert (box.root / "run/userdata.tar").read_bytes()[: len(data)] == data
    assert box.run("find_disk") == "vda\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"boot2docker, please format-m",
        b"x" + b"boot2docker, please format-me",
        bytes(512) + b"boot2docker, please format-me",
        # A raw disk of something that no blkid knows: it looks like nothing, and is left alone.
        b"\x8f\x01 somebody's database" * 1000,
    ],
)
def test_a_disk_that_only_looks_unused_is_never_formatted(box: Box, data: bytes) -> None:
    node = box.disk("vda", data=data)
    before = node.read_bytes()
    said = box.run("data_start")
    assert said == "there is none: containers and images are in memory\n"
    assert node.read_bytes() == before


def test_what_a_boot_code_names_is_formatted_unless_something_is_on_it(box: Box) -> None:
    node = box.disk("vda")
    assert box.run("format_asked", "dataformat=/dev/vda").splitlines()[-1] == "vda"
    assert label(node) == "floe-data"
    kept = box.ext4("vdb", "precious").read_bytes()
    assert "it has a file system or the like (ext4) and is left" in box.run(
        "format_asked", "dataformat=vdb", status=1
    )
    assert (box.root / "dev/vdb").read_bytes() == kept
    box.disk("vdc", data=bytes(510) + b"\x55\xaa")
    assert "it has a partition table" in box.run("format_asked", "dataformat=vdc", status=1)
    box.disk("vdd", data=bytes(512) + b"EFI PART")
    assert "it has a partition table" in box.run("format_asked", "dataformat=vdd", status=1)
    assert "there is no such disk" in box.run("format_asked", "dataformat=vdx", status=1)


def test_an_unknown_file_system_is_refused(box: Box) -> None:
    box.disk("vda")
    assert "neither ext4 nor xfs" in box.run("format_asked", "dataformat=vda datafs=ntfs", status=1)


# -- check -----------------------------------------------------------------------------------------


def debugfs(node: Path, command: str) -> None:
    subprocess.run(
        ["debugfs", "-w", "-R", command, node], env={"PATH": TOOLS}, check=True, capture_output=True
    )


def test_damage_is_told_from_what_a_power_cut_leaves(box: Box) -> None:
    node = box.ext4("vda", "floe-data")
    box.run("check vda ext4")
    # Not unmounted: preening does it.
    debugfs(node, "set_super_value state 0")
    box.run("check vda ext4")
    # A folder's block that belongs to nobody: somebody has to decide.
    debugfs(node, "clri <2>")
    debugfs(node, "set_super_value state 2")
    box.run("check vda ext4", status=1)
    box.run("check vda ext4", "datarepair")
    box.run("check vda ext4")


# -- growth ----------------------------------------------------------------------------------------


def partitioned(box: Box, size: int, *, attributes: int, grown: int) -> Path:
    """A disk of ``size`` bytes as remaster writes it, in one of ``grown`` bytes."""
    node = box.disk("vda", grown)
    part = gpt.Partition(
        kind=gpt.LINUX_DATA,
        guid=uuid.UUID(int=1),
        offset=MIB,
        size=size - 2 * MIB,
        name="floe-data",
        attributes=attributes,
    )
    with node.open("r+b") as file:
        for piece in gpt.tables(size, uuid.UUID(int=2), [part]):
            file.seek(piece.offset)
            assert isinstance(piece.source, bytes)
            file.write(piece.source)
    box.disk("vda1", size - 2 * MIB, of="vda")
    return node


needs_sfdisk = pytest.mark.skipif(shutil.which("sfdisk", path=TOOLS) is None, reason="needs sfdisk")


def parts(node: Path) -> str:
    return subprocess.run(
        ["sfdisk", "-d", node], env={"PATH": TOOLS}, capture_output=True, text=True, check=True
    ).stdout


@needs_sfdisk
def test_a_marked_partition_fills_a_disk_that_grew(box: Box) -> None:
    node = partitioned(box, 16 * MIB, attributes=gpt.GROW, grown=64 * MIB)
    before = parts(node)
    assert "vda1 fills its disk now" in box.run("grow_partition vda1")
    after = parts(node)
    line = next(row for row in after.splitlines() if "name=" in row)
    fields = dict(field.strip().partition("=")[::2] for field in line.partition(" : ")[2].split(","))
    assert int(fields["start"]) == MIB // 512
    assert int(fields["size"]) >= (62 * MIB) // 512
    assert 'attrs="GUID:59"' in line
    for kept in ("uuid=00000000-0000-0000-0000-000000000001", 'name="floe-data"'):
        assert kept in before.replace("uuid= ", "uuid=")
        assert kept in line.replace("uuid= ", "uuid=")
    assert "label-id: 00000000-0000-0000-0000-000000000002" in after


@needs_sfdisk
@pytest.mark.parametrize(
    ("attributes", "grown"), [(0, 64 * MIB), (gpt.GROW, 16 * MIB)], ids=["no mark", "as large as before"]
)
def test_other_partitions_stay_as_they_are(box: Box, attributes: int, grown: int) -> None:
    node = partitioned(box, 16 * MIB, attributes=attributes, grown=grown)
    before = node.read_bytes()
    assert box.run("grow_partition vda1") == ""
    assert node.read_bytes() == before


def test_the_table_of_what_is_kept_is_well_formed() -> None:
    table = FILES / "etc/data-disk.d/10-container-host.conf"
    rows = [line.split() for line in table.read_text().splitlines() if line and not line.startswith("#")]
    assert {row[0] for row in rows} <= {"bind", "layer", "link", "home", "empty"}
    for how, path, *program in rows:
        assert path.startswith("/") is (how != "home")
        assert len(program) <= 1
    paths = [row[1] for row in rows]
    assert len(paths) == len(set(paths))
