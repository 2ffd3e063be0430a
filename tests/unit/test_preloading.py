"""Container images that go into an image: checked, and made into an extension that unsquashfs reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from remaster import preloading, variant
from remaster.bootcode import BootCodes
from tcz.errors import ConfigError
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.squashfs.image import read
from tcz.squashfs.options import SquashOptions
from tests.unit.container_images import config, docker_archive, layer, oci_layout

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.variant import Variant

CODES = BootCodes.load()
EPOCH = 1735689600


def load(folder: Path, text: str, extends: str = "podman") -> Variant:
    path = folder / "x.toml"
    path.write_text(f'schema = 1\nname = "x"\nsummary = "x"\nextends = "{extends}"\n{text}')
    return variant.extended(variant.load(str(path), CODES), CODES)


def dirs(folder: Path) -> Dirs:
    return Dirs.from_env({"HOME": str(folder)})


def package(folder: Path, found: Variant) -> Path:
    made = preloading.package(found, dirs(folder), SilentReporter(), SquashOptions(), EPOCH)
    assert made is not None
    return made


def test_both_kinds_become_the_same(tmp_path: Path) -> None:
    data = layer()
    docker_archive(tmp_path / "a.tar", "localhost/a:1", data)
    oci_layout(tmp_path / "b", "latest", data)
    found = load(
        tmp_path,
        '[[preload]]\narchive = "a.tar"\n[[preload]]\narchive = "b"\nname = "localhost/b"\n',
    )
    assert found.onboot[-1] == "preloaded-images"
    assert found.services[-1] == "preload"
    made = package(tmp_path, found)
    tree = read(made)
    rows = [line.split() for line in tree["usr/local/share/preloaded/list"].read().decode().splitlines()]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("podman", "1.tar", "localhost/a:1"),
        ("podman", "2.tar", "localhost/b:latest"),
    ]
    for number, name in (("1", "localhost/a:1"), ("2", "localhost/b:latest")):
        (tmp_path / "out.tar").write_bytes(tree[f"usr/local/share/preloaded/{number}.tar"].read())
        with tarfile.open(tmp_path / "out.tar") as archive:
            (entry,) = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
            assert entry["RepoTags"] == [name]
            assert archive.extractfile(entry["Config"]).read() == config(data)  # type: ignore[union-attr]
            assert [archive.extractfile(one).read() for one in entry["Layers"]] == [data]  # type: ignore[union-attr]
    before = made.read_bytes()
    assert package(tmp_path, found) == made
    shutil.rmtree(made.parent)
    assert package(tmp_path, found).read_bytes() == before


@pytest.mark.skipif(shutil.which("unsquashfs") is None, reason="needs unsquashfs (squashfs-tools)")
def test_unsquashfs_reads_it(tmp_path: Path) -> None:
    docker_archive(tmp_path / "a.tar", "localhost/a:1", layer())
    made = package(tmp_path, load(tmp_path, '[[preload]]\narchive = "a.tar"\n', "docker"))
    said = subprocess.run(["unsquashfs", "-lc", made], capture_output=True, text=True, check=True).stdout
    assert "squashfs-root/usr/local/share/preloaded/1.tar" in said.split()


def refused(folder: Path, text: str = "") -> str:
    found = load(folder, f'[[preload]]\narchive = "a.tar"\n{text}')
    with pytest.raises(ConfigError) as caught:
        preloading.check(found, dirs(folder))
    return "\n".join(caught.value.lines())


def test_damage_is_found(tmp_path: Path) -> None:
    data = layer()
    docker_archive(tmp_path / "a.tar", "localhost/a:1", data[:-600] + b"\1" + data[-599:], config(data))
    assert "layer 1 is not what the configuration names" in refused(tmp_path)
    whole = docker_archive(tmp_path / "a.tar", "localhost/a:1", data).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole.replace(b'"os": "linux"', b'"os": "linuy"'))
    assert "wrong sha256" in refused(tmp_path)
    for end in (0, 1, 700, len(whole) // 2):
        (tmp_path / "a.tar").write_bytes(whole[:end])
        assert "a.tar" in refused(tmp_path)


def test_what_cannot_be_preloaded(tmp_path: Path) -> None:
    data = layer()
    docker_archive(tmp_path / "a.tar", "localhost/a:1", data, config(data, "arm64"))
    assert "the image is for linux/arm64" in refused(tmp_path)
    docker_archive(tmp_path / "a.tar", "", data)
    assert "does not say what the image is called" in refused(tmp_path)
    assert "there is no such image" in refused(tmp_path, 'image = "b"')
    (tmp_path / "a.tar").unlink()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[[preload]]\narchive = "a.tar"\n')
    assert "there is no" in "\n".join(caught.value.lines())


def test_without_images_there_is_no_extension(tmp_path: Path) -> None:
    assert (
        preloading.package(load(tmp_path, ""), dirs(tmp_path), SilentReporter(), SquashOptions(), EPOCH)
        is None
    )
