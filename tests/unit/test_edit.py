from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remaster import edit
from tcz.errors import ConfigError
from tcz.tree import Node, Tree, regular, symlink
from tests.unit import standins

VALUES = {"tty": "ttyS1", "speed": "9600"}
ROOT = Tree(
    {
        path: regular(data, 0o755)
        for path, data in {
            "etc/init.d/tc-config": standins.TC_CONFIG,
            "etc/init.d/rc.shutdown": standins.RC_SHUTDOWN,
            "usr/bin/tce-setup": standins.TCE_SETUP,
            "etc/skel/.ashrc": standins.ASHRC,
            "etc/inittab": standins.INITTAB,
            "etc/securetty": standins.SECURETTY,
        }.items()
    }
)


def applied(root: Tree, release: str = "16.1") -> Tree:
    return edit.apply(root, edit.shipped(), release=release, values=VALUES, epoch=7)[0]


@pytest.mark.parametrize("release", ["10.0", "11.1", "12.0", "13.1", "14.0", "15.0", "16.2", "17.1", ""])
def test_all_edits_fit_every_release(release: str) -> None:
    tree, done = edit.apply(ROOT, edit.shipped(), release=release, values=VALUES, epoch=7)
    assert [one.name for one in done] == ["cgroup2", "kernel-waits", "network", "serial-login", "services"]
    assert set(done[3].files) == {"etc/inittab", "etc/securetty", "sbin/serial-autologin"}
    rows = tree["etc/inittab"].read().decode().splitlines()
    assert "ttyS1::respawn:/sbin/getty -nl /sbin/serial-autologin 9600 ttyS1 vt100" in rows
    config = tree["etc/init.d/tc-config"].read().decode()
    assert config.index("\n/opt/bootsync.sh\n") < config.index("image-services start")
    assert "while [ ! -e /dev/zram0 ]; do" not in config.replace("# kernel-waits: while", "")
    assert b"while ! grep -q ^/dev/sr /etc/fstab" in tree["usr/bin/tce-setup"].read()
    assert tree["etc/init.d/tc-config"].mode & 0o7777 == 0o755
    assert "tc-functions\nunset -f status\n" in tree["etc/skel/.ashrc"].read().decode()
    stop = tree["etc/init.d/rc.shutdown"].read().decode()
    assert stop.index("image-services shutdown") < stop.index("killall5")
    assert tree["etc/init.d/image-services"].mode & 0o7777 == 0o755


def test_twice_is_once_and_new_values_take_the_place_of_old_ones() -> None:
    once = applied(ROOT)
    assert applied(once) == once
    other = edit.apply(
        once, edit.shipped(), release="16.1", values={"tty": "ttyS0", "speed": "115200"}, epoch=7
    )[0]
    text = other["etc/inittab"].read().decode()
    assert "ttyS0::" in text
    assert "ttyS1" not in text


def test_scripts_still_parse() -> None:
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    tree = applied(ROOT)
    for path, node in tree.items():
        if (
            node.is_file
            and not path.startswith(("etc/inittab", "etc/securetty"))
            and not path.endswith(".awk")
        ):
            done = subprocess.run(["busybox", "ash", "-n", "/dev/stdin"], input=node.read(), check=False)
            assert done.returncode == 0, path


def test_a_login_that_is_there_already_stays() -> None:
    line = b"ttyS1::respawn:/sbin/getty 115200 ttyS1\n"
    nodes = {**dict(ROOT.items()), "etc/inittab": regular(standins.INITTAB + line)}
    assert applied(Tree(nodes))["etc/inittab"].read() == standins.INITTAB + line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"etc/init.d/rc.shutdown": None}, "/etc/init.d/rc.shutdown of release 16.1: is missing"),
        ({"etc/init.d/tc-config": b""}, "has the line '/opt/bootsync.sh' 0 times, not once"),
        ({"etc/init.d/tc-config": standins.TC_CONFIG * 2}, "has the line '/opt/bootsync.sh' 2 times"),
        (
            {"etc/inittab": b"# serial-login: tty1::respawn:/sbin/getty -nl /sbin/autologin 38400 tty1"},
            "no line",
        ),
    ],
)
def test_what_does_not_fit_names_release_and_file(change: dict[str, bytes | None], said: str) -> None:
    nodes: dict[str, Node] = dict(ROOT.items())
    for path, data in change.items():
        if data is None:
            del nodes[path]
        else:
            nodes[path] = regular(data)
    with pytest.raises(ConfigError) as caught:
        applied(Tree(nodes))
    assert said in "\n".join(caught.value.lines())


