from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster.formats.model import Layout, Piece, bytes_of, clusters, layout, pieces_of, write_raw
from tcz.errors import ToolkitError, VerifyError
from tcz.tree import FileRef

SIZE = 300_000


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, bytes]:
    """A layout and the bytes it stands for."""
    marks = sorted(draw(st.sets(st.integers(0, SIZE), max_size=8)))
    plain = bytearray(SIZE)
    pieces = []
    for start, end in zip(marks[::2], marks[1::2], strict=False):
        data = draw(st.sampled_from([b"\0", b"\1", b"\0\0\0\7"])) * SIZE
        data = data[: end - start]
        plain[start:end] = data
        pieces.append(Piece(offset=start, source=data))
    return layout(SIZE, tuple(reversed(pieces))), bytes(plain)


@given(layouts())
@settings(max_examples=60)
def test_raw_files_are_what_the_layout_says(made: tuple[Layout, bytes]) -> None:
    wanted, plain = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        write_raw(wanted, path)
        assert path.read_bytes() == plain


@given(layouts(), st.sampled_from([512, 4096, 65536]))
@settings(max_examples=60)
def test_clusters_hold_all_that_is_not_zero_once(made: tuple[Layout, bytes], size: int) -> None:
    wanted, plain = made
    found = dict(clusters(wanted, size))
    assert list(found) == sorted(found)
    padded = plain.ljust(-(-SIZE // size) * size, b"\0")
    whole = [padded[at : at + size] for at in range(0, len(padded), size)]
    assert found == {number: data for number, data in enumerate(whole) if any(data)}


def test_sources_of_all_kinds_are_read(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    assert bytes_of(file) == b"0123456789"
    assert bytes_of(FileRef(file, 2, 3)) == b"234"
    wanted = layout(
        100,
        (Piece(offset=50, source=file),),
        (Piece(offset=0, source=FileRef(file, 5, 5)), Piece(offset=98, source=b"ab")),
    )
    write_raw(wanted, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == (
        b"56789".ljust(50, b"\0") + b"0123456789".ljust(48, b"\0") + b"ab"
    )


def test_holes_are_neither_read_nor_written(tmp_path: Path) -> None:
    file = tmp_path / "f"
    with file.open("wb") as made:
        made.truncate(1 << 40)
        made.seek(1 << 39)
        made.write(b"here")
    size = 1 << 40
    found = {offset: data for offset, data in pieces_of(file, size) if any(data)}
    assert len(found) == 1
    write_raw(layout(2 * size, (Piece(offset=size, source=file),)), tmp_path / "x")
    status = (tmp_path / "x").stat()
    assert status.st_size == 2 * size
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize(
    "pieces",
    [
        (Piece(offset=0, source=b"aaaa"), Piece(offset=3, source=b"b")),
        (Piece(offset=99, source=b"ab"),),
    ],
)
def test_what_overlaps_or_stands_out_is_refused(pieces: tuple[Piece, ...]) -> None:
    with pytest.raises(ToolkitError, match="over another, or outside"):
        list(layout(100, pieces).runs())


def test_a_file_that_shrinks_is_told(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    with pytest.raises(VerifyError, match="shorter"):
        list(pieces_of(file, 6))
