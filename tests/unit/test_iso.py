from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any

import pycdlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster.iso import IsoPlan, _Content, _Names, write_iso
from tcz.errors import ToolkitError, VerifyError

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1735689600


def plan(*files: tuple[str, Path | bytes], **fields: Any) -> IsoPlan:
    fields = {"volume_id": "floe-test-v1", "epoch": EPOCH, "isolinux_bin": None, "efi_image": None} | fields
    return IsoPlan(files=files, **fields)


def contents(image: Path) -> dict[str, bytes]:
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    found = {}
    for folder, _, names in iso.walk(rr_path="/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            buffer = io.BytesIO()
            iso.get_file_from_iso_fp(buffer, rr_path=path)
            found[path[1:]] = buffer.getvalue()
    iso.close()
    return found


PART = st.text("abcABC019._- +~é", min_size=1, max_size=40).filter(lambda part: part.strip(".") != "")


@given(
    st.dictionaries(
        st.lists(PART, min_size=1, max_size=3).map("/".join), st.binary(max_size=3000), max_size=12
    )
)
@settings(max_examples=40)
def test_names_and_contents_come_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    files = {a: data for a, data in files.items() if not any(b.startswith(f"{a}/") for b in files)}
    image = tmp_path_factory.mktemp("iso") / "x.iso"
    write_iso(plan(*files.items()), image)
    assert contents(image) == files


@given(st.sets(st.text("aAbB.-_+", min_size=1, max_size=60), max_size=60))
def test_plain_names_are_unique_and_legal(names: set[str]) -> None:
    table = _Names(plain={}, used=set())
    plain = [table.of(name, is_dir=False) for name in sorted(names)]
    assert len(set(plain)) == len(plain)
    for name in plain:
        assert len(name.removeprefix("/").removesuffix(";1").replace(".", "")) <= 30
        assert set(name) <= set("/ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.;")


def test_the_same_plan_gives_the_same_bytes_in_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x" * 100_000)
    images = []
    for zone, age in (("UTC", 0), ("Asia/Kathmandu", 86_400 * 400)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        os.utime(source, (age, age))
        image = tmp_path / zone.replace("/", "-")
        write_iso(plan(("a/b", source), ("c", b"")), image)
        images.append(image.read_bytes())
    monkeypatch.undo()
    time.tzset()
    assert images[0] == images[1]
    assert images[0][0x8028 : 0x8028 + 32] == b"floe-test-v1".ljust(32)
    assert b"20250101000000" in images[0]


def test_the_clock_runs_again_afterwards(tmp_path: Path) -> None:
    write_iso(plan(("a", b"")), tmp_path / "x")
    from pycdlib import dates  # noqa: PLC0415

    assert dates.time is time


def test_a_file_that_shrinks_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x" * 5000)
    content = _Content(source)
    source.write_bytes(b"x")
    with pytest.raises(VerifyError, match="became shorter"):
        content.read(5000)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (plan(("a", b""), ("./a", b"")), "two files"),
        (plan(("", b"")), "no name"),
        (plan(("a/../b", b"")), "leaves its tree"),
        (plan(("a", b""), ("a/b", b"")), "below something that is a file"),
        (plan(("a" * 300, b"")), "too long"),
        (plan(volume_id=""), "1 to 32 bytes"),
        (plan(volume_id="x" * 33), "1 to 32 bytes"),
        (plan(isolinux_bin="boot/isolinux.bin"), "not among its files"),
        (plan(efi_image="efi.img"), "not among its files"),
        (plan(mbr_code=b"x"), "needs isolinux.bin"),
        (plan(("i", bytes(4096)), isolinux_bin="i", mbr_code=b"x"), "cannot be started from a disk"),
    ],
)
def test_plans_that_make_no_sense(tmp_path: Path, bad: IsoPlan, message: str) -> None:
    with pytest.raises(ToolkitError, match=message):
        write_iso(bad, tmp_path / "x.iso")
    assert list(tmp_path.iterdir()) == []
