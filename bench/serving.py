"""Serving a mirror: many requests for a small file, and one of 100 MB, beside nginx on the same files.

Both servers run through all rounds, one process each, with an access log; ``ab`` asks over 16 connections
that stay open. nginx has the configuration that ``tcz mirror nginx-config`` writes.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from bench.data import program
from bench.harness import Case, Side, Skipped, shell
from tcz.mirror.nginx import configuration
from tcz.mirror.repository import Mirror
from tcz.reporting import SilentReporter
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_REQUESTS: Final = 20_000
_LARGE: Final = 100_000_000
_NGINX: Final = """\
{user}daemon off;
pid {folder}/pid;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/t1;
    proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    include {folder}/mirror.conf;
}}
"""


def _mirror(root: Path) -> Mirror:
    root.mkdir()
    (root / "mirror.toml").write_text("")
    mirror = Mirror.open(root)
    with mirror.writing(SilentReporter()) as writer:
        keep = writer.objects.add_bytes
        files = {"small.tcz.dep": keep(b"libz.tcz\n" * 6), "large.tcz": keep(program(_LARGE // 20, 3) * 20)}
        writer.publish(files, 1)
    return mirror


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _start(argv: Sequence[str], port: int, log: Path) -> None:
    process = HostRunner().spawn(argv, log=log)
    atexit.register(process.stop)
    for _ in range(100):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Skipped(f"{argv[0]} does not start: {log.read_text(errors='replace')}")


def _many(base: str) -> Callable[[], None]:
    url = f"{base}/small.tcz.dep"
    return lambda: shell(f"ab -q -k -n {_REQUESTS} -c 16 {url} | grep -q 'Failed requests: *0$'")


def _one(base: str) -> Callable[[], None]:
    return lambda: shell(f"curl -sf {base}/large.tcz >/dev/null")


def start_nginx(place: Path, mirror: Mirror) -> str:
    """Serve a mirror with nginx in a new folder, until this program ends; return its address."""
    place.mkdir(exist_ok=True)
    port = _port()
    user = "user root;\n" if os.getuid() == 0 else ""
    (place / "nginx.conf").write_text(_NGINX.format(folder=place, user=user))
    public = mirror.public.absolute()
    (place / "mirror.conf").write_text(configuration(public, listen=(f"127.0.0.1:{port}",)))
    argv = ["nginx", "-p", str(place), "-e", str(place / "error.log"), "-c", str(place / "nginx.conf")]
    _start(argv, port, place / "log")
    return f"http://127.0.0.1:{port}"


def cases(place: Path) -> tuple[Case, ...]:
    """Start both servers; they end with this program."""
    lacking = [program for program in ("nginx", "ab", "curl") if HostRunner().which(program) is None]
    if lacking:
        raise Skipped(f"{', '.join(lacking)} not installed; tools/setup.sh bench installs what is missing")
    mirror = _mirror(place / "m")
    port = _port()
    ours, theirs = f"http://127.0.0.1:{port}", start_nginx(place, mirror)
    log = str(place / "log")
    code = "from tcz.cli.mirror_serve import serve; serve()"
    python = [
        sys.executable,
        "-c",
        code,
        "-m",
        str(mirror.root),
        "--listen",
        f"127.0.0.1:{port}",
        "--log",
        log,
    ]
    _start(python, port, place / "ours")
    return (
        Case(
            name="serving-small",
            ours=Side(
                name=f"tcz mirror serve, {_REQUESTS} requests", run=_many(ours), needs=("ab",), counted=False
            ),
            peers=(Side(name="nginx", run=_many(theirs), goal="<= 3.0", counted=False),),
        ),
        Case(
            name="serving-large",
            ours=Side(name="tcz mirror serve, 100 MB", run=_one(ours), needs=("curl",), counted=False),
            peers=(Side(name="nginx", run=_one(theirs), goal="<= 1.5", counted=False),),
        ),
    )
