"""Debian packages made by dpkg-deb, read into drafts and decided upon."""

import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz import bases
from tcz.deb import DebFile
from tcz.errors import ConfigError, VerifyError
from tcz.importing import closure, debian, finish, mapping, placing
from tcz.importing.archive import Spool
from tcz.importing.draft import Draft
from tcz.reporting import SilentReporter
from tcz.split import part_of
from tcz.store import sha256_file
from tcz.tree import Tree, directory, regular, symlink
from tests.unit.debs import control_text, make_deb

FLOE = bases.load("floe")
CORE = bases.load("corepure64-16.x")
COPYRIGHT = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: A\nLicense: Expat\n"
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "spool").mkdir()
    return Spool(folder=tmp_path / "spool")


def read(deb: Path, spool: Spool, base: bases.Base = FLOE, **options: Any) -> debian.Imported:
    return debian.read(deb, spool, debian.DebOptions(base=base, **options))


def paths(tree: Tree) -> list[str]:
    return [path for path, node in tree.items() if not node.is_dir]


def told(draft: Draft, verdict: str) -> list[str]:
    return [f"{note.where}: {note.text}" for note in draft.notes if note.verdict == verdict]


FILES: dict[str, str | bytes] = {
    "bin/tool": "#!/bin/bash\n",
    "usr/bin/toolctl": "x",
    "lib/x86_64-linux-gnu/libtool.so.1": "-> libtool.so.1.0",
    "usr/lib/x86_64-linux-gnu/libtool.so.1.0": "x",
    "lib/systemd/system/tool.service": "[Service]\n",
    "lib/firmware/tool.bin": "x",
    "etc/tool.conf": "a = 1\n",
    "etc/init.d/tool": "#!/bin/sh\n",
    "usr/lib/sysusers.d/tool.conf": "u tool - - /var/lib/tool\n",
    "usr/lib/tmpfiles.d/tool.conf": "d /run/tool 0750 tool tool\n",
    "usr/share/doc/tool/copyright": COPYRIGHT,
    "usr/share/doc/tool/changelog.gz": "x",
    "usr/share/man/man1/tool.1.gz": "x",
    "usr/share/locale/de/LC_MESSAGES/tool.mo": "x",
    "usr/share/lintian/overrides/tool": "x",
    "var/run/tool.sock.d/x": "x",
}


def make_tool(folder: Path, **fields: str) -> Path:
    return make_deb(
        folder,
        control_text("tool", section="net", homepage="https://tool.example/", **fields),
        FILES,
        extra={"conffiles": "/etc/tool.conf\n/etc/init.d/tool\n", "postinst": "add-shell /bin/tool\nfrob\n"},
        modes={"bin/tool": 0o4755, "usr/bin/toolctl": 0o755},
    )


@pytest.mark.parametrize("compress", ["xz", "gzip", "zstd", "none"])
def test_a_whole_package(tmp_path: Path, spool: Spool, compress: str) -> None:
    deb = make_deb(tmp_path, control_text("tool"), {"usr/bin/tool": "x" * 9999}, compress=compress)
    (draft,) = read(deb, spool).drafts
    assert paths(draft.tree) == ["usr/bin/tool"]
    assert draft.tree["usr/bin/tool"].read() == b"x" * 9999
    assert draft.epoch == 1_000_000_000
    assert draft.origins[0].sha256 == sha256_file(deb)


def test_everything_has_its_place(tmp_path: Path, spool: Spool) -> None:
    main, doc, locale = read(make_tool(tmp_path), spool).drafts
    assert (main.name, main.version, main.license, main.tags) == ("tool", "1:1.0-1", "MIT", ("net",))
    assert paths(main.tree) == [
        "bin/tool",
        "run/tool.sock.d/x",
        "usr/bin/tool",
        "usr/bin/toolctl",
        "usr/lib/x86_64-linux-gnu/libtool.so.1",
        "usr/lib/x86_64-linux-gnu/libtool.so.1.0",
        "usr/local/etc/init.d/tool",
        "usr/local/lib/firmware/tool.bin",
        "usr/local/share/doc/tool/copyright",
        "usr/local/share/tool/conffiles/etc/tool.conf",
    ]
    assert main.tree["bin/tool"].read() == b"../usr/bin/tool"
    assert stat.S_IMODE(main.tree["usr/bin/tool"].mode) == 0o4755
    assert "etc" not in main.tree
    assert (doc.name, paths(doc.tree)) == (
        "tool-doc",
        ["usr/share/doc/tool/changelog.gz", "usr/share/man/man1/tool.1.gz"],
    )
    assert (locale.name, paths(locale.tree)) == ("tool-locale", ["usr/share/locale/de/LC_MESSAGES/tool.mo"])
    assert told(main, "by-hand") == ["postinst: not done: frob"]
    assert len(told(main, "left-out")) == 3
    assert told(main, "done") == [
        "start-up script: makes the user tool where missing",
        "start-up script: makes the folder /run/tool where missing",
        "start-up script: enters /bin/tool into /etc/shells",
    ]


def test_other_prefix(tmp_path: Path, spool: Spool) -> None:
    (main,) = read(make_tool(tmp_path), spool, prefix="usr-local", docs="drop").drafts
    assert [path for path in paths(main.tree) if not path.startswith("usr/local/share")] == [
        "run/tool.sock.d/x",
        "usr/local/bin/tool",
        "usr/local/bin/toolctl",
        "usr/local/etc/init.d/tool",
        "usr/local/lib/firmware/tool.bin",
        "usr/local/lib/libtool.so.1",
        "usr/local/lib/libtool.so.1.0",
    ]
    assert main.tree["usr/local/lib/libtool.so.1"].read() == b"libtool.so.1.0"


def test_libraries_are_found_where_the_loader_looks(tmp_path: Path, spool: Spool) -> None:
    (main,) = read(make_tool(tmp_path), spool, CORE, docs="drop").drafts
    links = {path: node.read() for path, node in main.tree.items() if path.startswith("usr/local/lib/lib")}
    assert links == {
        "usr/local/lib/libtool.so.1": b"/usr/lib/x86_64-linux-gnu/libtool.so.1",
        "usr/local/lib/libtool.so.1.0": b"/usr/lib/x86_64-linux-gnu/libtool.so.1.0",
    }


def test_folders_look_as_the_base_has_them(tmp_path: Path, spool: Spool) -> None:
    (main,) = read(make_tool(tmp_path), spool, docs="keep").drafts
    tree = finish.final_tree(main, FLOE)
    for path, node in tree.items():
        there = FLOE.tree.get(path)
        if node.is_dir and there is not None and there.is_dir:
            assert (node.mode, node.uid, node.gid) == (there.mode, there.uid, there.gid), path
    assert (tree[""].mode, tree["usr/local/tce.installed"].mode) == (0o40755, 0o40775)
    script = tree["usr/local/tce.installed/tool"]
    assert (stat.S_IMODE(script.mode), script.uid, script.gid) == (0o775, 0, 50)


def test_the_start_up_script_runs(tmp_path: Path, spool: Spool) -> None:
    """Run the copying of configuration files below another root."""
    (main,) = read(make_tool(tmp_path), spool, docs="drop").drafts
    text = finish.final_tree(main, FLOE)["usr/local/tce.installed/tool"].read().decode()
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, text=True, check=True)
    root = tmp_path / "root"
    aside = root / "usr/local/share/tool/conffiles/etc"
    aside.mkdir(parents=True)
    (aside / "tool.conf").write_text("a = 1\n")
    lines = (
        text[text.index("cd /usr/local") :]
        .replace("/usr/local", f"{root}/usr/local")
        .replace('"/', f'"{root}/')
    )
    for _ in range(2):
        subprocess.run(["sh", "-eu", "-c", lines], check=True)
        assert (root / "etc/tool.conf").read_text().startswith("a = 1")
        (root / "etc/tool.conf").write_text("a = 1 # mine\n")
    assert (root / "etc/tool.conf").read_text() == "a = 1 # mine\n"


def test_the_same_bytes_in_other_places(tmp_path: Path) -> None:
    trees = []
    for name in ("one", "two"):
        (tmp_path / name / "spool").mkdir(parents=True)
        (main, *_) = read(make_tool(tmp_path / name), Spool(folder=tmp_path / name / "spool")).drafts
        tree = finish.final_tree(main, FLOE)
        trees.append([(p, n.mode, n.uid, n.gid, n.mtime, n.read(), n.link) for p, n in tree.items()])
    assert trees[0] == trees[1]


def test_what_is_no_package_for_this_machine(tmp_path: Path, spool: Spool) -> None:
    deb = make_deb(tmp_path, control_text("tool", architecture="arm64"), {"usr/x": "1"})
    with pytest.raises(VerifyError, match="a package for arm64"):
        read(deb, spool)
    whole = make_deb(tmp_path, control_text("other"), {"usr/x": "1"}).read_bytes()
    for cut in (0, 7, 80, len(whole) // 2, len(whole) - 40):
        (tmp_path / "cut.deb").write_bytes(whole[:cut])
        with pytest.raises(VerifyError):
            read(tmp_path / "cut.deb", spool)


# -- several packages -----------------------------------------------------------------------------


class Shelf:
    """Packages as an archive offers them."""

    def __init__(self, *debs: Path) -> None:
        self.debs = {deb.stem: deb for deb in debs}
        self.satisfied: list[str] = []

    def _files(self) -> tuple[DebFile, ...]:
        return tuple(
            DebFile(name=n, version="1", architecture="amd64", sha256=sha256_file(p), size=1, uri="")
            for n, p in sorted(self.debs.items())
        )

    def resolve(self, _names: object) -> tuple[DebFile, ...]:
        return self._files()

    def satisfy(self, depends: str) -> tuple[DebFile, ...]:
        self.satisfied.append(depends)
        return self._files()

    def candidate(self, name: str) -> DebFile:
        return next(deb for deb in self._files() if deb.name == name)

    def fetch(self, debs: Any) -> tuple[Path, ...]:
        return tuple(self.debs[deb.name] for deb in debs)


def shelf(folder: Path) -> Shelf:
    def make(name: str, files: dict[str, str | bytes], postinst: str = "", **fields: str) -> Path:
        extra = {"postinst": postinst} if postinst else {}
        modes = dict.fromkeys((path for path in files if "bin/" in path), 0o755)
        return make_deb(folder, control_text(name, **fields), files, extra=extra, modes=modes)

    alternative = "update-alternatives --install /usr/bin/editor editor {} {}\n".format
    return Shelf(
        make(
            "app",
            {"usr/bin/app": "#!/bin/bash\n"},
            depends="libc6 (>= 2), virtual | nothing, debconf, helper",
        ),
        make("libc6", {"usr/lib/x86_64-linux-gnu/libc.so.6": "x"}, depends="libgcc-s1"),
        make("libgcc-s1", {"usr/lib/x86_64-linux-gnu/libgcc_s.so.1": "x"}),
        make("debconf", {"usr/bin/debconf": "x"}, depends="perl-base"),
        make("perl-base", {"usr/bin/perl": "x"}),
        make(
            "real", {"usr/bin/a": "1"}, alternative("/usr/bin/a", 10), provides="virtual (= 1)", depends="app"
        ),
        make("helper", {"usr/bin/b": "2"}, alternative("/usr/bin/b", 20), depends="runc, zlib1g"),
        make("runc", {"usr/bin/runc": "x"}),
        make(
            "zlib1g",
            {
                "usr/lib/x86_64-linux-gnu/libz.so.1": "-> libz.so.1.3",
                "usr/lib/x86_64-linux-gnu/libz.so.1.3": "x",
            },
        ),
    )


def gather(apt: Shelf, spool: Spool, base: bases.Base = FLOE, **wish: Any) -> closure.Outcome:
    options = debian.DebOptions(base=base, docs="drop")
    whole = {"files": (), "names": (), "closure": True, "options": options, **wish}
    return closure.gather(closure.Wish(**whole), lambda: apt, spool, SilentReporter())  # type: ignore[arg-type]


def test_closure(tmp_path: Path, spool: Spool) -> None:
    found = gather(shelf(tmp_path), spool, names=("app",))
    assert {draft.name: draft.needs for draft in found.drafts} == {
        "app": ("real", "helper"),
        "helper": ("runc", "zlib1g"),
        # It needs app in turn, as Debian's packages may.
        "real": (),
        "runc": (),
        "zlib1g": (),
    }
    # What only Debian's own machinery or its libc leads to is not asked for at all.
    assert {one.package: one.by for one in found.provided} == {"libc6": "base", "debconf": "base"}
    by_name = {draft.name: draft for draft in found.drafts}
    assert by_name["helper"].tree["usr/bin/editor"].read() == b"/usr/bin/b"
    assert "usr/bin/editor" not in by_name["real"].tree
    (word,) = told(by_name["app"], "by-hand")
    assert word == "usr/bin/app: is run by /bin/bash, which is not there: load it too"


_NEEDS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.lists(st.sampled_from("abcdef"), max_size=4, unique=True).map(tuple),
    max_size=6,
)


@given(_NEEDS, st.sets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
def test_circles_are_opened(needs: dict[str, tuple[str, ...]], asked: set[tuple[str, str]]) -> None:
    whole = {name: tuple(need for need in needs.get(name, ()) if need != name) for name in "abcdef"}
    left, dropped = mapping.without_cycles(whole, lambda *edge: edge in asked)
    assert mapping._circle(left) is None
    assert bool(dropped) == (mapping._circle(whole) is not None)
    for name in left:
        # Whoever is on no circle loads all it did.
        if name not in set().union(*(mapping._reached(whole, need) for need in whole[name]), ()):
            assert mapping._reached(left, name) == mapping._reached(whole, name)


def test_what_programs_ask_for_stays() -> None:
    needs = {"a": ("b",), "b": ("a",), "c": ("a",), "d": ("b",)}
    left, dropped = mapping.without_cycles(needs, lambda name, need: (name, need) == ("a", "b"))
    assert dropped == (("b", "a"),)
    assert left == {"a": ("b",), "b": (), "c": ("a",), "d": ("b", "a")}


def test_libraries_of_the_base_and_recipes(tmp_path: Path, spool: Spool) -> None:
    recipes = {"runc": "runc"}
    found = gather(shelf(tmp_path), spool, CORE, names=("helper",), recipe_of=recipes.get)
    assert {draft.name: draft.needs for draft in found.drafts} == {"helper": ("runc",)}
    assert {one.package: (one.by, one.why) for one in found.provided} == {
        "runc": ("recipe", "the recipe's package runc is taken"),
        "zlib1g": ("base", "the base has libz.so.1"),
    }
    # Asked for by name, it is imported though the base has it.
    assert [draft.name for draft in gather(shelf(tmp_path), spool, CORE, names=("zlib1g",)).drafts] == [
        "zlib1g"
    ]


def test_merged(tmp_path: Path, spool: Spool) -> None:
    (draft,) = gather(shelf(tmp_path), spool, names=("app",), merge="all").drafts
    assert (draft.name, draft.needs, len(draft.origins)) == ("all", (), 5)
    assert {"usr/bin/app", "usr/bin/a", "usr/bin/b", "usr/bin/runc", "usr/bin/editor"} <= set(draft.tree)


def test_files_and_what_they_need(tmp_path: Path, spool: Spool) -> None:
    apt = shelf(tmp_path)
    own = (apt.debs["helper"], apt.debs["runc"])
    alone = gather(apt, spool, files=own, closure=False)
    assert {draft.name: draft.needs for draft in alone.drafts} == {"helper": ("runc", "zlib1g"), "runc": ()}
    assert not apt.satisfied
    whole = gather(apt, spool, files=own)
    assert [draft.name for draft in whole.drafts] == ["helper", "runc", "zlib1g"]
    assert apt.satisfied == ["runc, zlib1g"]
    with pytest.raises(ConfigError, match="two files of the package helper"):
        gather(apt, spool, files=(own[0], own[0]))


def test_renamed(tmp_path: Path, spool: Spool) -> None:
    (draft,) = gather(shelf(tmp_path), spool, names=("runc",), closure=False, rename="other").drafts
    assert draft.name == "other"


def test_scripts_interpreters_below_usr_are_linked(tmp_path: Path, spool: Spool) -> None:
    apt = Shelf(
        make_deb(
            tmp_path,
            control_text("app", depends="bash"),
            {"usr/bin/app": "#!/bin/bash\n"},
            modes={"usr/bin/app": 0o755},
        ),
        make_deb(tmp_path, control_text("bash"), {"usr/bin/bash": "x"}),
    )
    app, bash = gather(apt, spool, names=("app",)).drafts
    assert bash.tree["bin/bash"].read() == b"../usr/bin/bash"
    assert not told(app, "by-hand")


def test_the_table_holds_what_it_says() -> None:
    names = [rule.name for rule in mapping.rules()]
    assert len(names) == len(set(names))
    assert all(rule.why for rule in mapping.rules())
    assert mapping.by_rule("libc6", FLOE) is not None
    assert mapping.by_rule("gcc-14-base", CORE) is not None
    assert mapping.by_rule("bash", FLOE) is None
    bare = bases.Base(name="x", summary="", glibc=(2,), libraries=(), users={}, groups={}, tree=Tree())
    assert mapping.by_rule("libc6", bare) is None


# -- programs -------------------------------------------------------------------------------------


def test_programs_and_libc(tmp_path: Path, spool: Spool) -> None:
    program = Path("/usr/bin/dpkg-deb").read_bytes()
    deb = make_deb(tmp_path, control_text("app"), {"usr/bin/app": program}, modes={"usr/bin/app": 0o755})
    (draft,) = read(deb, spool, CORE).drafts
    checked = finish.check(draft, CORE)
    assert checked.draft.startup == ("[ -e /lib64 ] || ln -s lib /lib64",)
    assert "libc.so.6" in checked.programs.needed
    assert finish.check(draft, FLOE).draft.startup == ()
    old = bases.Base(
        name="old", summary="", glibc=(2, 2), libraries=FLOE.libraries, users={}, groups={}, tree=FLOE.tree
    )
    with pytest.raises(VerifyError, match="needs a newer libc") as caught:
        finish.check(draft, old)
    assert "the base has 2.2" in (caught.value.why or "")
    lacking = {word.split()[1] for word in told(*finish.check_together([checked], CORE), "by-hand")}
    assert "libc.so.6," not in lacking


# -- where things go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("usr/include/x.h", "dev"),
        ("usr/local/lib/pkgconfig/x.pc", "dev"),
        ("usr/lib/x86_64-linux-gnu/libx.a", "dev"),
        ("usr/lib/x86_64-linux-gnu/libx.so.1", "main"),
        ("usr/share/man/man1/x.1", "doc"),
        ("usr/local/share/doc/x/README", "doc"),
        ("usr/local/share/doc/x/COPYING", "main"),
        ("usr/share/doc/x/copyright", "main"),
        ("usr/share/locale/de/x.mo", "locale"),
        ("usr/share/manners", "main"),
        ("usr/bin/man", "main"),
    ],
)
def test_kinds(path: str, kind: str) -> None:
    assert part_of(path) == kind


_PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
_NODES = st.one_of(
    st.just(regular(b"x")),
    st.just(directory()),
    _PATHS.map(symlink),
    _PATHS.map(lambda path: symlink("/" + path)),
)


@given(st.dictionaries(_PATHS, _NODES, max_size=6), st.sets(_PATHS, max_size=2))
def test_without(nodes: dict[str, Any], gone: set[str]) -> None:
    tree = Tree(nodes)
    left = placing.without(tree, gone)
    for path in tree:
        lost = any(path == g or path.startswith(f"{g}/") for g in gone)
        assert not (lost and path in left and path)
        if not tree[path].is_dir and not lost:
            assert left[path] == tree[path]
    for path in left:
        was_empty = not any(other.startswith(f"{path}/") for other in tree)
        assert not path or not left[path].is_dir or was_empty or any(p.startswith(f"{path}/") for p in left)


def test_moving_keeps_links_leading_where_they_led() -> None:
    tree = Tree(
        {
            "usr/bin/a": regular(b""),
            "usr/bin/rel": symlink("../lib/x"),
            "usr/bin/abs": symlink("/usr/lib/x"),
            "usr/bin/same": symlink("a"),
            "usr/bin/out": symlink("/etc/alternatives/x"),
            "usr/lib/x": regular(b""),
            "opt/far": symlink("../usr/bin/a"),
        }
    )
    moved = placing.move(tree, lambda path: placing.new_place(path, "usr-local"))
    targets = {path: node.read().decode() for path, node in moved.items() if node.is_link}
    assert targets == {
        "usr/local/bin/rel": "../lib/x",
        "usr/local/bin/abs": "/usr/local/lib/x",
        "usr/local/bin/same": "a",
        "usr/local/bin/out": "/usr/local/etc/alternatives/x",
        "opt/far": "../usr/local/bin/a",
    }
