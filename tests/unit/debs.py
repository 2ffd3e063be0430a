"""Debian packages made by dpkg-deb, for tests that must not ask an archive."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tcz.deb import DebFile
from tcz.run import HostRunner, Result

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.store import Store


class NoRunner(HostRunner):
    """Fails whoever starts a process."""

    def run(self, argv: object, **_more: object) -> Result:  # type: ignore[override]
        raise AssertionError(argv)


def build_deb(
    folder: Path, name: str, files: dict[str, str], *, postinst: str = "", compress: str = "xz"
) -> Path:
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1:1.0-1\nArchitecture: amd64\n"
        "Maintainer: A <a@example.org>\nDescription: d\n"
    )
    if postinst:
        (tree / "DEBIAN/postinst").write_text("#!/bin/sh\n" + postinst)
        (tree / "DEBIAN/postinst").chmod(0o755)
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            (tree / path).symlink_to(text[3:])
        else:
            (tree / path).write_text(text)
            (tree / path).chmod(0o755)
    deb = folder / f"{name}.deb"
    argv = ["dpkg-deb", "--root-owner-group", f"-Z{compress}", "-b", str(tree), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    return deb


def stored(store: Store, path: Path, version: str = "1:1.0-1") -> DebFile:
    size = path.stat().st_size
    kept = store.take(path, None, what=path.name)
    return DebFile(name=path.stem, version=version, architecture="amd64", sha256=kept.name, size=size, uri="")


def make_deb(
    folder: Path,
    control: str,
    files: dict[str, str | bytes],
    *,
    extra: dict[str, str] | None = None,
    modes: dict[str, int] | None = None,
    compress: str = "xz",
) -> Path:
    """Make a package of any control fields; ``extra`` are further control files, ``modes`` of its files."""
    tree = folder / f"tree-{len(list(folder.iterdir()))}"
    name = control.partition("Package: ")[2].partition("\n")[0]
    for path, data in {"DEBIAN/control": control, **files}.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, str) and data.startswith("-> "):
            place.symlink_to(data[3:])
        else:
            place.write_bytes(data if isinstance(data, bytes) else data.encode())
            place.chmod((modes or {}).get(path, 0o644))
    for path, text in (extra or {}).items():
        (tree / "DEBIAN" / path).write_text(text)
        (tree / "DEBIAN" / path).chmod(0o755 if path in ("postinst", "preinst", "config") else 0o644)
    deb = folder / f"{name}.deb"
    argv = ["dpkg-deb", "--root-owner-group", f"-Z{compress}", "-b", str(tree), str(deb)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000"}
    subprocess.run(argv, check=True, capture_output=True, env=environment)
    return deb


def control_text(name: str, **fields: str) -> str:
    """Return a control file; fields are written with ``-`` for ``_``."""
    own = {"Version": "1:1.0-1", "Architecture": "amd64", "Maintainer": "A <a@example.org>"}
    given = {key.replace("_", "-").capitalize(): value for key, value in fields.items()}
    lines = {"Package": name, **own, "Description": "a thing\n that does things", **given}
    return "".join(f"{key}: {value}\n" for key, value in lines.items())
