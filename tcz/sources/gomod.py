"""Go modules and toolchains, fetched by the go command itself and checked by their pinned sums.

The go command runs in a build root with the network on: first Debian's, which brings the exact
toolchain of the recipe, then that one, which brings what the module needs, as pinned by the module's
own go.sum. All go into one module cache; builds see it read-only and verify it first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.buildroot import remove_tree
from tcz.errors import FetchError
from tcz.model import GoModule, GoToolchain, ResolvedSource
from tcz.paths import mark_used
from tcz.sandbox import PATH, Bind
from tcz.sources.gohash import check_zip, hash_zip
from tcz.sources.part import place
from tcz.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tcz.buildroot import BuildRoots
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Result, Runner
    from tcz.sandbox import Sandbox

GOROOT = "/build/go"
GOMODCACHE = "/build/gomodcache"

_FETCH_ROOT = ("golang-go", "ca-certificates")
_GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_TOOLCHAIN = "golang.org/toolchain"


def resolve(source: GoModule | GoToolchain) -> ResolvedSource:
    """Return the line for build ids and manifests; the sum is known beforehand."""
    if isinstance(source, GoToolchain):
        return ResolvedSource(
            kind="go-toolchain", name="go", version=source.version, hash=source.sum, origin=_TOOLCHAIN
        )
    return ResolvedSource(
        kind="go-module", name=source.module, version=source.version, hash=source.sum, origin=source.module
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainPart:
    """An unpacked Go distribution; it is bound at ``GOROOT``, not copied."""

    source: GoToolchain
    resolved: ResolvedSource
    folder: Path

    def unpack(self, into: Path) -> None:
        """Put nothing into the source folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePart:
    """A fetched module."""

    source: GoModule
    resolved: ResolvedSource
    file: Path

    def unpack(self, into: Path) -> None:
        """Check the sum once more and unpack; ``modfile`` and its .sum twin become go.mod and go.sum."""
        check_zip(self.file, self.source.sum, what=f"{self.source.module}@{self.source.version}")
        folder = place(into, self.source.dest)
        unpack(self.file, folder, strip=self.source.module.count("/") + 1)
        if self.source.modfile != "go.mod":
            twin = self.source.modfile.removesuffix(".mod") + ".sum"
            for name, target in ((self.source.modfile, "go.mod"), (twin, "go.sum")):
                if not (folder / name).is_file():
                    raise FetchError(f"the module has no file {name}", where=self.source.module)
                shutil.copyfile(folder / name, folder / target)
                (folder / target).chmod(0o644)


def build_env(*, toolchain: bool) -> dict[str, str]:
    """Return the environment for builds with Go: nothing is looked for outside, nothing is downloaded."""
    env = {
        "GOMODCACHE": GOMODCACHE,
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOCACHE": "/build/tmp/gocache",
        "GOENV": "off",
    }
    if toolchain:
        env |= {"GOROOT": GOROOT, "PATH": f"{GOROOT}/bin:{PATH}"}
    return env


def escaped(path: str) -> str:
    """Return a module path or version as file names in the cache: ``!`` before letters made small."""
    return "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in path)


