"""The indexes of modules, held against what depmod writes."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
import tarfile
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.kmod import depmod, modinfo, trie
from tests import floe
from tests.unit.modules_made import Made, elf

if TYPE_CHECKING:
    from pathlib import Path

DEPMOD = shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin")
RELEASE = "6.12.0-test"
needs_depmod = pytest.mark.skipif(DEPMOD is None, reason="no depmod of kmod here")

WORDS = st.text(alphabet="abcxyz_", min_size=1, max_size=6)
ALIASES = st.one_of(
    WORDS.map("alias=pci:v0000{}-*".format),
    WORDS.map("alias=fs-{}".format),
    st.sampled_from(["alias=usb:v[0-9a-f]*-x", "alias=devname:net/tun", "alias=char-major-10-200"]),
    WORDS.map("softdep=pre: {}".format),
    WORDS.map("description=alias={}".format),
)


@st.composite
def folders(draw: Any) -> tuple[dict[str, Made], str]:
    """Draw modules that need only those before them, and an order of some of them."""
    made: dict[str, Made] = {}
    exports: list[str] = []
    versions = draw(st.booleans())
    for number in range(draw(st.integers(1, 7))):
        own = tuple(f"sym_{number}_{n}" for n in range(draw(st.integers(0, 3))))
        wants = draw(st.lists(st.sampled_from([*exports, "printk", "kfree"]), max_size=4, unique=True))
        folder = draw(st.sampled_from(["fs", "net/core", "drivers"]))
        name = f"mod-{number}" if draw(st.booleans()) else f"mod{number}"
        made[f"kernel/{folder}/{name}.ko"] = Made(
            exports=own,
            wants=tuple(wants),
            info=tuple(draw(st.lists(ALIASES, max_size=4))),
            versions=versions,
            release=RELEASE,
        )
        exports += own
    order = draw(st.permutations(list(made)))
    return made, "".join(f"{path}\n" for path in order)


def indexed(folder: Path) -> tuple[depmod.IndexFile, ...]:
    """Return our indexes of a folder of modules."""
    paths = [path for path in folder.rglob("*") if modinfo.SUFFIX.search(path.name)]
    modules = [modinfo.read(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
    order, builtin, info = (folder / f"modules.{name}" for name in ("order", "builtin", "builtin.modinfo"))
    return depmod.indexes(
        depmod.link(modules, order.read_text() if order.exists() else ""),
        builtin=builtin.read_text() if builtin.exists() else "",
        builtin_info=info.read_bytes() if info.exists() else b"",
    )


def compared(top: Path, folder: Path) -> int:
    """Run depmod and compare; return how many files were the same."""
    ours = indexed(folder)
    subprocess.run([str(DEPMOD), "-b", top, "-C", "/dev/null", folder.name], check=True, capture_output=True)
    for one in ours:
        theirs = folder / one.name
        if one.name == "modules.symbols":
            # depmod's order of these lines is that of its hash table.
            assert sorted(theirs.read_bytes().splitlines()) == sorted(one.data.splitlines())
        elif one.name.endswith(".bin") and kmod() < 34:
            # Before, the nodes of an index had another order; what they say is the same.
            assert entries(theirs.read_bytes()) == entries(one.data), one.name
        elif theirs.exists() or one.name != "modules.weakdep":  # kmod knows these from 33 on
            assert theirs.read_bytes() == one.data, one.name
    return len(ours)


@cache
def kmod() -> int:
    """Return the version of kmod that is installed here."""
    said = subprocess.run([str(DEPMOD), "--version"], check=True, capture_output=True, text=True).stdout
    return int(said.split()[2])


def entries(data: bytes) -> list[tuple[str, int, str]]:
    """Read a binary index: key, priority and value of each entry, in the order that a walk meets them."""
    found: list[tuple[str, int, str]] = []

    def text(at: int) -> tuple[str, int]:
        end = data.index(b"\0", at)
        return data[at:end].decode(), end + 1

    def walk(word: int, before: str) -> None:
        at = word & 0x0FFFFFFF
        children = []
        if word & 0x80000000:
            prefix, at = text(at)
            before += prefix
        if word & 0x20000000:
            first, last = data[at : at + 2]
            words = struct.unpack_from(f">{last - first + 1}I", data, at + 2)
            children = [(chr(first + n), one) for n, one in enumerate(words) if one]
            at += 2 + 4 * len(words)
        if word & 0x40000000:
            (count,) = struct.unpack_from(">I", data, at)
            at += 4
            for _ in range(count):
                (priority,) = struct.unpack_from(">I", data, at)
                value, at = text(at + 4)
                found.append((before, priority, value))
        for letter, one in children:
            walk(one, before + letter)

    walk(struct.unpack_from(">I", data, 8)[0], "")
    return found


@needs_depmod
@settings(max_examples=40)
@given(folders(), st.sampled_from(["", "xz", "zst"]))
def test_the_same_bytes_as_depmod(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, Made], str], suffix: str
) -> None:
    top = tmp_path_factory.mktemp("modules")
    folder = top / "lib/modules" / RELEASE
    packers = {"": bytes, "xz": _xz, "zst": zstandard.compress}
    for path, made in drawn[0].items():
        file = folder / (f"{path}.{suffix}" if suffix else path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packers[suffix](elf(made)))
    (folder / "modules.order").write_text(drawn[1])
    (folder / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\nkernel/lib/crc-16.ko\n")
    (folder / "modules.builtin.modinfo").write_bytes(
        b"ext4.alias=fs-ext4\0ext4.license=GPL\0crc_16.alias=crypto-crc16\0"
    )
    assert compared(top, folder) == 11


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC32)


@needs_depmod
@pytest.mark.build
def test_the_modules_of_a_real_kernel(tmp_path: Path) -> None:
    """Those of the base layer of the recipe kernel."""
    built = [package for one in floe.workshop().build(["kernel"]) for package in one.packages]
    (path,) = (package.path for package in built if package.name == "kernel-base")
    with tarfile.open(path) as layer:
        layer.extractall(tmp_path, [one for one in layer if not one.issym()], filter="data")
    (folder,) = (tmp_path / "lib/modules").iterdir()
    packed = sorted(folder.rglob("*.ko.gz"))
    assert len(packed) > 50
    for module in packed:  # which not every depmod can read
        module.with_suffix("").write_bytes(gzip.decompress(module.read_bytes()))
        module.unlink()
    (folder / "modules.builtin.modinfo").touch()
    order = folder / "modules.order"
    if not order.exists():  # without it depmod takes them as the file system lists them
        names = (module.with_suffix("").relative_to(folder).as_posix() for module in packed)
        order.write_text("".join(f"{name}\n" for name in names))
    assert compared(tmp_path, folder) == 11


# -- modules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("versions", [True, False])
def test_what_a_module_says(versions: bool) -> None:  # noqa: FBT001
    made = Made(
        exports=("one", "two"),
        wants=("printk", ".dotted"),
        info=("alias=fs-x", "softdep=pre: y", "weakdep=z", "depends=a,b"),
        versions=versions,
    )
    for data in (elf(made), gzip.compress(elf(made)), _xz(elf(made)), zstandard.compress(elf(made))):
        found = modinfo.read("kernel/fs/x-y.ko.gz", data)
        assert found.name == "x_y"
        assert found.release == "6.12.0-test"
        assert (found.exports, found.wants) == (("one", "two"), ("printk", "dotted"))
        assert (found.aliases, found.softdeps, found.weakdeps) == (("fs-x",), ("pre: y",), ("z",))


def test_a_real_object_file(tmp_path: Path) -> None:
    """What a compiler makes, held against what nm says of it."""
    source = tmp_path / "x.c"
    source.write_text(
        'static const char a[] __attribute__((section(".modinfo"), used)) = "alias=fs-real";\n'
        "extern int elsewhere(void); int here(void) { return elsewhere(); }\n"
    )
    subprocess.run(["gcc", "-c", "-o", tmp_path / "x.ko", source], check=True)
    found = modinfo.read("x.ko", (tmp_path / "x.ko").read_bytes())
    assert found.aliases == ("fs-real",)
    undefined = subprocess.run(
        ["nm", "-u", tmp_path / "x.ko"], check=True, capture_output=True, text=True
    ).stdout
    assert sorted(found.wants) == sorted(undefined.split()[1::2])


@settings(max_examples=80)
@given(st.integers(0, 1200), st.binary(min_size=0, max_size=3), st.booleans())
@example(at=47, mutation=b"\x80", cut=False)  # sections far beyond what an offset in C can say
def test_damaged_modules_are_refused_or_read(at: int, mutation: bytes, cut: bool) -> None:  # noqa: FBT001
    data = elf(Made(exports=("a",), wants=("b",), info=("alias=c",)))
    damaged = data[:at] + mutation + (b"" if cut else data[at + len(mutation) :])
    try:
        modinfo.read("kernel/x.ko", damaged)
    except VerifyError as error:
        assert error.where == "kernel/x.ko"  # noqa: PT017 - either is right


def test_modules_that_need_each_other() -> None:
    pair = [
        modinfo.read(f"kernel/{own}.ko", elf(Made(exports=(own,), wants=(other,))))
        for own, other in (("a", "b"), ("b", "a"))
    ]
    with pytest.raises(VerifyError, match="need each other: a, b"):
        depmod.link(pair)


def test_an_alias_with_an_open_bracket_is_left_out_of_the_binary_index() -> None:
    assert depmod.normalized("usb-x[a-f]-y") == "usb_x[a-f]_y"
    assert depmod.normalized("usb[a-f") is None
    assert depmod.normalized("usb]") is None


def test_an_index_by_hand() -> None:
    """Two keys with a common beginning: a root, a node for both, one below it."""
    data = trie.write([trie.Entry(key="ab", value="x", priority=3), trie.Entry(key="abc", value="y")])
    assert data[:8] == bytes.fromhex("b007f45700020001")
    root = struct.unpack_from(">I", data, 8)[0]
    assert root == 0x20000000 | 12
    assert data[12:14] == b"aa"
    child = struct.unpack_from(">I", data, 14)[0]
    assert child == 0xE0000000 | 18
    assert data[18:20] == b"b\0"
    with pytest.raises(VerifyError, match="plain ASCII"):
        trie.write([trie.Entry(key="ä", value="")])
