import gzip
import hashlib
import io
import json
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import bases
from tcz.errors import ConfigError, VerifyError
from tcz.importing import oci
from tcz.importing.archive import Spool
from tcz.importing.draft import Draft

Member = tuple[str, str, str]


def layer(*members: Member) -> bytes:
    """Members are kind, name, content or target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for kind, name, extra in members:
            info = tarfile.TarInfo(name)
            info.type = {"dir": tarfile.DIRTYPE, "sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}.get(
                kind, tarfile.REGTYPE
            )
            info.mode = 0o755 if kind == "dir" else 0o4755 if kind == "suid" else 0o644
            info.uid = info.gid = 33 if kind == "suid" else 0
            info.uname = "www-data" if kind == "suid" else ""
            info.mtime = 1_000_000_000
            data = extra.encode() if kind in ("file", "suid") else b""
            info.size, info.linkname = len(data), extra if kind in ("sym", "hard") else ""
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Layout:
    """An OCI image layout being made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.entries: list[dict[str, Any]] = []

    def blob(self, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def image(
        self, *layers: bytes, ref: str = "", arch: str = "amd64", compress: str = "gzip", **config: Any
    ) -> dict:
        packed = {"gzip": lambda data: gzip.compress(data, mtime=0), "": lambda data: data, "zstd": _zstd}[
            compress
        ]
        suffix = f"+{compress}" if compress else ""
        kind = f"application/vnd.oci.image.layer.v1.tar{suffix}"
        entries = [{"mediaType": kind, **self.blob(packed(data))} for data in layers]
        diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
        conf = {
            "architecture": arch,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "config": config,
        }
        manifest = {"schemaVersion": 2, "config": self.blob(json.dumps(conf).encode()), "layers": entries}
        entry = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            **self.blob(json.dumps(manifest).encode()),
            "platform": {"os": "linux", "architecture": arch},
        }
        if ref:
            entry["annotations"] = {"org.opencontainers.image.ref.name": ref}
        self.entries.append(entry)
        self.write()
        return entry

    def write(self) -> None:
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "image")


def read(path: Path, **options: Any) -> Draft:
    spool = path.parent / "spool"
    spool.mkdir(exist_ok=True)
    return oci.read(path, Spool(folder=spool), oci.ImageOptions(base=bases.load("floe"), **options))


def paths(draft: Draft) -> list[str]:
    return [path for path, node in draft.tree.items() if not node.is_dir]


BOTTOM = layer(
    ("dir", "opt/", ""),
    ("file", "opt/a", "1"),
    ("file", "opt/b", "2"),
    ("file", "opt/d/x", "3"),
    ("file", "opt/o/old", "4"),
    ("file", "opt/f", "5"),
    ("suid", "opt/s", "6"),
    ("sym", "opt/l", "d"),
    ("hard", "opt/h", "opt/b"),
)
TOP = layer(
    ("file", "opt/a", "new"),
    ("file", "opt/.wh.b", ""),
    ("file", "opt/o/new", "7"),
    ("file", "opt/o/.wh..wh..opq", ""),
    ("file", "opt/f/now-a-folder", "8"),
    ("file", "opt/l/through", "9"),
    ("file", "opt/.wh.absent", ""),
    ("file", ".wh..wh.plnk/1.2", ""),
)


@pytest.mark.parametrize("compress", ["", "gzip", "zstd"])
def test_layers_over_each_other(layout: Layout, compress: str) -> None:
    labels = {"org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.version": "1.2"}
    layout.image(
        BOTTOM, TOP, ref="example.org/tool:1", compress=compress, Labels=labels, Entrypoint=["/opt/a"]
    )
    found = read(layout.folder)
    assert (found.name, found.version, found.license) == ("tool", "1.2", "MIT")
    assert paths(found) == [
        "opt/a", "opt/d/through", "opt/d/x", "opt/f/now-a-folder", "opt/h", "opt/l", "opt/o/new", "opt/s",
    ]  # fmt: skip
    assert found.tree["opt/a"].read() == b"new"
    # The name that held the content is gone: the other one holds it now.
    assert (found.tree["opt/h"].read(), found.tree["opt/h"].link) == (b"2", None)
    suid = found.tree["opt/s"]
    assert (suid.uid, suid.gid, stat.S_IMODE(suid.mode)) == (33, 33, 0o4755)
    assert [note.text for note in found.notes] == ["the image would start: /opt/a"]


def test_one_layer(layout: Layout) -> None:
    layout.image(BOTTOM, TOP)
    assert "opt/o/new" in paths(read(layout.folder, layer=2, name="x"))
    assert "opt/h" not in paths(read(layout.folder, layer=2, name="x"))
    with pytest.raises(ConfigError, match="no layer 3: the image has 2"):
        read(layout.folder, layer=3, name="x")


def test_below_a_folder(layout: Layout) -> None:
    layout.image(layer(("file", "bin/x", "1"), ("sym", "bin/y", "/bin/x"), ("sym", "bin/z", "/proc/self")))
    tree = read(layout.folder, name="x", folder="usr/local/x").tree
    assert tree["usr/local/x/bin/y"].read() == b"/usr/local/x/bin/x"
    assert tree["usr/local/x/bin/z"].read() == b"/proc/self"


