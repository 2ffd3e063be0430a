"""Initrds in members of their own: the same root as in one archive, and nothing packed twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remaster import compressors, extract, foreign, hooks, image, imagelock, initrds, wish
from remaster.survey import look
from remaster.variant import FileSpec
from tcz import compress, cpio
from tcz.errors import ConfigError
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, listing, regular, symlink
from tests.artefact import test_image as small
from tests.artefact.test_image_formats import CORE, stocked
from tests.unit import standins
from tests.unit.test_early import found_early

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = small.pytestmark
PLACES = (("foo", "root"), ("extra", "builtin"))


class Packing:
    """Remembers how much was packed, and by what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.packed: list[tuple[str, int]] = []

        def watched(data: bytes, method: Any = "gzip", level: int | None = None) -> bytes:
            self.packed.append((method, len(data)))
            return compress.compress(data, method, level)

        monkeypatch.setattr(cpio, "compress", watched)

    def taken(self) -> list[tuple[str, int]]:
        found, self.packed = self.packed, []
        return found


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> Packing:
    return Packing(monkeypatch)


def put(shelf: small.Shelf, name: str, text: bytes, *needs: str) -> None:
    path = shelf.folder / f"{name}.tcz"
    files = {
        f"usr/local/bin/{name}": regular(text * 5000, 0o755),
        f"usr/local/bin/{name}-link": symlink(name),
        f"usr/local/share/{name}/data": regular(hashlib.sha256(text).digest() * 4000),
    }
    writer.write(Tree(files), path, SquashOptions(), epoch=0)
    shelf.put(name, "extension", path, needs)


def made(place: Path, shelf: small.Shelf, mode: image.InitrdMode, **more: Any) -> bytes:
    """Make an image and return its initrd."""
    dirs = Dirs(cache=place / "cache", config=place, state=place)
    places = more.pop("places", PLACES)
    asked = replace(small.request_for(place / f"{mode}.iso", places=places), mode=mode, **more)
    job = image.prepare(asked, shelf)
    with initrds.making(job, dirs, initrds.laid(job)) as initrd:
        return initrd.read_bytes()


def shown(initrd: bytes) -> str:
    """List all but the manifest, which tells how the initrd is made."""
    tree = cpio.read(initrd)
    assert hooks.MANIFEST in tree
    return listing(Tree({path: node for path, node in tree.items() if path != hooks.MANIFEST}))


@pytest.mark.parametrize("compressor", ["gzip", "zstd", "xz", "lz4", "none"])
def test_the_same_root_in_layers_as_in_one_archive(tmp_path: Path, compressor: Any) -> None:
    shelf = stocked(tmp_path / "shelf", CORE)
    layers, one, appended = (
        made(tmp_path, shelf, mode, compressor=compressor) for mode in ("layers", "repack", "append")
    )
    assert shown(layers) == shown(one) == shown(appended)
    # Of our own base, foo with what it needs, those in /tmp/builtin, and the image's own.
    members = cpio.load(layers).members
    assert [member.compressor for member in members] == [compressor] * 4 + ["none", compressor]
    assert len(cpio.load(one).members) == 1


def test_a_changed_package_packs_nothing_else_again(tmp_path: Path, packed: Packing) -> None:
    shelf = stocked(tmp_path / "shelf", CORE)
    for name in ("libfoo", "extra"):
        put(shelf, name, name.encode())
    put(shelf, "foo", b"first", "libfoo")
    first = made(tmp_path, shelf, "layers")
    whole = packed.taken()
    assert sum(size for _, size in whole) > 300_000
    assert made(tmp_path, shelf, "layers") == first
    (own,) = packed_by_us(packed)
    assert own < 20_000

    put(shelf, "extra", b"another")
    second = made(tmp_path, shelf, "layers")
    assert second != first
    assert packed_by_us(packed) == [own]

    put(shelf, "foo", b"second", "libfoo")
    third = made(tmp_path, shelf, "layers")
    again = packed_by_us(packed)
    assert len(again) == 2
    assert again[0] < 200_000
    assert again[1] == own
    assert cpio.read(third)["usr/local/bin/foo"].read() == b"second" * 5000
    # All others are the same bytes.
    parts = [[member_bytes(data, member) for member in cpio.load(data).members] for data in (second, third)]
    assert sum(a != b for a, b in zip(*parts, strict=True)) == 2


