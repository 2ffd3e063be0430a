"""Debian packages made by dpkg-deb, for tests that must not ask an archive."""

from __future__ import annotations

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
