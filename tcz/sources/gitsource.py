"""A commit of a git repository as a source: fetched by git, exported without it.

A commit's id is the hash of all that is in it, submodules included, so it needs no other. Nothing that
the machine's git is set up to run is run: of its configuration only what says how repositories are
reached counts. Files are written out as they are in the tree: no filters, no line endings changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.buildroot import remove_tree
from tcz.errors import ConfigError, FetchError, Problem, VerifyError
from tcz.model import ResolvedSource
from tcz.recipe_checks import git_url
from tcz.sources import gitexport
from tcz.sources.part import place
from tcz.store import replacing
from tcz.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tcz.model import Git
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Result, Runner
    from tcz.store import Store

_DEEPEST = 8
_BATCH = 32_000_000

#: What git may know of this machine: how hosts are reached, and which addresses stand for others.
_KEPT = re.compile(r"http\.(.*\.)?(proxy|sslcainfo|sslcapath|extraheader)|url\..*\.insteadof", re.IGNORECASE)
_ENVIRONMENT = (
    "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "HTTP_PROXY", "HTTPS_PROXY",
    "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
)  # fmt: skip
_SETTINGS = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.fsckObjects", "true"),
    # Common in old histories, and without consequence for a tree that is only read.
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.recurseSubmodules", "false"),
)
_HINT = "git's own settings apply: http.proxy, http.sslCAInfo and url.*.insteadOf, HTTPS_PROXY"


def resolve(source: Git, version: str) -> ResolvedSource:
    """Return the line for build ids and manifests; the commit is known beforehand."""
    name = source.url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return ResolvedSource(
        kind="git", name=name, version=version, hash=f"sha1:{source.commit}", origin=source.url
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GitPart:
    """A fetched commit, as a tar of its files."""

    source: Git
    resolved: ResolvedSource
    file: Path

    def unpack(self, into: Path) -> None:
        """Unpack it."""
        try:
            unpack(self.file, place(into, self.source.dest))
        except VerifyError as error:
            raise VerifyError(
                f"{self.source.url}: {error.what}", where=self.source.commit, why=error.why
            ) from error


class GitSources:
    """Brings commits into the store."""

    def __init__(self, dirs: Dirs, store: Store, runner: Runner, reporter: Reporter) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._store = store
        self._runner = runner
        self._reporter = reporter
        self._env: dict[str, str] | None = None

    def fetch(self, source: Git, version: str) -> GitPart:
        """Return a commit's files.

        Raises ``FetchError`` with what git said, ``VerifyError`` for objects that are not sound,
        ``ConfigError`` for submodules without a usable address, ``MissingToolError`` without git.
        """
        text = f"{source.commit}\n{source.submodules}"
        known = self._dirs.cache_folder("git") / hashlib.sha256(text.encode()).hexdigest()[:32]
        file = self._store.sound(known.read_text()) if known.is_file() else None
        if file is None:
            title = f"fetching {source.url} {source.commit[:12]}"
            with self._reporter.step(title), self._scratch() as scratch:
                tar = scratch / "tree.tar"
                with tar.open("wb") as out:
                    writer = gitexport.TarWriter(out)
                    self._export(source, writer, scratch)
                    writer.close()
                file = self._store.take(tar, None, what="tree.tar")
            with replacing(known) as temporary:
                temporary.write_text(file.name)
        return GitPart(source=source, resolved=resolve(source, version), file=file)

    def commit_of(self, url: str, ref: str) -> str:
        """Return the commit that a branch or tag names now; raises ``FetchError``."""
        found = self._refs(url)
        for name in (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", f"{ref}^{{}}", ref):
            if name in found:
                return found[name]
        raise FetchError(f"{url} has no branch or tag {ref}", hint=f"git ls-remote {url} shows all")

    def tags(self, url: str) -> tuple[str, ...]:
        """Return the names of all tags; raises ``FetchError``."""
        names = (name.removesuffix("^{}") for name in self._refs(url) if name.startswith("refs/tags/"))
        return tuple(dict.fromkeys(name.removeprefix("refs/tags/") for name in names))

    def _refs(self, url: str) -> dict[str, str]:
        result = self._git(["ls-remote", "--quiet", "--", url], check=False)
        if result.returncode != 0:
            why = result.stderr.decode(errors="replace").strip()
            raise FetchError(f"the branches and tags of {url} could not be had", why=why, hint=_HINT)
        lines = (line.split("\t", 1) for line in result.stdout.decode(errors="replace").splitlines())
        return {words[1]: words[0] for words in lines if len(words) == 2}  # noqa: PLR2004

    def _export(self, source: Git, writer: gitexport.TarWriter, scratch: Path) -> None:
        """Write a commit's files and those of its submodules, whatever order they are fetched in."""
        waiting = [(source.url, source.commit, source.ref, "")]
        depth = {"": 0}
        count = 0
        while waiting:
            url, commit, ref, prefix = waiting.pop(0)
            repository = scratch / f"{count}.git"
            count += 1
            self._fetch(repository, url, commit, ref)
            inside = self._write(repository, commit, writer, prefix)
            if inside and source.submodules:
                if depth[prefix] == _DEEPEST:
                    raise ConfigError(f"{source.url}: submodules in submodules, more than {_DEEPEST} deep")
                urls = self._urls(repository, commit, url)
                for entry in inside:
                    path = f"{prefix}{entry.path}/"
                    depth[path] = depth[prefix] + 1
                    waiting.append((_address(urls, entry, url), entry.id, None, path))

    def _fetch(self, repository: Path, url: str, commit: str, ref: str | None) -> None:
        """Fetch a commit into a new repository: alone where the server gives it so, else with its history."""
        self._git(["init", "--quiet", "--bare", "--template=", str(repository)])
        tries = [["--depth=1", url, commit]]
        if ref is not None:
            tries += [["--depth=1", url, ref], [url, ref]]
        tries.append([url, "+refs/*:refs/fetched/*"])
        said: list[str] = []
        for words in tries:
            options = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
            result = self._git(["-C", str(repository), *options, *words[:-2], "--", *words[-2:]], check=False)
            if result.returncode != 0:
                said.append(result.stderr.decode(errors="replace").strip())
            elif self._has(repository, commit):
                self._check(repository, commit, url)
                return
        why = "\n".join(dict.fromkeys(said)) or "what it has was fetched, and this commit was not in it"
        if len(said) < len(tries):
            raise FetchError(f"{url} has no commit {commit}", why=why, hint="compare it with git ls-remote")
        raise FetchError(f"the commit {commit} of {url} could not be had", why=why, hint=_HINT)

    def _has(self, repository: Path, commit: str) -> bool:
        argv = ["-C", str(repository), "cat-file", "-e", f"{commit}^{{commit}}"]
        return self._git(argv, check=False).returncode == 0

    def _check(self, repository: Path, commit: str, url: str) -> None:
        """Hash every object of the commit anew."""
        argv = ["-C", str(repository), "fsck", "--no-dangling", "--no-reflogs", "--no-progress", commit]
        result = self._git(argv, check=False)
        # 4 and 8 speak of packs and links to what a commit fetched alone does not have.
        if result.returncode & 3:
            why = result.stderr.decode(errors="replace").strip()
            raise VerifyError(f"{url} gave objects that are not sound", where=commit, why=why)

    def _write(
        self, repository: Path, commit: str, writer: gitexport.TarWriter, prefix: str
    ) -> tuple[gitexport.Entry, ...]:
        """Write one repository's files; return its submodules."""
        where = f"commit {commit}"
        time = int(self._git(["-C", str(repository), "show", "-s", "--format=%ct", commit]).stdout)
        listing = self._git(
            ["-C", str(repository), "ls-tree", "-r", "-z", "-l", "--full-tree", commit]
        ).stdout
        entries = gitexport.entries(listing, where)
        inside = tuple(entry for entry in entries if entry.mode == gitexport.SUBMODULE)
        for entry in inside:
            writer.add(prefix + entry.path, entry.mode, b"", time)
        for batch in _batches([entry for entry in entries if entry.mode != gitexport.SUBMODULE]):
            ids = "".join(f"{entry.id}\n" for entry in batch).encode()
            answer = self._git(["-C", str(repository), "cat-file", "--batch"], stdin=ids).stdout
            contents = gitexport.objects(answer, [entry.id for entry in batch], where)
            for entry, data in zip(batch, contents, strict=True):
                writer.add(prefix + entry.path, entry.mode, data, time)
        return inside

    def _urls(self, repository: Path, commit: str, url: str) -> Mapping[str, str]:
        argv = ["-C", str(repository), "config", "--blob", f"{commit}:.gitmodules", "-z", "--list"]
        result = self._git(argv, check=False)
        return gitexport.submodule_urls(result.stdout, url, f"{url}: .gitmodules")

    def _git(self, argv: Sequence[str], *, stdin: bytes | None = None, check: bool = True) -> Result:
        if self._env is None:
            self._env = environment(self._runner)
        return self._runner.run(["git", *argv], env=self._env, stdin=stdin, check=check)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self._dirs.cache_folder("git")))
        try:
            yield folder
        finally:
            remove_tree(folder)


