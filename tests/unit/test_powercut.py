"""The player of power cuts itself: it loses what may be lost, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.unit import powercut, straced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

BEGIN = "import os, shutil, sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
WRITE = """
with open('new', 'wb') as file:
    file.write(b'second')
    file.flush()
    {sync}
os.rename('new', 'file')
{after}
"""
DISK = "handle = os.open('.', os.O_RDONLY); os.fsync(handle)"


def states(script: str, folder: Path, scratch: Path, count: int = 300) -> set[tuple[tuple[str, bytes], ...]]:
    """Return what may be in a folder when the power fails while a script works in it."""
    argv = [sys.executable, "-c", BEGIN + script]
    made, done = straced.record(argv, folder, scratch, cwd=folder, env={})
    assert done.returncode == 0, done.stderr
    random = Random(3)
    found = set()
    for number in range(count):
        loss = powercut.LOSSES[number % 4]
        root = made.crash(random.randrange(made.cuts), random, loss, ordered=number % 2 == 0)
        found.add(tuple(sorted((name, node.data) for name, node in root.entries.items())))
    final = tuple(sorted((path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()))
    whole = made.crash(made.cuts - 1, random, "kept", ordered=False)
    if script.rstrip().endswith(DISK):
        assert tuple(sorted((name, node.data) for name, node in whole.entries.items())) == final
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "file").write_bytes(b"first")
    return made


def test_what_is_not_made_durable_is_lost(folder: Path, tmp_path: Path) -> None:
    found = states(WRITE.format(sync="", after=""), folder, tmp_path)
    held = {dict(one)["file"] for one in found}
    assert {b"first", b"second", b"", bytes(6)} <= held
    assert any(len(data) in range(1, 6) and b"second".startswith(data) for data in held)


def test_what_is_made_durable_is_there(folder: Path, tmp_path: Path) -> None:
    found = states(WRITE.format(sync="os.fsync(file.fileno())", after=DISK), folder, tmp_path)
    assert {dict(one)["file"] for one in found} == {b"first", b"second"}


def test_changes_of_folders_are_lost_one_by_one(folder: Path, tmp_path: Path) -> None:
    found = states(
        "os.mkdir('a'); os.link('file', 'b'); os.symlink('b', 'c'); os.unlink('b')", folder, tmp_path
    )
    assert {frozenset(dict(one)) - {"file"} for one in found} == {
        frozenset(names) for names in ("", "a", "b", "c", "ab", "ac", "bc", "abc")
    }


def test_every_way_to_write_is_followed(folder: Path, tmp_path: Path) -> None:
    script = f"""
(
    shutil.copyfile('file', 'copy'), shutil.copyfile(sys.executable, 'large'), os.truncate('large', 9)
)
with open('file', 'r+b') as file:
    file.seek(3); file.write(b'XY'); file.truncate(4)
with open('file', 'ab') as file:
    file.write(b'!')
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda n: open(f'thread{{n}}', 'w').write(str(n)), range(20)))
os.mkdir('d'); open('d/x', 'w').close(); shutil.rmtree('d')
os.rename('copy', 'moved'); os.link('moved', 'linked'); os.unlink('moved')
{DISK}
"""
    assert states(script, folder, tmp_path, count=20)
    assert (folder / "file").read_bytes() == b"firX!"


def test_a_folder_is_read_and_written(folder: Path, tmp_path: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below/link").symlink_to("../file")
    (folder / "below/hard").hardlink_to(folder / "file")
    powercut.write(powercut.read(folder), tmp_path / "made")
    done = subprocess.run(["diff", "-r", folder, tmp_path / "made"], check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "made/below/hard").samefile(tmp_path / "made/file")
    assert (tmp_path / "made/below/link").is_symlink()
