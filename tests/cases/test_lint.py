"""``tcz lint`` as a whole: images of mksquashfs, repaired, and checked with unsquashfs."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz import commands, record
from tcz.cli import cli
from tcz.model import Built, BuiltPackage
from tcz.zsync import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

TOP = Path(__file__).parents[2]
SCRIPT = "usr/local/tce.installed/thing"
FILES = {
    "usr/local/bin/thing": "#!/bin/sh\necho thing\n",
    "usr/local/share/doc/thing/COPYING": "Do as you like.\n",
}
INFO = """\
Title:          thing.tcz
Description:    A thing
Version:        1.2
Author:         Somebody
Original-site:  https://thing.example
Copying-policy: MIT
Size:           4K
Extension_by:   us
Tags:           thing
Comments:       none
Change-log:     2025/01/01 first version
Current:        2025/01/01 first version
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(key, str(tmp_path / key))
    monkeypatch.setattr(commands, "standard_folders", tuple)
    return tmp_path


def tcz(*args: str | Path) -> Result:
    argv = ["lint", "--progress", "none", *map(str, args)]
    return CliRunner().invoke(cli, argv, prog_name="tcz", catch_exceptions=False)


def squash(image: Path, files: Mapping[str, str], *more: str, block: int = 4096) -> Path:
    """Make an image with the machine's mksquashfs; ``more`` are its pseudo files' lines."""
    folder = image.parent / f"{image.stem}-files"
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    for place in (folder, *folder.rglob("*")):
        if place.is_dir():
            place.chmod(0o755)
    pseudo = [word for line in more for word in ("-p", line)]
    options = ["-b", str(block), "-all-root", "-no-xattrs", "-noappend", "-quiet", "-no-progress"]
    # Owners given with -p count only without -all-root.
    if pseudo and os.geteuid() == 0:
        options.remove("-all-root")
    subprocess.run(["mksquashfs", folder, image, *options, *pseudo], check=True, stdout=subprocess.DEVNULL)
    return image


def complete(image: Path, *, info: str = INFO) -> Path:
    """Write what belongs beside an image."""
    name = image.name
    beside = {
        ".info": info.replace("thing.tcz", name),
        ".list": "".join(f"{path}\n" for path in sorted(FILES)),
        ".md5.txt": f"{hashlib.md5(image.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n",
    }
    for suffix, text in beside.items():
        image.with_name(name + suffix).write_text(text)
    return image


def rows(image: Path) -> dict[str, str]:
    """Return mode and owner of each path, as unsquashfs tells them."""
    out = subprocess.run(["unsquashfs", "-lln", image], check=True, capture_output=True, text=True).stdout
    lines = [line.split(None, 5) for line in out.splitlines() if " squashfs-root" in line]
    return {line[5].removeprefix("squashfs-root").lstrip("/"): f"{line[0]} {line[1]}" for line in lines}


def test_a_good_package(home: Path) -> None:
    result = tcz(complete(squash(home / "thing.tcz", FILES)))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1 package against floe: 0 errors, 0 warnings, 1 note (shown with --level note)\n"


ERRORS = {"base-folder", "world-writable", "list-content", "script-interpreter"}


def test_findings_as_text_and_json(home: Path) -> None:
    files = {**FILES, "usr/local/bin/old": "#!/bin/bash\n"}
    image = complete(squash(home / "thing.tcz", files, "usr/local/bin/old m 4777 0 0", "opt d 700 0 0"))
    result = tcz(image)
    assert result.exit_code == 9
    text = result.stdout.splitlines()
    assert text[0] == "thing"
    assert "  error   world-writable       /usr/local/bin/old: everybody may write it" in text
    assert "  warning set-id               /usr/local/bin/old: set-uid, 4777 0:0" in text
    assert "  error   list-content         /usr/local/bin/old: does not name what the package has" in text
    assert text[-1].startswith("1 package against floe: 4 errors, ")

    result = tcz(image, "--json", "--level", "error")
    told = json.loads(result.stdout)
    assert result.exit_code == 9
    assert set(told) == {"schema", "base", "kernel", "submission", "level", "packages", "summary"}
    assert told["schema"] == 1
    (package,) = told["packages"]
    assert set(package) == {"name", "path", "findings", "fixed"}
    assert {f["check"] for f in package["findings"]} == ERRORS
    keys = {"package", "check", "level", "message", "paths", "hint", "fixable", "allowed"}
    assert all(set(finding) == keys for finding in package["findings"])
    assert told["summary"]["errors"] == 4
    assert told["summary"]["warnings"] > 0


