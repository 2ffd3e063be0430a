import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tcz.errors import BuildError, ConfigError
from tcz.model import Device, OwnerRule, PackageSpec
from tcz.stage import claim, glob_pattern, lost_bits, scan, tree_of, with_startup
from tcz.tree import Tree, listing

EPOCH = 1735689600


def tree_from_folder(dest: Path, spec: PackageSpec, epoch: int) -> Tree:
    return tree_of(dest, claim(scan(dest), [spec])[spec.name], spec, epoch)


def stage(dest: Path, *paths: str) -> Path:
    for path in paths:
        target = dest / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir(exist_ok=True)
        else:
            target.write_text(path)
    return dest


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("usr/bin/*", "usr/bin/a", True),
        ("usr/bin/*", "usr/bin/a/b", True),
        ("usr/*/a", "usr/x/y/a", False),
        ("usr/**/a", "usr/x/y/a", True),
        ("usr/**/a", "usr/a", True),
        ("**", "usr/x", True),
        ("usr/local", "usr/local/bin/x", True),
        ("usr/local", "usr/localx", False),
        ("lib/*.so.[0-9]", "lib/x.so.1", True),
        ("lib/[!x]*", "lib/xy", False),
        ("lib/a+b.so", "lib/aab.so", False),
        ("/usr/bin/a", "usr/bin/a", True),
    ],
)
def test_globs(glob: str, path: str, *, expected: bool) -> None:
    assert (glob_pattern(glob).match(path) is not None) == expected


def test_each_file_has_one_owner(tmp_path: Path) -> None:
    stage(tmp_path, "usr/bin/a", "usr/bin/b", "usr/lib/c", "usr/lib/d")
    specs = [
        PackageSpec(name="one", files=("usr/bin", "etc/none")),
        PackageSpec(name="two", files=("usr/bin/b", "usr/lib/c")),
    ]
    with pytest.raises(ConfigError) as caught:
        claim(scan(tmp_path), specs)
    assert [(p.where, p.message) for p in caught.value.problems] == [
        ("package one", "'etc/none' matches no staged file"),
        ("usr/bin/b", "belongs to one and two"),
        ("usr/lib/d", "belongs to no package"),
    ]


def test_taking_back(tmp_path: Path) -> None:
    stage(tmp_path, "lib/a", "lib/net/b")
    specs = [
        PackageSpec(name="base", files=("lib", "!lib/net")),
        PackageSpec(name="net", files=("lib/net",)),
    ]
    shares = claim(scan(tmp_path), specs)
    assert [entry.path for entry in shares["base"]] == ["lib", "lib/a"]
    assert [entry.path for entry in shares["net"]] == ["lib/net", "lib/net/b"]


def test_owners_modes_links_and_devices(tmp_path: Path) -> None:
    stage(tmp_path, "bin/su", "etc/shadow", "usr/local/tce.installed/x", "var/empty/")
    (tmp_path / "bin/su").chmod(0o700)
    os.link(tmp_path / "bin/su", tmp_path / "bin/zu")
    (tmp_path / "lib64").symlink_to("lib")
    spec = PackageSpec(
        name="base",
        files=("**",),
        form="layer",
        owners=(
            OwnerRule(path="bin/*", mode=0o755, gid=7),
            OwnerRule(path="bin/su", mode=0o4755),
            OwnerRule(path="etc/shadow", mode=0o600),
            OwnerRule(path="var/empty", uid=1001, gid=50),
        ),
        devices=(Device(path="dev/console", kind="c", major=5, minor=1),),
    )
    tree = tree_from_folder(tmp_path, spec, EPOCH)
    assert listing(tree).splitlines() == [
        "drwxr-xr-x 0 0 0 .",
        "drwxr-xr-x 0 0 0 bin",
        "-rwsr-xr-x 0 7 6 bin/su",
        "-rwsr-xr-x 0 7 0 bin/zu = bin/su",
        "drwxr-xr-x 0 0 0 dev",
        "crw------- 0 0 5,1 dev/console",
        "drwxr-xr-x 0 0 0 etc",
        "-rw------- 0 0 10 etc/shadow",
        "lrwxrwxrwx 0 0 0 lib64 -> lib",
        "drwxr-xr-x 0 0 0 usr",
        "drwxr-xr-x 0 0 0 usr/local",
        "drwxrwxr-x 0 50 0 usr/local/tce.installed",
        "-rwxrwxr-x 0 50 25 usr/local/tce.installed/x",
        "drwxr-xr-x 0 0 0 var",
        "drwxr-xr-x 1001 50 0 var/empty",
    ]
    assert {node.mtime for _, node in tree.items()} == {EPOCH}


