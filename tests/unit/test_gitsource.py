"""Commits as sources, from repositories that git serves over HTTP and its own protocol on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.model import Git
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.sources import gitexport
from tcz.sources.gitsource import GitSources
from tcz.store import Store
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

PLAIN = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(*argv: str | Path, cwd: Path) -> str:
    env = {**os.environ, **PLAIN}
    done = subprocess.run(["git", *argv], cwd=cwd, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(work: Path, files: dict[str, str]) -> str:
    if not (work / ".git").exists():
        work.mkdir(parents=True, exist_ok=True)
        git("init", "-q", "-b", "main", cwd=work)
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            (work / name).symlink_to(text[3:])
        else:
            (work / name).write_text(text)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "c", cwd=work)
    return git("rev-parse", "HEAD", cwd=work)


class _Smart(loopback.Quiet):
    """Hands requests to git http-backend, as a web server's CGI does."""

    root: Path

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        env = {
            **os.environ,
            **PLAIN,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env["CONTENT_LENGTH"] = str(len(body))
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=True
        ).stdout
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for key, value in lines.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_POST = _serve


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Serve bare repositories below ``tmp_path``/served; give the base address of a way to serve them."""
    root = tmp_path / "served"
    root.mkdir()
    started = ExitStack()

    def start(way: str) -> str:
        if way == "daemon":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            argv = ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
            daemon = started.enter_context(subprocess.Popen([*argv, f"--base-path={root}", str(root)]))
            started.callback(daemon.terminate)
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            return f"git://127.0.0.1:{port}"
        smart: type[_Smart] = type("Smart", (_Smart,), {"root": root})
        handler = smart if way == "smart" else loopback.folder(root)
        return f"http://127.0.0.1:{started.enter_context(loopback.serving(handler))}"

    with started:
        yield start


def publish(work: Path, tmp_path: Path, name: str) -> Path:
    bare = tmp_path / "served" / name
    if bare.exists():
        shutil.rmtree(bare)
    git("clone", "-q", "--bare", work, bare, cwd=tmp_path)
    git("update-server-info", cwd=bare)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=bare)
    return bare


@pytest.fixture
def sources(tmp_path: Path) -> GitSources:
    return make_sources(tmp_path)


def make_sources(tmp_path: Path, runner: HostRunner | None = None) -> GitSources:
    dirs = Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")
    return GitSources(dirs, Store(dirs.cache / "store"), runner or HostRunner(), SilentReporter())


@pytest.mark.parametrize("way", ["smart", "dumb", "daemon"])
def test_every_way_to_serve(
    sources: GitSources, served: Callable[[str], str], tmp_path: Path, way: str
) -> None:
    work = tmp_path / "work"
    wanted = commit(work, {"a": "alpha\n", "bin/run": "#!/bin/sh\n", "link": "-> bin/run", "ü ø\n": "x"})
    (work / "bin/run").chmod(0o755)
    # Filters and line endings that a checkout would apply, and an archive leave out.
    wanted = commit(work, {".gitattributes": "a text eol=crlf\nbin export-ignore\n"})
    commit(work, {"later": "l"})
    publish(work, tmp_path, "r.git")
    url = f"{served(way)}/r.git"
    part = sources.fetch(Git(url=url, commit=wanted, dest="sub"), "1")
    part.unpack(tmp_path / "out")
    out = tmp_path / "out/sub"
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*")) == [
        ".gitattributes", "a", "bin", "bin/run", "link", "ü ø\n",
    ]  # fmt: skip
    assert (out / "a").read_bytes() == b"alpha\n"
    assert (out / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (out / "link").readlink().as_posix() == "bin/run"
    assert (out / "a").stat().st_mtime == 1700000000
    assert part.resolved.hash == f"sha1:{wanted}"
    assert part.resolved.name == "r"
    # git itself says the same of the tree that was put there.
    git("init", "-q", cwd=out)
    git("-c", "core.autocrlf=false", "-c", "core.attributesFile=/dev/null", "add", "-A", cwd=out)
    tree = git("rev-parse", f"{wanted}^{{tree}}", cwd=work)
    assert git("write-tree", cwd=out) == tree


class Offline(HostRunner):
    """Fails whoever starts a process."""

    def run(self, argv: object, **_more: object) -> object:  # type: ignore[override]
        raise AssertionError(argv)


def test_fetched_once_and_the_same_everywhere(served: Callable[[str], str], tmp_path: Path) -> None:
    wanted = commit(tmp_path / "work", {"a": "a", "d/b": "b"})
    publish(tmp_path / "work", tmp_path, "r.git")
    base = served("smart")
    source = Git(url=f"{base}/r.git", commit=wanted)
    first = make_sources(tmp_path / "one").fetch(source, "1")
    again = make_sources(tmp_path / "one", Offline()).fetch(source, "1")
    other = make_sources(tmp_path / "two").fetch(Git(url=f"{served('dumb')}/r.git", commit=wanted), "1")
    assert first == again
    assert first.file.name == other.file.name


def test_a_ref_leads_to_what_is_not_given_by_id(
    sources: GitSources, served: Callable[[str], str], tmp_path: Path
) -> None:
    old = commit(tmp_path / "work", {"a": "old"})
    git("tag", "v1", cwd=tmp_path / "work")
    commit(tmp_path / "work", {"a": "new"})
    bare = publish(tmp_path / "work", tmp_path, "r.git")
    git("config", "uploadpack.allowAnySHA1InWant", "false", cwd=bare)
    # Protocol 2 gives any commit: only the older ones look at the setting.
    git("config", "protocol.version", "0", cwd=bare)
    url = f"{served('smart')}/r.git"
    sources.fetch(Git(url=url, commit=old, ref="v1"), "1").unpack(tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "old"


def test_unknown_commit(sources: GitSources, served: Callable[[str], str], tmp_path: Path) -> None:
    commit(tmp_path / "work", {"a": "a"})
    publish(tmp_path / "work", tmp_path, "r.git")
    with pytest.raises(FetchError, match="has no commit 0000"):
        sources.fetch(Git(url=f"{served('smart')}/r.git", commit="0" * 40), "1")
    with pytest.raises(FetchError, match="could not be had"):
        sources.fetch(Git(url=f"{served('smart')}/none.git", commit="0" * 40), "1")


def test_damaged_objects(sources: GitSources, served: Callable[[str], str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    commit(work, {"a": "a"})
    blob = git("hash-object", "-w", "a", cwd=work)
    bare = publish(work, tmp_path, "r.git")
    wanted = git("rev-parse", "HEAD", cwd=work)
    source = work / ".git/objects"
    shutil.rmtree(bare / "objects")
    shutil.copytree(source, bare / "objects")
    place = bare / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    evil = tmp_path / "evil"
    evil.write_text("other")
    made = git("hash-object", "-w", evil, cwd=work)
    shutil.copyfile(source / made[:2] / made[2:], place)
    with pytest.raises((FetchError, VerifyError)):
        sources.fetch(Git(url=f"{served('dumb')}/r.git", commit=wanted), "1")


def test_submodules(sources: GitSources, served: Callable[[str], str], tmp_path: Path) -> None:
    deep = commit(tmp_path / "deep", {"deep": "d"})
    publish(tmp_path / "deep", tmp_path, "deep.git")
    sub = tmp_path / "sub"
    commit(sub, {".gitmodules": '[submodule "x"]\n\tpath = in/deep\n\turl = ../deep.git\n', "s": "s"})
    git("update-index", "--add", "--cacheinfo", f"160000,{deep},in/deep", cwd=sub)
    git("commit", "-q", "-m", "s", cwd=sub)
    inner = git("rev-parse", "HEAD", cwd=sub)
    publish(sub, tmp_path, "sub.git")
    base = served("smart")
    top = tmp_path / "top"
    commit(top, {".gitmodules": f'[submodule "lib"]\n\tpath = lib\n\turl = {base}/sub.git\n', "t": "t"})
    git("update-index", "--add", "--cacheinfo", f"160000,{inner},lib", cwd=top)
    git("commit", "-q", "-m", "s", cwd=top)
    wanted = git("rev-parse", "HEAD", cwd=top)
    publish(top, tmp_path, "top.git")
    source = Git(url=f"{base}/top.git", commit=wanted)
    sources.fetch(source, "1").unpack(tmp_path / "without")
    assert not list((tmp_path / "without/lib").iterdir())
    whole = Git(url=source.url, commit=wanted, submodules=True)
    sources.fetch(whole, "1").unpack(tmp_path / "with")
    files = {
        p.relative_to(tmp_path / "with").as_posix() for p in (tmp_path / "with").rglob("*") if p.is_file()
    }
    assert files == {".gitmodules", "t", "lib/.gitmodules", "lib/s", "lib/in/deep/deep"}


@pytest.mark.parametrize("url", ["ext::sh -c 'touch HERE'", "file:///etc", "--upload-pack=touch HERE"])
def test_hostile_submodule(
    sources: GitSources, served: Callable[[str], str], tmp_path: Path, url: str
) -> None:
    here = tmp_path / "ran"
    top = tmp_path / "top"
    url = url.replace("HERE", str(here))
    commit(top, {"t": "t"})
    git("config", "-f", ".gitmodules", "submodule.x.path", "lib", cwd=top)
    git("config", "-f", ".gitmodules", "submodule.x.url", url, cwd=top)
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib", cwd=top)
    git("add", ".gitmodules", cwd=top)
    git("commit", "-q", "-m", "s", cwd=top)
    wanted = git("rev-parse", "HEAD", cwd=top)
    bare = publish(top, tmp_path, "top.git")
    assert bare.is_dir()
    source = Git(url=f"{served('dumb')}/top.git", commit=wanted, submodules=True)
    with pytest.raises((ConfigError, VerifyError)):
        sources.fetch(source, "1")
    assert not here.exists()


def test_nothing_of_the_users_configuration_runs(
    served: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    hooks = tmp_path / "template/hooks"
    hooks.mkdir(parents=True)
    for name in ("reference-transaction", "post-checkout"):
        shutil.copy(script, hooks / name)
    base = served("smart")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {script}\n[init]\n\ttemplateDir = {hooks.parent}\n"
        f"[credential]\n\thelper = !{script}\n"
        f'[url "{base}/"]\n\tinsteadOf = https://upstream.invalid/\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    wanted = commit(tmp_path / "work", {"a": "a"})
    publish(tmp_path / "work", tmp_path, "r.git")
    ran.unlink(missing_ok=True)
    # The address is another here: of the configuration, what says how hosts are reached holds.
    make_sources(tmp_path).fetch(Git(url="https://upstream.invalid/r.git", commit=wanted), "1")
    assert not ran.exists()


PATHS = st.lists(
    st.text(
        st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=8
    ).filter(lambda part: part not in (".", "..") and part.lower() != ".git"),
    min_size=1,
    max_size=3,
).map("/".join)
ENTRIES = st.lists(
    st.tuples(
        PATHS,
        st.sampled_from([gitexport.FILE, gitexport.EXECUTABLE, gitexport.SYMLINK, gitexport.SUBMODULE]),
        st.text("0123456789abcdef", min_size=40, max_size=40),
        st.integers(0, 10**12),
    ),
    max_size=5,
)


@given(ENTRIES)
def test_listing_read_back(made: list[tuple[str, str, str, int]]) -> None:
    listing = b""
    for path, mode, one, size in made:
        kind, told = ("commit", "-") if mode == gitexport.SUBMODULE else ("blob", str(size))
        listing += f"{mode} {kind} {one} {told:>7}\t".encode() + path.encode() + b"\0"
    found = gitexport.entries(listing, "w")
    assert [(e.path, e.mode, e.id) for e in found] == [(path, mode, one) for path, mode, one, _ in made]


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_a_listing_or_an_error(data: bytes) -> None:
    try:
        found = gitexport.entries(data + b"\0", "w")
    except VerifyError:
        return
    assert all(".." not in entry.path.split("/") for entry in found)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", ".git/config", "a/.GIT/hooks/x", "a//b", "."])
def test_paths_that_leave(path: str) -> None:
    with pytest.raises(VerifyError, match="not allowed"):
        gitexport.entries(f"100644 blob {'a' * 40}       1\t{path}\0".encode(), "w")


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(0, 400))
def test_objects_read_back_or_refused_when_cut(contents: list[bytes], cut: int) -> None:
    ids = [f"{number:040x}" for number in range(len(contents))]
    parts = zip(ids, contents, strict=True)
    answer = b"".join(f"{one} blob {len(data)}\n".encode() + data + b"\n" for one, data in parts)
    assert list(gitexport.objects(answer, ids, "w")) == contents
    if cut < len(answer):
        with pytest.raises(VerifyError):
            list(gitexport.objects(answer[:cut], ids, "w"))


@given(st.binary(max_size=200), st.sampled_from(["https://h.example/a/b.git", "git://h.example"]))
def test_any_bytes_are_submodules_or_an_error(data: bytes, base: str) -> None:
    try:
        found = gitexport.submodule_urls(data, base, "w")
    except ConfigError:
        return
    assert all(path for path in found)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("../c.git", "https://h.example/a/c.git"),
        ("./c", "https://h.example/a/b.git/c"),
        ("../../x/c", "https://h.example/x/c"),
        ("https://other.example/c", "https://other.example/c"),
    ],
)
def test_relative_addresses(url: str, wanted: str) -> None:
    listing = f"submodule.n.path\nlib\0submodule.n.url\n{url}\0".encode()
    assert gitexport.submodule_urls(listing, "https://h.example/a/b.git", "w") == {"lib": wanted}


def test_relative_address_that_leads_out() -> None:
    listing = b"submodule.n.path\nlib\0submodule.n.url\n../../../../c\0"
    with pytest.raises(ConfigError, match="no address"):
        gitexport.submodule_urls(listing, "https://h.example/a/b.git", "w")
