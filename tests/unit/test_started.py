from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remaster import live
from remaster.started import Hardware, kind_of, size_in, spec_for
from remaster.vm import Wiring, qemu_argv
from tcz.errors import ConfigError, VerifyError

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path, kind: str) -> Path:
    """Make the least that is of a kind, under a name that tells nothing."""
    path = folder / "image"
    if kind == "netboot":
        path.mkdir()
        for name in ("vmlinuz", "initrd"):
            (path / name).write_bytes(b"x")
        (path / "cmdline").write_text("console=ttyS0 noembed\n")
        return path
    heads = {
        "iso": bytes(510) + b"\x55\xaa" + bytes(0x8001 - 512) + b"CD001" + bytes(99),
        "disk": bytes(510) + b"\x55\xaa" + bytes(99_000),
        "qcow2": b"QFI\xfb" + bytes(99_000),
        "tar": bytes(257) + b"ustar" + bytes(99_000),
        "other": b"hello\n",
    }
    path.write_bytes(heads[kind])
    return path


@pytest.mark.parametrize("kind", ["iso", "disk", "qcow2", "netboot"])
def test_kinds_are_seen(tmp_path: Path, kind: str) -> None:
    assert kind_of(made(tmp_path, kind)) == kind


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="tar archive") as error:
        kind_of(made(tmp_path, "tar"))
    assert "podman import" in str(error.value.hint)
    with pytest.raises(VerifyError, match="no ISO image"):
        kind_of(made(tmp_path, "other"))
    with pytest.raises(VerifyError, match="has no vmlinuz, initrd, cmdline"):
        kind_of(tmp_path)
    with pytest.raises(ConfigError, match="there is no image"):
        kind_of(tmp_path / "absent")


def argv(spec: object) -> str:
    return " ".join(qemu_argv(spec, Wiring(accel="tcg")))  # type: ignore[arg-type]


def test_each_kind_has_its_machine(tmp_path: Path) -> None:
    image = made(tmp_path, "qcow2")
    assert f"file={image},format=qcow2,if=none,id=disk0,snapshot=on" in argv(spec_for(image, Hardware()))
    image.unlink()
    image = made(tmp_path, "iso")
    assert "media=cdrom" in argv(spec_for(image, Hardware()))
    assert "usb-storage" in argv(spec_for(image, Hardware(), "usb"))
    with pytest.raises(ConfigError, match="cannot be started as network"):
        spec_for(image, Hardware(), "network")
    image.unlink()
    image = made(tmp_path, "netboot")
    assert f"-kernel {image}/vmlinuz -initrd {image}/initrd -append console=ttyS0 noembed" in argv(
        spec_for(image, Hardware())
    )
    network = argv(spec_for(image, Hardware(), "network"))
    assert f"tftp={image},bootfile=boot.ipxe" in network
    assert "-kernel" not in network
    (image / "cmdline").write_text("two\nlines\n")
    with pytest.raises(VerifyError, match="one line"):
        spec_for(image, Hardware())


def test_a_data_disk_by_size_is_gone_and_a_file_keeps_all(tmp_path: Path) -> None:
    image = made(tmp_path, "disk")
    with live.data_disk("3M") as disk:
        assert disk is not None
        assert disk.stat().st_size == 3 << 20
        assert f"file={disk},format=raw,if=none,id=disk1,snapshot=off" in argv(
            spec_for(image, Hardware(data_disk=disk))
        )
    assert not disk.exists()
    with live.data_disk(str(image)) as disk:
        assert disk == image
    assert image.exists()
    with pytest.raises(ConfigError, match="neither a size such as 8G nor a file"), live.data_disk("absent"):
        pass


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8G", 8 << 30),
        ("64m", 64 << 20),
        ("1KiB", 1024),
        ("2TB", 2 << 40),
        ("8", None),
        ("G", None),
        ("-1G", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert size_in(text) == size


def test_ports() -> None:
    assert live.forwards(["8080:80", "1:2"]) == ((8080, 80), (1, 2))
    for wrong in ("80", "a:b", "0:1", "1:65536"):
        with pytest.raises(ConfigError):
            live.forwards([wrong])