def test_extension_folders_look_as_in_the_base(tmp_path: Path) -> None:
    stage(tmp_path, "usr/local/bin/x", "usr/local/share/y")
    tree = tree_from_folder(tmp_path, PackageSpec(name="x", files=("usr",)), EPOCH)
    assert [(p, oct(n.mode & 0o7777), n.gid) for p, n in tree.items() if n.is_dir] == [
        ("", "0o755", 0),
        ("usr", "0o755", 0),
        ("usr/local", "0o775", 50),
        ("usr/local/bin", "0o775", 50),
        ("usr/local/share", "0o755", 0),
    ]


def test_set_id_bits_of_the_disk_do_not_count(tmp_path: Path) -> None:
    stage(tmp_path, "a")
    (tmp_path / "a").chmod(0o6777)
    tree = tree_from_folder(tmp_path, PackageSpec(name="x", files=("a",), form="layer"), EPOCH)
    assert stat.S_IMODE(tree["a"].mode) == 0o755


def test_refuses_sockets_and_idle_rules(tmp_path: Path) -> None:
    stage(tmp_path, "a")
    spec = PackageSpec(name="x", files=("a",), owners=(OwnerRule(path="b", mode=0o755),))
    with pytest.raises(ConfigError, match="match nothing"):
        tree_of(tmp_path, scan(tmp_path), spec, EPOCH)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
    with pytest.raises(BuildError, match="sock"):
        scan(tmp_path)


def test_a_startup_script(tmp_path: Path) -> None:
    stage(tmp_path, "usr/local/bin/x")
    spec = PackageSpec(name="x", files=("usr",))
    tree = with_startup(tree_from_folder(tmp_path, spec, EPOCH), "x", b"#!/bin/sh\n", EPOCH)
    assert [line for line in listing(tree).splitlines() if "tce.installed" in line] == [
        "drwxrwxr-x 0 50 0 usr/local/tce.installed",
        "-rwxrwxr-x 0 50 10 usr/local/tce.installed/x",
    ]
    assert {node.mtime for _, node in tree.items()} == {EPOCH}
    with pytest.raises(ConfigError, match="two startup scripts"):
        with_startup(tree, "x", b"#!/bin/sh\n", EPOCH)
    bare = with_startup(tree_of(tmp_path, (), replace(spec, files=()), EPOCH), "y", b"", EPOCH)
    assert "drwxrwxr-x 0 50 0 usr/local\n" in listing(bare)


def test_bits_that_are_lost(tmp_path: Path) -> None:
    stage(tmp_path, "bin/kept", "bin/lost", "bin/group", "bin/meant", "bin/plain")
    for name, mode in {"kept": 0o4755, "lost": 0o4755, "group": 0o2755, "meant": 0o4755}.items():
        (tmp_path / "bin" / name).chmod(mode)
    rules = (OwnerRule(path="bin/kept", mode=0o4711), OwnerRule(path="bin/meant", mode=0o755))
    spec = PackageSpec(name="x", files=("bin",), owners=(*rules, OwnerRule(path="bin/lost", gid=5)))
    tree = tree_from_folder(tmp_path, spec, EPOCH)
    assert lost_bits(scan(tmp_path), tree, spec) == ("bin/group", "bin/lost")
