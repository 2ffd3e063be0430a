from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import zsync
from tcz.errors import VerifyError

EPOCH = 1735689600


@settings(max_examples=60)
@given(st.binary(max_size=3000))
def test_weak_sum_is_what_the_format_says(block: bytes) -> None:
    plain = sum(block) & 0xFFFF
    weighted = sum((len(block) - place) * byte for place, byte in enumerate(block)) & 0xFFFF
    assert zsync.weak_sum(block) == plain.to_bytes(2, "big") + weighted.to_bytes(2, "big")


def test_weak_sum_at_its_largest() -> None:
    for size in (2048, 4096):
        total = size * (size + 1) // 2 * 255 & 0xFFFF
        assert zsync.weak_sum(b"\xff" * size)[2:] == total.to_bytes(2, "big")


def test_control(tmp_path: Path) -> None:
    file = tmp_path / "x.tcz"
    file.write_bytes(b"ab" * 2500)
    text, _, sums = zsync.control(file, epoch=EPOCH).partition(b"\n\n")
    assert text.decode().splitlines() == [
        "zsync: 0.6.2",
        "Filename: x.tcz",
        "MTime: Wed, 01 Jan 2025 00:00:00 +0000",
        "Blocksize: 2048",
        "Length: 5000",
        "Hash-Lengths: 2,2,3",
        "URL: x.tcz",
        "SHA-1: e22cc1cbf78d5cadd51123ff304438a17b9535eb",
    ]
    assert len(sums) == 3 * 5
    # Equal blocks have equal sums; the last one is filled up with zeros.
    assert sums[:5] == sums[5:10] != sums[10:]


def test_read_back(tmp_path: Path) -> None:
    file = tmp_path / "x.tcz"
    file.write_bytes(bytes(7000))
    found = zsync.parse(zsync.control(file, epoch=EPOCH))
    assert (found.name, found.url, found.length, found.blocksize) == ("x.tcz", "x.tcz", 7000, 2048)
    assert (found.matches, found.weak_size, found.strong_size, len(found.sums)) == (2, 2, 3, 20)


@settings(max_examples=80)
@given(length=st.integers(0, 1 << 40))
def test_sizes_are_ones_that_clients_take(length: int) -> None:
    blocksize = 2048 if length < 100_000_000 else 4096
    matches, weak, strong = zsync.sum_sizes(length, blocksize)
    assert matches in (1, 2)
    assert 2 <= weak <= 4
    assert 3 <= strong <= 16


_WHOLE = (
    b"zsync: 0.6.2\nFilename: x\nMTime: y\nBlocksize: 2048\nLength: 100\n"
    b"Hash-Lengths: 1,2,4\nURL: x\nSHA-1: z\n\n"
    b"\x01\x02\x03\x04\x05\x06"
)


@settings(max_examples=150)
@given(cut=st.integers(0, len(_WHOLE)), junk=st.binary(max_size=6), at=st.integers(0, len(_WHOLE)))
def test_damage_is_an_error(cut: int, junk: bytes, at: int) -> None:
    assert zsync.parse(_WHOLE).sums == b"\x01\x02\x03\x04\x05\x06"
    if cut < len(_WHOLE):
        with pytest.raises(VerifyError):
            zsync.parse(_WHOLE[:cut])
    data = _WHOLE[:at] + junk + _WHOLE[at + len(junk) :]
    try:
        found = zsync.parse(data)
    except VerifyError:
        return
    blocks = -(-found.length // found.blocksize)
    assert len(found.sums) == blocks * (found.weak_size + found.strong_size)


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b"zsync: 0.6.2\n\n", _WHOLE.replace(b"2048", b"0"), _WHOLE.replace(b"100", b"-1")],
)
def test_no_control_file(text: bytes) -> None:
    with pytest.raises(VerifyError, match="zsync"):
        zsync.parse(text)
