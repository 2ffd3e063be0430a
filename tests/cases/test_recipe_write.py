"""tcz recipe checksum, bump and new against servers on this machine."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import Home, Upstream, member, serving, tarball
from tests.cases.test_fetching import bare_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = tarball((member("x-1.0/file"), b"old\n"))
NEW = tarball((member("x-1.10/file"), b"new\n"))
CONFIGURE = b"""\
#!/bin/sh
echo "all:" > Makefile
"""
MIT = b"Permission is hereby granted, free of charge, to any person obtaining a copy of this\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.offline()
    return home


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        server.url("p/x-1.0.tar.gz", OLD)
        server.url("p/x-1.10.tar.gz", NEW)
        links = ("x-1.0.tar.gz", "x-1.10.tar.gz", "x-1.10.tar.gz.asc", "x-2.0-rc1.tar.gz", "y-7.tar.gz")
        server.url("p/", "".join(f'<li><a href="{link}">{link}</a>' for link in links).encode())
        yield server


def sample(home: Home, upstream: Upstream, digest: str) -> Path:
    home.recipe(
        "x",
        f'release = 3\n# from upstream\n[[source]]\nkind = "archive"\n'
        f'url = "{upstream.address}/p/x-{{version}}.tar.gz"\nsha256 = "{digest}"  # signed\n',
    )
    return home.recipes / "x/recipe.toml"


def test_checksum(home: Home, upstream: Upstream) -> None:
    file = sample(home, upstream, "")
    before = file.read_text()
    done = home.tcz("recipe", "checksum", "x", "--recipes", home.recipes, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f'+sha256 = "{sha(OLD)}"  # signed' in done.stdout
    assert file.read_text() == before
    assert home.tcz("recipe", "checksum", "x", "--recipes", home.recipes).returncode == 0
    assert file.read_text() == before.replace('""', f'"{sha(OLD)}"')
    again = home.tcz("recipe", "checksum", "x", "--recipes", home.recipes)
    assert again.stdout == ""
    assert "is right as it is" in again.stderr


def test_bump_to_the_newest_release(home: Home, upstream: Upstream) -> None:
    file = sample(home, upstream, sha(OLD))
    before = file.read_text()
    done = home.tcz("recipe", "bump", "x", "--recipes", home.recipes)
    assert done.returncode == 0, done.stderr
    after = before.replace('"1.0"', '"1.10"').replace(sha(OLD), sha(NEW)).replace("release = 3\n", "")
    assert file.read_text() == after
    back = home.tcz("recipe", "bump", "x", "1.0", "--recipes", home.recipes)
    assert back.returncode == 0, back.stderr
    assert file.read_text() == before.replace("release = 3\n", "")


def test_bump_of_a_commit_by_its_tags(home: Home, upstream: Upstream, tmp_path: Path) -> None:
    files, commit = bare_repository(tmp_path / "repository")
    refs = (
        files["info/refs"]
        + "".join(f"{commit}\trefs/tags/v{n}\n" for n in ("1.0", "1.2", "2.0-rc1")).encode()
    )
    upstream.url("r.git/info/refs?service=git-upload-pack", refs)
    upstream.url("r.git/HEAD", files["HEAD"])
    home.recipe(
        "x",
        f'[[source]]\nkind = "git"\nurl = "{upstream.address}/r.git"\n'
        f'ref = "v{{version}}"\ncommit = "{"0" * 40}"\n',
    )
    done = home.tcz("recipe", "bump", "x", "--recipes", home.recipes)
    assert done.returncode == 0, done.stderr
    text = (home.recipes / "x/recipe.toml").read_text()
    assert 'version = "1.2"' in text
    assert f'commit = "{commit}"' in text


@pytest.mark.parametrize(
    ("body", "args", "code", "message"),
    [
        ("", ("bump", "x"), 2, "no source says where newer versions are"),
        ("", ("bump", "y"), 2, "there is no recipe 'y'"),
        (
            '[[source]]\nkind = "archive"\nurl = "ADDRESS/q/x-{version}.zip"\n',
            ("bump", "x"),
            4,
            "cannot be told",
        ),
        ('[[source]]\nkind = "archive"\nurl = "ADDRESS/q/x.zip"\n', ("checksum", "x"), 4, "HTTP status 404"),
        ('[[source]]\nkind = "archive"\nuri = "ADDRESS/x.zip"\n', ("checksum", "x"), 2, "uri: unknown key"),
        ("[[source]\n", ("checksum", "x"), 2, "is not TOML"),
    ],
)
def test_what_goes_wrong(
    home: Home, upstream: Upstream, body: str, args: tuple[str, ...], code: int, message: str
) -> None:
    home.recipe("x", body.replace("ADDRESS", upstream.address))
    before = (home.recipes / "x/recipe.toml").read_text()
    done = home.tcz("recipe", *args, "--recipes", home.recipes)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (home.recipes / "x/recipe.toml").read_text() == before


def test_new_from_an_address(home: Home, upstream: Upstream) -> None:
    run = member("tool-1.2/configure")
    run.mode = 0o755
    readme = (member("tool-1.2/README.md"), b"# tool\n\nA small tool for tests.\n")
    data = tarball((run, CONFIGURE), (member("tool-1.2/LICENSE"), MIT), readme)
    url = upstream.url("releases/1.2/tool-1.2.tar.gz", data)
    done = home.tcz("recipe", "new", "--from-url", url, "--into", home.recipes)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    shown = json.loads(home.tcz("recipe", "show", "tool", "--recipes", home.recipes, "--json").stdout)
    assert (shown["version"], shown["license"], shown["summary"]) == ("1.2", "MIT", "A small tool for tests")
    assert shown["sources"][0]["sha256"] == sha(data)
    text = (home.recipes / "tool/recipe.toml").read_text()
    assert f'url = "{upstream.address}/releases/{{version}}/tool-{{version}}.tar.gz"' in text
    assert "./configure --prefix=/usr/local" in (home.recipes / "tool/build.sh").read_text()
    lint = home.tcz("recipe", "lint", "tool", "--recipes", home.recipes)
    assert (lint.returncode, lint.stderr) == (0, "")
    again = home.tcz("recipe", "new", "--from-url", url, "--into", home.recipes)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_new_without_a_version_or_with_two_origins(home: Home, upstream: Upstream) -> None:
    url = upstream.url("latest.tar.gz", OLD)
    done = home.tcz("recipe", "new", "--from-url", url, "--into", home.recipes)
    assert done.returncode == 2
    assert "has no version in its name" in done.stderr
    both = home.tcz("recipe", "new", "--from-url", url, "--crate", "x", "--into", home.recipes)
    assert both.returncode == 2
    assert list(home.recipes.iterdir()) == []