def test_releases_that_no_edit_is_known_for() -> None:
    for release in ("9.0", "18.0"):
        with pytest.raises(ConfigError) as caught:
            applied(ROOT, release)
        assert f"known for releases 10 to 17, and this is release {release}" in (caught.value.why or "")


def test_a_script_behind_a_link() -> None:
    nodes = dict(ROOT.items())
    nodes["etc/init.d/real"] = nodes.pop("etc/init.d/tc-config")
    nodes["etc/init.d/tc-config"] = symlink("real")
    tree = applied(Tree(nodes))
    assert tree["etc/init.d/tc-config"].is_link
    assert b"image-services" in tree["etc/init.d/real"].read()


LINES = st.lists(st.sampled_from(["anchor", "a", "b", "", "# x: end", "# x: anchor"]), max_size=8)


@given(LINES, st.sampled_from(["before", "after", "instead"]), st.sampled_from(["new", "a\nb"]))
def test_an_edit_is_the_same_when_it_is_made_twice(rows: list[str], place: edit.Place, text: str) -> None:
    line = edit.Line(file="f", anchor="anchor", place=place, text=text)
    try:
        once = edit.edited("\n".join(rows), "x", line)
    except ValueError:
        return
    assert edit.edited(once, "x", line) == once
    assert text in once


@pytest.mark.parametrize(
    ("ours", "floes"),
    [
        ("service-functions", "etc/init.d/service-functions"),
        ("service-supervisor", "etc/init.d/service-supervisor"),
        ("image-services", "etc/init.d/services"),
        ("network", "etc/init.d/network"),
        ("network-settings.awk", "etc/init.d/network-settings.awk"),
        ("dhcp.sh", "etc/init.d/dhcp.sh"),
        ("default.script", "usr/share/udhcpc/default.script"),
        ("serial-autologin", "sbin/autologin"),
    ],
)
def test_floe_and_other_bases_share_scripts(ours: str, floes: str) -> None:
    recipes = Path(__file__).parents[2] / "recipes/floe-base/files"
    assert (edit.SHIPPED / "files" / ours).read_bytes() == (recipes / floes).read_bytes()


def test_every_file_that_edits_put_in_is_what_it_should_be() -> None:
    """Where a checkout has no symbolic links, a file holds the name of what it should be."""
    for file in (edit.SHIPPED / "files").iterdir():
        assert not file.read_bytes().startswith(b"../"), file


#: A checkout, or a bare copy, of Tiny Core's scripts with its history; nothing of it is in this project.
THEIRS = os.environ.get("TCZ_CORE_SCRIPTS", "")
#: tce-setup as edits expect it. Release 10, the oldest that edits are made to, is of 2019.
SINCE = "2015-03-08"


def theirs(*words: str) -> bytes:
    return subprocess.run(["git", "-C", THEIRS, *words], check=True, stdout=subprocess.PIPE).stdout


def in_order(text: str, *wanted: str) -> None:
    places = [text.index(one) for one in wanted]
    assert places == sorted(places)


@pytest.mark.skipif(not THEIRS, reason="TCZ_CORE_SCRIPTS names no repository")
def test_every_state_of_tiny_cores_own_scripts() -> None:
    """All edits fit once, twice is once, the scripts parse, and what was added runs where it should."""
    seen = set()
    for commit in theirs("log", "--format=%H", f"--since={SINCE}").decode().split():
        paths = ("etc/init.d/tc-config", "etc/init.d/rc.shutdown", "usr/bin/tce-setup")
        nodes = dict(ROOT.items())
        nodes |= {path: regular(theirs("show", f"{commit}:{path}"), 0o755) for path in paths}
        state = tuple(nodes[path].read() for path in paths)
        if state in seen:
            continue
        seen.add(state)
        tree = applied(Tree(nodes), "")
        assert applied(tree, "") == tree
        for path in paths:
            done = subprocess.run(
                ["busybox", "ash", "-n", "/dev/stdin"], input=tree[path].read(), check=False
            )
            assert done.returncode == 0
        config, shutdown, _ = (tree[path].read().decode() for path in paths)
        in_order(config, "/sbin/udevd", "mount -t cgroup2", "modprobe -q isofs", "tce-setup")
        in_order(
            config, "tce-setup", 'tc-restore.sh "$TCEDIR"', "\n/opt/bootsync.sh\n", "image-services start"
        )
        in_order(shutdown, "image-services shutdown", "swapoff -a", "killall5", "umount -")
    assert len(seen) > 1
