"""Images upon bases that others made: stand-ins of official ones, packages that stand in for ours."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remaster import base as bases
from remaster import extract, fetch, foreign, hooks, image, initrds, supply
from remaster.survey import look
from tcz import cpio
from tcz.errors import ConfigError, FetchError, ToolkitError, VerifyError
from tcz.mirror import known
from tcz.mirror.model import Branch
from tcz.mirror.parcels import Parcels
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.store import sha256_file
from tcz.tinycore import Remote
from tcz.tree import Tree, listing, regular
from tests.artefact import test_image as floe
from tests.cases.commandline import Upstream, serving
from tests.unit import standins
from tests.unit.standins import Release, needs_tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.survey.look import Examined

pytestmark = [needs_tools, *floe.pytestmark]
VARIANT = replace(
    floe.VARIANT,
    onboot=("foo", "container-host"),
    boot_codes=("noembed", "cde", "console=ttyS0,115200"),
)
PLAIN = replace(VARIANT, onboot=(), optional=(), services=(), files=(), version_of="", boot_codes=("cde",))


@pytest.fixture
def shelf(tmp_path: Path) -> floe.Shelf:
    made = floe.stock(tmp_path / "shelf")
    shutil.copyfile(tmp_path / "shelf/extra.tcz", tmp_path / "shelf/container-host.tcz")
    made.put("container-host", "extension", tmp_path / "shelf/container-host.tcz")
    for name in ("foo", "libfoo", "modules-6.1", "extra", "container-host"):
        file = package(tmp_path / f"shelf/{name}.tcz")
        file.with_name(f"{name}.tcz.info").unlink()
        made.put(name, "extension", file, made.all[name][0].needs)
    (tmp_path / "shelf/kernel/vmlinuz").write_bytes(standins.kernel_image("6.12.117"))
    (tmp_path / "shelf/kernel/release").write_text("6.12.117\n")
    (tmp_path / "shelf/kernel/SHA256SUMS").unlink()
    made.put("kernel", "files", tmp_path / "shelf/kernel")
    return made


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


class Maker:
    """Makes images and looks into them."""

    def __init__(self, shelf: floe.Shelf, dirs: Dirs, folder: Path) -> None:
        self.shelf, self.dirs, self.folder = shelf, dirs, folder
        self.count = 0

    def job(
        self, origin: Path | str, variant: Any = VARIANT, *, kernel: str | None = None, **more: Any
    ) -> Any:
        self.count += 1
        found = foreign.open_foreign(str(origin), dirs=self.dirs)
        spec = foreign.spec_for(found, foreign.kernel_package(found, variant, kernel))
        request = image.Request(
            variant=variant,
            base=found.name,
            output=self.folder / f"out{self.count}/x.iso",
            compressor="gzip",
            level=1,
            foreign=found,
            spec=spec,
            **more,
        )
        return image.prepare(request, self.shelf)

    def make(self, origin: Path | str, variant: Any = VARIANT, **more: Any) -> Examined:
        made = image.make(self.job(origin, variant, **more), self.dirs, SilentReporter())
        return look.examine(made.outputs.image)


@pytest.fixture
def maker(shelf: floe.Shelf, dirs: Dirs, tmp_path: Path) -> Maker:
    return Maker(shelf, dirs, tmp_path)


@pytest.mark.parametrize("shape", ["corepure64", "split", "cde", "efi"])
def test_a_container_host_upon_an_official_image(maker: Maker, tmp_path: Path, shape: Any) -> None:
    found = maker.make(standins.official_iso(tmp_path, shape))
    survey = found.survey
    assert survey.manifest is not None
    assert survey.manifest.base == "tinycore-16.1"
    assert survey.manifest.edits == ("cgroup2", "kernel-waits", "network", "serial-login", "services")
    assert survey.kernel is not None
    assert (survey.kernel.value, [fact.value for fact in survey.modules]) == ("6.12.117", ["6.1"])
    assert {loader.firmware for loader in survey.loaders} == {"bios", "uefi"}
    assert survey.hybrid
    assert found.root["opt/motd"].read() == b"hi\n"
    assert found.root["bin/busybox.suid"].mode & 0o7777 == 0o4755
    assert found.root["dev/loop0"].rdev == (7, 0)
    assert found.root["opt"].mode & 0o7777 == standins.root_tree()["opt"].mode & 0o7777
    (entry,) = [one for one in survey.entries if one.program == "isolinux" and one.default]
    assert entry.label == "corepure64"
    assert entry.words[0] == "loglevel=3"
    assert {"cde", "noembed", "console=ttyS0,115200"} <= set(entry.words)
    (folder,) = survey.cde
    assert dict(folder.lists)["onboot.lst"][-2:] == ("foo", "container-host")
    if shape == "cde":
        assert {"Xvesa", "flwm", "foo", "libfoo"} <= {one.name for one in survey.extensions}
        assert dict(folder.lists)["xbase.lst"] == ("Xvesa",)
        assert folder.flags == ("copy2fs.flg",)
    if shape == "efi":
        assert found.medium.files["EFI/BOOT/efiboot.img"].size == 1 << 16  # the base's own
        assert {one.where for one in survey.entries if one.program == "grub"} == {"EFI/BOOT/grub/grub.cfg"}


def test_the_same_bytes_again_and_from_every_form_of_the_base(maker: Maker, tmp_path: Path) -> None:
    iso = standins.official_iso(tmp_path, "corepure64")
    first = image.make(maker.job(iso, PLAIN), maker.dirs, SilentReporter())
    second = image.make(maker.job(iso, PLAIN), maker.dirs, SilentReporter())
    assert first.sha256 == second.sha256
    extract.extract(iso, None, tmp_path / "unpacked")
    files = f"{tmp_path / 'medium/boot/corepure64.gz'},{tmp_path / 'medium/boot/vmlinuz64'}"
    trees = [look.examine(first.outputs.image).root]
    trees += [
        maker.make(origin, PLAIN).root for origin in (tmp_path / "unpacked", tmp_path / "medium", files)
    ]
    shown = [listing(tree).replace("/manifest.json", "") for tree in trees]
    for tree in trees:
        assert tree["etc/os-release"].read() == standins.os_release("16.1")
        assert len(tree) == len(trees[0])
    assert len({line.count("\n") for line in shown}) == 1


def test_a_base_that_keeps_its_kernel(maker: Maker, tmp_path: Path) -> None:
    found = maker.make(standins.official_iso(tmp_path, "split"), PLAIN)
    assert found.survey.kernel is not None
    assert found.survey.kernel.value == Release().kernel
    assert [fact.value for fact in found.survey.modules] == [Release().kernel]
    assert not found.survey.contradictions
    assert found.survey.manifest is not None
    assert (found.survey.manifest.kernel, found.survey.manifest.edits) == (Release().kernel, ("network",))
    with pytest.raises(ConfigError, match="no kernel to keep"):
        maker.make(tmp_path / "medium/boot/rootfs64.gz", PLAIN, kernel="base")


def test_a_remastered_image_is_a_base_too(maker: Maker, tmp_path: Path) -> None:
    """What remaster made is built upon again: its loaders, its packages, and edits once, not twice."""
    first = maker.make(standins.official_iso(tmp_path, "efi"))
    again = maker.make(first.medium.path)
    assert again.survey.manifest is not None
    assert again.survey.manifest.edits == first.survey.manifest.edits  # type: ignore[union-attr]
    for path in ("etc/init.d/tc-config", "etc/init.d/rc.shutdown", "etc/inittab"):
        assert again.root[path].read() == first.root[path].read()
    job = maker.job(first.medium.path)
    assert (job.spec.bios, job.spec.uefi) == ("", "")


def test_appending_keeps_the_base_byte_for_byte(maker: Maker, tmp_path: Path) -> None:
    iso = standins.official_iso(tmp_path, "corepure64")
    whole = maker.make(iso, kernel="base")
    added = maker.make(iso, kernel="base", mode="append")
    before = look.examine(iso).medium.files["boot/corepure64.gz"].read()
    (path,) = added.initrds
    assert added.medium.files[path].read().startswith(before)
    members = added.survey.initrds[0].members
    assert [one.compressor for one in members] == ["gzip", "gzip", "gzip"]
    assert members[-1].archives[0].entries < 60
    for path, node in whole.root.items():
        there = added.root[path]
        assert (there.mode, there.uid, there.gid, there.rdev) == (node.mode, node.uid, node.gid, node.rdev), (
            path
        )
        assert there.read() == node.read() or path.endswith("manifest.json")
    assert set(added.root) == set(whole.root)


def without_manifest(tree: Tree) -> Tree:
    return Tree({path: node for path, node in tree.items() if path != hooks.MANIFEST})


def test_floe_in_two_archives(maker: Maker, tmp_path: Path) -> None:
    """A changed package packs only what is the image's own anew."""

    def made(name: str, mode: Any, **changes: Any) -> bytes:
        request = replace(floe.request_for(tmp_path / name, **changes), mode=mode)
        job = image.prepare(request, maker.shelf)
        with initrds.making(job, maker.dirs, initrds.laid(job)) as initrd:
            return initrd.read_bytes()

    whole, first = made("a.iso", "repack"), made("b.iso", "append")
    second = made("c.iso", "append", optional=())
    loaded = [cpio.load(data) for data in (whole, first, second)]
    # The manifest tells how the initrd was made.
    assert without_manifest(loaded[0].tree) == without_manifest(loaded[1].tree)
    assert [len(one.members) for one in loaded] == [1, 2, 2]
    size = loaded[1].members[0].size
    assert first != second
    assert first[:size] == second[:size]


def test_packages_that_want_a_newer_libc(maker: Maker, tmp_path: Path) -> None:
    release = Release(number="10.1", kernel="4.19.10-tinycore64", libc="2.28", libc_kernel=(4, 14, 10))
    iso = standins.official_iso(tmp_path, "corepure64", release)
    maker.make(iso)
    file = tmp_path / "shelf/extra.tcz"
    tree = Tree({"usr/local/bin/new": regular(Path("/usr/bin/env").read_bytes(), 0o755)})
    writer.write(tree, file, SquashOptions(), epoch=standins.EPOCH)
    maker.shelf.put("extra", "extension", file)
    with pytest.raises(ConfigError) as caught:
        maker.make(iso)
    assert "the base has glibc 2.28 for x86_64" in caught.value.what
    assert "package extra: /usr/local/bin/new needs glibc 2.3" in (caught.value.why or "")


def test_a_base_of_32_bits(maker: Maker, tmp_path: Path) -> None:
    """Core itself: its own kernel stays, and what is for 64 bits is refused."""
    made = standins.medium(tmp_path / "m", "corepure64")
    nodes = dict(standins.root_tree(modules=True).items())
    elf = bytearray(Path("/usr/bin/env").read_bytes()[:52])
    elf[:20] = b"\x7fELF\1\1\1" + bytes(9) + b"\x02\0\x03\0"
    elf[28:52] = bytes(24)
    nodes["bin/busybox"] = regular(bytes(elf), 0o755)
    (made / "boot/corepure64.gz").write_bytes(standins.packed(Tree(nodes)))
    found = maker.make(made, PLAIN)
    assert found.survey.architecture is not None
    assert found.survey.architecture.value == "386"
    file = tmp_path / "shelf/extra.tcz"
    tree = Tree({"usr/local/bin/new": regular(Path("/usr/bin/env").read_bytes(), 0o755)})
    writer.write(tree, file, SquashOptions(), epoch=standins.EPOCH)
    maker.shelf.put("extra", "extension", file)
    with pytest.raises(ConfigError) as caught:
        maker.make(made, replace(PLAIN, onboot=("extra",)))
    assert "/usr/local/bin/new is not for 386" in (caught.value.why or "")


