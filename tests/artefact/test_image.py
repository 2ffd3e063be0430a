"""Images made of small stand-in packages, looked at with tools that are not ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from remaster import image, manifest
from remaster.bootcode import BootCodes
from remaster.sshkey import PublicKey
from remaster.variant import FileSpec, Variant
from tcz import lock, tar
from tcz.errors import ConfigError, NoSpaceError, VerifyError
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tree import Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tcz.model import Form

    Golden = Callable[[str, str], None]

ISOLINUX = Path("/usr/lib/ISOLINUX")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
pytestmark = [
    pytest.mark.skipif(not (ISOLINUX / "isolinux.bin").is_file(), reason="no isolinux here"),
    pytest.mark.skipif(shutil.which("xorriso") is None, reason="no xorriso here"),
]
CODES = BootCodes.load()
PASSWD = b"root:x:0:0:root:/root:/bin/sh\ntc:x:1001:50::/home/tc:/bin/sh\n"


class Shelf:
    """A supplier of packages that were put on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: dict[str, tuple[BuiltPackage, Built]] = {}

    def put(self, name: str, form: Form, path: Path, needs: tuple[str, ...] = ()) -> None:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        if form == "files":
            rows = (f"{sha256_file(file)}  {file.relative_to(path)}\n" for file in files)
            (path / "SHA256SUMS").write_text("".join(rows))
        digest = sha256_file(path / "SHA256SUMS" if form == "files" else path)
        size = sum(p.stat().st_size for p in files)
        package = BuiltPackage(
            name=name, form=form, path=path, sha256=digest, size=size, installed=2 * size, needs=needs
        )
        source = ResolvedSource(
            kind="archive", name=name, version="1.0", hash=f"sha256:{digest}", origin="https://example.net/x"
        )
        root = ResolvedSource(
            kind="debian-binary", name="gcc", version="4:14", hash=f"sha256:{'0' * 64}", origin="gcc"
        )
        built = Built(
            recipe=name,
            version="1.0",
            build_id=digest[:40],
            content_id=digest[40:],
            folder=self.folder,
            packages=(package,),
            sources=(source,),
            root=(root,),
            license="MIT",
            homepage="https://example.net",
            summary=name,
        )
        self.all[name] = (package, built)

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        order: dict[str, BuiltPackage] = {}

        def visit(name: str) -> None:
            for need in reversed(self.all[name][0].needs):
                visit(need)
            order.setdefault(name, self.all[name][0])

        for name in names:
            visit(name)
        return tuple(order.values())

    def built(self, package: str) -> Built:
        return self.all[package][1]


