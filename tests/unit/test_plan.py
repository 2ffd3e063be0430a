from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remaster import plan
from remaster.manifest import SizeRow, size_table
from remaster.variant import FileSpec
from tcz.errors import ConfigError
from tcz.tree import Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = Tree(
    {
        "init": regular(b"", 0o755),
        "etc/passwd": regular(b"root:x:0:0::/root:/bin/sh\ntc:x:1001:50::/home/tc:/bin/sh\nbroken\n"),
        "etc/group": regular(b"staff:x:50:\n"),
        "opt": directory(0o2775, gid=50),
        "run": directory(),
        "var/run": symlink("../run"),
    }
)


def content(*files: FileSpec) -> plan.Content:
    return plan.Content(services=("a",), files=files, keys=(), manifest=b"{}\n", epoch=plan.EPOCH)


def spec(path: str, owner: str = "root:root") -> FileSpec:
    return FileSpec(path=path, content=b"x", owner=owner, where=path)


def test_owners_by_name_and_number() -> None:
    tree = plan.root_tree(BASE, content(spec("a", "tc:staff"), spec("b", "7:8"), spec("c", "0")))
    assert [(tree[p].uid, tree[p].gid) for p in "abc"] == [(1001, 50), (7, 8), (0, 0)]


def refused(*files: FileSpec) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        plan.root_tree(BASE, content(*files))
    return [(one.where, one.message) for one in caught.value.problems]


@pytest.mark.parametrize("name", ["passwd", "group", "shadow", "gshadow"])
def test_the_bases_accounts_are_not_replaced(name: str) -> None:
    ((where, message),) = refused(spec(f"etc/{name}"))
    assert (where, "users and groups" in message) == (f"etc/{name}", True)


def test_a_file_in_place_of_a_folder_is_one_mistake() -> None:
    assert refused(spec("opt"), spec("opt/x")) == [("opt", "/opt is a folder of the base")]


def test_folders_of_the_base_keep_their_modes() -> None:
    tree = plan.root_tree(BASE, content(spec("opt/x")))
    assert tree["opt"].mode & 0o7777 == 0o2775
    assert {node.mtime for _, node in tree.items()} == {plan.EPOCH}


@pytest.mark.parametrize(
    "path", ["etc/sysconfig/services", "init/x", "opt", "var/run/x", "usr/share/doc/floe/manifest.json"]
)
def test_conflicts(path: str) -> None:
    with pytest.raises(ConfigError):
        plan.root_tree(BASE, content(spec(path)))


def test_a_file_below_a_file() -> None:
    with pytest.raises(ConfigError, match="cannot be laid"):
        plan.root_tree(BASE, content(spec("srv/x"), spec("srv/x/y")))


def test_a_base_without_init() -> None:
    with pytest.raises(ConfigError, match="no /init"):
        plan.root_tree(Tree({"etc/passwd": regular(b"")}), content())


def test_unpacked_size_counts_pages() -> None:
    assert plan.unpacked_size(Tree({"a": regular(b"x")})) == 4096 + 2 * 1024


def test_volume_ids() -> None:
    assert plan.volume_id("floe-{name}-v{version}", name="docker", version="29.8.1") == "floe-docker-v29.8.1"
    for bad in ("x" * 33, "", "ä", "a\nb"):
        with pytest.raises(ConfigError):
            plan.volume_id(bad, name="", version="")


def test_the_table_of_sizes(golden: Callable[[str, str], None]) -> None:
    rows = (
        SizeRow(name="kernel", version="6.12.48", size=12_000_000, installed=0),
        SizeRow(name="docker-engine", version="29.8.1", size=31_234_567, installed=98_765_432),
    )
    golden("image/sizes.txt", size_table(rows))
