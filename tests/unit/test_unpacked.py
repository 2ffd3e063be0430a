"""Packages unpacked over a base: conflicts, folders, links, scripts."""

from __future__ import annotations

import stat

import pytest

from remaster.unpacked import SETUP, unpack
from tcz.errors import ConfigError
from tcz.tree import Node, Tree, directory, regular, symlink

BASE = Tree(
    {
        "tmp": directory(0o1777, gid=50),
        "opt": directory(0o2775, gid=50),
        "etc/hostname": regular(b"box\n"),
        "usr/local": directory(0o775, gid=50),
        "usr/local/tce.installed": directory(0o775, gid=50),
        "lib/libc.so.6": regular(b"libc"),
        "lib64": symlink("lib"),
        "var/run": symlink("../run"),
        "run": directory(),
    }
)


def laid(*packages: tuple[str, dict[str, Node]]) -> tuple[Tree, tuple[str, ...]]:
    found = unpack(BASE, [(name, Tree(nodes)) for name, nodes in packages], 7)
    return BASE.overlay(found.nodes), found.notes


def complaints(*packages: tuple[str, dict[str, Node]]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        laid(*packages)
    return [f"{p.where}: {p.message}" for p in caught.value.problems]


def test_two_packages_with_one_path_are_both_named() -> None:
    path = "usr/local/bin/x"
    assert complaints(("a", {path: regular(b"1")}), ("b", {path: regular(b"2")})) == [
        f"/{path}: a has it, and so has b"
    ]
    assert complaints(("a", {path: regular(b"1")}), ("b", {f"{path}/y": regular(b"")})) == [
        f"/{path}: a has it, and so has b"
    ]
    assert complaints(("a", {path: symlink("y")}), ("b", {path: regular(b"y")}))


def test_files_of_the_base_and_links_to_its_folders() -> None:
    assert complaints(("a", {"etc/hostname": regular(b"evil\n"), "lib64/libc.so.6": regular(b"other")})) == [
        "/etc/hostname: the base has it, and so has a",
        "/lib/libc.so.6: the base has it, and so has a",
    ]


def test_the_same_file_twice_is_no_conflict() -> None:
    tree, _ = laid(
        ("a", {"etc/hostname": regular(b"box\n", 0o600), "usr/local/share/x": regular(b"x")}),
        ("b", {"usr/local/share/x": regular(b"x", 0o755)}),
    )
    assert stat.S_IMODE(tree["etc/hostname"].mode) == 0o644
    assert stat.S_IMODE(tree["usr/local/share/x"].mode) == 0o644


def test_folders_of_the_system_stay_and_are_told() -> None:
    tree, notes = laid(
        (
            "a",
            {
                "": directory(0o700, 1001, 50),
                "opt": directory(0o755),
                "usr/local": directory(),
                "usr/local/lib": directory(0o700),
                "usr/local/own": directory(0o700, 5, 5),
            },
        ),
        ("b", {"usr/local/own": directory(0o755, 6, 6)}),
    )
    assert (tree["opt"].mode & 0o7777, tree["opt"].gid) == (0o2775, 50)
    assert tree[""].mode & 0o7777 == 0o755
    assert (tree["usr/local/own"].mode & 0o7777, tree["usr/local/own"].uid) == (0o700, 5)
    # What every base has is as every base has it, though this one lacks it.
    assert tree["usr/local/lib"].mode & 0o7777 == 0o775
    assert notes == (
        (
            "folders of a are not as the system's, which stay: / (0755 0:0, not 0700 1001:50), "
            "/opt (2775 0:50, not 0755 0:0), /usr/local/lib (0775 0:50, not 0700 0:0)"
        ),
        "folders of b are not as the system's, which stay: /usr/local/own (0700 5:5, not 0755 6:6)",
    )


@pytest.mark.parametrize("folder", ["tmp", "dev", "proc", "sys", "run"])
def test_what_belongs_to_the_running_system(folder: str) -> None:
    assert complaints(("a", {f"{folder}/x/y": regular(b"")})) == [
        f"package a: it holds /{folder}, which is the running system's"
    ]


def test_links_lead_to_where_they_lead_on_the_machine() -> None:
    first = regular(b"data")
    tree, _ = laid(
        (
            "a",
            {
                "lib64/libx.so": first,
                "lib64/liby.so": Node(mode=first.mode, link="lib64/libx.so"),
                "var/run/x": regular(b"pid"),
            },
        )
    )
    assert tree["lib/libx.so"].read() == b"data"
    assert tree["lib/liby.so"].link == "lib/libx.so"
    assert tree["run/x"].read() == b"pid"
    assert tree["lib64"].is_link


def test_a_link_that_leads_nowhere_is_in_the_way() -> None:
    assert complaints(("a", {"usr/local/x": symlink("gone")}), ("b", {"usr/local/x/y": regular(b"")})) == [
        "/usr/local/x: a has it, and so has b"
    ]


def test_scripts_run_at_boot_in_order_and_marks_stand_for_the_rest() -> None:
    mark = "usr/local/tce.installed"
    script = regular(b"#!/bin/sh\n", 0o755)
    tree, _ = laid(
        ("low", {f"{mark}/low": script}),
        ("plain", {"usr/local/share/plain": regular(b"")}),
        ("text", {f"{mark}/text": regular(b"no script")}),
        ("high", {f"{mark}/high": script}),
    )
    assert tree[SETUP].read().decode().split() == [f"/{mark}/low", f"/{mark}/high"]
    # tce-load adds to it as the boot user.
    assert (tree[SETUP].mode & 0o777, tree[SETUP].uid, tree[SETUP].gid) == (0o664, 1001, 50)
    assert tree[f"{mark}/plain"].read() == b""
    assert tree[f"{mark}/text"].read() == b"no script"
    assert "etc/sysconfig/newmodules" not in tree


def test_modules_are_announced() -> None:
    tree, _ = laid(("m", {"usr/local/lib/modules/6.1/kernel/x.ko": regular(b"")}))
    assert "etc/sysconfig/newmodules" in tree
    base = Tree({"lib/modules/6.1/modules.covered": regular(b"m\n")})
    package = Tree({"usr/local/lib/modules/6.1/kernel/x.ko": regular(b"")})
    assert "etc/sysconfig/newmodules" not in unpack(base, [("m", package)], 7).nodes
    assert "etc/sysconfig/newmodules" in unpack(base, [("m", package), ("n", package)], 7).nodes


def test_nothing_to_unpack_leaves_no_trace() -> None:
    assert len(unpack(BASE, [], 7).nodes) == 1
