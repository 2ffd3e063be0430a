"""The real commands in a home of their own, recipes in a few words, and a server to fetch from."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcz.apt import Apt
from tcz.build import PACK_TOOLS
from tcz.buildroot import BASE, BuildRoots
from tcz.deb import DebFile
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.store import Store
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from http.server import BaseHTTPRequestHandler

TOP = Path(__file__).parents[2]
PATIENCE = 120
#: Parts of the cache that builds only read; the store is each test's own.
SHARED = ("apt", "roots", "pins")

Finished = subprocess.CompletedProcess[str]


class Home:
    """A folder that is home, cache and working folder of every command started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipes = folder / "recipes"
        self.recipes.mkdir(parents=True)
        self.dirs = Dirs.from_env(self.env())

    def env(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        own = {"HOME": str(self.folder), "PYTHONPATH": str(TOP), "LC_ALL": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
        return {**kept, **own, **more}

    def start(self, program: str, *args: str | Path, env: Mapping[str, str] | None = None) -> Any:
        argv = [sys.executable, "-m", program, *map(str, args)]
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self.env(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *args: str | Path, env: Mapping[str, str] | None = None) -> Finished:
        process = self.start(program, *args, env=env)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def tcz(self, *args: str | Path, **options: Any) -> Finished:
        return self.run("tcz", *args, **options)

    def remaster(self, *args: str | Path, **options: Any) -> Finished:
        return self.run("remaster", *args, **options)

    def recipe(self, name: str, body: str = "", script: str = "true\n", packages: str | None = None) -> None:
        """Write a recipe; ``body`` holds its sources."""
        folder = self.recipes / name
        folder.mkdir(exist_ok=True)
        made = packages if packages is not None else f'[[package]]\nname = "{name}"\nfiles = ["usr"]\n'
        (folder / "recipe.toml").write_text(
            f'schema = 1\nname = "{name}"\nversion = "1.0"\nsummary = "A test"\nlicense = "MIT"\n'
            f'homepage = "https://{name}.example/"\n{body}\n{made}'
        )
        (folder / "build.sh").write_text(script)

    def offline(self) -> None:
        """Let the commands believe that the build root is there: it is an empty folder."""
        nothing = DebFile(
            name="nothing", version="1", architecture="all", sha256="0" * 64, size=1, uri="https://n.example/"
        )
        apt = Apt(self.dirs, Store(self.dirs.cache / "store"), HostRunner(), SilentReporter())
        for names in (BASE, (*BASE, *PACK_TOOLS)):
            apt._sticky("\n".join(sorted(set(names))), lambda: (nothing,), newest=False)
        BuildRoots(self.dirs, apt, SilentReporter()).resolve(()).path.mkdir(parents=True)

    def with_real_roots(self) -> None:
        """Use the user's own build roots, which builds only read."""
        common = Dirs.from_env()
        self.dirs.cache.mkdir(parents=True)
        for name in SHARED:
            (self.dirs.cache / name).symlink_to(common.cache_folder(name))

    def leftovers(self) -> list[str]:
        """Return what a run that ended early must not leave: work folders and temporary files."""
        found = [*self.folder.rglob("work/*"), *self.folder.rglob(".*.*")]
        return [str(path.relative_to(self.folder)) for path in found if path.suffix != ".lock"]


@contextmanager
def path_without(*hidden: str) -> Iterator[str]:
    """Give a PATH of all programs of this machine but some; any user may read it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for place in (Path("/usr/bin"), Path("/bin")):
            for program in place.iterdir():
                link = folder / program.name
                if program.name not in hidden and not link.is_symlink():
                    link.symlink_to(program)
        yield str(folder)


def archive(source: str, data: bytes, **keys: str) -> str:
    """Return the text of an archive source with the right hash of ``data``, or another."""
    values = {"url": source, "sha256": hashlib.sha256(data).hexdigest(), **keys}
    return '[[source]]\nkind = "archive"\n' + "".join(f'{k} = "{v}"\n' for k, v in values.items())


def tarball(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@dataclass
class Upstream:
    """A server on the loopback. ``answers`` maps paths to bytes, or to what handles the request."""

    address: str = ""
    answers: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, path: str, data: bytes | Callable[[BaseHTTPRequestHandler], None] | None = None) -> str:
        if data is not None:
            self.answers[path] = data
        return f"{self.address}/{path}"


@contextmanager
def serving() -> Iterator[Upstream]:
    """Run a server while the context lasts. Ranges are honoured."""
    upstream = Upstream()

    class Handler(loopback.Quiet):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            upstream.asked.append((self.path[1:], wanted))
            answer = upstream.answers.get(self.path[1:])
            if answer is None:
                self.send_error(404)
            elif callable(answer):
                answer(self)
            else:
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(answer) - start))
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{len(answer) - 1}/{len(answer)}")
                self.end_headers()
                self.wfile.write(answer[start:])

    with loopback.serving(Handler) as port:
        upstream.address = f"http://127.0.0.1:{port}"
        yield upstream


def interrupt_when(process: Any, there: Callable[[], bool], *signals: int) -> tuple[str, str]:
    """Send Ctrl-C (or other signals) as soon as something is there; return what was said till the end."""
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for number in signals or (signal.SIGINT,):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=PATIENCE)
    return out, err


def become(
    main: Callable[[], object], words: Sequence[str], *, folder: Path, env: Mapping[str, str], said: Path
) -> int:
    """Turn this process, which is lost then, into a command that tells all in ``said``; return its status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None
    sys.stdout = sys.stderr = said.open("w", errors="backslashreplace")
    for number in (1, 2):
        os.dup2(sys.stdout.fileno(), number)
    sys.argv = list(words)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
    return 0


def lines_of(text: str, words: Sequence[str]) -> list[str]:
    """Return for each of ``words`` the first line that holds it."""
    return [
        next((line for line in text.splitlines() if word in line), f"no line with {word}") for word in words
    ]
