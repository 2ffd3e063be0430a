"""What decides an image's bytes by its version, and what is told where that is another one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, cast

import pytest

import tcz
from remaster import formats, imagelock
from remaster.imagelock import ImageLock
from tcz.errors import MissingToolError, ToolkitError
from tcz.lock import Lock
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.compress import Compression

pytestmark = pytest.mark.skipif(shutil.which("mke2fs", path="/usr/sbin:/sbin") is None, reason="needs mke2fs")
ALWAYS = {"tinycore-toolkit", "deflate", "pycdlib", "zstandard"}


def locked(compressor: Compression, *names: str) -> ImageLock:
    tools = imagelock.tools(compressor, formats.named(names), HostRunner())
    lock = Lock(epoch=0, variant="x", recipes=(), tools=tools)
    return ImageLock(lock=lock, image=cast("Any", None), settings=(), formats=names)


def told(lock: ImageLock, compressor: Compression, *names: str) -> list[str]:
    return list(imagelock.other_tools(lock, compressor, formats.named(names), HostRunner()))


def versions(lock: ImageLock) -> dict[str, str]:
    return {tool.name: tool.version for tool in lock.lock.tools}


@pytest.fixture
def other_mke2fs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a mke2fs of another version before that of this machine."""
    program = tmp_path / "bin/mke2fs"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'mke2fs 9.99.1 (1-Jan-2099)' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


@pytest.mark.parametrize(
    ("compressor", "names", "more"),
    [
        ("zstd", ("iso", "netboot", "tar"), set()),
        ("zstd", ("disk",), {"mke2fs"}),
        ("gzip", ("iso", "qcow2", "disk"), {"mke2fs"}),
        ("xz", ("iso",), {"liblzma"}),
        ("lz4", ("qcow2",), {"lz4", "mke2fs"}),
    ],
)
def test_what_decides(compressor: Compression, names: tuple[str, ...], more: set[str]) -> None:
    found = versions(locked(compressor, *names))
    assert set(found) == ALWAYS | more
    assert found["tinycore-toolkit"] == tcz.__version__
    assert all(re.fullmatch(r"\d+\.[\w.+-]+", version) for version in found.values()), found
    if "mke2fs" in more:
        path = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        said = subprocess.run([str(path), "-V"], capture_output=True, text=True, check=True).stderr
        assert f"mke2fs {found['mke2fs']} (" in said


@pytest.mark.usefixtures("other_mke2fs")
def test_the_same_tools_hold() -> None:
    lock = locked("zstd", "iso", "qcow2")
    assert versions(lock)["mke2fs"] == "9.99.1"
    assert told(lock, "zstd", "iso", "qcow2") == []


def test_another_mke2fs_is_told_with_both_versions(other_mke2fs: Path) -> None:
    lock = locked("zstd", "iso", "qcow2")
    other_mke2fs.write_text("#!/bin/sh\necho 'mke2fs 9.99.2 (1-Jan-2099)' >&2\n")
    assert told(lock, "zstd", "qcow2") == ["tool mke2fs: 9.99.1 is locked, 9.99.2 is here"]
    # What it does not write it has no say in: neither a format that is left out, nor one that is not locked.
    assert told(lock, "zstd", "iso") == []
    assert told(locked("zstd", "iso"), "zstd", "iso", "disk") == []


@pytest.mark.usefixtures("other_mke2fs")
def test_without_mke2fs(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = locked("zstd", "disk")
    monkeypatch.setattr(HostRunner, "which", lambda _self, name: shutil.which(name, path="/nowhere"))
    assert told(lock, "zstd", "disk") == ["tool mke2fs: 9.99.1 is locked, none is here"]
    with pytest.raises(MissingToolError):
        locked("zstd", "disk")


def test_a_mke2fs_that_tells_nothing(other_mke2fs: Path) -> None:
    other_mke2fs.write_text("#!/bin/sh\necho what\n")
    with pytest.raises(ToolkitError, match="does not tell its version"):
        locked("zstd", "disk")


def test_another_compressor() -> None:
    version = versions(locked("xz", "iso"))["liblzma"]
    assert told(locked("zstd", "iso"), "xz", "iso") == [f"tool liblzma: none is locked, {version} is here"]
