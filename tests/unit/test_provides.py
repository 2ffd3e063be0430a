import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import bases, provides
from tcz.errors import ConfigError
from tcz.provides import Asked, Libraries, Provider, Wanted
from tcz.tree import Node, Tree, regular, symlink


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Node]:
    place = tmp_path_factory.mktemp("linked")
    (place / "x.c").write_text(
        "int f(void) { return 1; }\n#ifdef M\nint main(void) { return f(); }\n#endif\n"
    )
    for name, flags in {
        "libf.so.1.0": ("-shared", "-fPIC", "-Wl,-soname,libf.so.1"),
        "libbare.so": ("-shared", "-fPIC"),
        "program": ("-DM", "-Wl,--no-as-needed", "-L.", "-l:libf.so.1.0", "-l:libbare.so"),
        "static": ("-DM", "-static"),
    }.items():
        subprocess.run(["gcc", "-o", name, "x.c", *flags], cwd=place, check=True)
    return lambda name: regular((place / name).read_bytes(), mode=0o755)


def test_libraries_of_a_tree(linked: Callable[[str], Node]) -> None:
    tree = Tree(
        {
            "usr/local/lib/libf.so.1.0": linked("libf.so.1.0"),
            "usr/local/lib/libf.so.1": symlink("libf.so.1.0"),
            "usr/local/lib/libalias.so.3": symlink("/usr/local/lib/libf.so.1"),
            "usr/local/lib/libgone.so.3": symlink("libnone.so"),
            "usr/local/lib/libround.so": symlink("libround.so"),
            "usr/local/lib/own/libbare.so": linked("libbare.so"),
            "usr/local/bin/program": linked("program"),
            "usr/local/bin/static": linked("static"),
            "usr/local/bin/damaged": regular(linked("program").read()[:200]),
            "usr/local/bin/again": Node(mode=0o100755, link="usr/local/bin/static"),
        }
    )
    found = provides.libraries(tree)
    assert found.shared == {"libf.so.1", "libalias.so.3"}
    assert found.own == {"libf.so.1", "libalias.so.3", "libbare.so"}
    assert {wanted.soname for wanted in found.wanted if wanted.path == "usr/local/bin/program"} == {
        *("libf.so.1", "libbare.so", "libc.so.6"),
    }
    assert not [wanted for wanted in found.wanted if wanted.path == "usr/local/bin/static"]


def _libraries(own: str = "", wanted: str = "") -> Libraries:
    names = frozenset(own.split())
    return Libraries(
        shared=names, own=names, wanted=tuple(Wanted(path="bin/x", soname=name) for name in wanted.split())
    )


def _asked(name: str, own: str = "", wanted: str = "", needs: tuple[str, ...] = ()) -> Asked:
    return Asked(name=name, needs=needs, libraries=_libraries(own, wanted))


def _nobody(_soname: str) -> tuple[str, ...]:
    return ()


def test_where_libraries_are_looked_for() -> None:
    asked = [
        _asked("main", own="libown.so", wanted="libown.so libpart.so libc.so.6 libz.so.1 libq.so.2"),
        _asked("part", own="libpart.so"),
    ]
    upon = [
        Provider(package="zlib", sonames=frozenset({"libz.so.1", "libc.so.6", "libpart.so"})),
        Provider(package="aq", sonames=frozenset({"libq.so.2"})),
    ]
    found = provides.needs(asked, upon, frozenset({"libc.so.6"}), _nobody)
    assert found == {"main": ("aq", "part", "zlib"), "part": ()}


def test_of_several_the_one_that_is_needed_anyway() -> None:
    upon = [Provider(package=name, sonames=frozenset({"libz.so.1"})) for name in ("first", "second")]
    assert provides.needs([_asked("a", wanted="libz.so.1")], upon, frozenset(), _nobody) == {"a": ("first",)}
    named = _asked("a", wanted="libz.so.1", needs=("second",))
    assert provides.needs([named], upon, frozenset(), _nobody) == {"a": ()}


def test_what_nothing_brings() -> None:
    asked = [_asked("a", wanted="libz.so.1 libz.so.1"), _asked("b", wanted="liby.so.1")]
    known = {"libz.so.1": ("zlib (recipe zlib)",)}
    with pytest.raises(ConfigError, match="that nothing brings") as caught:
        provides.needs(asked, (), bases.load("floe").sonames, lambda name: known.get(name, ()))
    assert [(p.where, p.message, p.hint) for p in caught.value.problems] == [
        ("package a", "bin/x and 1 more asks for libz.so.1", "it is in zlib (recipe zlib)"),
        ("package b", "bin/x asks for liby.so.1", "no package built so far has it"),
    ]


_names = st.sampled_from([f"lib{letter}.so" for letter in "abcdef"])


@settings(max_examples=60)
@given(
    own=st.frozensets(_names),
    wanted=st.lists(_names),
    others=st.dictionaries(st.sampled_from(["p", "q", "r"]), st.frozensets(_names)),
    base=st.frozensets(_names),
)
def test_everything_wanted_is_had(
    own: frozenset[str], wanted: list[str], others: dict[str, frozenset[str]], base: frozenset[str]
) -> None:
    upon = [Provider(package=name, sonames=sonames) for name, sonames in others.items()]
    asked = [_asked("main", own=" ".join(own), wanted=" ".join(wanted))]
    everywhere = own.union(base, *others.values())
    missing = set(wanted) - everywhere
    if missing:
        with pytest.raises(ConfigError) as caught:
            provides.needs(asked, upon, base, _nobody)
        assert {problem.message.split()[-1] for problem in caught.value.problems} == missing
        return
    found = provides.needs(asked, upon, base, _nobody)["main"]
    assert set(wanted) <= own.union(base, *(others[name] for name in found))
    assert list(found) == sorted(set(found))
    # Nothing is needed that brings nothing which is missing.
    assert all(others[name] & (set(wanted) - own - base) for name in found)


def test_names_in_a_list() -> None:
    paths = ["usr/local/lib/libz.so.1", "usr/local/lib/x/libp.so", "lib/libq.so", "usr/local/bin/so"]
    assert provides.listed(paths) == ("libq.so", "libz.so.1")
