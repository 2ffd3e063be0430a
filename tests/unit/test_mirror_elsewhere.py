from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tcz.errors import ConfigError, FetchError
from tcz.mirror.compose import compose, state_files
from tcz.mirror.elsewhere import is_remote, publish
from tcz.mirror.model import Branch, Catalogue, Entry
from tcz.mirror.nginx import configuration
from tcz.mirror.repository import Mirror
from tcz.reporting import SilentReporter
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BRANCH = Branch(release="17.x", arch="x86_64")
TCZ = BRANCH.folder


def show(mirror: Mirror, packages: Mapping[str, bytes]) -> None:
    with mirror.writing(SilentReporter()) as writer:
        objects = writer.objects
        old = mirror.catalogue()
        entries = {
            name: Entry(name=name, md5="0" * 32, files={"": objects.add_bytes(data)})
            for name, data in packages.items()
        }
        new = compose(Catalogue(serial=old.serial + 1, branches={BRANCH: entries}), old, objects)
        writer.publish(state_files(new, objects), new.serial)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/mirror.toml").write_text("")
    mirror = Mirror.open(tmp_path / "m")
    show(mirror, {"a": b"a1", "b": b"b1"})
    return mirror


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def shown(mirror: Mirror) -> dict[str, bytes]:
    state = mirror.shown()
    assert state is not None
    return files(state)


def copy(mirror: Mirror, place: object) -> int:
    return publish(mirror, str(place), HostRunner(), SilentReporter())


def test_a_folder_that_flips(mirror: Mirror, tmp_path: Path) -> None:
    to = tmp_path / "www/tc"
    assert copy(mirror, to) == 1
    assert files(to.resolve()) == shown(mirror)
    inode = (to / TCZ / "a.tcz").stat().st_ino
    show(mirror, {"a": b"a1", "c": b"c2"})
    (tmp_path / "www/.tc.new-left").mkdir()
    before = to.resolve()
    assert copy(mirror, to) == 2
    assert files(to.resolve()) == shown(mirror)
    assert to.resolve() != before
    assert (to / TCZ / "a.tcz").stat().st_ino == inode
    assert len(list((tmp_path / "www").iterdir())) == 2
    assert copy(mirror, to) == 2
    assert files(to.resolve()) == shown(mirror)


def test_a_folder_that_is_there(mirror: Mirror, tmp_path: Path) -> None:
    to = tmp_path / "www"
    to.mkdir()
    copy(mirror, to)
    assert files(to) == shown(mirror)
    show(mirror, {"a": b"a2", "c": b"c2"})
    copy(mirror, to)
    assert files(to) == shown(mirror)
    assert not to.is_symlink()


def test_a_folder_of_somebody_else_is_left_alone(mirror: Mirror, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(other)
    for place in (other, link, other / "mine"):
        with pytest.raises(ConfigError):
            copy(mirror, place)
    assert files(other) == {"mine": b"mine"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def running(argv: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def test_rsync(mirror: Mirror, tmp_path: Path) -> None:
    port = free_port()
    to = tmp_path / "module"
    to.mkdir()
    config = tmp_path / "rsyncd.conf"
    config.write_text(f"use chroot = no\n[tc]\npath = {to}\nread only = no\nuid = 0\ngid = 0\n")
    daemon = [
        "rsync",
        "--daemon",
        "--no-detach",
        "--address=127.0.0.1",
        f"--port={port}",
        f"--config={config}",
    ]
    url = f"rsync://127.0.0.1:{port}/tc"
    with running(daemon, port):
        copy(mirror, url)
        assert files(to) == shown(mirror)
        show(mirror, {"a": b"a2", "c": b"c2"})
        copy(mirror, url)
        assert files(to) == shown(mirror)
        with pytest.raises(FetchError):
            copy(mirror, f"rsync://127.0.0.1:{port}/none")


class Warned(SilentReporter):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_over_a_remote_shell(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ssh would start is started here; an rsync of before 3.2.4 has no option to make files durable."""
    shell = tmp_path / "shell"
    monkeypatch.setenv("RSYNC_RSH", str(shell))
    old = 'case "$*" in *--fsync*) echo "rsync: --fsync: unknown option" >&2; exit 1;; esac\n'
    for number, check in enumerate(("", old)):
        shell.write_text(f'#!/bin/sh\n[ "$1" = host ] || exit 9\nshift\n{check}exec "$@"\n')
        shell.chmod(0o755)
        to = tmp_path / f"there{number}"
        reporter = Warned()
        for packages in ({"a": b"a1"}, {"a": b"a2", "c": b"c2"}):
            show(mirror, packages)
            publish(mirror, f"host:{to}", HostRunner(), reporter)
            assert files(to) == shown(mirror)
        assert ["lacks --fsync" in text for text in reporter.warnings] == [True] * 2 * number
    shell.write_text("#!/bin/sh\necho 'host: no route' >&2\nexit 255\n")
    with pytest.raises(FetchError, match="could not copy the packages") as told:
        copy(mirror, f"host:{to}")
    assert "no route" in (told.value.why or "")


@pytest.mark.parametrize(
    ("place", "remote"),
    [
        ("rsync://h/m", True),
        ("h:x", True),
        ("me@h:/srv/x", True),
        ("h::m/x", True),
        ("/srv/a:b", False),
        ("./a:b", False),
        ("folder", False),
    ],
)
def test_places(place: str, remote: bool) -> None:  # noqa: FBT001
    assert is_remote(place) == remote


MAIN = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/t1;
    proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    include {folder}/mirror.conf;
}}
"""


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named)) as got:  # noqa: S310
            return got.status, {key.lower(): value for key, value in got.headers.items()}, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read()


def test_nginx_with_our_configuration(mirror: Mirror, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.stat().st_uid == 0:
            user = "user root;\n"
            break
    else:
        user = ""
    port = free_port()
    text = configuration(mirror.public, names=("tc.example.org", "_"), listen=(f"127.0.0.1:{port}",))
    (tmp_path / "mirror.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(user + MAIN.format(folder=tmp_path))
    (tmp_path / "secret").write_text("secret")
    state = mirror.shown()
    assert state is not None
    (state / "outside").symlink_to(tmp_path / "secret")
    nginx = str(HostRunner().which("nginx"))
    argv = [nginx, "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")]
    tested = subprocess.run([*argv, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    url = f"http://127.0.0.1:{port}"
    with running(argv, port):
        status, fields, body = fetch(f"{url}/{TCZ}/a.tcz", Accept_Encoding="gzip")
        assert (status, body) == (200, b"a1")
        assert fields["cache-control"] == "no-cache"
        assert fields["content-type"] == "application/octet-stream"
        assert fetch(f"{url}/{TCZ}/a.tcz", If_None_Match=fields["etag"])[0] == 304
        assert fetch(f"{url}/{TCZ}/a.tcz", If_Modified_Since="Thu, 01 Jan 2099 00:00:00 GMT")[0] == 200
        part = fetch(f"{url}/{TCZ}/a.tcz", Range="bytes=1-")
        assert (part[0], part[1]["content-range"], part[2]) == (206, "bytes 1-1/2", b"1")
        assert fetch(f"{url}/{TCZ}/a.tcz", Range="bytes=2-")[0] == 416
        for told, status in ((fields["etag"], 206), (fields["last-modified"], 206), ('"other"', 200)):
            assert fetch(f"{url}/{TCZ}/a.tcz", Range="bytes=1-", If_Range=told)[0] == status
        head = subprocess.run(
            ["busybox", "wget", "-S", "--spider", f"{url}/{TCZ}/a.tcz"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Content-Length: 2" in head.stderr
        gone = subprocess.run(["busybox", "wget", "--spider", "-q", f"{url}/{TCZ}/b.tcz.dep"], check=False)
        assert gone.returncode != 0
        logged = re.findall(
            r'"(?:HEAD|GET) \S*/a[.]tcz HTTP/1[.]1" (\d+)', (tmp_path / "access.log").read_text()
        )
        assert {"200", "206", "304", "416"} <= set(logged)
        assert fetch(f"{url}//{TCZ}//info.lst")[::2] == (200, b"a.tcz\nb.tcz\n")
        packed = fetch(f"{url}/{TCZ}/info.lst.gz", Accept_Encoding="gzip")[1]
        assert (packed["content-type"], packed.get("content-encoding")) == ("application/gzip", None)
        for path in ("", TCZ, f"{TCZ}/", f"{TCZ}/none.tcz.dep", "../mirror.toml", "%2e%2e/mirror.toml"):
            got = fetch(f"{url}/{path}")
            assert got[0] in (400, 404), path
            assert b"a.tcz" not in got[2]
        assert fetch(f"{url}/outside")[0] in (403, 404)
        show(mirror, {"a": b"new"})
        assert fetch(f"{url}/{TCZ}/a.tcz")[::2] == (200, b"new")
        have = tmp_path / "a.tcz"
        have.write_bytes(b"n")
        subprocess.run(["busybox", "wget", "-qc", f"{url}/{TCZ}/a.tcz"], cwd=tmp_path, check=True)
        assert have.read_bytes() == b"new"


def test_what_no_configuration_can_hold() -> None:
    good = configuration(Path("/srv/m/public"), tls=(Path("/c"), Path("/k")))
    assert '    root "/srv/m/public";\n' in good
    assert '    ssl_certificate "/c";\n' in good
    for public, names, listen in (
        ('/srv/"; include /etc', [], ["80"]),
        ("/srv/$x", [], ["80"]),
        ("/srv", ["a; b"], ["80"]),
        ("/srv", [], ["80 default_server; x"]),
    ):
        with pytest.raises(ConfigError):
            configuration(Path(public), names=names, listen=listen)