def test_choosing(layout: Layout) -> None:
    layout.image(layer(("file", "opt/1", "")), ref="one")
    layout.image(layer(("file", "opt/2", "")), ref="two")
    layout.image(layer(("file", "opt/3", "")), arch="arm64", ref="three")
    with pytest.raises(ConfigError, match="several images") as caught:
        read(layout.folder)
    assert caught.value.hint == "choose one with --image: one, two"
    assert paths(read(layout.folder, image="two")) == ["opt/2"]
    with pytest.raises(ConfigError, match="no image for linux/amd64"):
        read(layout.folder, image="three")


def test_an_index_in_an_index(layout: Layout) -> None:
    arm = layout.image(layer(("file", "opt/arm", "")), arch="arm64")
    amd = layout.image(layer(("file", "opt/amd", "")))
    inner = {"schemaVersion": 2, "manifests": [arm, amd]}
    entry = {"mediaType": oci._INDEXES[0], **layout.blob(json.dumps(inner).encode())}
    layout.entries = [entry]
    layout.write()
    assert paths(read(layout.folder, name="x")) == ["opt/amd"]
    for _ in range(6):
        deeper = {"schemaVersion": 2, "manifests": layout.entries}
        layout.entries = [{"mediaType": oci._INDEXES[0], **layout.blob(json.dumps(deeper).encode())}]
    layout.write()
    with pytest.raises(VerifyError, match="too deep"):
        read(layout.folder, name="x")


def docker_archive(
    path: Path, *layers: bytes, tags: tuple[str, ...] = ("tool:2",), linked: bool = False
) -> Path:
    """What ``docker save`` writes: manifest.json, a configuration, layers as plain tar files."""
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}}).encode()
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    with tarfile.open(path, "w") as tar:
        for name, data in {"manifest.json": json.dumps(manifest).encode(), "config.json": config}.items():
            _add(tar, name, data)
        for name, data in zip(names, layers, strict=True):
            if linked:
                _add(tar, "shared/" + name, data)
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, "../shared/" + name
                tar.addfile(info)
            else:
                _add(tar, name, data)
    return path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("linked", [False, True])
def test_docker_archive(tmp_path: Path, layout: Layout, *, linked: bool) -> None:
    path = docker_archive(tmp_path / "saved.tar", BOTTOM, TOP, linked=linked)
    (tmp_path / "spool").mkdir()
    assert oci.is_image_archive(path, Spool(folder=tmp_path / "spool"))
    found = read(path)
    layout.image(BOTTOM, TOP)
    assert (found.name, found.version) == ("tool", "2")
    same = read(layout.folder, name="x")
    assert paths(found) == paths(same)
    assert all(found.tree[path].read() == same.tree[path].read() for path in paths(found))


def test_layout_in_a_tar(tmp_path: Path, layout: Layout) -> None:
    layout.image(BOTTOM, TOP, ref="tool:3")
    subprocess.run(["tar", "-cf", tmp_path / "x.tar", "-C", layout.folder, "."], check=True)
    assert paths(read(tmp_path / "x.tar")) == paths(read(layout.folder))


def test_wrong_bytes(tmp_path: Path, layout: Layout) -> None:
    entry = layout.image(BOTTOM)
    blobs = sorted((layout.folder / "blobs/sha256").iterdir())
    for blob in blobs:
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + b"x")
        with pytest.raises(VerifyError, match="wrong sha256"):
            read(layout.folder, name="x")
        blob.unlink()
        with pytest.raises(VerifyError, match="a blob is missing"):
            read(layout.folder, name="x")
        blob.write_bytes(data)
    entry["digest"] = "sha256:../../../etc/passwd"
    layout.write()
    with pytest.raises(VerifyError, match="not a sha256 digest"):
        read(layout.folder, name="x")
    path = docker_archive(tmp_path / "x.tar", BOTTOM)
    path.write_bytes(path.read_bytes().replace(b"opt/a\0", b"opt/z\0"))
    with pytest.raises(VerifyError, match=r"not what the configuration names|damaged archive"):
        read(path)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (("file", "../x", ""), "leaves its tree"),
        (("file", "a/.wh...", ""), "hides nothing"),
        (("file", ".wh.", ""), "hides nothing"),
        (("hard", "a", "nowhere"), "links to what is not a file"),
    ],
)
def test_hostile_layers(layout: Layout, member: Member, words: str) -> None:
    layout.image(BOTTOM, layer(member))
    with pytest.raises(VerifyError, match=words):
        read(layout.folder, name="x")


_JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just("sha256:" + "0" * 64)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["manifests", "digest", "mediaType", "config", "layers", "annotations", "platform"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=80)
@given(value=_JSON, name=st.sampled_from(["index.json", "manifest.json"]))
def test_any_json_is_refused_in_words(tmp_path_factory: Any, value: object, name: str) -> None:
    folder = tmp_path_factory.mktemp("j")
    (folder / name).write_text(json.dumps(value))
    with pytest.raises((VerifyError, ConfigError)):
        read(folder)