def faulty(home: Path) -> Path:
    """Return a package with much that can be repaired."""
    files = {
        **FILES,
        SCRIPT: "#!/bin/sh\r\n:\r\n",
        "usr/local/lib/x.la": "# x.la - a libtool library file\n",
        "usr/local/share/info/dir": "index",
        "tmp/x": "",
        "opt/x": "",
    }
    pseudo = (
        "usr/local/bin/thing m 646 1001 50",
        "opt m 700 0 0",
        "usr/local/tce.installed m 755 0 0",
        "usr/local/dev c 666 0 0 1 3",
    )
    image = squash(home / "thing.tcz", files, *pseudo, block=131072)
    complete(image, info=INFO.replace("4K", "9M").replace("Version:        ", "Version: "))
    image.with_name("thing.tcz.dep").write_text(" a.tcz\n\nthing.tcz")
    image.with_name("thing.tcz.zsync").write_text("zsync: 0.6.2\nFilename: thing.tcz\nLength: 1\n\n")
    image.chmod(0o755)
    return image


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("thing.tcz*")}


def test_repair(home: Path) -> None:
    image = faulty(home)
    before = contents(home)
    dry = tcz(image, "--submission", "--fix", "--dry-run")
    assert contents(home) == before
    assert (
        "  to fix  world-writable       /usr/local/bin/thing, /usr/local/dev: everybody may write it"
        in dry.stdout.splitlines()
    )

    result = tcz(image, "--submission", "--fix")
    assert result.exit_code == 0, result.stdout
    assert "  fixed   ships-tmp            /tmp: the package holds /tmp" in result.stdout.splitlines()
    found = rows(image)
    assert found["usr/local/bin/thing"] == "-rwxr-xr-x 0/0"
    assert found["opt"] == "drwxrwsr-x 0/50"
    assert found["usr/local/tce.installed"] == "drwxrwxr-x 0/50"
    assert found[SCRIPT] == "-rwxrwxr-x 0/50"
    assert not {"tmp", "tmp/x", "usr/local/dev", "usr/local/lib/x.la", "usr/local/share/info"} & set(found)
    facts = subprocess.run(["unsquashfs", "-s", image], check=True, capture_output=True, text=True).stdout
    assert "Block size 4096\n" in facts
    assert "Compression gzip\n" in facts
    cat = ["unsquashfs", "-cat", image, SCRIPT]
    assert subprocess.run(cat, check=True, capture_output=True).stdout == b"#!/bin/sh\n:\n"
    subprocess.run(["md5sum", "-c", "thing.tcz.md5.txt"], cwd=home, check=True, stdout=subprocess.DEVNULL)
    after = contents(home)
    assert after["thing.tcz.dep"] == b"a.tcz\n"
    assert after["thing.tcz.list"].decode().split() == sorted([*FILES, SCRIPT, "opt/x"])
    assert (
        parse(after["thing.tcz.zsync"]).sha1
        == hashlib.sha1(after["thing.tcz"], usedforsecurity=False).hexdigest()
    )
    for name, data in before.items():
        if after.get(name) != data:
            assert after[f"{name}.orig"] == data
    again = tcz(image, "--submission")
    assert again.exit_code == 0
    assert "error " not in again.stdout


def test_repair_in_place(home: Path) -> None:
    image = faulty(home)
    assert tcz(image, "--fix", "--in-place").exit_code == 0
    assert not [name for name in contents(home) if name.endswith(".orig")]
    assert tcz(image).exit_code == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a squashfs image"),
        (b"<html>not found</html>" * 10, "not a squashfs image"),
        (None, "truncated"),
    ],
)
def test_damaged_images(home: Path, data: bytes | None, said: str) -> None:
    image = squash(home / "thing.tcz", FILES)
    image.write_bytes(image.read_bytes()[:300] if data is None else data)
    result = tcz(image, "--fix", "--level", "error")
    assert result.exit_code == 9
    assert f"image-damaged        {said}" in result.stdout or said in result.stdout
    assert "Traceback" not in result.output


