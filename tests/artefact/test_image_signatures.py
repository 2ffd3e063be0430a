"""Signatures beside images: written for minisign, and made by it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from remaster import signatures
from remaster.formats import FORMATS
from remaster.outputs import Outputs
from tcz.errors import ConfigError, VerifyError
from tcz.mirror.sign import SecretKey
from tests.artefact import test_image as small
from tests.artefact.proof_made import why

if TYPE_CHECKING:
    from pathlib import Path

    from tests.artefact.proof_made import Place


pytestmark = small.pytestmark

needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="no minisign here")


def outputs_in(folder: Path) -> Outputs:
    names = ("x.iso", "x.img", "x.qcow2", "x.tar")
    nets = tuple(folder / "x.netboot" / name for name in FORMATS["netboot"].files)
    return Outputs.at(folder / "x.iso", (*(folder / name for name in names), *nets), stem="x")


@pytest.fixture
def copied(made: Place, tmp_path: Path) -> Path:
    """The image in all formats in a folder of its own, and a key that minisign made."""
    shutil.copytree(made.top / "out", tmp_path / "out")
    minisign("-G", "-W", "-p", tmp_path / "key.pub", "-s", tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    return tmp_path / "out"


def minisign(*argv: object) -> str:
    done = subprocess.run(["minisign", *map(str, argv)], check=True, capture_output=True, text=True)
    return done.stdout


@needs_minisign
def test_minisign_reads_what_is_signed(copied: Path, made: Place) -> None:
    key = signatures.secret(str(copied.parent / "key"), made.here.dirs)
    written = signatures.sign(outputs_in(copied), key)
    assert {path.name for path in written} == {
        f"{name}.minisig" for name in ("x.iso", "x.img", "x.qcow2", "x.tar", "x.sha256")
    }
    for path in written:
        said = minisign("-V", "-m", path.with_suffix(""), "-p", copied.parent / "key.pub")
        assert "Signature and comment signature verified" in said
        assert f"file:{path.stem}" in said
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in signatures.sign(outputs_in(copied), key)] == before
    keys = signatures.public([copied.parent / "key.pub"])
    for name in ("x.iso", "x.qcow2", "x.netboot", "x.tar", "x.sha256"):
        found = signatures.check(copied / name, keys)
        assert found.signed_by == key.public.name
        assert len(found.files) == (5 if name == "x.netboot" else 1)


@needs_minisign
def test_what_minisign_signed_is_read(copied: Path) -> None:
    for options in ((), ("-l",)):  # the hash of the file, and the file itself as old versions did
        minisign("-S", *options, "-s", copied.parent / "key", "-m", copied / "x.iso", "-t", "made by another")
        keys = signatures.public([copied.parent / "key.pub"])
        (found,) = signatures.check(copied / "x.iso", keys).files
        assert (found.comment, found.signed_by) == ("made by another", keys[0].name)


@needs_minisign
def test_what_was_changed_is_refused(copied: Path, made: Place, tmp_path: Path) -> None:
    key = signatures.secret(str(copied.parent / "key"), made.here.dirs)
    signatures.sign(outputs_in(copied), key)
    keys = signatures.public([copied.parent / "key.pub"])
    minisign("-G", "-W", "-p", tmp_path / "other.pub", "-s", tmp_path / "other")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.iso", signatures.public([tmp_path / "other.pub"]))
    assert "which is not trusted" in why(caught)
    with (copied / "x.netboot/cmdline").open("a") as file:
        file.write("init=/bin/sh\n")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.netboot", keys)
    assert "x.netboot/cmdline: " in why(caught)
    with (copied / "x.iso").open("r+b") as file:
        file.seek(40_000)
        file.write(b"damage")
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.iso", keys)
    assert "x.iso.minisig: the signature does not fit" in why(caught)
    assert "is not what x.sha256 says" in why(caught)
    (copied / "x.sha256").unlink()
    with pytest.raises(VerifyError, match="not the image"):
        signatures.check(copied / "x.iso", ())
    (copied / "x.tar.minisig").unlink()
    with pytest.raises(VerifyError) as caught:
        signatures.check(copied / "x.tar", keys)
    assert "no signature vouches for it" in why(caught)


def test_keys_that_cannot_sign(tmp_path: Path, made: Place) -> None:
    (tmp_path / "open").write_text(SecretKey.new().text())
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        signatures.secret(str(tmp_path / "open"), made.here.dirs)
    with pytest.raises(ConfigError, match="there is no secret key release"):
        signatures.secret("release", made.here.dirs)
    with pytest.raises(ConfigError, match="cannot be read"):
        signatures.secret(str(tmp_path / "absent"), made.here.dirs)