def packed_by_us(packed: Packing) -> list[int]:
    """Return how much was packed, but for what was only laid down as it is."""
    return [size for method, size in packed.taken() if method != "none"]


def member_bytes(data: bytes, member: cpio.Member) -> bytes:
    return data[member.offset : member.offset + member.size]


def test_what_is_kept_and_damaged_is_packed_again(tmp_path: Path, packed: Packing) -> None:
    shelf = stocked(tmp_path / "shelf", CORE)
    first = made(tmp_path, shelf, "layers")
    packed.taken()
    kept = [path for path in (tmp_path / "cache/initrds").glob("packed-*") if path.suffix != ".sha256"]
    assert len(kept) == 4
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert made(tmp_path, shelf, "layers") == first
    assert len(packed_by_us(packed)) == 5


def test_what_says_where_it_is_kept_may_be_damaged(tmp_path: Path, packed: Packing) -> None:
    shelf = stocked(tmp_path / "shelf", CORE)
    first = made(tmp_path, shelf, "layers")
    packed.taken()
    kept = sorted((tmp_path / "cache/initrds").glob("member-*"))
    assert len(kept) == 4
    names = [path.read_bytes() for path in kept]
    wrong = (names[0][:-1], b"\xff" * 9, b"../" + names[2], names[3][:-1] + b"x")
    for path, data in zip(kept, wrong, strict=True):
        path.write_bytes(data)
    assert made(tmp_path, shelf, "layers") == first
    assert len(packed_by_us(packed)) == 1, "the image's own only"
    assert [path.read_bytes() for path in kept] == names


def test_another_version_of_this_program_packs_only_what_is_different(
    tmp_path: Path, packed: Packing, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = stocked(tmp_path / "shelf", CORE)
    first = made(tmp_path, shelf, "layers")
    packed.taken()
    monkeypatch.setattr(initrds, "own_code", lambda: "another")
    assert made(tmp_path, shelf, "layers") == first
    assert len(packed_by_us(packed)) == 1, "the image's own only"
    # What packs is another one.
    monkeypatch.setattr(imagelock, "libraries", lambda _: (("zstandard", "9"),))
    monkeypatch.setattr(initrds, "own_code", lambda: "a third")
    assert made(tmp_path, shelf, "layers") == first
    assert len(packed_by_us(packed)) == 5


@standins.needs_tools
def test_a_base_in_a_folder_that_changed(tmp_path: Path) -> None:
    """Its files are not in memory: what is kept of it must not outlive a change that keeps sizes."""
    shelf = stocked(tmp_path / "shelf", CORE)
    extract.extract(standins.official_iso(tmp_path, "cde"), None, tmp_path / "base")

    def init() -> bytes:
        found = foreign.open_foreign(str(tmp_path / "base"))
        more = {"foreign": found, "spec": foreign.spec_for(found, ""), "compressor": "gzip", "level": 1}
        return cpio.read(made(tmp_path, shelf, "layers", places=(), **more))["opt/bootsync.sh"].read()

    before = init()
    file = tmp_path / "base/root/opt/bootsync.sh"
    file.write_bytes(bytes(reversed(before)))
    assert init() == bytes(reversed(before)) != before


MICROCODE = "kernel/x86/microcode/GenuineIntel.bin"
TABLE = "kernel/firmware/acpi/dsdt.aml"


@standins.needs_tools
@pytest.mark.parametrize("mode", ["layers", "repack", "append"])
@pytest.mark.parametrize("form", ["one file", "two files", "folder"])
def test_microcode_stays_where_the_kernel_looks_for_it(tmp_path: Path, form: str, mode: Any) -> None:
    """And a table for ACPI that is given joins it there."""
    shelf = stocked(tmp_path / "shelf", CORE)
    ucode = cpio.dumps(Tree({MICROCODE: regular(b"microcode" * 99)}))
    rest = cpio.compress(cpio.dumps(standins.root_tree()), "zstd", 1)
    (tmp_path / "vmlinuz64").write_bytes(standins.kernel_image("6.12.11-tinycore64"))
    (tmp_path / "ucode.img").write_bytes(ucode + (b"" if form == "two files" else rest))
    origin = f"{tmp_path}/ucode.img,{tmp_path}/vmlinuz64"
    if form == "two files":
        (tmp_path / "core.gz").write_bytes(rest)
        origin = f"{tmp_path}/core.gz,{origin}"
    elif form == "folder":
        extract.extract(tmp_path / "ucode.img", None, tmp_path / "base")
        (tmp_path / "vmlinuz64").rename(tmp_path / "base/medium/vmlinuz64")
        origin = str(tmp_path / "base")
    found = foreign.open_foreign(origin)
    asked = small.request_for(tmp_path / "x.iso", places=())
    files = (*asked.variant.files, FileSpec(path=TABLE, content=b"table"))
    asked = replace(
        asked,
        variant=replace(asked.variant, files=files, services=()),
        foreign=found,
        spec=foreign.spec_for(found, ""),
        mode=mode,
        compressor=compressors.compressor_for(found, "", None),
    )
    job = image.prepare(asked, shelf)
    assert json.loads(job.document)["early"] == [TABLE, MICROCODE]
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path, state=tmp_path)
    machine = initrds.laid(job)
    with initrds.making(job, dirs, machine) as initrd:
        data = initrd.read_bytes()
    with initrds.making(job, dirs, machine) as initrd:
        assert initrd.read_bytes() == data
    kernels = found_early(data)
    assert {path: content for path, (_, content) in kernels.items()} == {
        TABLE: b"table",
        MICROCODE: b"microcode" * 99,
    }
    # Of a folder there are no initrds to append to.
    if mode != "append" or form == "folder":
        assert all(offset % 16 == 0 for offset, _ in kernels.values())
        assert listing(cpio.read(data)).splitlines()[1:] == listing(machine.tree).splitlines()[1:]
    file = tmp_path / "initrd"
    file.write_bytes(data)
    survey = look.survey(file)
    assert not survey.contradictions
    assert survey.initrds[0].members[0].archives[0].acpi
    # Packed, neither is of any use.
    file.write_bytes(cpio.compress(cpio.dumps(machine.tree), "gzip", 1))
    assert "microcode and tables for ACPI in member 1" in look.survey(file).contradictions[0]


