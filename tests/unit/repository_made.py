"""Repositories with the official layout: their index files are not written by modules of ours."""

from __future__ import annotations

import gzip
import hashlib
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.squashfs.options import SquashOptions
from tcz.squashfs.writer import write
from tcz.tree import Tree, directory, regular
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from http.server import BaseHTTPRequestHandler

    Fault = Callable[[BaseHTTPRequestHandler, bytes], None]

DATA = Path(__file__).parents[1] / "data"
TCZ = "17.x/x86_64/tcz"


def real_needs() -> dict[str, list[str]]:
    """Return the relations of a real repository (see tests/data/README.md)."""
    lines = gzip.decompress((DATA / "tc13-x86_64-needs.txt.gz").read_bytes()).decode().splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines)}


def write_deps(folder: Path, graph: Mapping[str, Sequence[str]]) -> None:
    """Write .dep files, and a list of all packages."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "info.lst").write_text("".join(f"{name}.tcz\n" for name in graph))
    for name, needs in graph.items():
        if needs:
            (folder / f"{name}.tcz.dep").write_text("".join(f"{need}.tcz\n" for need in needs))


def dep_db(graph: Mapping[str, Sequence[str]]) -> str:
    return "".join(
        "".join(f"{one}.tcz\n" for one in (name, *needs)) + "\n" for name, needs in graph.items() if needs
    )


def put(folder: Path, name: str, needs: Sequence[str] = (), content: str = "", tags: str = "a test") -> None:
    """Write a package with its companions."""
    folder.mkdir(parents=True, exist_ok=True)
    tcz = folder / f"{name}.tcz"
    tree = Tree(
        {
            "usr": directory(),
            "usr/local": directory(),
            f"usr/local/{name}": regular((content or name).encode() * 3000),
        }
    )
    write(tree, tcz, SquashOptions(), epoch=0)
    digest = hashlib.md5(tcz.read_bytes(), usedforsecurity=False).hexdigest()
    (folder / f"{name}.tcz.md5.txt").write_text(f"{digest}  {name}.tcz\n")
    (folder / f"{name}.tcz.info").write_text(
        f"Title:          {name}.tcz\nDescription:    About {name}\nVersion:        1.0\nTags:\t{tags}\n"
    )
    (folder / f"{name}.tcz.list").write_text(f"usr/local/{name}\n")
    dep = folder / f"{name}.tcz.dep"
    dep.unlink(missing_ok=True)
    if needs:
        dep.write_text("".join(f"{need}.tcz\n" for need in needs))


def index(folder: Path) -> None:
    """Write the index files of the packages in a folder."""
    names = sorted(path.name for path in folder.glob("*.tcz"))
    texts = dict.fromkeys(("info.lst", "md5.db", "sizelist", "dep.db", "tags.db", "provides.db"), "")
    for name in names:
        texts["info.lst"] += f"{name}\n"
        texts["md5.db"] += (folder / f"{name}.md5.txt").read_text()
        texts["sizelist"] += f"{name} {(folder / name).stat().st_size}\n"
        dep = folder / f"{name}.dep"
        texts["dep.db"] += f"{name}\n{dep.read_text()}\n" if dep.exists() else ""
        tags = (folder / f"{name}.info").read_text().split("Tags:")[1].split("\n")[0]
        texts["tags.db"] += f"{name}\t{tags}\n"
        texts["provides.db"] += f"{name}\n{(folder / f'{name}.list').read_text()}\n"
    for name, text in texts.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


@dataclass
class Server:
    """A web server of a folder. ``faults`` answer in the place of a file, each once, in turn."""

    folder: Path
    address: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def on(self, name: str, *faults: Fault) -> None:
        self.faults[f"/{TCZ}/{name}"] = list(faults)

    def paths(self, status: int) -> list[str]:
        return [path.rpartition("/")[2] for path, told in self.asked if told == status]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(loopback.Quiet):
        def send_response(self, code: int, message: str | None = None) -> None:
            server.asked.append((self.path, code))
            super().send_response(code, message)

        def do_GET(self) -> None:
            path = server.folder / self.path[1:]
            data = path.read_bytes() if path.is_file() else b""
            waiting = server.faults.get(self.path)
            if waiting:
                (waiting[0] if len(waiting) == 1 else waiting.pop(0))(self, data)
            elif not path.is_file():
                self.send_error(404)
            else:
                whole(self, data)

        do_HEAD = do_GET

    return Handler


def whole(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Answer as a server should: ranges, ETag."""
    tag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    if handler.headers.get("If-None-Match") == tag:
        handler.send_response(304)
        handler.end_headers()
        return
    wanted = handler.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
    if wanted and start >= len(data):
        handler.send_error(416)
        return
    handler.send_response(206 if wanted else 200)
    handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(data) - start))
    if wanted:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    handler.wfile.write(data[start:])


def page(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    text = b"<!DOCTYPE html>\n<html><body>Not here, but all is well</body></html>\n"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


def cut(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])


def short(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Half of it, told to be all of it."""
    whole_length = data[: len(data) // 2]
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(whole_length)))
    handler.end_headers()
    handler.wfile.write(whole_length)


def wrong(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """As many bytes, one of them another."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[:-1] + bytes([data[-1] ^ 1]))


def endless(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Send more and more, of a length that is not told."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        while True:
            handler.wfile.write(data or b"x" * 4096)


def loop(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def reset(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    handler.close_connection = True
    handler.connection.close()


def busy(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    handler.send_error(503)


def later(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    """Ask to be left alone for a second."""
    handler.send_response(503)
    handler.send_header("Retry-After", "1")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def gone(handler: BaseHTTPRequestHandler, _data: bytes) -> None:
    handler.send_error(404)


def slow(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Say what will come, and never send it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.flush()
    time.sleep(1.5)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder on the loopback while the context lasts."""
    server = Server(folder)
    with loopback.serving(_handler(server)) as port:
        server.address = f"http://127.0.0.1:{port}"
        yield server
