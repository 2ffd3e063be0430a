"""tcz fetch: what it gets, that a second run needs nobody, and where release files may come from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import Home, Upstream, archive, member, serving, tarball

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = tarball((member("x-1.0/file"), b"hello\n"))
GONE = "https://gone.invalid/p/x-1.0.tar.gz"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.offline()
    return home


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        yield server


def bare_repository(folder: Path) -> tuple[dict[str, bytes], str]:
    """Return the files of a repository as a plain web server has them, and its commit."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]

    def git(*argv: str) -> str:
        done = subprocess.run(["git", *who, *argv], cwd=folder, env=env, check=True, capture_output=True)
        return done.stdout.decode().strip()

    folder.mkdir()
    git("init", "-q")
    (folder / "a").write_text("alpha\n")
    git("add", "a")
    git("commit", "-q", "-m", "c")
    git("update-server-info")
    top = folder / ".git"
    files = {p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file()}
    return files, git("rev-parse", "HEAD")


def test_every_kind_once(home: Home, upstream: Upstream, tmp_path: Path) -> None:
    files, commit = bare_repository(tmp_path / "repository")
    for name, data in files.items():
        upstream.url(f"r.git/{name}", data)
    # git asks with a query.
    upstream.url("r.git/info/refs?service=git-upload-pack", files["info/refs"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("z-1.0/z", "z")
    parts = [
        archive(upstream.url("x.tar.gz", FILE), FILE),
        archive(upstream.url("z.zip", buffer.getvalue()), buffer.getvalue(), dest="z"),
        f'[[source]]\nkind = "git"\nurl = "{upstream.address}/r.git"\ncommit = "{commit}"\ndest = "git"\n',
        '[[source]]\nkind = "local"\npath = "files"\n',
    ]
    home.recipe("sample", "\n".join(parts))
    (home.recipes / "sample/files").mkdir()
    (home.recipes / "sample/files/f").write_text("f")
    first = home.tcz("fetch", "sample", "--recipes", home.recipes, "--json")
    assert first.returncode == 0, first.stderr
    (planned,) = json.loads(first.stdout)
    assert (planned["recipe"]["name"], planned["cached"]) == ("sample", False)
    upstream.answers.clear()
    asked = len(upstream.asked)
    again = home.tcz("fetch", "sample", "--recipes", home.recipes, "--json")
    assert again.stdout == first.stdout
    assert len(upstream.asked) == asked


def test_damaged_in_the_cache_is_fetched_again(home: Home, upstream: Upstream) -> None:
    home.recipe("sample", archive(upstream.url("x.tar.gz", FILE), FILE))
    digest = hashlib.sha256(FILE).hexdigest()
    kept = home.dirs.cache / "store/sha256" / digest[:2] / digest
    for _ in range(2):
        assert home.tcz("fetch", "sample", "--recipes", home.recipes).returncode == 0
        assert kept.read_bytes() == FILE
        kept.write_bytes(b"damaged")
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("way", ["option", "environment"])
def test_mirrors_of_the_user(home: Home, upstream: Upstream, way: str) -> None:
    home.recipe("sample", archive(GONE, FILE))
    upstream.url(f"here/{hashlib.sha256(FILE).hexdigest()}", FILE)
    options: tuple[str, ...] = ()
    env = {}
    if way == "option":
        options = (
            "--source-mirror",
            f"{upstream.address}/none",
            "--source-mirror",
            f"{upstream.address}/here/",
        )
    else:
        env = {"TCZ_SOURCE_MIRRORS": f"{upstream.address}/none {upstream.address}/here"}
    done = home.tcz("fetch", "sample", "--recipes", home.recipes, *options, env=env)
    assert done.returncode == 0, done.stderr
    assert [path.partition("/")[0] for path, _ in upstream.asked] == ["none", "none", "here"]


def test_a_mirror_that_is_none(home: Home) -> None:
    home.recipe("sample")
    done = home.tcz("fetch", "sample", "--recipes", home.recipes, env={"TCZ_SOURCE_MIRRORS": "/srv/files"})
    assert done.returncode == 2
    assert "TCZ_SOURCE_MIRRORS: '/srv/files' does not start with" in done.stderr


def test_a_commit_that_is_not_there(home: Home, upstream: Upstream) -> None:
    body = f'[[source]]\nkind = "git"\nurl = "{upstream.address}/r.git"\ncommit = "{"0" * 40}"\n'
    home.recipe("sample", body)
    done = home.tcz("fetch", "sample", "--recipes", home.recipes)
    assert done.returncode == 4
    assert f"the commit {'0' * 40} of {upstream.address}/r.git could not be had" in done.stderr
    assert "Traceback" not in done.stderr
