"""Container images made on the spot: an archive of ``docker save``, or an OCI layout in a folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LINKS = ("sh", "httpd", "wget", "sleep", "cat", "echo", "mkdir")


def layer(busybox: Path | None = None) -> bytes:
    """Return a layer: a static BusyBox with some of its names, or a single small file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "tmp", "www"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        content = b"hello\n" if busybox is None else busybox.read_bytes()
        member = tarfile.TarInfo("bin/busybox")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
        for name in LINKS:
            member = tarfile.TarInfo(f"bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(member)
    return buffer.getvalue()


def config(data: bytes, architecture: str = "amd64") -> bytes:
    """Return the configuration of an image with one layer."""
    diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    value = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    return json.dumps(value).encode()


def docker_archive(path: Path, name: str, data: bytes, told: bytes | None = None) -> Path:
    """Write an archive as ``docker save`` does."""
    told = config(data) if told is None else told
    names = f"{hashlib.sha256(told).hexdigest()}.json"
    manifest = [{"Config": names, "RepoTags": [name] if name else None, "Layers": ["a/layer.tar"]}]
    parts = (("manifest.json", json.dumps(manifest).encode()), (names, told), ("a/layer.tar", data))
    with tarfile.open(path, "w") as archive:
        for member_name, content in parts:
            member = tarfile.TarInfo(member_name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def oci_layout(folder: Path, tag: str, data: bytes) -> Path:
    """Write an image layout with one layer, compressed."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    packed = gzip.compress(data, mtime=0)
    manifest = {
        "schemaVersion": 2,
        "config": blob(config(data), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    entry = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder
