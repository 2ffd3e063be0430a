from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tcz import lock, mirror_commands
from tcz.cli import cli
from tcz.errors import CheckError, ConfigError, VerifyError
from tcz.mirror import changes, differences, snapshots
from tcz.mirror import config as configs
from tcz.mirror.compose import state_files
from tcz.mirror.config import Config
from tcz.mirror.known import Chosen
from tcz.mirror.model import Branch
from tcz.mirror.repair import repair
from tcz.mirror.status import status
from tcz.mirror.upstream import Upstream, open_upstream
from tcz.mirror.verify import verify
from tcz.model import Built, BuiltPackage
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.squashfs import writer
from tcz.squashfs.image import Image
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree
from tests.unit.mirror_made import BRANCH, QUIET, added, begun, package, quick_folder
from tests.unit.repository_made import serving
from tests.unit.signed_made import rsync_daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tcz.mirror.repository import Mirror
    from tcz.mirror.upstream import Upstream

TODAY = date(2026, 1, 31)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with quick_folder() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with packages ``a`` (needs b), ``b``, and ``zstd`` (needs b)."""
    for name, needs in (("a", ["b"]), ("b", []), ("zstd", ["b"])):
        package(tmp_path / "in", name, *needs)
    return tmp_path / "in"


@pytest.fixture
def mirror(tmp_path: Path, folder: Path) -> Mirror:
    made = begun(tmp_path / "m")
    added(made, *sorted(folder.glob("*.tcz")))
    return made


def names(mirror: Mirror) -> list[str]:
    return sorted(mirror.catalogue().entries(BRANCH))


def test_a_mirror_begins_with_empty_indexes(tmp_path: Path) -> None:
    made = begun(tmp_path / "m")
    assert (made.public / BRANCH.folder / "info.lst").read_bytes() == b""
    assert status(made).branches[0].packages == 0
    assert verify(made, QUIET).damage == ()
    with pytest.raises(ConfigError, match="already"):
        begun(tmp_path / "m")
    (tmp_path / "n").mkdir()
    (tmp_path / "n/x").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        begun(tmp_path / "n")


def test_what_is_added_is_shown(mirror: Mirror, folder: Path) -> None:
    tcz = mirror.public / BRANCH.folder
    assert names(mirror) == ["a", "b", "zstd"]
    for name in ("a.tcz", "a.tcz.md5.txt", "a.tcz.dep", "a.tcz.info", "a.tcz.list"):
        assert (tcz / name).read_bytes() == (folder / name).read_bytes()
    assert (tcz / "a.tcz.tree").read_text() == "a.tcz\n   b.tcz\n\n"
    assert not (tcz / "b.tcz.dep").exists()
    assert not (tcz / "b.tcz.tree").exists()
    found = status(mirror)
    assert (found.serial, found.states, found.branches[0].warnings) == (2, (1, 2), ())
    assert verify(mirror, QUIET).damage == ()


def test_the_same_again_changes_nothing(mirror: Mirror, folder: Path) -> None:
    again = added(mirror, folder / "a.tcz")
    assert (again.published, again.packages[0].change) == (False, "unchanged")
    assert not changes.index(mirror, QUIET).published


def test_a_name_is_not_used_again_for_other_bytes(mirror: Mirror, folder: Path) -> None:
    old = (folder / "a.tcz").read_bytes()
    new = package(folder, "a", "b", version="2")
    with pytest.raises(CheckError, match="not used again"):
        added(mirror, new)
    assert status(mirror).serial == 2
    assert added(mirror, new, replacing=True).packages[0].change == "replaced"
    assert (mirror.public / BRANCH.folder / "a.tcz").read_bytes() == new.read_bytes()
    # The old bytes are there by their hash, and in the state before.
    assert mirror.objects.path(hashlib.sha256(old).hexdigest()).read_bytes() == old
    assert (mirror.root / "states/2" / BRANCH.folder / "a.tcz").read_bytes() == old


def test_companions_alone_may_change(mirror: Mirror, folder: Path) -> None:
    (folder / "b.tcz.dep").write_text("zstd.tcz\n")
    (folder / "zstd.tcz.dep").unlink()
    done = added(mirror, folder / "b.tcz", folder / "zstd.tcz")
    assert [one.change for one in done.packages] == ["companions", "companions"]
    assert (mirror.public / BRANCH.folder / "a.tcz.tree").read_text() == "a.tcz\n   b.tcz\n      zstd.tcz\n\n"
    assert not (mirror.public / BRANCH.folder / "zstd.tcz.tree").exists()


def test_all_or_nothing(mirror: Mirror, folder: Path) -> None:
    good = package(folder, "good")
    for name in ("bad", "worse"):
        (folder / f"{name}.tcz").write_bytes(b"<html>")
    with pytest.raises(ConfigError, match="nothing was added") as caught:
        added(mirror, good, folder / "bad.tcz", folder / "worse.tcz")
    assert [problem.where for problem in caught.value.problems] == [
        str(folder / "bad.tcz"),
        str(folder / "worse.tcz"),
    ]
    assert "good" not in names(mirror)
    assert verify(mirror, QUIET).damage == ()


def test_what_nobody_provides_is_told(mirror: Mirror, folder: Path) -> None:
    path = package(folder, "c", "zstt", "m-KERNEL")
    done = changes.add(mirror, [path], BRANCH, QUIET, dry_run=True)
    assert (done.published, len(done.warnings)) == (False, 1)
    assert "zstt.tcz (did you mean 'zstd'?)" in done.warnings[0]
    assert "m-KERNEL.tcz" in done.warnings[0]
    with pytest.raises(CheckError, match="nobody provides"):
        changes.add(mirror, [path], BRANCH, QUIET, strict=True)
    assert "c" not in names(mirror)
    more = [package(folder, "zstt"), package(folder, "m-6.1-tc")]
    assert not changes.add(mirror, [path, *more], BRANCH, QUIET, strict=True).warnings


def test_a_dry_run_writes_nothing(mirror: Mirror, folder: Path) -> None:
    def seen() -> set[Path]:
        return {path for path in mirror.root.rglob("*") if path != mirror.root / "tmp"}

    before = seen()
    path = package(folder, "c")
    assert changes.add(mirror, [path], BRANCH, QUIET, dry_run=True).packages[0].change == "new"
    assert not changes.remove(mirror, ["a"], BRANCH, QUIET, dry_run=True).published
    assert seen() == before


def test_removing(mirror: Mirror) -> None:
    with pytest.raises(ConfigError, match="nothing was removed"):
        changes.remove(mirror, ["a", "gone"], BRANCH, QUIET)
    with pytest.raises(CheckError, match="need what was to be removed") as caught:
        changes.remove(mirror, ["b"], BRANCH, QUIET)
    assert caught.value.why == "a.tcz needs b.tcz\nzstd.tcz needs b.tcz"
    assert names(mirror) == ["a", "b", "zstd"]
    changes.remove(mirror, ["b.tcz"], BRANCH, QUIET, force=True)
    assert names(mirror) == ["a", "zstd"]
    changes.remove(mirror, ["a", "zstd"], BRANCH, QUIET)
    assert names(mirror) == []
    assert verify(mirror, QUIET).damage == ()


def test_latest_follows_the_configuration(mirror: Mirror) -> None:
    config = configs.read(mirror.root)
    other = Branch.parse("16.x/x86")
    configs.write(
        mirror.root, Config(branches=(*config.branches, other), latest={"x86_64": "17.1", "x86": "16.2"})
    )
    assert changes.index(mirror, QUIET).published
    assert (mirror.public / "latest-x86_64").read_text() == "17.1\n"
    assert (mirror.public / other.folder / "info.lst").read_bytes() == b""
    configs.write(mirror.root, Config(branches=config.branches, latest={"x86": "16.2"}))
    changes.index(mirror, QUIET)
    assert not (mirror.public / "latest-x86_64").exists()


# -- verify and repair ----------------------------------------------------------------------------


def file(mirror: Mirror, name: str) -> Path:
    shown = mirror.shown()
    assert shown is not None
    return shown / BRANCH.folder / name


def grown(path: Path) -> None:
    with path.open("ab") as opened:
        opened.write(b"x")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"another")


DAMAGE: dict[str, Callable[[Mirror], object]] = {
    "a package grown": lambda m: grown(file(m, "a.tcz")),
    "a bit flipped": lambda m: flipped(file(m, "a.tcz")),
    "a package that is another file": lambda m: another(file(m, "a.tcz")),
    "a package gone": lambda m: file(m, "a.tcz").unlink(),
    "a companion": lambda m: grown(file(m, "a.tcz.info")),
    "an md5": lambda m: grown(file(m, "a.tcz.md5.txt")),
    "a dep": lambda m: flipped(file(m, "a.tcz.dep")),
    "a list": lambda m: flipped(file(m, "a.tcz.list")),
    "a zsync": lambda m: flipped(file(m, "a.tcz.zsync")),
    "a tree": lambda m: flipped(file(m, "a.tcz.tree")),
    "an index": lambda m: flipped(file(m, "md5.db")),
    "a packed index gone": lambda m: file(m, "provides.db.gz").unlink(),
    "a file too many": lambda m: file(m, "evil.tcz").write_bytes(b"evil"),
    "a file too many, of a strange name": lambda m: file(m, "e\nvil").write_bytes(b"evil"),
    "an object gone": lambda m: m.objects.path(m.catalogue().entries(BRANCH)["a"].sha256).unlink(),
    "a list of the catalogue": lambda m: flipped(m.public / "catalogue/17.x-x86_64.jsonl"),
    "the catalogue": lambda m: flipped(m.public / "catalogue/catalogue.json"),
    "a state gone": lambda m: shutil.rmtree(m.public.resolve()),
}
#: What cannot be read again from anywhere, but for an older state.
GIVEN_UP = ("a list of the catalogue", "the catalogue", "a state gone")


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_mended(kind: str, mirror: Mirror, folder: Path) -> None:
    DAMAGE[kind](mirror)
    assert verify(mirror, QUIET).damage
    mended = repair(mirror, QUIET, sources=[str(folder)], drop=kind in GIVEN_UP)
    assert mended.verified.damage == ()
    if kind not in GIVEN_UP:
        assert mended.dropped == ()
        assert names(mirror) == ["a", "b", "zstd"]
        assert file(mirror, "a.tcz").read_bytes() == (folder / "a.tcz").read_bytes()
    else:
        # What was published is the state before; its serial is one that was never seen.
        assert (names(mirror), mirror.catalogue().serial) == ([], 3)


def test_an_index_that_does_not_follow_is_found(mirror: Mirror) -> None:
    with mirror.writing(QUIET) as writer:
        old = mirror.catalogue()
        entry = replace(old.entries(BRANCH)["a"], md5="0" * 32)
        lie = writer.objects.add_bytes(b"lies\n")
        changed = replace(
            old.with_branch(BRANCH, {**old.entries(BRANCH), "a": entry}),
            serial=3,
            indexes={**old.indexes, f"{BRANCH.folder}/info.lst": lie},
        )
        writer.publish(state_files(changed, writer.objects), 3)
    told = {one.path for one in verify(mirror, QUIET).damage}
    assert any(path.startswith("objects/") for path in told)  # the md5 that is another
    with mirror.writing(QUIET) as writer:
        changed = replace(old, serial=4, indexes=changed.indexes)
        writer.publish(state_files(changed, writer.objects), 4)
        writer.prune(1)
    assert {one.path for one in verify(mirror, QUIET).damage} == {f"public/{BRANCH.folder}/info.lst"}
    assert repair(mirror, QUIET).verified.damage == ()
    assert file(mirror, "info.lst").read_text() == "a.tcz\nb.tcz\nzstd.tcz\n"


def test_what_cannot_be_mended_is_left_or_given_up(mirror: Mirror) -> None:
    snapshots.create(mirror, "keep", TODAY, QUIET)
    grown(file(mirror, "a.tcz"))
    left = repair(mirror, QUIET)
    assert {one.kind for one in left.verified.damage} == {"object", "file"}
    gone = repair(mirror, QUIET, drop=True)
    assert gone.verified.damage == ()
    assert set(gone.dropped) == {"17.x/x86_64/a.tcz", "the state 2", "the snapshot keep"}
    assert names(mirror) == ["b", "zstd"]


def test_an_upstream_that_is_a_folder_mends(mirror: Mirror, folder: Path) -> None:
    config = configs.read(mirror.root)
    upstream = configs.Upstream(name="one", url=str(folder))
    configs.write(mirror.root, Config(branches=config.branches, upstreams=(upstream,), latest={}))
    grown(file(mirror, "a.tcz"))
    assert repair(mirror, QUIET).restored == 1
    assert verify(mirror, QUIET).damage == ()


def test_mirrors_elsewhere_mend(mirror: Mirror, folder: Path, tmp_path: Path) -> None:
    lost = ("a.tcz", "a.tcz.info", "b.tcz")

    def reach(address: str, branch: Branch) -> Upstream:
        return open_upstream(Chosen(address=address), branch, tmp_path / "cache", HostRunner())

    with quick_folder() as other, serving(other) as server:
        copied = other / "17.x/x86_64/tcz"
        shutil.copytree(mirror.public / BRANCH.folder, copied)
        (copied / "b.tcz").write_bytes(b"something else")
        for name in lost:
            grown(file(mirror, name))
        dead = "http://127.0.0.1:9"
        left = repair(mirror, QUIET, sources=[dead, server.address], reach=reach)
        assert {one.path for one in left.verified.damage if one.kind == "file"} == {
            f"states/2/{BRANCH.folder}/b.tcz"
        }
        shutil.copy(folder / "b.tcz", copied)
        configs.write(
            mirror.root,
            replace(
                configs.read(mirror.root), upstreams=(configs.Upstream(name="o", url=f"{server.address}/"),)
            ),
        )
        assert repair(mirror, QUIET).verified.damage  # nothing is asked that is not allowed to be
        assert repair(mirror, QUIET, reach=reach).verified.damage == ()
        if shutil.which("rsync"):
            grown(file(mirror, "a.tcz"))
            with rsync_daemon(other, tmp_path / "daemon") as address:
                mended = repair(mirror, QUIET, sources=[address], reach=reach)
            assert (mended.restored, mended.verified.damage) == (1, ())
    assert verify(mirror, QUIET).leftovers == ()


# -- snapshots, gc, diff --------------------------------------------------------------------------


def test_snapshots_stay_and_gc_keeps_what_they_name(mirror: Mirror, folder: Path) -> None:
    assert snapshots.create(mirror, None, TODAY, QUIET).name == "2026-01-31"
    old = (folder / "a.tcz").read_bytes()
    for version in range(2, 8):
        added(mirror, package(folder, "a", "b", version=str(version)), replacing=True)
    assert snapshots.collect(mirror, QUIET, dry_run=True).objects > 0
    assert snapshots.collect(mirror, QUIET).objects > 0
    assert snapshots.collect(mirror, QUIET).objects == 0
    assert verify(mirror, QUIET).damage == ()
    shown = mirror.snapshots()["2026-01-31"] / BRANCH.folder / "a.tcz"
    assert shown.read_bytes() == old
    assert status(mirror).states == (2, 6, 7, 8)
    with pytest.raises(ConfigError, match="there is a snapshot"):
        snapshots.create(mirror, "2026-01-31", TODAY, QUIET)
    assert snapshots.remove(mirror, "2026-01-31", QUIET) == ("2",)
    assert snapshots.collect(mirror, QUIET).objects > 0
    assert not mirror.objects.path(hashlib.sha256(old).hexdigest()).exists()
    assert verify(mirror, QUIET).damage == ()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "-x", "x" * 101, "a b"])
def test_names_that_no_snapshot_can_have(name: str, mirror: Mirror) -> None:
    with pytest.raises(ConfigError):
        snapshots.create(mirror, name, TODAY, QUIET)
    with pytest.raises(ConfigError):
        snapshots.remove(mirror, name, QUIET)


def test_gc_keeps_what_a_lock_names(mirror: Mirror, folder: Path) -> None:
    sha256 = hashlib.sha256((folder / "a.tcz").read_bytes()).hexdigest()
    locked = lock.LockedPackage(name="a", version="1", sha256=sha256, size=1, recipe="a", build_id="x")
    (mirror.root / "locks").mkdir()
    (mirror.root / "locks/one.lock").write_text(
        lock.dumps(lock.Lock(recipes=(), epoch=0, packages=(locked,)))
    )
    for version in range(2, 8):
        added(mirror, package(folder, "a", "b", version=str(version)), replacing=True)
    snapshots.collect(mirror, QUIET)
    assert mirror.objects.path(sha256).exists()
    assert verify(mirror, QUIET).damage == ()
    (mirror.root / "locks/one.lock").write_text("{")
    with pytest.raises(ConfigError, match="lock"):
        snapshots.collect(mirror, QUIET)
    assert mirror.objects.path(sha256).exists()
    (mirror.root / "locks/one.lock").unlink()
    snapshots.collect(mirror, QUIET)
    assert not mirror.objects.path(sha256).exists()


def test_gc_keeps_all_that_belongs_to_what_a_lock_names(mirror: Mirror, folder: Path) -> None:
    first = mirror.catalogue().entries(BRANCH)["a"]
    locked = lock.LockedPackage(name="a", version="1", sha256=first.sha256, size=1, recipe="a", build_id="x")
    for version in range(2, 8):
        if version == 7:  # the last state that had it has gone long ago
            (mirror.root / "locks").mkdir()
            text = lock.dumps(lock.Lock(recipes=(), epoch=0, packages=(locked,)))
            (mirror.root / "locks/one.lock").write_text(text)
        added(mirror, package(folder, "a", "b", version=str(version)), replacing=True)
    with (mirror.root / "past.jsonl").open("a") as past:
        past.write('{"half')
    for _ in range(2):
        snapshots.collect(mirror, QUIET)
        assert all(mirror.objects.path(blob.sha256).is_file() for blob in first.files.values())
    # what is neither shown nor locked is forgotten with its bytes
    gone = (mirror.root / "past.jsonl").read_text().count('"name":"a"')
    assert gone == 3  # the locked one, and those of the two older states
    (mirror.root / "locks/one.lock").unlink()
    snapshots.collect(mirror, QUIET)
    assert not any(mirror.objects.path(first.files[suffix].sha256).is_file() for suffix in ("", ".info"))


def test_leftovers_are_told(mirror: Mirror) -> None:
    (mirror.root / "incoming").mkdir()
    (mirror.root / "incoming/a.0.part").write_bytes(b"half")
    found = verify(mirror, QUIET)
    assert (found.damage, len(found.leftovers)) == ((), 1)
    assert "incoming/: 1 files, 4 bytes" in found.leftovers[0]
    snapshots.collect(mirror, QUIET)
    assert (mirror.root / "incoming/a.0.part").is_file()  # the next sync goes on with it


def test_gc_removes_nothing_where_a_catalogue_cannot_be_read(mirror: Mirror) -> None:
    flipped(mirror.root / "states/1/catalogue/catalogue.json")
    changes.remove(mirror, ["a"], BRANCH, QUIET)
    before = set((mirror.root / "objects").rglob("*"))
    with pytest.raises(VerifyError):
        snapshots.collect(mirror, QUIET)
    assert set((mirror.root / "objects").rglob("*")) == before


def test_differences(mirror: Mirror, folder: Path, tmp_path: Path) -> None:
    snapshots.create(mirror, "old", TODAY, QUIET)
    (folder / "b.tcz.info").write_text((folder / "b.tcz.info").read_text().replace("test", "other"))
    added(mirror, package(folder, "a", version="2"), package(folder, "c"), folder / "b.tcz", replacing=True)
    changes.remove(mirror, ["zstd"], BRANCH, QUIET)

    def told(old: str, new: str) -> list[tuple[str, str, str, str]]:
        root = mirror.root
        pairs = differences.differences(
            differences.catalogue_of(root, old), differences.catalogue_of(root, new)
        )
        return [(one.name, one.change, one.old_version, one.new_version) for one in pairs]

    assert told("old", "now") == [
        ("a", "changed", "1", "2"),
        ("b", "companions", "1", "1"),
        ("c", "added", "", "1"),
        ("zstd", "removed", "1", ""),
    ]
    assert told("3", "4") == [("zstd", "removed", "1", "")]
    other = begun(tmp_path / "other")
    assert [one[1] for one in told("now", str(other.root))] == ["removed"] * 3
    for name in ("gone", "99", "../x/"):
        with pytest.raises(ConfigError):
            told(name, "now")


# -- tcz build --publish --------------------------------------------------------------------------


def test_builds_are_published(mirror: Mirror, tmp_path: Path) -> None:
    path = package(tmp_path / "build", "made", "b")
    made = BuiltPackage(
        name="made", form="extension", path=path, sha256="", size=1, installed=1, needs=("b",)
    )
    layer = replace(made, name="layer", form="layer", path=tmp_path / "layer.tar")
    build = Built(
        recipe="made",
        version="1",
        build_id="x",
        content_id="y",
        folder=path.parent,
        packages=(made, layer),
        sources=(),
        root=(),
    )
    wish = mirror_commands.AddWish()
    done = mirror_commands.publish_builds(mirror.root, [build], wish, [], QUIET)
    assert [(one.name, one.change) for one in done.packages] == [("made", "new")]
    path.with_name("made.tcz.info").write_text("Title: made.tcz\n")
    with pytest.raises(CheckError, match="lint finds errors"):
        mirror_commands.publish_builds(mirror.root, [build], wish, [], QUIET)


def test_a_mirror_that_is_wrong_shows_before_the_build(tmp_path: Path, mirror: Mirror) -> None:
    run = CliRunner()
    for args, word in (
        (["--publish", str(tmp_path)], "there is no mirror"),
        (["--publish", str(mirror.root), "--branch", "16.x/x86"], "no branch"),
        (["--replace"], "go with --publish"),
    ):
        done = run.invoke(cli, ["build", "runc", *args])
        assert done.exit_code == 2
        assert word in done.output


# -- lint of other architectures ------------------------------------------------------------------


def compiled(*flags: str) -> bytes:
    """Return a program that needs no library, for the processor that the flags name."""
    with quick_folder() as scratch:
        (scratch / "x.c").write_text("int _start(void){return 0;}")
        words = ["gcc", "-nostdlib", "-s", "-o", "x", "x.c", *flags]
        subprocess.run(words, cwd=scratch, check=True, capture_output=True)
        return (scratch / "x").read_bytes()


THIRTY_TWO = ("-m32", "-fpie", "-pie", "-Wl,--dynamic-linker=/lib/ld-linux.so.2")


def holding(folder: Path, name: str, program: bytes) -> Path:
    """Write a package with a program in it."""
    path = package(folder, name)
    tree = Image(path).tree()
    nodes = {p: replace(n, data=program) if n.is_file else replace(n, mtime=1) for p, n in tree.items()}
    path.unlink()
    writer.write(Tree(nodes), path, SquashOptions(), epoch=1, threads=1)
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    path.with_name(f"{path.name}.md5.txt").write_text(f"{md5}  {path.name}\n")
    return path


def test_lint_knows_what_a_branch_is_for(tmp_path: Path, home_of_its_own: None) -> None:
    del home_of_its_own
    branches = tuple(Branch.parse(f"17.x/{arch}") for arch in ("x86", "x86_64", "armv7", "aarch64"))
    other = Branch.parse("99.x/x86")
    config = Config(branches=(*branches, other), latest={})
    mirror = changes.init(tmp_path / "m", config, QUIET)
    narrow = holding(tmp_path / "in", "narrow", compiled(*THIRTY_TWO))
    wide = holding(tmp_path / "in", "wide", compiled("-static"))
    script = package(tmp_path / "in", "script")
    for branch in branches:
        wish = mirror_commands.AddWish(branch=str(branch))
        for path, arch in ((narrow, "x86"), (wide, "x86_64"), (script, branch.arch)):
            if arch == branch.arch:
                assert mirror_commands.add(mirror.root, [str(path)], wish, [], QUIET).published
            else:
                with pytest.raises(CheckError, match="lint finds errors") as told:
                    mirror_commands.add(mirror.root, [str(path)], wish, [], QUIET)
                assert "elf-machine" in (told.value.why or "")
    reporter = Telling()
    wish = mirror_commands.AddWish(branch=str(other))
    assert mirror_commands.add(mirror.root, [str(wide)], wish, [], reporter).published
    assert any("lint knows no base for 99.x/x86" in text for text in reporter.warnings)


class Telling(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