def test_an_initrd_alone_gets_our_kernel(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "core.gz").write_bytes(standins.corepure64_gz())
    found = maker.make(tmp_path / "core.gz", PLAIN)
    assert found.survey.kernel is not None
    assert found.survey.kernel.value == "6.12.117"


def test_a_libc_that_wants_a_newer_kernel(maker: Maker, tmp_path: Path) -> None:
    release = Release(number="17.0", kernel="6.18.2-tinycore64", libc_kernel=(6, 13, 0))
    iso = standins.official_iso(tmp_path, "corepure64", release)
    maker.make(iso, PLAIN)
    with pytest.raises(ConfigError, match=r"wants Linux 6\.13\.0 or newer, and the kernel is 6\.12\.117"):
        maker.make(iso)


def test_packages_for_the_kernel_that_went_are_told(maker: Maker, tmp_path: Path) -> None:
    made = standins.medium(tmp_path / "m", "cde")
    (made / "cde/optional" / f"wireless-{Release().kernel}.tcz").write_bytes(b"x")
    (made / "cde/optional/flwm.tcz.dep").write_text(
        f"wireless-KERNEL.tcz\nmodules-KERNEL.tcz\nusb-{Release().kernel}.tcz\nXvesa.tcz\n"
    )
    maker.shelf.all["modules-6.12.117"] = maker.shelf.all["extra"]
    job = maker.job(standins.iso(made, tmp_path / "x.iso"))
    assert "wireless-6.12.11-tinycore64" in job.notes[0]
    told = [note for note in job.notes if "of the base needs" in note]
    assert told[0] == ("package flwm of the base needs wireless-KERNEL, and there is no wireless-6.12.117")
    assert told[-1] == ("package flwm of the base needs usb-6.12.11-tinycore64, and there is no usb-6.12.117")


