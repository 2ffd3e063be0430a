"""Packages in all three places of one image, looked at with the tools of others."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remaster import formats, image
from remaster.memory import MIB
from tcz.errors import CheckError, ConfigError
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, directory, regular
from tests.artefact import test_image as small
from tests.artefact.test_formats import tool
from tests.artefact.test_image_formats import CORE, stocked

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = small.pytestmark

PLACES = (("foo", "builtin"), ("libfoo", "root"))


def job_for(place: Path, **changes: Any) -> image.Job:
    shelf = stocked(place / "shelf", CORE)
    script = place / "shelf/libfoo.tcz"
    script.unlink()
    files = {
        "": directory(0o711, 1001, 50),
        "opt": directory(0o755),
        "usr/local/lib/libfoo.so": regular(b"lib" * 999),
        "usr/local/tce.installed/libfoo": regular(b"#!/bin/sh\n", 0o755),
    }
    writer.write(Tree(files), script, SquashOptions(), epoch=0)
    shelf.put("libfoo", "extension", script)
    wanted = {"places": PLACES, "optional": (), "ondemand": ("extra",), **changes}
    request = replace(
        small.request_for(place / "out/x.iso", **wanted), formats=formats.named(["iso,netboot,tar"])
    )
    return image.prepare(request, shelf)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("places")
    job = job_for(place)
    assert job.notes == (
        (
            "folders of libfoo are not as the system's, which stay: / (0755 0:0, not 0711 1001:50), "
            "/opt (2775 0:50, not 0755 0:0)"
        ),
    )
    dirs = Dirs(cache=place / "cache", config=place, state=place)
    image.make(job, dirs, SilentReporter(), HostRunner())
    return place / "out"


def members(packed: bytes, folder: Path) -> dict[str, list[str]]:
    """Return what cpio lists of every archive of an initrd, by name: the last one of a name counts."""
    raw = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout
    file = folder / "initrd.cpio"
    file.write_bytes(raw)
    listed = tool("cpio", "-itvn", "--quiet", "-F", file)
    return {line.split()[8]: line.split() for line in listed.splitlines()}


@pytest.fixture(scope="module")
def initrd(made: Path) -> dict[str, list[str]]:
    return members(small.read_iso(made / "x.iso", "/boot/floe.img"), made.parent)


def test_the_medium_has_what_is_left_for_it(made: Path) -> None:
    cde = {name for name in small.names_on(made / "x.iso") if name.startswith("/cde/")}
    assert cde == {"/cde/onboot.lst", "/cde/optional/extra.tcz", "/cde/optional/extra.tcz.md5.txt"}
    # Not empty: Tiny Core notes where the medium is only when it has a list to load.
    assert small.read_iso(made / "x.iso", "/cde/onboot.lst") == b"# nothing is loaded at boot\n"


def test_the_initrd(initrd: dict[str, list[str]]) -> None:
    assert initrd["opt"][:4] == ["drwxrwsr-x", "2", "0", "50"]
    assert initrd["."][:4] == ["drwxr-xr-x", "2", "0", "0"] if "." in initrd else True
    assert {name for name in initrd if name.startswith("tmp/builtin")} == {
        "tmp/builtin",
        "tmp/builtin/onboot.lst",
        "tmp/builtin/optional",
        *(f"tmp/builtin/optional/{name}.tcz" for name in ("foo", "modules-6.1")),
        *(f"tmp/builtin/optional/{name}.tcz.md5.txt" for name in ("foo", "modules-6.1")),
        "tmp/builtin/optional/foo.tcz.dep",
    }
    assert initrd["tmp/setup.lst"][0:4] == ["-rw-rw-r--", "1", "1001", "50"]
    assert {"usr/local/lib/libfoo.so", "usr/local/tce.installed/libfoo"} <= set(initrd)
    assert initrd["etc/ondemand/extra"][0] == "-rwxr-xr-x"


@pytest.mark.usefixtures("initrd")
def test_the_texts(made: Path) -> None:
    file = made.parent / "initrd.cpio"

    def read(path: str) -> str:
        return tool("cpio", "-i", "--quiet", "--to-stdout", "-F", file, path)

    assert read("tmp/builtin/onboot.lst") == "foo.tcz\n"
    assert read("tmp/setup.lst") == "/usr/local/tce.installed/libfoo\n"
    item = made / "item"
    item.write_text(read("etc/ondemand/extra"))
    assert "extra.tcz" in item.read_text()
    if shutil.which("shellcheck"):
        tool("shellcheck", item)
    item.unlink()


def test_over_the_network_all_are_built_in(made: Path) -> None:
    packed = (made / "x.netboot/initrd").read_bytes()
    # What is behind the packed archive is not packed.
    tail = packed[packed.index(b"070701") :]
    (made.parent / "tail.cpio").write_bytes(tail)
    listed = tool("cpio", "-it", "--quiet", "-F", made.parent / "tail.cpio").split()
    assert "tmp/builtin/optional/extra.tcz" in listed
    words = ("-i", "--quiet", "--to-stdout", "-F", made.parent / "tail.cpio")
    text = tool("cpio", *words, "tmp/builtin/onboot.lst")
    assert text == "foo.tcz\n"


def test_a_tar_has_all_unpacked(made: Path) -> None:
    names = set(tool("tar", "-tf", made / "x.tar").split())
    assert {"usr/local/bin/foo", "usr/local/lib/libfoo.so", "usr/local/tce.installed/foo"} <= names
    assert not any(name.startswith(("tmp/builtin", "tmp/setup.lst")) for name in names)


def test_the_manifest_tells(made: Path) -> None:
    packages = json.loads((made / "x.manifest.json").read_text())["packages"]
    told = {one["name"]: one.get("place") for one in packages if one["role"] == "package"}
    wanted = {"foo": "builtin", "libfoo": "root", "modules-6.1": "builtin", "extra": "cde"}
    assert told == told | wanted


def test_two_packages_with_one_file(tmp_path: Path) -> None:
    job_for(tmp_path / "a")
    shelf = stocked(tmp_path / "b/shelf", CORE)
    for name in ("foo", "extra"):
        path = tmp_path / f"b/shelf/{name}.tcz"
        path.unlink()
        writer.write(Tree({"usr/local/bin/same": regular(name.encode())}), path, SquashOptions(), epoch=0)
        shelf.put(name, "extension", path)
    request = small.request_for(
        tmp_path / "x.iso", places=(("*", "root"),), onboot=("foo", "extra"), optional=()
    )
    with pytest.raises(ConfigError) as caught:
        image.prepare(request, shelf)
    assert str(caught.value.why) == "/usr/local/bin/same: foo has it, and so has extra"


def test_budgets_and_what_is_told_before(tmp_path: Path) -> None:
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path, state=tmp_path)
    job = job_for(tmp_path)
    told = image.estimated(job, dirs)
    assert {one.name: one.place for one in told.table} == {
        **dict.fromkeys(("modules-6.1", "foo"), "builtin"),
        "libfoo": "root",
        "extra": "cde",
    }
    tight = job_for(tmp_path, max_iso_mb=1, max_ram_mb=16)
    with pytest.raises(CheckError, match="over the budget") as caught:
        image.make(tight, dirs, SilentReporter(), HostRunner())
    assert "max-iso-mb allows 1 MiB" in str(caught.value.why)
    assert "max-ram-mb allows 16 MiB" in str(caught.value.why)
    assert "foo is " in str(caught.value.hint)
    assert not (tmp_path / "out").exists()
    made = image.make(job_for(tmp_path), dirs, SilentReporter(), HostRunner())
    assert made.least_memory == told.least_memory
    assert abs(made.outputs.image.stat().st_size - told.iso) <= MIB
