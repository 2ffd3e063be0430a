"""Imports of real Debian packages, and images as unsquashfs sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tcz import bases, tar
from tcz.metadata import parse_dep, parse_info, parse_list, parse_md5
from tests import floe
from tests.unit.debs import control_text, make_deb


def tcz(*words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tcz", *map(str, words), "--progress", "none"], capture_output=True, check=True
    )
    return done.stdout.decode()


def listed(image: Path) -> dict[str, tuple[str, str, str]]:
    """Return mode, owner and target by path, as unsquashfs lists an image."""
    said = subprocess.run(["unsquashfs", "-llnumeric", image], capture_output=True, check=True, text=True)
    found = {}
    for line in said.stdout.splitlines():
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[5].startswith("squashfs-root"):
            path, _, target = words[5].removeprefix("squashfs-root").lstrip("/").partition(" -> ")
            found[path] = (words[0], words[1], target)
    return found


def test_files_of_a_package(tmp_path: Path) -> None:
    """Whatever unsquashfs and dpkg-deb say of the same package must agree."""
    files: dict[str, str | bytes] = {
        "usr/bin/tool": b"\x7fnot" * 50_000,
        "usr/bin/also": "-> tool",
        "usr/share/tool/data \u00e4": "x",
        "usr/share/doc/tool/copyright": "free",
        "opt/tool/x": "1",
    }
    deb = make_deb(tmp_path, control_text("tool"), files, modes={"usr/bin/tool": 0o4755})
    (path,) = tcz("import", deb, "--output", tmp_path / "out").split()
    image = Path(path)
    found = listed(image)
    assert found["usr/bin/tool"] == ("-rwsr-xr-x", "0/0", "")
    assert found["usr/bin/also"] == ("lrwxrwxrwx", "0/0", "tool")
    assert found["opt"] == ("drwxrwsr-x", "0/50", "")
    assert found[""] == ("drwxr-xr-x", "0/0", "")
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-d", tmp_path / "ours", image], check=True, capture_output=True
    )
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "theirs"], check=True)
    for name in files:
        ours = tmp_path / "ours" / name.replace("usr/share/doc/tool", "usr/local/share/doc/tool")
        assert ours.read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    paths = {path for path, (mode, *_) in found.items() if mode[0] != "d"}
    assert set(parse_list(Path(f"{image}.list").read_text())) == paths
    md5 = subprocess.run(["md5sum", image], capture_output=True, check=True, text=True).stdout.split()[0]
    assert parse_md5(Path(f"{image}.md5.txt").read_text()).md5 == md5
    assert not Path(f"{image}.dep").exists()
    assert "tool.deb" in parse_info(Path(f"{image}.info").read_text()).comments


@pytest.mark.build
def test_a_real_program_with_what_it_needs(tmp_path: Path) -> None:
    first = tcz("import", "jq", "--output", tmp_path / "one").split()
    assert [Path(path).name for path in first] == [
        *("jq.tcz", "jq-doc.tcz", "libjq1.tcz", "libjq1-doc.tcz", "libonig5.tcz", "libonig5-doc.tcz")
    ]
    tcz("import", "jq", "--output", tmp_path / "two")
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert parse_dep(Path(f"{first[0]}.dep").read_text()) == ("libjq1",)
    info = parse_info(Path(f"{first[0]}.info").read_text())
    assert (info.copying_policy, info.original_site) == ("MIT AND CC-BY-3.0", "https://jqlang.github.io/jq")
    (merged,) = tcz(
        "import", "jq", "--merge", "jq-all", "--docs", "drop", "--output", tmp_path / "all"
    ).split()
    root = tmp_path / "root"
    subprocess.run(["unsquashfs", "-q", "-n", "-d", root, merged], check=True, capture_output=True)
    library = root / "usr/lib/x86_64-linux-gnu"
    assert {"libjq.so.1", "libonig.so.5"} <= {path.name for path in library.iterdir()}


@pytest.mark.build
def test_nothing_to_complain_about(tmp_path: Path) -> None:
    """libncursesw6 has its licence in the folder of libtinfo6, and neither lies below /usr/local/lib."""
    tcz("import", "htop", "--output", tmp_path)
    reports = json.loads(tcz("lint", *sorted(tmp_path.glob("*.tcz")), "--json"))
    assert {"htop", "libncursesw6", "libtinfo6"} <= {one["name"] for one in reports["packages"]}
    found = [one for package in reports["packages"] for one in package["findings"]]
    assert found
    assert [one for one in found if one["level"] == "error"] == []


@pytest.mark.build
def test_closure_for_another_base(tmp_path: Path) -> None:
    """What the two bases have differs, and a dry run writes nothing."""
    plan = {}
    for base in ("floe", "corepure64-16.x"):
        said = json.loads(tcz("import", "rsync", "--base", base, "--dry-run", "--json", "--output", tmp_path))
        plan[base] = {one["package"] for one in said["provided"]}, {one["name"] for one in said["extensions"]}
    assert not list(tmp_path.iterdir())
    assert "zlib1g" in plan["corepure64-16.x"][0]
    assert "zlib1g" in plan["floe"][1]
    assert "libc6" in plan["floe"][0] & plan["corepure64-16.x"][0]


@pytest.mark.build
def test_what_ships_about_floe_is_true() -> None:
    """Compare the data of the base with the layers that recipes make."""
    tree = None
    for built in floe.workshop().build(["floe-base", "glibc", "busybox", "sudo"]):
        for package in built.packages:
            if package.form == "layer":
                layer = tar.read(package.path)
                tree = layer if tree is None else tree.overlay(layer)
    shipped = bases.load("floe")
    for path, node in shipped.tree.items():
        there = tree[path]
        assert (there.mode, there.uid, there.gid) == (node.mode, node.uid, node.gid), path
    missing = {path for path in tree if path.partition("/")[0] in ("bin", "sbin", "lib")} - set(shipped.tree)
    assert not missing
    accounts = {name: tree[f"etc/{name}"].read().decode().split() for name in ("passwd", "group")}
    ids = {
        name: {line.split(":")[0]: int(line.split(":")[2]) for line in lines if line.count(":") > 2}
        for name, lines in accounts.items()
    }
    assert dict(shipped.users) == {
        name: number for name, number in ids["passwd"].items() if name in shipped.users
    }
    assert dict(shipped.groups) == ids["group"]