def stock(folder: Path) -> Shelf:
    shelf = Shelf(folder)
    folder.mkdir(parents=True)
    trees = {
        "floe-base": Tree(
            {
                "init": regular(b"#!/bin/sh\n", 0o755),
                "etc/passwd": regular(PASSWD),
                "etc/group": regular(b"root:x:0:\nstaff:x:50:\n"),
                "opt": directory(0o2775, gid=50),
                **{
                    f"usr/local/etc/init.d/{name}": regular(b"#!/bin/sh\n", 0o755) for name in ("foo", "sshd")
                },
                "dev/console": Node(mode=0o020600, rdev=(5, 1)),
            }
        ),
        "glibc": Tree({"lib/libc.so.6": regular(os.urandom(0) + b"libc" * 5000, 0o755)}),
        "busybox": Tree({"bin/busybox": regular(b"bb" * 9000, 0o4755), "bin/sh": symlink("busybox")}),
        "sudo": Tree({"usr/bin/sudo": regular(b"sudo", 0o4111)}),
        "kernel-base": Tree({"lib/modules/6.1/modules.dep": regular(b"")}),
    }
    for name, tree in trees.items():
        path = folder / f"{name}.tar"
        tar.write(tree, path)
        shelf.put(name, "layer", path)
    for name in ("kernel", "syslinux", "grub-efi"):
        (folder / name).mkdir()
    (folder / "kernel/vmlinuz").write_bytes(b"kernel" * 3000)
    (folder / "grub-efi/efiboot.img").write_bytes(bytes(1 << 20))
    for file in (ISOLINUX / "isolinux.bin", ISOLINUX / "isohdpfx.bin", LDLINUX):
        shutil.copyfile(file, folder / "syslinux" / file.name)
    for name in ("kernel", "syslinux", "grub-efi"):
        shelf.put(name, "files", folder / name)
    for name, needs in (
        ("libfoo", ()),
        ("modules-6.1", ()),
        ("foo", ("libfoo", "modules-6.1")),
        ("extra", ()),
    ):
        path = folder / f"{name}.tcz"
        tree = Tree({f"usr/local/share/{name}": regular(name.encode() * 1000)})
        writer.write(tree, path, SquashOptions(), epoch=0)
        Path(f"{path}.md5.txt").write_text(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {name}.tcz\n")  # noqa: S324
        if needs:
            Path(f"{path}.dep").write_text("libfoo.tcz\nmodules-KERNEL.tcz\n")
        shelf.put(name, "extension", path, needs)
    return shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return stock(tmp_path / "shelf")


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


VARIANT = Variant(
    name="test",
    summary="Test",
    onboot=("foo",),
    optional=("extra",),
    boot_codes=("noembed", "cde", "console=ttyS0,115200"),
    services=("sshd", "foo"),
    files=(FileSpec(path="opt/motd", content=b"hi\n", mode=0o640, owner="tc:staff", where="here"),),
    version_of="foo",
)
KEY = PublicKey(line="ssh-ed25519 AAAA me", type="ssh-ed25519", comment="me")


def request_for(output: Path, **changes: Any) -> image.Request:
    """One archive, for other tools read the first one of several only."""
    asked = replace(VARIANT, **changes)
    return image.Request(variant=asked, base="floe", output=output, keys=(KEY,), mode="repack")


def make(shelf: Shelf, dirs: Dirs, output: Path, **changes: Any) -> image.Finished:
    return image.make(image.prepare(request_for(output, **changes), shelf), dirs, SilentReporter())


def read_iso(path: Path, name: str) -> bytes:
    out = path.parent / "extracted"
    out.unlink(missing_ok=True)
    argv = ["xorriso", "-osirrox", "on", "-indev", path, "-extract", name, out]
    subprocess.run(argv, check=True, capture_output=True)
    return out.read_bytes()


def names_on(path: Path) -> set[str]:
    argv = ["xorriso", "-indev", path, "-find", "/", "-type", "f"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return {line.strip("'") for line in text.splitlines() if line.startswith("'")}


def test_the_medium(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    made = make(shelf, dirs, tmp_path / "out/x.iso")
    assert names_on(made.outputs.image) == {
        "/boot/vmlinuz64",
        "/boot/floe.img",
        "/boot/isolinux/isolinux.bin",
        "/boot/isolinux/isolinux.cfg",
        "/boot/isolinux/boot.msg",
        *(f"/boot/isolinux/f{key}.msg" for key in (2, 3, 4, 5, 6)),
        "/boot/isolinux/ldlinux.c32",
        "/boot/grub/grub.cfg",
        "/EFI/BOOT/efiboot.img",
        "/cde/onboot.lst",
        "/cde/optional/foo.tcz",
        "/cde/optional/foo.tcz.dep",
        "/cde/optional/foo.tcz.md5.txt",
        "/cde/optional/libfoo.tcz",
        "/cde/optional/libfoo.tcz.md5.txt",
        "/cde/optional/modules-6.1.tcz",
        "/cde/optional/modules-6.1.tcz.md5.txt",
        "/cde/optional/extra.tcz",
        "/cde/optional/extra.tcz.md5.txt",
        "/manifest.json",
    }
    assert read_iso(made.outputs.image, "/cde/onboot.lst") == b"foo.tcz\n"
    said = subprocess.run(
        ["xorriso", "-indev", made.outputs.image, "-report_el_torito", "plain", "-pvd_info"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "floe-test-v1.0" in said.stdout
    assert "BIOS" in said.stdout
    assert "UEFI" in said.stdout
    sums = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert set(sums) == {"x.iso", "x.lock", "x.manifest.json", "x.sha256", "x.sizes.txt", "extracted"}
    subprocess.run(["sha256sum", "-c", "x.sha256"], cwd=tmp_path / "out", check=True, capture_output=True)
    locked = lock.read(tmp_path / "out/x.lock")
    assert locked.variant == "test"
    assert {package.name for package in locked.packages} >= {"foo", "kernel", "busybox"}


def test_the_initrd(shelf: Shelf, dirs: Dirs, tmp_path: Path, golden: Golden) -> None:
    made = make(shelf, dirs, tmp_path / "x.iso")
    raw = zstandard.ZstdDecompressor().decompress(read_iso(made.outputs.image, "/boot/floe.img"))
    argv = ["cpio", "-itvn", "--quiet"]
    text = subprocess.run(
        argv, input=raw, check=True, capture_output=True, env={"TZ": "UTC", "LC_ALL": "C"}
    ).stdout
    # The manifest's size follows the version of the program.
    lines = [line for line in text.decode().splitlines() if "manifest.json" not in line]
    golden("image/initrd.listing.txt", "\n".join(lines) + "\n")
    (tmp_path / "root").mkdir()
    subprocess.run(
        [
            "cpio",
            "-idm",
            "--quiet",
            "--no-absolute-filenames",
            "etc/*",
            "opt/*",
            "usr/local/*",
            "usr/share/*",
        ],
        input=raw,
        cwd=tmp_path / "root",
        check=False,
        capture_output=True,
    )
    assert (tmp_path / "root/etc/sysconfig/services").read_text() == "sshd\nfoo\n"
    assert (tmp_path / "root/usr/local/etc/ssh/authorized_keys").read_text() == f"{KEY.line}\n"
    assert (tmp_path / "root/opt/motd").read_text() == "hi\n"
    inner = json.loads((tmp_path / "root/usr/share/doc/floe/manifest.json").read_text())
    assert "build-roots" not in inner


def test_the_manifest(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    made = make(shelf, dirs, tmp_path / "x.iso")
    inside = json.loads(read_iso(made.outputs.image, "/manifest.json"))
    beside = json.loads(made.outputs.manifest.read_text())
    artefacts = {entry["name"]: entry for entry in beside.pop("artefacts")}
    assert beside == inside
    assert artefacts["x.iso"]["sha256"] == sha256_file(made.outputs.image) == made.sha256
    packages = {entry["name"]: entry for entry in inside["packages"]}
    assert packages["foo"]["role"] == "package"
    assert packages["glibc"]["role"] == "layer"
    assert inside["kernel"] == inside["version"] == "1.0"
    assert inside["recipes"][0]["license"] == "MIT"
    assert [root["packages"][0]["name"] for root in inside["build-roots"]] == ["gcc"]
    assert str(tmp_path) not in made.outputs.manifest.read_text() + made.outputs.lock.read_text()


def test_same_inputs_same_bytes_wherever_and_whenever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = []
    for name, zone, mask in (("one", "UTC", 0o022), ("two/deep er", "Asia/Kathmandu", 0o077)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        old = os.umask(mask)
        try:
            shelf = stock(tmp_path / name / "shelf")
            place = tmp_path / name
            dirs = Dirs(cache=place / "cache", config=place, state=place)
            made = make(shelf, dirs, place / "out/x.iso")
        finally:
            os.umask(old)
        sums.append([sha256_file(path) for path in made.outputs.all()])
    monkeypatch.undo()
    time.tzset()
    assert sums[0] == sums[1]


def test_nothing_is_done_twice(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    first = make(shelf, dirs, tmp_path / "x.iso")
    stat = first.outputs.image.stat()
    second = make(shelf, dirs, tmp_path / "x.iso")
    assert first.changed
    assert not second.changed
    assert second.sha256 == first.sha256
    again = first.outputs.image.stat()
    assert (again.st_ino, again.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


@pytest.mark.parametrize(
    "changes",
    [
        {"services": ("foo",)},
        {"timeout": 9},
        {"boot_codes": ("noembed",)},
        {"files": ()},
        {"onboot": ("extra",), "version_of": ""},
        {"volume_id": "other"},
    ],
    ids=str,
)
def test_every_change_counts(shelf: Shelf, dirs: Dirs, tmp_path: Path, changes: dict[str, Any]) -> None:
    first = make(shelf, dirs, tmp_path / "x.iso")
    second = make(shelf, dirs, tmp_path / "x.iso", **changes)
    assert second.changed
    assert second.sha256 != first.sha256


def test_damage_is_noticed_and_made_good(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    first = make(shelf, dirs, tmp_path / "x.iso")
    status = first.outputs.image.stat()
    with first.outputs.image.open("r+b") as file:
        file.seek(70000)
        file.write(b"damage")
    os.utime(first.outputs.image, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = make(shelf, dirs, tmp_path / "x.iso")
    assert second.changed
    assert second.sha256 == first.sha256
    second.outputs.sizes.unlink()
    assert make(shelf, dirs, tmp_path / "x.iso").changed


def test_nothing_half_written(
    shelf: Shelf, dirs: Dirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out/x.iso"
    first = make(shelf, dirs, output)
    before = {path: path.read_bytes() for path in first.outputs.all()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "size_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(shelf, dirs, output, timeout=9)
    assert {path: path.read_bytes() for path in output.parent.iterdir()} == before


def test_a_full_disk_is_told_before(
    shelf: Shelf, dirs: Dirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(NoSpaceError, match="needs"):
        make(shelf, dirs, tmp_path / "out/x.iso")
    assert not (tmp_path / "out").exists()


def test_conflicts_are_told_together(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    files = (
        FileSpec(path="etc/sysconfig/services", content=b"", where="a"),
        FileSpec(path="bin/sh/x", content=b"", where="b"),
        FileSpec(path="opt", content=b"", where="c"),
        FileSpec(path="etc/x", content=b"", owner="nobody:staff", where="d"),
    )
    with pytest.raises(ConfigError) as caught:
        make(shelf, dirs, tmp_path / "x.iso", files=files)
    assert sorted(p.where for p in caught.value.problems) == ["a", "b", "c", "d"]


def test_only_extensions_can_be_loaded(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="glibc"):
        make(shelf, dirs, tmp_path / "x.iso", onboot=("glibc",))


def test_layers_must_not_share_files(shelf: Shelf, dirs: Dirs, tmp_path: Path) -> None:
    path = tmp_path / "shelf/clash.tar"
    tar.write(Tree({"bin/busybox": regular(b"other")}), path)
    shelf.put("sudo", "layer", path)
    with pytest.raises(VerifyError, match="busybox and sudo both have /bin/busybox"):
        make(shelf, dirs, tmp_path / "x.iso")


@pytest.mark.parametrize("compressor", ["gzip", "zstd", "xz", "none"])
def test_compressors(shelf: Shelf, dirs: Dirs, tmp_path: Path, compressor: Any) -> None:
    wish = replace(request_for(tmp_path / "x.iso"), compressor=compressor)
    made = image.make(image.prepare(wish, shelf), dirs, SilentReporter())
    raw = read_iso(made.outputs.image, "/boot/floe.img")
    magic = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "xz": b"\xfd7zXZ", "none": b"070701"}
    assert raw.startswith(magic[compressor])
