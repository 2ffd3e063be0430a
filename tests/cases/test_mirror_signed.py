"""Signed mirrors as whole command lines: made, served, copied, spoilt, and checked with minisign."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import Home
from tests.unit.mirror_made import package, quick_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
CATALOGUE = "catalogue/catalogue.json"


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@contextmanager
def served(home: Home, mirror: Path) -> Iterator[str]:
    """Serve a mirror by ``tcz mirror serve``; give its address."""
    process = home.start("tcz", "mirror", "serve", "-m", mirror, "--listen", "127.0.0.1:0")
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+[^/\s]", line)
        assert found is not None, line
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def verified(mirror: Path, key: Path) -> bool:
    words = ["minisign", "-Vm", str(mirror / "public" / CATALOGUE), "-p", str(key)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_a_signed_mirror_and_its_clients(folder: Path) -> None:
    maker, client = Home(folder / "maker"), Home(folder / "client")
    mirror, copy, packages = folder / "m", folder / "copy", folder / "in"
    package(packages, "thing", "lib")
    package(packages, "lib")
    ours, theirs = ("-m", mirror), ("-m", copy)
    public = maker.folder / "release.pub"
    public.write_text(maker.tcz("mirror", "keys", "new", "release").stdout)
    assert maker.tcz("mirror", "init", mirror, "--key", "release", "--title", "Ours").returncode == 0
    assert verified(mirror, public)
    # each command signs
    for words in (
        ("add", packages, "--no-lint"),
        ("remove", "thing"),
        ("add", packages / "thing.tcz", "--no-lint"),
        ("sign",),
        ("index",),
        ("repair",),
    ):
        done = maker.tcz("mirror", *words, *ours)
        assert done.returncode == 0, done.stderr
        assert verified(mirror, public)
    told = json.loads(maker.tcz("mirror", "status", "--json", *ours).stdout)
    assert (told["serial"], told["signed"], told["key_name"], told["fault"]) == (4, True, "release", "")
    assert told["signed_by"] in public.read_text()
    assert maker.tcz("mirror", "verify", *ours).returncode == 0

    assert client.tcz("mirror", "init", copy).returncode == 0
    with served(maker, mirror) as address:
        sync = ("mirror", "sync", "thing", "--from", address, *theirs)
        done = client.tcz(*sync, "--key", public)
        assert "2 copied" in done.stdout, done.stderr
        assert client.tcz("list", "--mirror", address, "--mirror-key", public).stdout == "lib\nthing\n"
        # whoever has no key publishes nothing, and says so, before anything else
        for words in (("add", packages, "--no-lint"), ("remove", "thing"), ("index",), ("sync", "thing")):
            done = client.tcz("mirror", *words, *ours)
            assert (done.returncode, "its secret key is not here" in done.stderr) == (2, True), done.stderr
            assert "--unsigned" in done.stderr
        done = client.tcz("build", "--publish", mirror, "nothing")
        assert (done.returncode, "its secret key is not here" in done.stderr) == (2, True), done.stderr
        # without a signature on purpose: who knows the key refuses, who does not goes on
        package(packages, "more")
        done = client.tcz("mirror", "add", packages / "more.tcz", "--no-lint", "--unsigned", *ours)
        assert done.returncode == 0, done.stderr
        shown = (copy / "public").readlink()
        done = client.tcz(*sync, "--all", "--key", public)
        assert (done.returncode, "the mirror is not signed" in done.stderr) == (5, True), done.stderr
        assert (copy / "public").readlink() == shown
        done = client.tcz("list", "--mirror", address, "--mirror-key", public)
        assert (done.returncode, done.stdout) == (5, "")
        assert "more" in client.tcz("list", "--mirror", address, "--branch", "17.x/x86_64").stdout
        done = maker.tcz("mirror", "verify", *ours)
        assert (done.returncode, "minisig: is not there" in done.stdout) == (9, True)
        assert "not to be believed" in maker.tcz("mirror", "status", *ours).stdout
        assert maker.tcz("mirror", "sign", *ours).returncode == 0
        assert verified(mirror, public)
        assert "1 copied" in client.tcz(*sync, "--all", "--key", public).stdout
        # and it is known from mirror.toml as well as from the command line
        line = public.read_text().splitlines()[1]
        (copy / "mirror.toml").write_text(
            (copy / "mirror.toml").read_text()
            + f'\n[[upstream]]\nname = "ours"\nurl = "{address}"\nkey = "{line}"\n'
        )
        (mirror / "public" / f"{CATALOGUE}.minisig").unlink()
        for words in ((), ("--from", "ours"), ("--from", f"{address}/")):
            done = client.tcz("mirror", "sync", *words, *theirs)
            assert (done.returncode, "the mirror is not signed" in done.stderr) == (5, True), done.stderr


def test_dry_runs_change_nothing(folder: Path) -> None:
    home = Home(folder / "home")
    mirror, packages = folder / "m", folder / "in"
    package(packages, "thing")
    home.tcz("mirror", "keys", "new", "release")
    assert home.tcz("mirror", "init", mirror).returncode == 0
    assert home.tcz("mirror", "add", packages, "--no-lint", "-m", mirror).returncode == 0
    assert home.tcz("mirror", "snapshot", "create", "first", "-m", mirror).returncode == 0

    def all_files() -> dict[str, bytes]:
        files = (path for path in mirror.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path): path.read_bytes() for path in files}

    before = all_files()
    for words in (
        ("remove", "thing"),
        ("index",),
        ("repair", "--drop"),
        ("sign",),
        ("gc",),
        ("publish", "--to", folder / "www"),
        ("snapshot", "create", "second"),
        ("snapshot", "remove", "first"),
        ("sync", "--all", "--from", mirror, "--replace"),
    ):
        done = home.tcz("mirror", *words, "--dry-run", "-m", mirror)
        assert done.returncode == 0, (words, done.stderr)
        assert all_files() == before
    assert not (folder / "www").exists()
    assert "no snapshot" in home.tcz("mirror", "snapshot", "remove", "x", "--dry-run", "-m", mirror).stderr


def test_every_command_takes_the_mirror_in_the_same_way(folder: Path) -> None:
    """Of the commands that work on one: by -m, by TCZ_MIRROR_DIR, or as the current folder."""
    home = Home(folder / "home")
    from tcz.cli import cli  # noqa: PLC0415 - its commands are counted

    group = cli.commands["mirror"]
    commands = [
        *group.commands.items(),
        *group.commands["snapshot"].commands.items(),  # type: ignore[attr-defined]
        *group.commands["files"].commands.items(),  # type: ignore[attr-defined]
    ]
    for name, command in commands:
        options = {option for param in command.params for option in param.opts}
        if name not in ("init", "keys", "snapshot", "files"):
            assert {"-m", "--mirror"} <= options, name
            metavars = [
                param.make_metavar(None) for param in command.params if not param.opts[0].startswith("-")
            ]
            assert not any("MIRROR" in (one or "") for one in metavars), name
        writes = name in ("add", "remove", "index", "repair", "sync", "gc", "create", "publish", "sign")
        assert not writes or "--dry-run" in options, name
        reads = name in ("verify", "status", "diff", "list")
        assert not reads or "--json" in options, name
    home.tcz("mirror", "init", "m")
    env = {"TCZ_MIRROR_DIR": "m"}
    for words in (("status",), ("verify",), ("nginx-config",), ("publish", "--to", "x", "--dry-run")):
        assert home.tcz("mirror", *words, env=env).returncode == 0