def environment(runner: Runner, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment in which git sees of the machine only how repositories are reached."""
    result = runner.run(["git", "config", "--global", "--includes", "-z", "--list"], check=False)
    system = runner.run(["git", "config", "--system", "--includes", "-z", "--list"], check=False)
    settings: list[tuple[str, str]] = []
    for item in (system.stdout + result.stdout).decode(errors="surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        if _KEPT.fullmatch(key):
            settings.append((key, value))
    env = {key: environ[key] for key in _ENVIRONMENT if environ.get(key)}
    env |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "http:https:git",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    settings += _SETTINGS
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _address(urls: Mapping[str, str], entry: gitexport.Entry, parent: str) -> str:
    url = urls.get(entry.path)
    complaint = "is not in .gitmodules" if url is None else git_url(url)
    if url is None or complaint:
        problem = Problem(where=f"{parent}: submodule {entry.path}", message=str(complaint))
        raise ConfigError(
            "a submodule has no address that can be used",
            [problem],
            hint="leave `submodules` out and add the submodule as a source of its own, with its `dest`",
        )
    return url


def _batches(entries: Sequence[gitexport.Entry]) -> Iterator[Sequence[gitexport.Entry]]:
    """Divide files so that each part fits into memory well."""
    batch: list[gitexport.Entry] = []
    size = 0
    for entry in entries:
        if batch and size + entry.size > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch
