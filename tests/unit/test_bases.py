import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz import bases
from tcz.errors import ConfigError
from tcz.tree import Tree, directory, regular, symlink

_NAME = st.text("abcdefxyz.+-_ ", min_size=1, max_size=8).filter(lambda n: n.strip() == n and n not in "..")


def test_floe() -> None:
    floe = bases.load("floe")
    assert floe.glibc == (2, 41)
    assert {"libc.so.6", "ld-linux-x86-64.so.2", "libstdc++.so.6", "libgcc_s.so.1"} <= floe.sonames
    assert "libz.so.1" not in floe.sonames
    assert {"ls", "ldconfig", "sudo", "tce-load"} <= floe.programs
    assert floe.has("lib64/ld-linux-x86-64.so.2")
    assert not floe.has("bin/bash")
    assert floe.tree["tmp"].mode & 0o7777 == 0o1777


def test_corepure64() -> None:
    core = bases.load("corepure64-16.x")
    assert {"libz.so.1", "libcrypt.so.1", "libblkid.so.1"} <= core.sonames
    assert not core.has("lib64/ld-linux-x86-64.so.2")
    assert core.tree["bin/busybox.suid"].mode & 0o7777 == 0o4755


def test_unknown() -> None:
    with pytest.raises(ConfigError, match="no base 'flow'"):
        bases.load("flow")
    with pytest.raises(ConfigError, match="line 2"):
        bases.parse_listing("-rw-r--r-- 0 0 a\n<html>\n")


def test_links_are_followed() -> None:
    tree = Tree({"a": symlink("b/../c"), "c/d": symlink("/e"), "e/f": regular(b""), "g": directory()})
    base = bases.Base(name="x", summary="", glibc=(2,), libraries=(), users={}, groups={}, tree=tree)
    assert base.real("a/d/f") == "e/f"
    assert base.has("a/d/f")
    assert base.real("a") == "a"


@given(
    st.dictionaries(
        _NAME,
        st.tuples(st.sampled_from("fdl"), st.integers(0, 0o7777), st.integers(0, 1 << 31), _NAME),
        max_size=5,
    )
)
def test_round_trip(entries: dict[str, tuple[str, int, int, str]]) -> None:
    made = {
        "f": lambda mode, uid, _: regular(b"", mode=mode, uid=uid),
        "d": lambda mode, uid, _: directory(mode, uid=uid),
        "l": lambda _, uid, target: symlink(target, uid=uid),
    }
    tree = Tree({name: made[kind](mode, uid, to) for name, (kind, mode, uid, to) in entries.items()})
    assert bases.parse_listing(bases.listing(tree)) == tree


@pytest.mark.parametrize("name", bases.names())
def test_every_base_can_be_loaded(name: str) -> None:
    base = bases.load(name)
    assert base.has("lib/ld-linux-x86-64.so.2")
    assert base.glibc >= (2, 28)
    assert base.own_listing == (name in ("floe", "corepure64-16.x"))
    assert base.largest_block == (4096 if name == "corepure64-10.x" else 1 << 20)
    assert base.summary in ("The base built from this project's recipes", f"Tiny Core {name[11:13]}, 64 bit")
