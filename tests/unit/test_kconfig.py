"""Kernel configurations: as text, packed, and within kernel images; what engines need of them."""

from __future__ import annotations

import gzip
import lzma
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster import engine, kconfig
from remaster.kconfig import KernelConfig
from tcz.errors import ConfigError, VerifyError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
#
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_MEMCG=y
CONFIG_VETH=m
# CONFIG_PSI is not set
CONFIG_LOCALVERSION="-x"
CONFIG_HZ=250
"""
NAMES = st.text(alphabet="ABCDEFGHIJ_0123", min_size=1, max_size=12)
VALUES = st.one_of(st.sampled_from("ymn"), st.integers(0, 10**6).map(str), st.just('"text = of # all"'))


def bzimage(kernel: bytes, *, version: int = 0x20F, sectors: int = 3) -> bytes:
    """Make the image of a kernel that is packed by gzip, as the header of boot protocol 2.08 says."""
    payload = gzip.compress(kernel) + struct.pack("<I", len(kernel))
    offset = 64
    image = bytearray((sectors + 1) * 512 + offset) + payload
    image[0x1F1] = sectors
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, version)
    struct.pack_into("<II", image, 0x248, offset, len(payload))
    return bytes(image)


def holding(text: str) -> bytes:
    return b"\x7fELF" + bytes(500) + b"IKCFG_ST" + gzip.compress(text.encode()) + b"IKCFG_ED" + bytes(99)


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        gzip.compress(TEXT.encode()),
        lzma.compress(TEXT.encode()),
        holding(TEXT),
        bzimage(holding(TEXT)),
        bzimage(holding(TEXT), sectors=30),
    ],
    ids=["text", "gzip", "xz", "ELF", "bzImage", "larger set-up"],
)
def test_wherever_it_lies(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(data)
    found = kconfig.read(tmp_path / "kernel")
    assert found.release == "6.12.117"
    assert [found.value(name) for name in ("MEMCG", "VETH", "PSI", "HZ", "NOT_THERE")] == [
        "y",
        "m",
        "n",
        "250",
        "n",
    ]
    assert found.value("LOCALVERSION") == '"-x"'


@settings(max_examples=100)
@given(st.dictionaries(NAMES, VALUES, min_size=1))
def test_what_is_written_is_read(symbols: dict[str, str]) -> None:
    lines = [f"# CONFIG_{n} is not set" if v == "n" else f"CONFIG_{n}={v}" for n, v in symbols.items()]
    assert kconfig.parse("\n".join(lines).encode()).symbols == symbols


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no kernel configuration"),
        (b"some text\n", "no kernel configuration"),
        (b"CONFIG_A=y\n# CONFIG_A is not set\n", "line 2: CONFIG_A is n here and y before"),
        (bzimage(b"\x7fELF no configuration"), "IKCONFIG is off"),
        (bzimage(holding(TEXT))[:-30], "truncated"),
        (bzimage(holding(TEXT))[:0x220], "truncated within its header"),
        (bzimage(holding(TEXT), version=0x207), "older than Linux"),
        (gzip.compress(TEXT.encode())[:-12], "truncated"),
    ],
)
def test_what_is_none(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(data)
    with pytest.raises(VerifyError, match=message) as raised:
        kconfig.read(tmp_path / "kernel")
    assert raised.value.where == str(tmp_path / "kernel")


@settings(max_examples=200)
@given(st.data())
def test_damage_is_told_or_harmless(data: st.DataObject) -> None:
    whole = bytearray(bzimage(holding(TEXT)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= data.draw(st.integers(1, 255))
    with suppress(VerifyError):
        kconfig.find(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def _having(*names: str, release: str = "6.12.1") -> KernelConfig:
    return KernelConfig(release=release, symbols=dict.fromkeys(names, "m"))


@pytest.mark.parametrize("name", engine.ENGINES)
def test_each_required_symbol_counts(name: str) -> None:
    here = [need for need in engine.needs(name) if need.applies("6.12.1")]
    required = [need.symbol for need in here if need.level == "required"]
    assert {"NAMESPACES", "MEMCG", "CGROUP_BPF", "OVERLAY_FS", "VETH"} <= set(required)
    assert engine.check(_having(*required), name).fit
    for symbol in required:
        verdict = engine.check(_having(*(one for one in required if one != symbol)), name)
        assert not verdict.fit
        assert [one.symbol for one in verdict.missing("required")] == [symbol]
        assert "1 required symbols are missing" in engine.lines(verdict)[-1]


def test_no_symbol_twice() -> None:
    for name in engine.ENGINES:
        symbols = [need.symbol for need in engine.needs(name)]
        assert len(set(symbols)) == len(symbols)


@pytest.mark.parametrize(
    ("release", "symbol", "asked"),
    [
        ("4.19.103-tinycore64", "MEMCG_SWAP", True),
        ("6.12.11", "MEMCG_SWAP", False),
        ("6.12.11-tinycore64", "IP_NF_IPTABLES_LEGACY", False),
        ("6.18.2-tinycore64", "IP_NF_IPTABLES_LEGACY", True),
        ("", "IP_NF_IPTABLES_LEGACY", True),
        ("", "MEMCG_SWAP", False),
    ],
)
def test_the_release_decides(release: str, symbol: str, *, asked: bool) -> None:
    verdict = engine.check(_having(release=release), "docker")
    assert (symbol in {one.symbol for one in verdict.findings}) == asked


def test_unknown_engine() -> None:
    with pytest.raises(ConfigError, match="no engine 'podmann'"):
        engine.needs("podmann")


def test_symbols_of_older_releases() -> None:
    def asked(release: str) -> set[str]:
        return {need.symbol for need in engine.needs("docker") if need.applies(release)}

    assert {"NF_NAT_IPV4", "NF_NAT_NEEDED", "CGROUP_BPF", "MEMCG_SWAP"} <= asked("4.19.10-tinycore64")
    assert {"NF_NAT_IPV4", "NF_NAT_NEEDED"} & asked("5.2.1") == {"NF_NAT_NEEDED"}
    assert "CGROUP_BPF" not in asked("4.14.10")
    assert not {"NF_NAT_IPV4", "NF_NAT_NEEDED", "MEMCG_SWAP"} & asked("6.18.2")
