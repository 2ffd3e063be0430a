"""What the commands say to bad input, and that nothing bad is used. No network, no build root."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import (
    TOP,
    Home,
    Upstream,
    archive,
    interrupt_when,
    member,
    path_without,
    serving,
    tarball,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.cases.commandline import Finished

GOOD = tarball((member("x-1.0/file"), b"hello\n"))
REPOSITORY = (TOP / "docs/reference/exit-codes.md").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        yield server


def failed(said: Finished, code: int) -> str:
    """Check the status and that nothing went to standard output; return what was said."""
    assert (said.returncode, said.stdout) == (code, ""), said.stderr
    assert f"\n| {code} |" in REPOSITORY
    assert "Traceback" not in said.stderr
    return said.stderr


# -- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "guess"),
    [
        ("remaster --variant dokcer", "did you mean 'docker'?"),
        ("remaster build --variant dokcer --json", "did you mean 'docker'?"),
        ("remaster variant show dokcer", "did you mean 'docker'?"),
        ("remaster variant lint linus", "did you mean 'linux'?"),
        ("remaster --variant docker --base floo", "did you mean 'floe'?"),
        ("remaster --variant docker --boot-code noembde", "did you mean 'noembed'"),
        ("remaster boot-codes noembde", "did you mean 'noembed'"),
        ("remaster --variant docker --package conmonn --json", "did you mean 'conmon'?"),
        ("remaster --variant docker --set hostnam=node1", "did you mean 'hostname'?"),
        ("remaster --variant docker --set timezone=Europe/Berln", "did you mean 'Europe/Berlin'"),
        ("remaster variant new mine --extends dokcer", "did you mean 'docker'?"),
        ("remaster --variannt docker", "--variant"),
        ("remaster inspcet x.iso", "inspect"),
        ("tcz build conmonn --json", "did you mean 'conmon'?"),
        ("tcz build modules-KERNAL", "did you mean 'modules-KERNEL'?"),
        ("tcz fetch conmonn", "did you mean 'conmon'?"),
        ("tcz recipe show conmonn", "did you mean 'conmon'?"),
        ("tcz recipe lint conmonn", "did you mean 'conmon'?"),
        ("tcz deps conmonn --json", "did you mean 'conmon'?"),
        ("tcz biuld runc", "build"),
    ],
)
def test_an_unknown_name_gets_a_guess(home: Home, line: str, guess: str) -> None:
    program, *args = line.split()
    assert guess in failed(home.run(program, *args), 2)
    assert not home.dirs.cache.exists()


def test_all_unknown_packages_are_told_at_once(home: Home) -> None:
    wrong = ("--package", "conmonn", "--package", "dropber")
    said = failed(home.remaster("--variant", "linux", *wrong, "--progress", "none"), 2)
    assert "--package conmonn: conmonn: no recipe makes it (did you mean 'conmon'?)" in said
    assert "--package dropber: dropber: no recipe makes it (did you mean 'dropbear'" in said


def test_a_configured_base_that_is_unknown_names_its_file(home: Home) -> None:
    home.dirs.config.mkdir(parents=True)
    (home.dirs.config / "config.toml").write_text('base = "floo"\n')
    said = failed(home.remaster("--variant", "linux"), 2)
    assert "config.toml" in said
    assert "did you mean 'floe'?" in said


# -- files with mistakes ----------------------------------------------------------------------------

FIVE = """\
schema = 1
name = "five"
version = 12
sumary = "x"
license = "MIT"
homepage = "https://five.example/"
[build]
needs.debian = "gcc"
[[source]]
kind = "archive"
url = "https://five.example/a.tar.gz"
[[package]]
name = "five"
files = []
"""


@pytest.mark.parametrize("command", [("build",), ("recipe", "show"), ("recipe", "lint")], ids=" ".join)
def test_all_mistakes_of_a_recipe_are_told_with_their_lines(home: Home, command: tuple[str, ...]) -> None:
    home.recipe("five")
    (home.recipes / "five/recipe.toml").write_text(FIVE)
    said = failed(home.tcz(*command, "--recipes", "recipes", "five"), 2)
    at = "recipes/five/recipe.toml"
    for line, message in (
        (3, "version: "),
        (4, "sumary: "),
        (8, "debian: "),
        (9, "'sha256'"),
        (14, "files: "),
    ):
        assert any(f"{at}:{line}: " in told and message in told for told in said.splitlines()), said
    assert "did you mean 'summary'?" in said


def test_all_mistakes_of_a_variant_are_told_with_their_lines(home: Home) -> None:
    (home.folder / "mine.toml").write_text(
        'schema = 1\nname = "mine"\nsumary = "x"\nextends = "linux"\nboot-codes = ["noembde", "isolcpus=2"]\n'
        'packages.onboot = ["x.tcz"]\n[image]\ntimeout = "3"\n[[file]]\npath = "etc/motd"\nmode = "999"\n'
    )
    for command in (("--variant",), ("variant", "lint"), ("variant", "show")):
        said = failed(home.remaster(*command, "./mine.toml"), 2)
        told = (3, "sumary"), (5, "noembed"), (5, "iso=2"), (6, "without .tcz"), (8, "timeout"), (11, "'999'")
        for line, message in told:
            assert any(f"mine.toml:{line}: " in one and message in one for one in said.splitlines()), said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89\xff garbage \0", "cannot be read"),
        (b'{"schema": 1, "recipes": ["x"], "epo', "is not a lock"),
        (b"[]", "is not a lock"),
        (b'{"schema": 1, "recipes": "x", "epoch": "y", "debian": [{"name": "a"}]}', "mistakes"),
        (None, "No such file"),
    ],
    ids=["bytes", "truncated", "list", "mistakes", "absent"],
)
def test_a_damaged_lock(home: Home, data: bytes | None, said: str) -> None:
    if data is not None:
        (home.folder / "x.lock").write_bytes(data)
    home.recipe("some")
    for program, args in (
        ("tcz", ("build", "--recipes", "recipes", "some")),
        ("remaster", ("--variant", "linux", "--progress", "none")),
    ):
        told = failed(home.run(program, *args, "--lock", "x.lock"), 2)
        assert "x.lock" in told
        assert said in told


@pytest.mark.parametrize("kind", ["private", "garbage", "absent", "folder", "cut", "empty"])
def test_ssh_keys_that_are_none(home: Home, kind: str) -> None:
    key = home.folder / "key"
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    private, public = key.read_text(), (home.folder / "key.pub").read_text()
    words = {
        "private": "THIS IS A PRIVATE KEY",
        "garbage": "not a text file",
        "absent": "No such file",
        "folder": "Is a directory",
        "cut": "key:1: ",
        "empty": "no key in it",
    }
    key.unlink()
    match kind:
        case "private":
            key.write_text(private)
        case "garbage":
            key.write_bytes(bytes(range(256)))
        case "folder":
            key.mkdir()
        case "cut":
            key.write_text(public[:40])
        case "empty":
            key.write_text("")
    said = failed(home.remaster("--variant", "linux", "--ssh-key", "key", "--ssh-key", "key.pub"), 2)
    assert words[kind] in said
    assert private.splitlines()[1] not in said
    assert not (home.folder / "out").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_work(home: Home) -> None:
    (home.folder / "file").write_text("")
    for output in ("file/x.iso", ".", "/proc/x/y.iso"):
        said = failed(home.remaster("--variant", "linux", "--output", output), 2)
        assert "the output cannot be written" in said
    home.recipe("some")
    said = failed(home.tcz("build", "--recipes", "recipes", "some", "--write-lock", "file/x.lock"), 2)
    assert "the output cannot be written" in said
    assert not home.dirs.cache.exists()


def test_kernels_that_are_none(home: Home) -> None:
    said = failed(home.remaster("--variant", "linux", "--kernel", "./absent"), 2)
    assert "there is no kernel at absent" in said
    (home.folder / "empty").mkdir()
    said = failed(home.remaster("--variant", "linux", "--kernel", "./empty"), 5)
    assert "there is no kernel image in it" in said
    (home.folder / "text").write_text("hello")
    said = failed(home.remaster("--variant", "linux", "--kernel", "./text"), 5)
    assert "neither an image nor an archive" in said
    assert not (home.folder / "out").exists()


def test_a_cache_that_cannot_be_used(home: Home) -> None:
    home.recipe("some")
    (home.folder / "file").write_text("")
    said = failed(
        home.tcz("build", "--recipes", "recipes", "some", env={"XDG_CACHE_HOME": str(home.folder / "file")}),
        1,
    )
    assert f"{home.folder}/file/tcz" in said
    assert "Not a directory" in said


# -- sources ----------------------------------------------------------------------------------------


def fetch(home: Home, *more: str) -> Finished:
    return home.tcz("fetch", "--recipes", "recipes", "--progress", "none", "x", *more)


def stored(home: Home) -> list[Path]:
    return [path for path in (home.dirs.cache / "store/sha256").rglob("*") if path.is_file()]


@pytest.mark.parametrize("command", ["fetch", "build"])
def test_a_wrong_hash(home: Home, upstream: Upstream, command: str) -> None:
    home.offline()
    wanted = "1" * 64
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD, sha256=wanted))
    said = failed(home.tcz(command, "--recipes", "recipes", "--progress", "none", "x"), 5)
    found = hashlib.sha256(GOOD).hexdigest()
    assert f"expected {wanted}" in said
    assert f"found    {found}" in said
    assert upstream.url("x.tar.gz") in said
    (aside,) = (home.dirs.cache / "store/rejected").iterdir()
    assert str(aside) in said
    assert aside.read_bytes() == GOOD
    assert stored(home) == []
    assert list((home.dirs.cache / "store/partial").iterdir()) == []
    assert not (home.dirs.cache / "builds").exists() or not list((home.dirs.cache / "builds").iterdir())


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 100)


def server_error(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(503)


def test_sources_that_cannot_be_reached(home: Home, upstream: Upstream) -> None:
    home.offline()
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{idle.getsockname()[1]}/x.tar.gz"
        for url, why in (
            (upstream.url("absent/x.tar.gz"), "HTTP status 404"),
            (refused, "Connection refused"),
            (upstream.url("busy/x.tar.gz", server_error), "HTTP status 503"),
            ("http://nowhere.invalid/x.tar.gz", "nowhere.invalid"),
        ):
            home.recipe("x", archive(url, GOOD))
            said = failed(fetch(home), 4)
            assert "x.tar.gz could not be had from any of its places" in said
            assert url in said
            assert why in said
            assert "-> check the network" in said
    assert stored(home) == []


def test_a_connection_that_ends_early_is_resumed(home: Home, upstream: Upstream) -> None:
    home.offline()
    home.recipe("x", archive(upstream.url("x.tar.gz", cut), GOOD))
    said = failed(fetch(home), 4)
    assert "of 1000 bytes" in said
    whole = b"y" * 500_000

    def half(handler: BaseHTTPRequestHandler) -> None:
        upstream.answers["y.tar.gz"] = whole
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole[:200_000])

    home.recipe("x", archive(upstream.url("y.tar.gz", half), whole))
    assert fetch(home).returncode == 0
    assert upstream.asked[-1] == ("y.tar.gz", "bytes=200000-")
    (kept,) = stored(home)
    assert kept.read_bytes() == whole


HOSTILE = {
    "leaves the tree": tarball((member("x/../../evil"), b"evil")),
    "absolute": tarball((member("x/ok"), b"ok"), (member("/evil"), b"evil")),
    "through a link": tarball((member("x/l", tarfile.SYMTYPE, ".."), b""), (member("x/l/evil"), b"evil")),
    "link to the outside": tarball((member("x/l", tarfile.SYMTYPE, "../../../../etc/passwd"), b"")),
    "hard link outside": tarball((member("x/l", tarfile.LNKTYPE, "../../evil"), b"")),
    "device": tarball((member("x/d", tarfile.CHRTYPE), b"")),
    "truncated": GOOD[: len(GOOD) // 2],
    "no archive": b"<html>not found</html>",
    "empty": b"",
}


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap here")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_and_damaged_archives(home: Home, upstream: Upstream, kind: str) -> None:
    home.offline()
    data = HOSTILE[kind]
    home.recipe("x", archive(upstream.url("x.tar.gz", data), data))
    said = home.tcz("build", "--recipes", "recipes", "--progress", "none", "x")
    if "user namespace" in said.stderr:
        pytest.skip("this machine allows no user namespaces")
    told = failed(said, 5)
    assert "x.tar.gz" in told
    assert not list(home.folder.rglob("evil"))
    assert home.leftovers() == []
    assert not Path("/evil").exists()


# -- the machine ------------------------------------------------------------------------------------


def test_a_missing_bubblewrap_is_told_before_anything_is_fetched(home: Home, upstream: Upstream) -> None:
    home.offline()
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD))
    with path_without("bwrap") as path:
        said = failed(home.tcz("build", "--recipes", "recipes", "x", env={"PATH": path}), 6)
    assert "sudo apt-get install bubblewrap" in said
    assert upstream.asked == []


def test_a_missing_apt_or_qemu(home: Home) -> None:
    home.recipe("x")
    # The least that is a disk: only its boot signature.
    (home.folder / "x.img").write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))
    with path_without("apt-get", "apt-cache", "apt-config", "qemu-system-x86_64") as path:
        said = failed(
            home.tcz("build", "--recipes", "recipes", "--progress", "none", "x", env={"PATH": path}), 6
        )
        assert "sudo apt-get install apt" in said
        said = failed(home.remaster("run", "x.img", "--progress", "none", env={"PATH": path}), 6)
        assert "sudo apt-get install qemu-system-x86" in said


def on_small_disk(home: Home, *command: str, prepared: bool = True) -> Finished:
    """Run a tcz command with its cache on a disk of 20 MB, filled with what is in the cache now."""
    script = (
        "mkdir -p disk && mount -t tmpfs -o size=20m none disk && mkdir -p disk/tcz && "
        '{ [ ! -d .cache/tcz ] || cp -a .cache/tcz/. disk/tcz/; } && XDG_CACHE_HOME=$PWD/disk "$@"; '
        "status=$?; find disk/tcz -type f -size +1M >&2; exit $status"
    )
    if prepared:
        home.offline()
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    argv = [*own, "sh", "-c", script, "sh", sys.executable, "-m", "tcz", *command, "--recipes", "recipes"]
    return subprocess.run(
        [*argv, "--progress", "none"],
        cwd=home.folder,
        env=home.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_full_disk_is_seen_before_a_build(home: Home, upstream: Upstream) -> None:
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD))
    said = failed(on_small_disk(home, "build", "x"), 7)
    assert "building x needs 500 MB and only 2" in said
    assert upstream.asked == []


def test_a_full_disk_is_seen_before_the_lists_are_read(home: Home) -> None:
    home.recipe("x")
    said = failed(on_small_disk(home, "build", "x", prepared=False), 7)
    assert "needs 300 MB and only 2" in said


def test_a_full_disk_is_seen_before_a_download(home: Home, upstream: Upstream) -> None:
    def large(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "123000000")
        handler.end_headers()

    home.recipe("x", archive(upstream.url("x.tar.gz", large), GOOD))
    said = failed(on_small_disk(home, "fetch", "x"), 7)
    assert "needs 123 MB and only 2" in said


def test_a_disk_that_fills_up_all_the_same(home: Home, upstream: Upstream) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(bytes(1 << 20))

    home.recipe("x", archive(upstream.url("x.tar.gz", endless), GOOD))
    said = failed(on_small_disk(home, "fetch", "x"), 7)
    assert "the disk is full" in said
    assert "partial" in said


# -- Ctrl-C -----------------------------------------------------------------------------------------


def test_an_interrupted_download_is_resumed(home: Home, upstream: Upstream) -> None:
    home.offline()
    whole = bytes(range(256)) * 4000

    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole[:300_000])
        handler.wfile.flush()
        handler.rfile.read(1)  # until the other side goes away

    home.recipe("x", archive(upstream.url("x.bin", slow), whole) + "unpack = false\n")
    process = home.start("tcz", "fetch", "--recipes", "recipes", "--progress", "json", "x")
    partial = home.dirs.cache / "store/partial"
    out, err = interrupt_when(
        process, lambda: any(part.stat().st_size > 0 for part in partial.glob("*.part"))
    )
    assert (process.returncode, out) == (130, "")
    events = [json.loads(line) for line in err.splitlines()]
    assert events[-1]["event"] == "error"
    assert events[-1]["code"] == 130
    assert {event["outcome"] for event in events if event["event"] == "end"} <= {"done", "interrupted"}
    (part,) = partial.iterdir()
    size = part.stat().st_size
    upstream.answers["x.bin"] = whole
    assert fetch(home).returncode == 0
    assert upstream.asked[-1] == ("x.bin", f"bytes={size}-")
    (kept,) = stored(home)
    assert kept.read_bytes() == whole


# -- a damaged cache --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [GOOD[:-5], b"\0" * len(GOOD)], ids=["cut", "zeros"])
def test_a_damaged_file_in_the_store_is_fetched_anew(home: Home, upstream: Upstream, damage: bytes) -> None:
    home.offline()
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD))
    assert fetch(home).returncode == 0
    (kept,) = stored(home)
    kept.write_bytes(damage)
    said = home.tcz("fetch", "--recipes", "recipes", "x")
    assert said.returncode == 0
    assert "x.tar.gz: the copy in the cache was damaged" in said.stderr
    assert kept.read_bytes() == GOOD
    kept.write_bytes(damage)
    del upstream.answers["x.tar.gz"]
    assert "HTTP status 404" in failed(fetch(home), 4)
    assert not kept.exists()


@pytest.mark.parametrize("damage", [b"", b"[]", b"[{}", b'[{"name": 1}]', b"\xff\xfe", b"null"])
def test_damaged_pins_count_as_none(home: Home, damage: bytes) -> None:
    home.offline()
    home.recipe("x")
    for pins in (home.dirs.cache / "pins").iterdir():
        pins.write_bytes(damage)
    with path_without("apt-get", "apt-cache", "apt-config") as path:
        said = failed(
            home.tcz("fetch", "--recipes", "recipes", "--progress", "none", "x", env={"PATH": path}), 6
        )
    assert "install apt" in said  # they are resolved anew, which takes apt


# -- messages for programs --------------------------------------------------------------------------


def test_errors_are_json_lines_where_progress_is(home: Home, upstream: Upstream) -> None:
    home.offline()
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD, sha256="2" * 64))
    home.recipe("five")
    (home.recipes / "five/recipe.toml").write_text(FIVE)
    common = ("--json", "--progress", "json")
    for code, said in (
        (5, home.tcz("fetch", "--recipes", "recipes", "x", *common)),
        (2, home.tcz("build", "--recipes", "recipes", "five", *common)),
        (2, home.tcz("build", *common, "conmonn")),
        (2, home.remaster("--variant", "dokcer", *common)),
        (2, home.remaster("--variant", "linux", "--package", "conmonn", *common)),
    ):
        events = [json.loads(line) for line in failed(said, code).splitlines()]
        assert [event["event"] for event in events].count("error") == 1
        error = events[-1]
        assert error["event"] == "error"
        assert error["code"] == code
        assert error["what"]
        assert error["why"] or error["hint"]


def test_json_results_are_nothing_but_json(home: Home, upstream: Upstream) -> None:
    home.offline()
    home.recipe("x", archive(upstream.url("x.tar.gz", GOOD), GOOD))
    own = ("--recipes", "recipes")
    for args in (
        ("fetch", *own, "x", "--json"),
        ("build", *own, "x", "--dry-run", "--json"),
        ("recipe", "list", *own, "--json"),
        ("recipe", "show", *own, "x", "--json"),
        ("deps", *own, "x", "--json"),
        ("cache", "status", "--json"),
    ):
        said = home.tcz(*args)
        assert said.returncode == 0
        json.loads(said.stdout)
    for name in (("variant", "list"), ("variant", "show", "docker"), ("boot-codes",)):
        json.loads(home.remaster(*name, "--json").stdout)
