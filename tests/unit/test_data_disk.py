"""The data disk's rules under BusyBox, with files for disks: which is taken, formatted, checked, grown.

What is mounted and kept is tried on a booted machine.
"""

from __future__ import annotations

import os
import re
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
FUNCTIONS = FILES.parents[3] / "floe-base/files/etc/init.d/service-functions"
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

    def run(self, script: str, codes: str = "", *, status: int = 0, apart: bool = False) -> str:
        """Run a script with the rules read in, ``apart`` with mounts of its own; return both outputs."""
        (self.root / "cmdline").write_text(f"quiet {codes}\n")
        # Another blkid than BusyBox's comes first where util-linux is loaded; both are tried.
        helpers = 'say() { echo "$*"; }\nproblem() { echo "$*" >>$FLOE_RUN/problems; }\n'
        read = f"NAME=data-disk\n. {FUNCTIONS}\n{helpers}. {FILES}/lib/container-host/data-disk\n"
        done = subprocess.run(
            [*(["unshare", "-m"] if apart else []), str(BUSYBOX), "sh", "-c", f"{read}{script}"],
            env={
                "PATH": TOOLS,
                "SERVICE_PATH": TOOLS,
                "FLOE_RUN": str(self.root / "run"),
                "DATA_SYS": str(self.root / "sys"),
                "DATA_DEV": str(self.root / "dev"),
                "DATA_SIGNS": f"{FILES}/lib/container-host/disk-signs",
                "DATA_CUT": f"{FILES}/lib/container-host/power-cut",
                "DATA_MOUNT": str(self.root / "mnt"),
                "DATA_TABLES": f"{FILES}/etc/data-disk.d",
                "BOOT_CMDLINE": str(self.root / "cmdline"),
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
    assert "nvme0n1p1 has no file system; the boot code dataformat=nvme0n1p1 makes one if" in said
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
    assert "there is no such disk" in box.run("format_asked", "dataformat=vdx", status=1)


def at(*pieces: tuple[int, bytes]) -> bytes:
    """Return a disk's contents with bytes at some places and nothing else."""
    data = bytearray(max(offset + len(piece) for offset, piece in pieces))
    for offset, piece in pieces:
        data[offset : offset + len(piece)] = piece
    return bytes(data)


SIZE = 8 * MIB
#: What is on disks that BusyBox's blkid has no name for, at the places that the programs' own sources tell.
SIGNS = {
    "a partition table": at((510, b"\x55\xaa")),
    "a partition table (GPT)": at((512, b"EFI PART")),
    "a partition table (GPT, its copy)": at((SIZE - 512, b"EFI PART")),
    "LVM": at((512, b"LABELONE" + bytes(16) + b"LVM2 001")),
    "RAID": at((4096, b"\xfc\x4e\x2b\xa9\x01")),
    "RAID 1.0": at((SIZE - 8192, b"\xfc\x4e\x2b\xa9\x01")),
    "RAID 0.90": at((SIZE - 65536, b"\xfc\x4e\x2b\xa9\x00")),
    "btrfs": at((65600, b"_BHRfS_M")),
    "ZFS": at((16384, b"\x01\x01" + bytes(9) + b"\x01")),
    "ZFS at the end": at((SIZE - 262144 + 16384, b"\x01\x01" + bytes(9) + b"\x01")),
    "LUKS": at((4194304, b"SKUL\xba\xbe")),
    "swap": at((65526, b"SWAPSPACE2")),
    "bcache": at((4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"))),
    "data of an unknown kind (in MiB 5)": at((5 * MIB + 7000, b"somebody's database")),
}


@pytest.mark.parametrize("what", SIGNS)
def test_what_somebody_may_want_to_keep_is_never_formatted(box: Box, what: str) -> None:
    """Neither where a boot code asks for it, nor, of what is known, where the disk itself seems to."""
    node = box.disk("vda", SIZE, SIGNS[what])
    before = node.read_bytes()
    said = box.run("format_asked", "dataformat=vda", status=1)
    # Some builds of blkid have a name for it as well.
    name = re.escape(what if what[-1] == ")" else what.split(maxsplit=1)[0])
    shown = f"it has ({name}|a file system or the like)"
    assert re.match(f"dataformat=vda: {shown}", said)
    hint = "and is left as it is; to have it used, make a file system on it: mkfs.ext4 -L floe-data /dev/vda"
    assert said.endswith(f"{hint}\n")
    assert node.read_bytes() == before
    if what.startswith("data "):
        return
    with node.open("r+b") as file:
        file.write(b"floe, please format-me")
    before = node.read_bytes()
    assert re.match(f"/dev/vda asks to be formatted: {shown}", box.run("format_asked", status=1))
    assert node.read_bytes() == before


def test_a_file_system_whose_beginning_is_gone_is_known_by_its_copies(box: Box) -> None:
    """With each size of blocks, also where the disk itself seems to ask for it."""
    for name, block, size in (("vda", 1024, 16), ("vdb", 2048, 40), ("vdc", 4096, 136)):
        node = box.disk(name, size * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-b", str(block), node], check=True, env={"PATH": TOOLS})
        with node.open("r+b") as file:
            file.write(bytes(5 * MIB))
        said = box.run("format_asked", f"dataformat={name}", status=1)
        assert "it has ext4 (a copy of its beginning) and is left as it is" in said, name
        with node.open("r+b") as file:
            file.write(b"boot2docker, please format-me")
        assert "it has ext4 (a copy of its beginning)" in box.run("format_asked", status=1)
        node.unlink()
        shutil.rmtree((box.root / "sys" / name).resolve())
        (box.root / "sys" / name).unlink()


@pytest.mark.parametrize("begin", [b"", b"floe, please format-me"])
def test_a_disk_that_cannot_be_read_whole_is_never_formatted(box: Box, begin: bytes) -> None:
    """The kernel says that it is larger than what can be read of it, or nothing of its size."""
    node = box.disk("vda", 8 * MIB, begin)
    before = node.read_bytes()
    code = "" if begin else "dataformat=vda"
    for size, told in ((8 * MIB // 512 + 64, "something that cannot be read (see dmesg)"), (8, "no room")):
        (box.root / "sys/vda/size").write_text(f"{size}\n")
        assert f"it has {told} and is left as it is" in box.run("format_asked", code, status=1)
    assert node.read_bytes() == before


def test_what_a_disk_is_part_of_is_left(box: Box) -> None:
    box.disk("vda")
    (box.root / "sys/vda/holders/md0").mkdir(parents=True)
    assert "it has md0 made of it" in box.run("format_asked", "dataformat=vda", status=1)


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
    assert {row[0] for row in rows} <= {"bind", "engine", "layer", "link", "home", "empty", "lines"}
    for how, path, *program in rows:
        assert how in {"engine", "lines"} or path.startswith("/") is (how != "home")
        assert len(program) <= 1
    paths = [row[1] for row in rows]
    assert len(paths) == len(set(paths))


def test_what_is_no_way_to_keep_is_told_and_the_rest_is_kept(box: Box) -> None:
    (box.root / "tables").mkdir()
    (box.root / "tables/10-own.conf").write_text(
        "bind /one # a remark\n\nbnid /two no-such-program\nbind /three no-such-program\nlines /four\n"
    )
    quiet = "move_old() { :; }; keep_logs() { :; }; chmod() { :; }; keep_bind() { echo kept $1; }"
    said = box.run(f"{quiet}; DATA_TABLES={box.root}/tables; keep_all")
    assert said == "kept /one\nbnid is no way to keep /two\n"


# -- the end ---------------------------------------------------------------------------------------


def test_who_keeps_it_from_being_unmounted_is_told(box: Box, tmp_path: Path) -> None:
    """One that has a file open, and one that is in a folder; not one that has a file beside it."""
    for name in ("kept/deep", "kept-not"):
        (tmp_path / name).mkdir(parents=True)
    script = f"""cd {tmp_path}
        sleep 60 3>>"kept/a log" & one=$!
        (cd kept/deep && exec sleep 60) & two=$!
        sleep 60 3>>kept-not/log & three=$!
        usleep 300000
        say() {{ echo "$*"; kill $one $two $three; }}
        in_use {tmp_path}/kept
        echo $one $two"""
    told, pids = box.run(script).splitlines()
    one, two = pids.split()
    assert told.startswith(f"{tmp_path}/kept is still in use by ")
    assert f" ({one}: {tmp_path}/kept/a log)" in told
    assert f" ({two}: {tmp_path}/kept/deep)" in told
    assert told.count(tmp_path.name) == 3


# -- power cuts ------------------------------------------------------------------------------------

LINE = b'{"log":"one"}\n'


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (LINE * 3, LINE * 3),
        (LINE + bytes(666), LINE),
        (LINE + b'{"log":"tw', LINE),
        (LINE + b'{"log":"tw' + bytes(9), LINE),
        (LINE * 9000 + bytes(4000), LINE * 9000),
        (LINE + b"\0\n", LINE + b"\0\n"),
        (b"\n" + bytes(3), b"\n"),
        (bytes(100), b""),
        (b"half a line", b""),
        (b"x" * 100_000, b"x" * 100_000),
        (b"", b""),
    ],
)
def test_files_of_lines_end_with_a_whole_one_behind_a_power_cut(box: Box, left: bytes, kept: bytes) -> None:
    log = box.root / "mnt/var/lib/containers/storage/overlay-containers/ab cd/userdata/ctr.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(left)
    box.run("mend_lines '/var/lib/containers/storage/overlay-containers/*/userdata/*.log'")
    assert log.read_bytes() == kept


def test_only_a_disk_that_was_not_unmounted_is_mended_and_links_lead_nowhere(box: Box) -> None:
    logs = box.root / "mnt/var/log"
    logs.mkdir(parents=True)
    for name in ("mnt/var/log/one.log", "secret", "mnt/var/log/notes"):
        (box.root / name).write_text("a line\nhalf")
    (logs / "link.log").symlink_to(box.root / "secret")
    at_boot = "home=/home/tc; ! was_cut || after_power_cut; in_use_from_now"
    assert box.run(f"{at_boot}; not_in_use") == ""
    assert box.run(at_boot) == ""
    assert (logs / "one.log").read_text() == "a line\nhalf"
    assert box.run(at_boot) == "it was not unmounted when it was used last\n"
    assert (logs / "one.log").read_text() == "a line\n"
    assert (box.root / "secret").read_text() == (logs / "notes").read_text() == "a line\nhalf"


# -- values and full disks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["1GM", "M", "G", "", "12", "0M", "-5M", "08M8", "1.5G", "$(reboot)M", "99999999G", "0x10M", "1G2"],
)
def test_what_is_no_size_of_swap_is_told_in_one_line(box: Box, value: str) -> None:
    said = box.run(f"swap_on '{value}'", status=1)
    assert said == f"dataswap={value} is no size such as 512M or 2G; there is no swap\n"
    assert (box.root / "run/problems").read_text() == said


def test_sizes_of_swap_are_decimal(box: Box, tmp_path: Path) -> None:
    script = f"DATA_MOUNT={tmp_path}; mkswap() {{ :; }}; swapon() {{ ls -ln $1 | awk '{{ print $5 }}'; }}; "
    for value, size in (("08M", 8), ("1M", 1), ("0010M", 10)):
        assert box.run(f"{script}swap_on {value}") == f"{size * MIB}\n"
    assert "there is no room for it" in box.run(f"{script}swap_on 0900000G", status=1)


#: A disk of 256 KiB in a mount namespace of its own, as full as can be.
FULL = """
mount -t tmpfs -o size=256k full "$DATA_MOUNT" || exit 77
mkdir -p "$DATA_MOUNT/home/old/.ssh" "$DATA_MOUNT/keys/kept"
echo mine >"$DATA_MOUNT/home/old/.ssh/authorized_keys"
echo key >"$DATA_MOUNT/keys/kept/host_key"
dd if=/dev/zero of="$DATA_MOUNT/ballast" bs=4096 2>/dev/null
is_mounted() { grep -q " $1 " /proc/mounts; }
told_fact() { echo mounted; }
home=$HOMES/old user=root
"""


def full(box: Box, script: str) -> list[str]:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs a mount namespace of root's")
    disk, homes = box.root / "disk", box.root / "home"
    for folder in (disk, homes):
        folder.mkdir()
    lines = (
        'su() { sh -c "$5"; }; DATA_KEYS=given; given() { cat >>$home/.ssh/authorized_keys; }\n'
        "chown() { :; }\n"
        f"DATA_MOUNT={disk} HOMES={homes}\n{FULL}\n{script}"
    )
    (box.root / "script").write_text(lines)
    return box.run(f". {box.root}/script", apart=True).splitlines()


def test_on_a_full_disk_keys_are_in_memory_so_that_somebody_can_log_in(box: Box) -> None:
    script = """
    mkdir -p "$home/.ssh" "$DATA_MOUNT$home"
    cp -a "$DATA_MOUNT/home/old/.ssh" "$DATA_MOUNT$home/" 2>/dev/null || exit 76
    echo image >"$home/.ssh/authorized_keys"
    keep_keys
    echo more >>"$home/.ssh/authorized_keys" && echo written
    cat "$home/.ssh/authorized_keys" "$DATA_MOUNT$home/.ssh/authorized_keys"
    is_mounted "$home/.ssh" || echo in memory
    """
    # There is room for these folders, and then there is none.
    script = script.replace(
        "keep_keys", 'dd if=/dev/zero of="$DATA_MOUNT/ballast2" bs=4096 2>/dev/null\nkeep_keys'
    )
    global_full = FULL.replace('dd if=/dev/zero of="$DATA_MOUNT/ballast" bs=4096 2>/dev/null', ":")
    said = full(box, f"umount $DATA_MOUNT\n{global_full}{script}")
    assert said[0].startswith("there is no room for ")
    assert said[1:] == ["written", "mine", "image", "more", "mine", "in memory"]


def test_on_a_full_disk_host_keys_are_used_where_they_are_and_else_made_in_memory(box: Box) -> None:
    said = full(
        box,
        """
    D=$DATA_MOUNT; keys=$HOMES/keys; link=$HOMES/link
    mkdir -p "$keys/new" "$link"; echo given >"$link/host_key"
    keep_bind "$keys/new" || echo new: memory
    echo made >"$keys/new/host_key" && echo made
    DATA_MOUNT=$D/keys/none; keep_link "$link/host_key" 2>/dev/null || cat "$link/host_key"
    DATA_MOUNT=$D; umount $D; mount -t tmpfs -o size=256k full $D; mkdir -p $D$keys/kept $D$link
    echo key >$D$keys/kept/host_key; echo linked >$D$link/host_key
    dd if=/dev/zero of=$D/ballast bs=4096 2>/dev/null
    keep_bind "$keys/kept" && cat "$keys/kept/host_key"
    keep_link "$link/host_key" && cat "$link/host_key"
    """,
    )
    assert said == ["new: memory", "made", "given", "key", "linked"]


def test_what_engines_left_mounted_is_unmounted_before_the_disk(box: Box) -> None:
    said = full(
        box,
        """
    cd /; mkdir -p "$DATA_MOUNT/a b/rootfs" "$DATA_MOUNT/c"
    mount -t tmpfs one "$DATA_MOUNT/a b"; mkdir "$DATA_MOUNT/a b/rootfs"
    mount -t tmpfs two "$DATA_MOUNT/a b/rootfs"; mount -t tmpfs three "$DATA_MOUNT/c"
    let_go "$DATA_MOUNT" && grep -c " $DATA_MOUNT" /proc/mounts
    mount -t tmpfs four "$DATA_MOUNT"; mkdir "$DATA_MOUNT/kept"; mount -t tmpfs five "$DATA_MOUNT/kept"
    (cd "$DATA_MOUNT/kept" && sleep 3) &
    usleep 200000; usleep() { :; }
    let_go "$DATA_MOUNT"
    """,
    )
    assert said[0] == "0"
    assert "disk is still in use by sleep (" in said[1]
    assert said[1].endswith("/disk/kept")


def test_a_link_to_the_folder_of_all_temporary_files_gives_way_to_a_folder(box: Box) -> None:
    """Tiny Core has extensions mounted below /tmp, where its /var/tmp leads to."""
    said = full(
        box,
        """
    umount $DATA_MOUNT; mkdir -p "$HOMES/tmp/tcloop" "$HOMES/var" "$DATA_MOUNT$HOMES/var/tmp/old"
    ln -s "$HOMES/tmp" "$HOMES/var/tmp"; echo 7 >"$HOMES/tmp/k5_skip"
    keep_empty "$HOMES/var/tmp" && is_mounted "$HOMES/var/tmp" && ! is_mounted "$HOMES/tmp" && echo apart
    ls "$HOMES/tmp" "$HOMES/var/tmp" | grep -v :
    umount "$HOMES/var/tmp"; cat "$HOMES/var/tmp/k5_skip"
    """,
    )
    assert [one for one in said if one] == ["apart", "k5_skip", "tcloop", "k5_skip", "7"]