@cache
def good_image() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        return squash(Path(name) / "thing.tcz", FILES).read_bytes()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 1 << 16), value=st.integers(0, 255), cut=st.integers(0, 2000))
def test_mutated_images(tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: int) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    image = folder / "thing.tcz"
    data = bytearray(good_image())
    data[place % 700] = value
    image.write_bytes(bytes(data[: len(data) - cut]))
    result = tcz(image, "--json")
    assert result.exit_code in (0, 9), result.output
    json.loads(result.stdout)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nosuch"], "nosuch: no such file, recipe or package"),
        (["gone/x.tcz"], "gone/x.tcz: is not a file"),
        (["."], ".: holds no .tcz files"),
        (["thing.tcz", "--base", "flow"], "did you mean 'floe'?"),
        (["thing.tcz", "--only", "set-di"], "did you mean 'set-id'?"),
        (["thing.tcz", "--against", "gone"], "neither a folder of packages nor a provides.db"),
        (["--explain", "set-di"], "did you mean 'set-id'?"),
        (["thing.tcz", "--dry-run"], "go with --fix"),
        ([], "name packages"),
    ],
)
def test_mistakes(home: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str) -> None:
    (home / "empty").mkdir()
    squash(home / "thing.tcz", FILES)
    monkeypatch.chdir(home / "empty" if args == ["."] else home)
    result = tcz(*args)
    assert result.exit_code == 2
    assert said in result.output


def test_against_others(home: Path) -> None:
    shelf = home / "shelf"
    shelf.mkdir()
    complete(squash(shelf / "rival.tcz", FILES))
    image = complete(squash(home / "thing.tcz", FILES))
    image.with_name("thing.tcz.dep").write_text("gone.tcz\n")
    result = tcz(image, "--against", shelf)
    assert (
        "other-owns-file      /usr/local/bin/thing, /usr/local/share/doc/thing/COPYING: rival holds it too"
        in result.stdout
    )
    assert "dep-unknown" not in result.stdout
    (home / "provides.db").write_text("rival.tcz\nusr/local/bin/thing\n\nother.tcz\n/usr/local/x\n")
    result = tcz(image, "--against", home / "provides.db")
    assert result.exit_code == 9
    assert "other-owns-file      /usr/local/bin/thing: rival holds it too" in result.stdout
    assert "dep-unknown          there is no package gone" in result.stdout
    assert tcz(shelf, image, "--only", "other-owns-file").stdout.count("holds it too") == 2


def test_what_a_recipe_allows(home: Path) -> None:
    recipes = home / "recipes/thing"
    recipes.mkdir(parents=True)
    (recipes / "build.sh").write_text("true\n")
    (recipes / "recipe.toml").write_text(
        'schema = 1\nname = "thing"\nversion = "1"\nsummary = "x"\nlicense = "MIT"\nhomepage = "https://x.example/"\n'
        '[[package]]\nname = "thing"\nfiles = ["usr"]\n[package.allow]\nset-id = "it asks for a password"\n'
    )
    image = complete(squash(home / "build/thing.tcz", FILES, "usr/local/bin/thing m 4755 0 0"))
    size = image.stat().st_size
    package = BuiltPackage(
        name="thing", form="extension", path=image, sha256="0" * 64, size=size, installed=9, needs=()
    )
    ids = {"build_id": "0" * 64, "content_id": "1" * 64}
    built = Built(
        recipe="thing", version="1", folder=image.parent, packages=(package,), sources=(), root=(), **ids
    )
    record.write(built)
    result = tcz(image, "--recipes", home / "recipes")
    assert result.exit_code == 0
    assert "  allowed set-id               /usr/local/bin/thing: set-uid, 4755 0:0" in result.stdout
    assert "-> allowed: it asks for a password" in result.stdout
    assert result.stdout.endswith("1 allowed\n")
    assert tcz(image).stdout.count("warning set-id") == 1
    refused = tcz(image, "--fix")
    assert refused.exit_code == 2
    assert "builds are not repaired" in refused.stderr


def test_list_and_explain() -> None:
    assert "set-id                warning" in tcz("--list").stdout
    text = tcz("--explain", "base-folder").stdout
    assert text.startswith("base-folder (error)\n\nA folder that the base has too")
    assert text.endswith("tcz lint --fix repairs it.\n")


def on_a_terminal(image: Path, **env: str) -> str:
    """Run the command with a terminal as its standard output and return what it showed."""
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "tcz", "lint", "--progress", "none", str(image)]
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(TOP), "TERM": "xterm", **env}
    done = subprocess.run(argv, stdout=slave, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 9, done.stderr
    return shown


def test_colours_on_a_terminal_only(home: Path) -> None:
    image = squash(home / "thing.tcz", FILES)
    assert "\x1b[31m" in on_a_terminal(image)
    assert "\x1b[" not in on_a_terminal(image, NO_COLOR="1")
    assert "\x1b[" not in tcz(image).stdout
