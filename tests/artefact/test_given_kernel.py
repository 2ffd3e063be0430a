"""Kernels that a user brings: what is found in folders and files, what becomes of it, what is refused."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from remaster import foreign, image
from remaster.kernels import choice, configured, given, packing, placing, supply
from remaster.survey import look, rootfacts
from tcz import cpio, tar
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.kmod import reads
from tcz.kmod.reads import Modprobe
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.squashfs import image as squashfs
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, regular
from tests.artefact import test_foreign
from tests.artefact import test_image as floe
from tests.artefact.test_depmod import DEPMOD, needs_depmod
from tests.unit import standins
from tests.unit.debs import control_text, make_deb
from tests.unit.modules_made import Made, elf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import Built, BuiltPackage

RELEASE = "6.9.1-mine"
CONFIG = "CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\nCONFIG_SQUASHFS_ZSTD=y\nCONFIG_MEMCG=y\n"
MODULES = {
    "kernel/fs/ext4/ext4.ko": Made(wants=("crc",), info=("alias=fs-ext4",), release=RELEASE),
    "kernel/lib/crc-16.ko": Made(exports=("crc",), release=RELEASE),
    "kernel/net/bridge/bridge.ko": Made(wants=("llc_open", "printk"), release=RELEASE),
    "kernel/net/llc/llc.ko": Made(exports=("llc_open",), info=("alias=net-pf-26",), release=RELEASE),
}
ALL = Modprobe(make="BusyBox", packed=("gz", "xz"), known=True)
PLAIN = Modprobe(make="BusyBox", packed=(), known=True)


def kernel_folder(folder: Path, *, suffix: str = "", release: str = RELEASE, below: str = "") -> Path:
    """Lay a kernel out as `make modules_install` and a distribution's package do."""
    packers = {"": bytes, "gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.compress}
    (folder / "boot").mkdir(parents=True)
    (folder / f"boot/vmlinuz-{release}").write_bytes(standins.kernel_image(release))
    (folder / f"boot/config-{release}").write_text(CONFIG)
    modules = folder / below / f"lib/modules/{release}"
    for path, made in MODULES.items():
        file = modules / (f"{path}.{suffix}" if suffix else path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packers[suffix](elf(made)))
    (modules / "modules.order").write_text("".join(f"{path}\n" for path in MODULES))
    (modules / "modules.builtin").write_text("kernel/fs/squashfs/squashfs.ko\n")
    (modules / "build").symlink_to("/usr/src/linux")
    return folder


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


# -- what is found --------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "usr", "usr/local"])
def test_a_folder(tmp_path: Path, dirs: Dirs, below: str) -> None:
    found = given.open_given(kernel_folder(tmp_path / "k", below=below), dirs)
    assert (found.release, found.name, found.architecture, found.count) == (
        RELEASE,
        f"kernel-{RELEASE}",
        "x86_64",
        4,
    )
    assert {path for path, node in found.modules.items() if node.is_file} == {
        *MODULES,
        "modules.order",
        "modules.builtin",
    }
    assert found.config.decode() == CONFIG


def test_archives(tmp_path: Path, dirs: Dirs) -> None:
    folder = kernel_folder(tmp_path / "k")
    whole = given.open_given(folder, dirs)
    with tarfile.open(tmp_path / "k.tar.xz", "w:xz") as archive:
        archive.add(folder, arcname=".")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    (tmp_path / "deb").mkdir()
    deb = make_deb(tmp_path / "deb", control_text("linux-image"), files)
    for path in (tmp_path / "k.tar.xz", deb):
        assert given.open_given(path, dirs).identity == whole.identity
        assert given.open_given(path, dirs).identity == whole.identity  # unpacked before


def test_distribution_files(tmp_path: Path, dirs: Dirs) -> None:
    """Tiny Core's own: vmlinuz64 and modules64.gz side by side."""
    folder = tmp_path / "tc"
    folder.mkdir()
    (folder / "vmlinuz64").write_bytes(standins.kernel_image(RELEASE))
    tree = Tree({f"lib/modules/{RELEASE}/{path}": regular(elf(made)) for path, made in MODULES.items()})
    (folder / "modules64.gz").write_bytes(cpio.compress(cpio.dumps(tree), "gzip", 1))
    assert given.open_given(folder, dirs).count == 4
    alone = given.open_given(folder / "vmlinuz64", dirs)
    assert (alone.release, alone.count) == (RELEASE, 0)


def test_what_is_no_kernel(tmp_path: Path, dirs: Dirs) -> None:
    folder = kernel_folder(tmp_path / "k")
    with pytest.raises(ConfigError, match="there is no kernel at"):
        given.open_given(tmp_path / "absent", dirs)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(VerifyError, match="neither an image nor an archive"):
        given.open_given(tmp_path / "text", dirs)
    (folder / "boot/vmlinuz-other").write_bytes(standins.kernel_image("6.1.0"))
    with pytest.raises(ConfigError, match="holds more than one kernel") as caught:
        given.open_given(folder, dirs)
    assert "6.1.0" in (caught.value.why or "")
    (folder / f"boot/vmlinuz-{RELEASE}").unlink()
    with pytest.raises(ConfigError, match=rf"the kernel is 6\.1\.0, and the modules are for {RELEASE}"):
        given.open_given(folder, dirs)
    (folder / "boot/vmlinuz-other").unlink()
    with pytest.raises(VerifyError, match="no kernel image in it"):
        given.open_given(folder, dirs)


# -- what becomes of it ---------------------------------------------------------------------------


@needs_depmod
@pytest.mark.parametrize("suffix", ["", "gz", "xz", "zst"])
def test_packages_of_a_kernel(tmp_path: Path, dirs: Dirs, suffix: str) -> None:
    found = given.open_given(kernel_folder(tmp_path / "k", suffix=suffix), dirs)
    packed = packing.pack(found, ALL, SquashOptions(), dirs)
    files, layer, modules = packed.packages
    assert [one.name for one in packed.packages] == [
        f"kernel-{RELEASE}",
        f"kernel-{RELEASE}-base",
        f"modules-{RELEASE}",
    ]
    assert packed.unpacked == (suffix == "zst")
    left = "" if suffix in ("", "zst") else f".{suffix}"
    assert (files.path / "release").read_text() == f"{RELEASE}\n"
    root, extension = tar.read(layer.path), squashfs.read(modules.path)
    base = f"lib/modules/{RELEASE}"
    assert root[f"{base}/kernel.tclocal"].data == f"/usr/local/{base}/kernel".encode()
    # ext4 is on the list of what a root has, and crc-16 it needs.
    assert {path for path in root if ".ko" in path} == {
        f"{base}/kernel/fs/ext4/ext4.ko{left}",
        f"{base}/kernel/lib/crc-16.ko{left}",
    }
    assert {path for path in extension if ".ko" in path} == {
        f"usr/local/{base}/kernel/net/bridge/bridge.ko{left}",
        f"usr/local/{base}/kernel/net/llc/llc.ko{left}",
    }
    assert (extension["usr/local"].mode & 0o7777, extension["usr/local"].gid) == (0o775, 50)
    assert root[f"{base}/modules.covered"].read() == f"modules-{RELEASE}\n".encode()
    _same_as_depmod(tmp_path / "merged", root, extension, left)
    # Once more: nothing is made again.
    before = modules.path.stat().st_mtime_ns
    assert packing.pack(found, ALL, SquashOptions(), dirs) == packed
    assert modules.path.stat().st_mtime_ns == before


def _same_as_depmod(merged: Path, root: Tree, extension: Tree, left: str) -> None:
    """Lay both out as the running system sees them, and let depmod look."""
    if left == ".gz":
        return  # the kmod of Debian reads no gzip
    folder = merged / f"lib/modules/{RELEASE}"
    for tree, prefix, place in (
        (root, f"lib/modules/{RELEASE}/", ""),
        (extension, f"usr/local/lib/modules/{RELEASE}/kernel/", "kernel.tclocal/"),
    ):
        for path, node in tree.items():
            if path.startswith(prefix) and node.is_file:
                file = folder / (place + path.removeprefix(prefix))
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(node.read())
    order = [f"kernel/{name}" for name in ("fs/ext4/ext4.ko", "lib/crc-16.ko")]
    order += [f"kernel.tclocal/net/{name}" for name in ("bridge/bridge.ko", "llc/llc.ko")]
    (folder / "modules.order").write_text("".join(f"{line}\n" for line in order))
    ours = {name: (folder / f"modules.{name}").read_text() for name in ("dep", "alias", "softdep", "devname")}
    argv = [str(DEPMOD), "-b", merged, "-C", "/dev/null", RELEASE]
    subprocess.run(argv, check=True, capture_output=True)
    assert ours == {name: (folder / f"modules.{name}").read_text() for name in ours}
    assert f"kernel/fs/ext4/ext4.ko{left}: kernel/lib/crc-16.ko{left}\n" in ours["dep"]


def test_damaged_modules_are_told(tmp_path: Path, dirs: Dirs) -> None:
    folder = kernel_folder(tmp_path / "k", suffix="xz")
    file = next(folder.rglob("ext4.ko.xz"))
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(VerifyError) as caught:
        packing.pack(given.open_given(folder, dirs), PLAIN, SquashOptions(), dirs)
    assert "ext4.ko.xz" in (caught.value.where or "")


def test_lists_of_modules() -> None:
    linked = placing.depmod.link(
        [
            placing.modinfo.read(f"kernel/{path}.ko.xz", elf(Made()))
            for path in ("a/x-1", "a/b/y", "c/z", "c/w")
        ]
    )

    def chosen(text: str) -> list[str]:
        return sorted(path.rpartition("/")[2].partition(".")[0] for path in placing.wanted(text, linked))

    assert chosen("x_1 # a remark\nx-1\nabsent") == ["x-1"]
    assert chosen("a/") == ["x-1", "y"]
    assert chosen("a/*") == ["x-1"]
    assert chosen("c/\n!w") == ["z"]


# -- images ---------------------------------------------------------------------------------------


class Recipes:
    """Stands for a workshop whose recipes make what is on a shelf."""

    def __init__(self, shelf: floe.Shelf) -> None:
        self.shelf = shelf
        self.taken = ""

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        return self.shelf.packages(names)

    def built(self, package: str) -> Built:
        return self.shelf.built(package)

    def planned(self, names: Sequence[str]) -> Any:
        return tuple(names)

    def makes(self, name: str) -> bool:
        return name in self.shelf.all

    def kernel(self) -> str | None:
        return None

    def prefer(self, kernel: str) -> None:
        self.taken = kernel

    def take_kernel(self, release: str) -> None:
        self.taken = release


class Maker:
    """Makes images with a kernel that was brought."""

    def __init__(self, folder: Path, dirs: Dirs) -> None:
        self.folder, self.dirs = folder, dirs
        self.shelf = floe.stock(folder / "shelf")
        self.told: list[str] = []
        file = test_foreign.package(folder / "shelf/tool.tcz", "modules-KERNEL")
        self.shelf.all["tool"] = (
            replace(self._package("extra"), name="tool", path=file),
            self._built("extra"),
        )
        package, built = self.shelf.all["tool"]
        self.shelf.put("tool", "extension", file)
        put, _ = self.shelf.all["tool"]
        self.shelf.all["tool"] = (replace(put, needs=("modules-KERNEL",)), built)
        assert package.name == "tool"

    def _package(self, name: str) -> Any:
        return self.shelf.all[name][0]

    def _built(self, name: str) -> Any:
        return self.shelf.all[name][1]

    def job(self, kernel: Path, base: Path | None, variant: Any, *, alone: bool = True) -> Any:
        found = given.open_given(kernel, self.dirs)
        theirs = None if base is None else foreign.open_foreign(str(base))
        request = image.Request(
            variant=replace(variant, kernel=found.name),
            base="floe" if theirs is None else theirs.name,
            output=self.folder / "out/x.iso",
            compressor="gzip",
            level=1,
            foreign=theirs,
            spec=None if theirs is None else foreign.spec_for(theirs, found.name),
            given=found,
        )
        own: Any = _Following(self.shelf)
        supplier = choice.supplier(request, own, self.dirs, self.told.append, files={}, alone=alone)
        return image.prepare(request, supplier)


class _Following(Recipes):
    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        # As a workshop does that was told of the kernel: what follows it is left out.
        return tuple(self.shelf.all[name][0] for name in names if not name.endswith("-KERNEL"))


VARIANT = replace(test_foreign.PLAIN, onboot=("tool",))


@pytest.fixture
def maker(tmp_path: Path, dirs: Dirs) -> Maker:
    return Maker(tmp_path, dirs)


@standins.needs_tools
@pytest.mark.parametrize("upon", ["floe", "tinycore"])
def test_an_image_with_a_kernel_of_ones_own(maker: Maker, tmp_path: Path, upon: str) -> None:
    base = None if upon == "floe" else standins.official_iso(tmp_path, "corepure64")
    job = maker.job(kernel_folder(tmp_path / "k"), base, VARIANT)
    made = image.make(job, maker.dirs, SilentReporter())
    found = look.examine(made.outputs.image)
    assert found.survey.kernel is not None
    assert found.survey.kernel.value == RELEASE
    assert [fact.value for fact in found.survey.modules] == [RELEASE]
    assert f"lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko" in found.root
    assert found.root[f"lib/modules/{RELEASE}/kernel.tclocal"].is_link
    names = {one.name for one in found.survey.extensions}
    assert {f"modules-{RELEASE}", "tool"} <= names
    assert found.medium.files[f"cde/optional/modules-{RELEASE}.tcz"].size
    assert not found.survey.contradictions
    assert found.survey.manifest is not None
    assert found.survey.manifest.kernel == RELEASE
    assert configured.kernels.is_kernel(found.medium.files[found.kernel].read()[:40_000])


def test_packages_beside_the_kernel_and_missing_ones(maker: Maker, tmp_path: Path) -> None:
    folder = kernel_folder(tmp_path / "k")
    wireless = test_foreign.package(folder / f"wireless-{RELEASE}.tcz", "extra")
    maker.shelf.all["tool"] = (
        replace(maker.shelf.all["tool"][0], needs=("wireless-KERNEL", "modules-KERNEL")),
        maker.shelf.all["tool"][1],
    )
    names = [one.name for one in maker.job(folder, None, VARIANT).extensions]
    assert set(names) == {f"wireless-{RELEASE}", f"modules-{RELEASE}", "extra", "tool"}
    assert names.index("extra") < names.index(f"wireless-{RELEASE}") < names.index("tool")
    wireless.unlink()
    with pytest.raises(ConfigError, match=f"packages for the kernel {RELEASE} are missing") as caught:
        maker.job(folder, None, VARIANT)
    assert f"tool -> wireless-{RELEASE}: there is no package wireless-{RELEASE}" in (caught.value.why or "")
    # A mirror behind it may have it.
    assert maker.job(folder, None, VARIANT, alone=False).extensions[-1].name == "tool"


def test_a_kernel_without_modules_is_told(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(standins.kernel_image(RELEASE))
    maker.job(tmp_path / "vmlinuz", None, VARIANT)
    assert "has no modules" in maker.told[-1]


def test_a_base_that_keeps_its_kernel_is_told_what_is_missing(maker: Maker) -> None:
    told: list[Problem] = []
    own: Any = _Following(maker.shelf)
    supplier = supply.KernelSupplier(own, "6.6.8-tinycore64", alone=True, absent=told.extend)
    assert [one.name for one in supplier.packages(("tool", "extra"))] == ["tool", "extra"]
    assert [one.message for one in told] == ["there is no package modules-6.6.8-tinycore64"]
    assert own.taken == "6.6.8-tinycore64"
    assert not supplier.makes("modules-6.6.8-tinycore64")


# -- what does not fit ----------------------------------------------------------------------------


def test_a_libc_that_wants_a_newer_kernel(maker: Maker, tmp_path: Path) -> None:
    tree = Tree({"lib/libc.so.6": regular(standins.libc("2.41", (6, 10, 0)), 0o755)})
    tar.write(tree, tmp_path / "shelf/glibc.tar")
    maker.shelf.put("glibc", "layer", tmp_path / "shelf/glibc.tar")
    with pytest.raises(ConfigError, match=rf"wants Linux 6\.10\.0 or newer, and the kernel is {RELEASE}"):
        maker.job(kernel_folder(tmp_path / "k"), None, VARIANT)


def test_the_note_of_a_real_libc() -> None:
    """Read from this machine's own, and held against what readelf says."""
    real = next(
        path for path in map(Path, ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6")) if path.exists()
    )
    said = subprocess.run(["readelf", "-n", real], check=True, capture_output=True, text=True).stdout
    wanted = re.search(r"ABI: (\d+\.\d+\.\d+)", said)
    fact = rootfacts.libc_kernel(Tree({"lib/libc.so.6": regular(real.read_bytes(), 0o755)}))
    assert wanted is not None
    assert fact is not None
    assert fact.value == wanted[1]


def test_modules_that_the_base_cannot_read() -> None:
    layer = Tree({"lib/modules/6.1/kernel/a.ko.zst": regular(b"")})
    for said, packed in ((b"\0no gzip/xz magic\0", ".ko.gz, .ko.xz"), (b"\0no gzip magic\0", ".ko.gz")):
        root = Tree({"sbin/modprobe": regular(b"BusyBox v1.37.0" + said, 0o755)})
        with pytest.raises(ConfigError, match=re.escape(f"cannot read: it reads {packed}")):
            choice.check_modules(root, layer, "kernel-base")
    choice.check_modules(Tree({"sbin/modprobe": regular(b"something", 0o755)}), layer, "kernel-base")
    choice.check_modules(root, Tree({"lib/modules/6.1/kernel/a.ko.gz": regular(b"")}), "kernel-base")


def test_what_a_modprobe_reads() -> None:
    assert reads.of_program(b"kmod modprobe \0+ZSTD -XZ +ZLIB +OPENSSL\0").packed == ("zst", "gz")
    assert reads.of_program(b"") == Modprobe(make="")
    for program in ("busybox", "kmod"):
        path = shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin")
        if path is not None:
            found = reads.of_program(Path(path).read_bytes())
            assert found.make.lower() == program


def test_kernels_that_cannot_run_a_base(tmp_path: Path, dirs: Dirs) -> None:
    (tmp_path / "bzImage").write_bytes(standins.kernel_image(RELEASE, is_64=False))
    small = given.open_given(tmp_path / "bzImage", dirs)
    with pytest.raises(ConfigError, match="is a kernel for 386, and the base is for x86_64"):
        choice.check_given(small, "x86_64", SquashOptions())
    found = given.open_given(kernel_folder(tmp_path / "k"), dirs)
    choice.check_given(found, "x86_64", SquashOptions(compressor="zstd"))
    with pytest.raises(ConfigError, match="CONFIG_SQUASHFS_XZ is not set"):
        choice.check_given(found, "x86_64", SquashOptions(compressor="xz"))
    assert choice.compressor_for(found) == "zstd"
    assert choice.compressor_for(small) == "gzip"
    assert choice.given("kernel", dirs) is None
    assert choice.given(str(tmp_path / "k"), dirs) is not None


# -- configurations -------------------------------------------------------------------------------


@standins.needs_tools
def test_the_configuration_of_a_medium(tmp_path: Path) -> None:
    folder = kernel_folder(tmp_path / "k")
    assert configured.read(folder).value("MEMCG") == "y"
    assert configured.read(folder / f"boot/config-{RELEASE}").value("MEMCG") == "y"
    made = standins.medium(tmp_path / "m", "corepure64")
    iso = standins.iso(made, tmp_path / "x.iso")
    with pytest.raises(VerifyError) as caught:
        configured.read(iso)
    assert "vmlinuz64" in (caught.value.where or "")
    (made / "boot/config").write_text(CONFIG)
    (tmp_path / "x.iso").unlink()
    assert configured.read(standins.iso(made, tmp_path / "x.iso")).value("MEMCG") == "y"
    (made / "boot/vmlinuz").write_bytes(standins.kernel_image("6.1.0"))
    with pytest.raises(ConfigError, match="several kernels"):
        configured.read(made)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VerifyError, match="no kernel in it"):
        configured.read(tmp_path / "empty")


def test_what_an_ended_process_left(tmp_path: Path, dirs: Dirs) -> None:
    folder = kernel_folder(tmp_path / "k")
    with tarfile.open(tmp_path / "k.tar", "w") as archive:
        archive.add(folder, arcname=".")
    found = given.open_given(tmp_path / "k.tar", dirs)
    packed = packing.pack(found, ALL, SquashOptions(), dirs)
    for mark in dirs.cache_folder("kernels").glob("*.done"):
        mark.unlink()
    (packed.built.folder / "build.json").unlink()
    packed.packages[1].path.write_bytes(b"half")
    again = given.open_given(tmp_path / "k.tar", dirs)
    assert again.identity == found.identity
    assert packing.pack(again, ALL, SquashOptions(), dirs) == packed
    assert tar.read(packed.packages[1].path)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "boot/../../outside"])
def test_archives_that_try_to_escape(tmp_path: Path, dirs: Dirs, name: str) -> None:
    with tarfile.open(tmp_path / "k.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        archive.addfile(member)
    with pytest.raises(VerifyError):
        given.open_given(tmp_path / "k.tar", dirs)
    assert not list(tmp_path.rglob("outside"))


def test_truncated_archives(tmp_path: Path, dirs: Dirs) -> None:
    with tarfile.open(tmp_path / "k.tar.gz", "w:gz") as archive:
        archive.add(kernel_folder(tmp_path / "k"), arcname=".")
    data = (tmp_path / "k.tar.gz").read_bytes()
    (tmp_path / "deb").mkdir()
    deb = make_deb(tmp_path / "deb", control_text("linux-image"), {"boot/x": "y"})
    for number, cut in enumerate((data[:-300], data[: len(data) // 2], deb.read_bytes()[:-40], b"!<arch>\n")):
        (tmp_path / f"cut{number}").write_bytes(cut)
        with pytest.raises(VerifyError):
            given.open_given(tmp_path / f"cut{number}", dirs)