def test_a_release_without_edits(maker: Maker, tmp_path: Path) -> None:
    iso = standins.official_iso(tmp_path, "corepure64", Release(number="9.0", libc_kernel=(3, 2, 0)))
    with pytest.raises(ConfigError, match="not as its edits expect"):
        maker.make(iso)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("data", [b"", b"nonsense", standins.packed(Tree())])
def test_what_cannot_be_built_upon(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(VerifyError):
        foreign.open_foreign(str(tmp_path / "x"))
    with pytest.raises(ToolkitError):
        foreign.open_foreign(f"{tmp_path / 'x'},{tmp_path / 'absent'}")


def test_names_of_bases(dirs: Dirs, tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_bytes(b"")
    for name in (str(tmp_path / "x.iso"), "corepure64-17.x", str(tmp_path)):
        assert bases.choose(name, dirs).name == name
    for name in ("corepure64", "CorePure64-16.1.iso", "./absent.iso", "floo"):
        with pytest.raises(ConfigError):
            bases.choose(name, dirs)


# -- packages and releases from elsewhere ---------------------------------------------------------


def package(path: Path, *needs: str, version: str = "1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = Tree({f"usr/local/bin/{path.stem}": regular(path.stem.encode(), 0o755)})
    writer.write(tree, path, SquashOptions(), epoch=standins.EPOCH)
    path.with_name(f"{path.name}.md5.txt").write_text(
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n"  # noqa: S324
    )
    path.with_name(f"{path.name}.info").write_text(f"Title:\t\t{path.name}\nVersion:\t{version}\n")
    if needs:
        path.with_name(f"{path.name}.dep").write_text("".join(f"{need}.tcz\n" for need in needs))
    return path


def offer(server: Upstream, path: str, data: bytes) -> None:
    """Have a file on a mirror, with its md5 beside it."""
    md5 = hashlib.md5(data).hexdigest()  # noqa: S324
    server.url(path, data)
    server.url(f"{path}.md5.txt", f"{md5}  {path.rpartition('/')[2]}\n".encode())


def named(name: str) -> bases.Release:
    found = bases.release_of(name)
    assert found is not None
    return found


SIXTEEN = named("corepure64-16.x")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A mirror of Tiny Core 16.x with all that boots."""
    with serving() as server:
        folder = "16.x/x86_64"
        files = {
            "release/distribution_files/vmlinuz64": standins.kernel_image(Release().kernel),
            "release/distribution_files/corepure64.gz": standins.corepure64_gz(),
        }
        for path, data in files.items():
            offer(server, f"{folder}/{path}", data)
        yield server


class Nobody:
    """Stands for a workshop whose recipes make what is on a shelf."""

    def __init__(self, shelf: floe.Shelf) -> None:
        self.shelf = shelf

    def packages(self, names: Any) -> Any:
        return self.shelf.packages(names)

    def built(self, package: str) -> Any:
        return self.shelf.built(package)

    def planned(self, names: Any) -> Any:
        return tuple(names)

    def makes(self, name: str) -> bool:
        return name in self.shelf.all

    def kernel(self) -> str | None:
        return None


def test_packages_from_files_recipes_and_a_mirror(tmp_path: Path, dirs: Dirs) -> None:
    mirror = tmp_path / "mirror/16.x/x86_64/tcz"
    wireless = f"wireless-{Release().kernel}"
    for name, needs in (("tool", ("wireless-KERNEL", "libtool")), ("libtool", ()), (wireless, ())):
        package(mirror / f"{name}.tcz", *needs)
    (mirror / "info.lst").write_text(f"libtool.tcz\ntool.tcz\n{wireless}.tcz\n")
    mine = package(tmp_path / "mine.tcz", "extra", "tool", version="7")
    chosen = known.chosen([str(tmp_path / "mirror")], [], dirs, "")
    parcels = Parcels(chosen, Branch.parse("16.x/x86_64"), dirs, HostRunner(), SilentReporter())
    own = supply.FileSupplier(
        Nobody(floe.stock(tmp_path / "shelf")),
        {"mine": mine},
        kernel=Release().kernel,
        present=frozenset(),
        alone=False,
    )
    supplier = supply.MirrorSupplier(own, parcels)
    found = supplier.packages(("foo", "mine"))
    names = [one.name for one in found]
    expected = {"foo", "libfoo", "modules-6.1", "mine", "extra", "tool", "libtool", wireless}
    assert set(names) == expected
    assert names.index("libtool") < names.index("tool") < names.index("mine")
    assert supplier.built("mine").version == "7"
    assert supplier.built("foo").recipe == "foo"
    assert supplier.built("tool").recipe == "mirror:tool"
    assert supplier.built("mine").sources[0].hash == f"sha256:{sha256_file(mine)}"
    assert supplier.packages(()) == ()


def test_files_without_a_mirror(tmp_path: Path) -> None:
    mine = package(tmp_path / "mine.tcz", "foo", "Xvesa", "other")
    other = package(tmp_path / "other.tcz")
    parts: dict[str, Any] = {"kernel": "", "alone": True}
    nobody = Nobody(floe.stock(tmp_path / "shelf"))
    files = {"mine": mine, "other": other}
    supplier = supply.FileSupplier(nobody, files, present=frozenset({"Xvesa"}), **parts)
    names = [one.name for one in supplier.packages(("mine", "extra"))]
    assert set(names) == {"mine", "other", "foo", "libfoo", "modules-6.1", "extra"}
    assert names.index("foo") < names.index("mine")
    with pytest.raises(ConfigError, match="packages are missing"):
        supply.FileSupplier(nobody, files, present=frozenset(), **parts).packages(("mine",))


def test_a_release_by_name(upstream: Upstream, dirs: Dirs) -> None:
    there = (Remote(address=upstream.address),)

    def get(remotes: tuple[Remote, ...] = there, *, update: bool = False) -> dict[str, Path]:
        return fetch.files(SIXTEEN, remotes, dirs, SilentReporter(), update=update)

    files = get()
    assert set(files) == {"vmlinuz64", "corepure64.gz"}
    found = foreign.open_foreign("corepure64-16.x", files)
    assert (found.name, found.kernel) == ("tinycore-16.1", Release().kernel)
    asked = len(upstream.asked)
    assert get(()) == files
    assert len(upstream.asked) == asked
    upstream.answers["16.x/x86_64/release/distribution_files/vmlinuz64"] = b"another"
    assert get() == files
    with pytest.raises(VerifyError, match="is not what its"):
        get(update=True)
    with pytest.raises(FetchError, match="no kernel and initrd of Tiny Core 15"):
        fetch.files(named("corepure64-15.x"), there, dirs, SilentReporter(), update=False)


def test_one_version_by_name(
    upstream: Upstream, dirs: Dirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ISO image, wherever the mirror has it, with all that is on it, and none but what is pinned."""
    monkeypatch.setattr(fetch, "PINS", tmp_path / "pins.toml")
    there = (Remote(address=upstream.address),)
    asked = named("tinycorepure64-16.1")
    with pytest.raises(FetchError, match=r"the mirror has no TinyCorePure64-16\.1\.iso") as caught:
        fetch.files(asked, there, dirs, SilentReporter(), update=False)
    assert "/16.x/x86_64/archive/16.1/TinyCorePure64-16.1.iso" in (caught.value.where or "")
    image = standins.official_iso(tmp_path, "cde").read_bytes()
    for place in ("archive/16.1", "release"):
        path = f"16.x/x86_64/{place}/TinyCorePure64-16.1.iso"
        offer(upstream, path, image)
        told = Told()
        files = fetch.files(asked, there, dirs, told, update=True)
        assert list(files) == ["TinyCorePure64-16.1.iso"]
        assert upstream.asked[-1][0] == path
        assert "`remaster pin tinycorepure64-16.1` pins it" in told.warnings[0]
    found = foreign.open_foreign(asked.name, files, dirs)
    assert (found.origin, found.name) == ("tinycorepure64-16.1", "tinycore-16.1")
    assert found.sums == (("TinyCorePure64-16.1.iso", hashlib.sha256(image).hexdigest()),)
    assert "cde/onboot.lst" in found.examined.medium.files
    assert fetch.files(asked, (), dirs, SilentReporter(), update=False) == files

    other = '[[file]]\nrelease = "16.x"\nname = "TinyCorePure64-16.1.iso"\nsha256 = "' + "0" * 64 + '"\n'
    fetch.PINS.write_text(f"schema = 1\n{other}")
    with pytest.raises(VerifyError, match="is none that is pinned"):
        fetch.files(asked, there, dirs, SilentReporter(), update=False)
    (added,) = fetch.pin(asked, there, dirs, SilentReporter(), into=fetch.PINS)
    assert (added.release, added.version, added.name) == ("16.x", "16.1", "TinyCorePure64-16.1.iso")
    told = Told()
    fetch.files(asked, there, dirs, told, update=False)
    assert told.warnings == []


def test_several_images_are_no_base(tmp_path: Path) -> None:
    for name in ("a.iso", "b.iso"):
        (tmp_path / name).write_bytes(standins.official_iso(tmp_path / name[0], "corepure64").read_bytes())
    with pytest.raises(VerifyError, match="no root file system to build upon"):
        foreign.open_foreign(f"{tmp_path / 'a.iso'},{tmp_path / 'b.iso'}")


def test_names_of_releases() -> None:
    assert named("corepure64-17.x") == bases.Release(name="corepure64-17.x", series="17.x")
    assert named("corepure64-10.0.1").image == "CorePure64-10.0.1.iso"
    assert named("tinycorepure64-17.1").series == "17.x"
    for wrong in ("corepure64", "corepure64-x", "tinycorepure64-17.x", "corepure64-017.1", "core-17.x"):
        assert bases.release_of(wrong) is None
    assert {pin.name for pin in fetch.read(fetch.PINS)} >= {"CorePure64-16.2.iso", "TinyCorePure64-17.1.iso"}


class Told(SilentReporter):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_pins_of_a_release(
    upstream: Upstream, dirs: Dirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody vouched for is told; once pinned, nothing else is built upon."""
    monkeypatch.setattr(fetch, "PINS", tmp_path / "none.toml")
    there = (Remote(address=upstream.address),)
    own, path = fetch.own_pins(dirs), "16.x/x86_64/release/distribution_files/vmlinuz64"
    first = hashlib.sha256(upstream.answers[path]).hexdigest()  # type: ignore[arg-type]

    def get(*, update: bool = False) -> list[str]:
        told = Told()
        fetch.files(SIXTEEN, there, dirs, told, update=update)
        return told.warnings

    (warning,) = get()
    assert "the sha256 of corepure64.gz and vmlinuz64 of Tiny Core 16.x is not pinned" in warning
    with pytest.raises(VerifyError, match="nothing is pinned"):
        fetch.pin(SIXTEEN, there, dirs, SilentReporter(), into=own, expected={"vmlinuz64": "0" * 64})
    assert not own.exists()
    expected = {"vmlinuz64": first}
    added = fetch.pin(SIXTEEN, there, dirs, SilentReporter(), into=own, expected=expected)
    assert {one.name: one.version for one in added} == {"vmlinuz64": "16.1", "corepure64.gz": "16.1"}
    assert fetch.read(own) == added
    assert fetch.pin(SIXTEEN, there, dirs, SilentReporter(), into=own) == ()
    assert get() == []

    new = standins.kernel_image("6.12.99-tinycore64")
    offer(upstream, path, new)
    assert get() == []
    with pytest.raises(VerifyError, match="is none that is pinned") as caught:
        get(update=True)
    assert first in (caught.value.why or "")
    (second,) = fetch.pin(SIXTEEN, there, dirs, SilentReporter(), into=own, update=True)
    assert second.sha256 == hashlib.sha256(new).hexdigest()
    assert get(update=True) == []
    assert set(fetch.pinned("16.x", dirs)["vmlinuz64"]) == {first, second.sha256}
    assert fetch.pinned("17.x", dirs) == {}
    own.write_text(own.read_text().replace(first, "short"))
    with pytest.raises(ConfigError, match="known files of Tiny Core"):
        get()


def test_files_that_are_no_packages(tmp_path: Path) -> None:
    (tmp_path / "bad.tcz").write_bytes(b"nonsense")
    with pytest.raises(VerifyError, match="squashfs"):
        supply.local(tmp_path / "bad.tcz")
    for name in ("absent.tcz", "bad", "we ird.tcz"):
        with pytest.raises(ConfigError, match="is no package"):
            supply.named(tmp_path / name)


# -- what is not done twice -----------------------------------------------------------------------


class Work:
    """Notes what is unpacked, packed and read of bases, each of which takes long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[str, int]] = []

        def watched(what: str, module: Any, name: str) -> None:
            really = getattr(module, name)

            def noted(data: Any, *more: Any, **options: Any) -> Any:
                self.done.append((what, len(data) if isinstance(data, bytes) else 0))
                return really(data, *more, **options)

            monkeypatch.setattr(module, name, noted)

        watched("packed", cpio, "compress")
        watched("unpacked", cpio, "expand")
        watched("written", writer, "write")
        watched("looked", look, "examine_medium")

    def taken(self) -> list[tuple[str, int]]:
        found, self.done = self.done, []
        return found


def put_extra(shelf: floe.Shelf, text: bytes) -> None:
    """Put another package ``extra`` on the shelf: one that lies on the medium."""
    path = package(shelf.folder / "extra.tcz")
    writer.write(Tree({"usr/local/share/extra": regular(text * 9000)}), path, SquashOptions(), epoch=0)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324 - as Tiny Core has it
    path.with_name("extra.tcz.md5.txt").write_text(f"{md5}  extra.tcz\n")
    path.with_name("extra.tcz.info").unlink()
    shelf.put("extra", "extension", path)


def content_of(examined: Examined) -> dict[str, str]:
    return {path: node.sha256() for path, node in examined.medium.files.items() if node.is_file}


@pytest.mark.parametrize("mode", ["layers", "append"])
def test_a_changed_package_on_the_medium_packs_nothing(
    maker: Maker, tmp_path: Path, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What did not change is neither unpacked, packed nor looked at: the small initrd of its own is made."""
    iso = standins.official_iso(tmp_path, "cde")
    put_extra(maker.shelf, b"first")
    work = Work(monkeypatch)
    made = image.make(maker.job(iso, kernel="base", mode=mode), maker.dirs, SilentReporter())
    packed = [size for what, size in work.taken() if what == "packed"]
    assert len(packed) == (2 if mode == "layers" else 1)
    first = content_of(look.examine(made.outputs.image))
    kept = maker.dirs.cache / "initrds"
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept.iterdir()}
    assert len(before) == (3 if mode == "layers" else 0)
    put_extra(maker.shelf, b"second")

    work.taken()
    made = image.make(maker.job(iso, kernel="base", mode=mode), maker.dirs, SilentReporter())
    assert made.changed
    assert work.taken() == [("packed", packed[-1])], "only the image's own, of hashes as long as before"
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept.iterdir()} == before
    second = content_of(look.examine(made.outputs.image))
    assert {path for path in first if first[path] != second[path]} == {
        "boot/corepure64.gz",
        "cde/optional/extra.tcz",
        "cde/optional/extra.tcz.md5.txt",
        "manifest.json",
    }
    assert first.keys() == second.keys()
