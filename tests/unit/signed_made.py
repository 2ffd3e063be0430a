"""Signed mirrors for the tests, and what somebody between a mirror and its clients may do to them."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz.mirror import catalogue as catalogues
from tcz.mirror import changes, signing
from tcz.mirror.config import Config
from tcz.mirror.keyring import KeyRing
from tcz.mirror.repository import Mirror
from tcz.mirror.sign import PublicKey, SecretKey
from tcz.mirror.trust import comment
from tcz.paths import Dirs
from tests.unit.mirror_made import BRANCH, QUIET, package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TCZ = BRANCH.folder


@dataclass
class Theirs:
    """A signed mirror with its keys, elsewhere; ``shown`` is a copy of what it shows, to be served."""

    folder: Path
    ring: KeyRing
    mirror: Mirror
    shown: Path

    @property
    def key(self) -> PublicKey:
        """The key that clients have."""
        return PublicKey.parse(self.key_file.read_text())

    @property
    def key_file(self) -> Path:
        return self.ring.folder / "one.pub"

    def add(self, name: str, *needs: str, version: str = "1") -> None:
        path = package(self.folder / "in", name, *needs, version=version)
        sign = signing.signing(self.mirror, self.ring)
        changes.add(self.mirror, [path], BRANCH, QUIET, replacing=True, sign=sign)
        self.show()

    def sign(self, name: str) -> None:
        signing.sign(self.mirror, self.ring, name, QUIET)
        self.show()

    def show(self) -> None:
        shutil.rmtree(self.shown, ignore_errors=True)
        shutil.copytree(self.mirror.public, self.shown)

    def resign(self, key: SecretKey) -> None:
        """Sign what lies there with another key."""
        root = (self.shown / catalogues.ROOT).read_bytes()
        signature = key.sign(root, comment(json.loads(root)["serial"], "Theirs"))
        (self.shown / catalogues.SIGNATURE).write_bytes(signature)


def theirs(folder: Path) -> Theirs:
    """Make a mirror with the packages app, lib and base, signed with the key ``one``."""
    ring = KeyRing(dirs(folder))
    ring.new("one")
    config = Config(title="Theirs", branches=(BRANCH,), latest={})
    config, signer = signing.begun(config, ring, "one")
    mirror = changes.init(folder / "m", config, QUIET, signer)
    made = Theirs(folder=folder, ring=ring, mirror=mirror, shown=folder / "shown")
    made.add("base")
    made.add("lib", "base")
    made.add("app", "lib")
    return made


def at(folder: Path) -> Theirs:
    """Return the mirror that ``theirs`` made, in a copy of its folder."""
    ring = KeyRing(dirs(folder))
    return Theirs(folder=folder, ring=ring, mirror=Mirror.open(folder / "m"), shown=folder / "shown")


def dirs(folder: Path) -> Dirs:
    return Dirs(cache=folder / "cache", config=folder / "config", state=folder / "state")


# -- attacks: each changes what is shown; the text is what a client must say ------------------------


def tampered_catalogue(made: Theirs) -> None:
    root = made.shown / catalogues.ROOT
    root.write_text(root.read_text().replace('"packages": ', '"packages": 1'))


def tampered_list(made: Theirs) -> None:
    path = made.shown / catalogues.list_path(BRANCH)
    path.write_text(path.read_text().replace('"installed":', '"installed": 1'))


def other_list_pinned(made: Theirs) -> None:
    """The whole of it made to fit, but for the signature."""
    evil_package(made)
    path = made.shown / catalogues.list_path(BRANCH)
    data = (made.shown / TCZ / "app.tcz").read_bytes()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["name"] == "app":
            line["md5"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
            line["files"][""] = [hashlib.sha256(data).hexdigest(), len(data)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    root = json.loads((made.shown / catalogues.ROOT).read_text())
    named = root["branches"][str(BRANCH)]
    named["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    named["size"] = path.stat().st_size
    (made.shown / catalogues.ROOT).write_text(json.dumps(root))


def stripped(made: Theirs) -> None:
    (made.shown / catalogues.SIGNATURE).unlink()


def page_for_signature(made: Theirs) -> None:
    (made.shown / catalogues.SIGNATURE).write_text("<!DOCTYPE html>\n<p>all is well</p>\n")


def no_catalogue(made: Theirs) -> None:
    shutil.rmtree(made.shown / catalogues.FOLDER)


def signed_by_a_stranger(made: Theirs) -> None:
    made.resign(SecretKey.new())


def signed_by_a_stranger_of_the_same_id(made: Theirs) -> None:
    key = SecretKey.new()
    made.resign(replace(key, public=PublicKey(id=made.key.id, key=key.public.key)))


def evil_package(made: Theirs) -> None:
    """Another package under the name, and every index and companion that speaks of it."""
    folder = made.shown / TCZ
    before = hashlib.md5((folder / "app.tcz").read_bytes(), usedforsecurity=False).hexdigest()
    data = package(made.folder / "evil", "app", "lib", version="evil").read_bytes()
    (folder / "app.tcz").write_bytes(data)
    after = hashlib.md5(data, usedforsecurity=False).hexdigest()
    for path in (folder / "md5.db", folder / "app.tcz.md5.txt"):
        path.write_text(path.read_text().replace(before, after))
    (folder / "md5.db.gz").write_bytes(gzip.compress((folder / "md5.db").read_bytes()))


def package_alone(made: Theirs) -> None:
    path = made.shown / TCZ / "app.tcz"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


ATTACKS: dict[str, tuple[Callable[[Theirs], None], str]] = {
    "catalogue": (tampered_catalogue, "the signature does not fit"),
    "list": (tampered_list, "not the list that the catalogue names"),
    "list and catalogue": (other_list_pinned, "the signature does not fit"),
    "stripped": (stripped, "the mirror is not signed"),
    "page": (page_for_signature, "not a signature"),
    "no catalogue": (no_catalogue, "no catalogue|rsync failed"),
    "stranger": (signed_by_a_stranger, "which is not trusted"),
    "same id": (signed_by_a_stranger_of_the_same_id, "the signature does not fit"),
    "package and indexes": (evil_package, "not (the file|what)"),
    "package": (package_alone, "not what"),
}


@contextmanager
def rsync_daemon(folder: Path, scratch: Path) -> Iterator[str]:
    """Serve a folder by a real rsync daemon; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    scratch.mkdir(exist_ok=True)
    config = scratch / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nlog file = {scratch}/log\npid file = {scratch}/pid\n"
        f"[tc]\npath = {folder}\nread only = yes\n"
        f"uid = {folder.stat().st_uid}\ngid = {folder.stat().st_gid}\n"
    )
    words = [
        "rsync",
        "--daemon",
        "--no-detach",
        f"--config={config}",
        "--address=127.0.0.1",
        f"--port={port}",
    ]
    daemon = subprocess.Popen(words)
    try:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rsync://127.0.0.1:{port}/tc"
    finally:
        daemon.terminate()
        daemon.wait()