# -- what a base's kernel reads -------------------------------------------------------------------

BOTH = "CONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\nCONFIG_RD_ZSTD=y\n"


@standins.needs_tools
@pytest.mark.parametrize(
    ("config", "initrd", "smallest"),
    [
        (None, "gzip", "gzip"),
        (None, "xz", "xz"),
        (None, "zstd", "zstd"),
        (None, "none", "gzip"),
        (None, "lz4", "lz4"),
        (BOTH, "gzip", "xz"),
        (BOTH.replace("CONFIG_RD_XZ=y", "# CONFIG_RD_XZ is not set"), "gzip", "zstd"),
        ("CONFIG_RD_GZIP=y\n# CONFIG_RD_XZ is not set\n", "gzip", "gzip"),
        ("CONFIG_RD_LZ4=y\n", "none", "lz4"),
        ("# CONFIG_RD_GZIP is not set\n", "none", "none"),
    ],
)
def test_the_smallest_that_the_kernel_reads(
    tmp_path: Path, config: str | None, initrd: Any, smallest: str
) -> None:
    kernel = "6.12.11-tinycore64"
    image_of: Callable[[str], bytes] = standins.kernel_image
    data = image_of(kernel) if config is None else standins.kernel_with_config(kernel, config)
    (tmp_path / "vmlinuz64").write_bytes(data)
    (tmp_path / "core.gz").write_bytes(cpio.compress(cpio.dumps(standins.root_tree()), initrd, 1))
    found = foreign.open_foreign(f"{tmp_path}/core.gz,{tmp_path}/vmlinuz64")
    assert compressors.compressor_for(found, "", None) == smallest
    assert compressors.compressor_for(found, "kernel", None) == "zstd"
    if config is not None and "RD_XZ=y" not in config:
        with pytest.raises(ConfigError, match="cannot read initrds that are packed by xz"):
            compressors.compressor_for(found, "", "xz")
        assert compressors.compressor_for(found, "kernel", "xz") == "xz"
    assert compressors.compressor_for(found, "", "none") == "none"


def test_our_own_base_is_packed_by_zstd(tmp_path: Path) -> None:
    asked = wish.request(
        wish.Wish(variant="linux", output=tmp_path / "x.iso"), Dirs.from_env(), SilentReporter()
    )
    assert (asked.compressor, asked.level, asked.mode) == ("zstd", None, "layers")
    required = (Path(__file__).parents[2] / "recipes/kernel/files/config.required").read_text()
    assert "RD_ZSTD y" in required.splitlines()