class GoSources:
    """Brings toolchains and modules into the cache."""

    def __init__(
        self, dirs: Dirs, roots: BuildRoots, sandbox: Sandbox, runner: Runner, reporter: Reporter
    ) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._roots = roots
        self._sandbox = sandbox
        self._runner = runner
        self._reporter = reporter
        self._settings: dict[str, str] | None = None

    @property
    def module_cache(self) -> Path:
        """The folder that is GOMODCACHE in builds."""
        return self._dirs.cache / "gomod" / "mod"

    def toolchain(self, source: GoToolchain) -> ToolchainPart:
        """Return the Go distribution, fetched and unpacked the first time.

        Raises ``FetchError`` with what go said, ``VerifyError`` for a wrong sum.
        """
        mark = hashlib.sha256(source.sum.encode()).hexdigest()[:12]
        folder = self._dirs.cache / "toolchains" / f"go{source.version}-{mark}"
        if not folder.is_dir():
            with self._reporter.step(f"fetching Go {source.version}"):
                self._make_toolchain(source, folder)
        mark_used(folder)
        return ToolchainPart(source=source, resolved=resolve(source), folder=folder)

    def _make_toolchain(self, source: GoToolchain, folder: Path) -> None:
        name = f"v0.0.1-go{source.version}.linux-amd64"
        with self._scratch("toolchains") as scratch:
            cache = scratch / "mod"
            cache.mkdir()
            file = self._download(_TOOLCHAIN, name, source.sum, cache=cache, go=None, scratch=scratch)
            new = scratch / "go"
            unpack(file, new, strip=2)
            # A module's zip has no execute bits.
            for path in (*new.glob("bin/*"), *new.glob("pkg/tool/**/*")):
                path.chmod(0o755)
            if not folder.exists():
                new.rename(folder)

    def module(self, source: GoModule, toolchain: ToolchainPart | None) -> ModulePart:
        """Return the module with all it needs in the module cache; fetched the first time.

        Raises as ``toolchain`` does.
        """
        name = f"{escaped(source.module)}/@v/{escaped(source.version)}.zip"
        file = self.module_cache / "cache/download" / name
        part = ModulePart(source=source, resolved=resolve(source), file=file)
        go = toolchain.folder if toolchain else None
        text = repr((source, toolchain.source.sum if toolchain else ""))
        done = self._dirs.cache / "gomod" / "done" / hashlib.sha256(text.encode()).hexdigest()[:32]
        if done.exists() and file.is_file():
            mark_used(done)
            return part
        self.module_cache.mkdir(parents=True, exist_ok=True)
        with self._scratch("gomod") as scratch:
            with self._reporter.step(f"fetching {source.module} {source.version}"):
                self._download(
                    source.module, source.version, source.sum, cache=self.module_cache, go=go, scratch=scratch
                )
            with self._reporter.step(f"fetching the modules that {source.module} needs"):
                self._dependencies(part, go, scratch)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()
        return part

    def sum(self, module: str, version: str, chain: GoToolchain | None = None) -> str:
        """Return the sum that a module's version has now; raises ``FetchError``.

        Modules may ask for a newer Go than Debian's: ``chain`` is the one to use.
        """
        go = self.toolchain(chain).folder if chain else None
        with self._reporter.step(f"fetching {module} {version}"), self._scratch("gomod") as scratch:
            (scratch / "mod").mkdir()
            file = self._download(module, version, None, cache=scratch / "mod", go=go, scratch=scratch)
            return hash_zip(file)

    def toolchain_sum(self, version: str) -> str:
        """Return the sum that a Go distribution has now; raises ``FetchError``."""
        return self.sum(_TOOLCHAIN, f"v0.0.1-go{version}.linux-amd64")

    def versions(self, module: str) -> tuple[str, ...]:
        """Return the versions that a module has; raises ``FetchError``."""
        with self._scratch("gomod") as scratch:
            argv = ["go", "list", "-m", "-versions", "-json", module]
            result = self._go(argv, cache=scratch / "tmp", go=None, scratch=scratch)
        if result.returncode != 0:
            why = result.stderr.decode(errors="replace").strip()
            raise FetchError(f"the versions of {module} could not be had", why=why, hint=_HINT)
        return tuple(json.loads(result.stdout).get("Versions") or ())

    def _download(
        self, module: str, version: str, expected: str | None, *, cache: Path, go: Path | None, scratch: Path
    ) -> Path:
        argv = ["go", "mod", "download", "-json", f"{module}@{version}"]
        result = self._go(argv, cache=cache, go=go, scratch=scratch)
        try:
            answer = json.loads(result.stdout)
        except ValueError:
            answer = {}
        if result.returncode != 0 or "Zip" not in answer:
            why = answer.get("Error") or result.stderr.decode(errors="replace").strip()
            raise FetchError(f"{module}@{version} could not be had", why=why, hint=_HINT)
        file = cache / str(answer["Zip"]).removeprefix(f"{GOMODCACHE}/")
        if expected is not None:
            check_zip(file, expected, what=f"{module}@{version}")
        return file

    def _dependencies(self, part: ModulePart, go: Path | None, scratch: Path) -> None:
        part.unpack(scratch / "src")
        cwd = f"/build/src/{part.source.dest}".rstrip("/")
        for argv, env in _dependency_commands(part.source):
            result = self._go(argv, cache=self.module_cache, go=go, scratch=scratch, cwd=cwd, more=env)
            if result.returncode != 0:
                hint = _HINT if part.source.packages else f"{_HINT}\n{_NARROWER}"
                raise FetchError(
                    f"what {part.source.module}@{part.source.version} needs could not be had",
                    why=result.stderr.decode(errors="replace").strip(),
                    hint=hint,
                )

    def _go(
        self,
        argv: Sequence[str],
        *,
        cache: Path,
        go: Path | None,
        scratch: Path,
        cwd: str = "/build/tmp",
        more: Mapping[str, str] | None = None,
    ) -> Result:
        root = self._roots.get(_FETCH_ROOT)
        env = build_env(toolchain=go is not None)
        # Unless the machine says otherwise, go's own defaults hold.
        del env["GOPROXY"], env["GOSUMDB"]
        # Folders of the cache stay writable, so that a user can remove it.
        env |= {"HOME": "/build/tmp", "LC_ALL": "C", "GOFLAGS": "-mod=readonly -modcacherw"}
        env = {"PATH": PATH, **env, **self._host_settings(), **(more or {})}
        binds = [
            Bind(host=cache, inside=GOMODCACHE, writable=True),
            Bind(host=scratch / "tmp", inside="/build/tmp", writable=True),
            Bind(host=scratch / "src", inside="/build/src", writable=True),
        ]
        if go is not None:
            binds.append(Bind(host=go, inside=GOROOT))
        return self._sandbox.run(root.path, argv, binds=binds, env=env, network=True, cwd=cwd, check=False)

    def _host_settings(self) -> dict[str, str]:
        """Return how this machine reaches modules: what its environment and its go command say."""
        if self._settings is None:
            found = {key: os.environ[key] for key in (*_GO_SETTINGS, *_PROXIES) if os.environ.get(key)}
            if self._runner.which("go"):
                result = self._runner.run(["go", "env", "-json", *_GO_SETTINGS], check=False)
                if result.returncode == 0:
                    found |= {key: str(value) for key, value in json.loads(result.stdout).items() if value}
            self._settings = found
        return self._settings

    @contextmanager
    def _scratch(self, kind: str) -> Iterator[Path]:
        """Give a folder beside the results, removed afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self._dirs.cache_folder(kind)))
        try:
            (folder / "tmp").mkdir()
            (folder / "src").mkdir()
            yield folder
        finally:
            remove_tree(folder)


_HINT = "go's own settings apply: GOPROXY, GOSUMDB, HTTPS_PROXY"
_NARROWER = "or name what is built in `packages` of this source: only what that needs is fetched then"


def _dependency_commands(source: GoModule) -> Iterator[tuple[list[str], dict[str, str]]]:
    if source.packages:
        # With and without cgo other files count, and these may import other modules.
        for cgo in ("0", "1"):
            argv = ["go", "list", "-deps", "-tags", ",".join(source.tags), "--", *source.packages]
            yield argv, {"CGO_ENABLED": cgo}
    else:
        yield ["go", "mod", "download"], {}
    yield ["go", "mod", "verify"], {}
