"""Roots of Tiny Core out of signed mirrors: what is not signed is not taken, whoever offers it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tcz import commands
from tcz.errors import FetchError, ToolkitError, VerifyError
from tcz.mirror import config as configs
from tcz.mirror import signing
from tcz.mirror.publish import publish
from tcz.reporting import SilentReporter
from tcz.store import Store
from tcz.tinycore import Chosen, Mirror, Remote
from tests.unit.mirror_made import QUIET
from tests.unit.repository_made import serving
from tests.unit.signed_made import ATTACKS, Theirs, at, dirs, theirs

if TYPE_CHECKING:
    from pathlib import Path

ROOTFS = "17.x/x86_64/release/distribution_files/rootfs64.gz"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    made = theirs(tmp_path_factory.mktemp("theirs"))
    with made.mirror.writing(QUIET) as writer:
        old = made.mirror.catalogue()
        data = b"the root file system"
        md5 = f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  rootfs64.gz\n".encode()
        extra = {ROOTFS: writer.objects.add_bytes(data), f"{ROOTFS}.md5.txt": writer.objects.add_bytes(md5)}
        sign = signing.signing(made.mirror, made.ring)
        new = replace(old, extra={**old.extra, **extra})
        publish(writer, configs.read(made.mirror.root), new, old=old, sign=sign)
    made.show()
    return made


@pytest.fixture
def made(begun: Theirs, tmp_path: Path) -> Theirs:
    shutil.copytree(begun.folder, tmp_path / "theirs", symlinks=True)
    return at(tmp_path / "theirs")


def fetch(folder: Path, remotes: tuple[Remote, ...]) -> tuple[Chosen, tuple[Path, ...]]:
    me = dirs(folder)
    return Mirror(me, Store(me.cache / "store"), SilentReporter(), remotes=remotes).fetch("17.x", ["app"])


def remotes(address: str, made: Theirs, folder: Path) -> tuple[Remote, ...]:
    return commands._tinycore_mirrors(address, [made.key_file], dirs(folder))


def test_a_signed_mirror(made: Theirs, tmp_path: Path) -> None:
    entries = made.mirror.catalogue().branches
    with serving(made.shown) as server:
        chosen, files = fetch(tmp_path, remotes(server.address, made, tmp_path))
    assert [one.name for one in chosen.extensions] == ["base", "lib", "app"]
    (packages,) = entries.values()
    assert [one.sha256 for one in chosen.extensions] == [packages[n].sha256 for n in ("base", "lib", "app")]
    assert files[0].read_bytes() == b"the root file system"
    # all of it is in the cache now
    assert fetch(tmp_path, remotes("http://127.0.0.1:9", made, tmp_path)) == (chosen, files)


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str, made: Theirs, tmp_path: Path) -> None:
    change, text = ATTACKS[attack]
    change(made)
    with serving(made.shown) as server:
        with pytest.raises(ToolkitError, match=f"{text}|wrong sha256|is not what its"):
            fetch(tmp_path, remotes(server.address, made, tmp_path))
        # what was taken unverified is not taken for verified later
        if attack == "package and indexes":
            fetch(tmp_path, (Remote(address=server.address),))
            with pytest.raises(VerifyError):
                fetch(tmp_path, remotes(server.address, made, tmp_path))


def test_each_by_its_own_rules(made: Theirs, tmp_path: Path) -> None:
    """A mirror that is verified, and another one for what it lacks."""
    lacking = tmp_path / "official"
    shutil.copytree(made.shown / "17.x", lacking / "17.x")
    shutil.rmtree(lacking / "17.x/x86_64/tcz")
    # not in the catalogue, and so not there, whatever lies on the server
    made.show()
    first = made.shown / ROOTFS
    with serving(made.shown) as ours, serving(lacking) as theirs_too:
        both = (*remotes(ours.address, made, tmp_path), Remote(address=theirs_too.address))
        first.unlink()
        with pytest.raises((FetchError, VerifyError)):
            fetch(tmp_path / "one", both[:1])
        chosen, _ = fetch(tmp_path / "two", both)
        assert chosen.initrd.sha256 == hashlib.sha256(b"the root file system").hexdigest()
