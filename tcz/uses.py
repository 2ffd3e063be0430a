"""What a build finds of the packages that it builds upon, as if they were installed together.

Each package lies in a folder of its own, but the linker wants a library beside the link that names it,
and those are in different packages (NAME and NAME-dev). So what they have below usr/local is put
together once more, by hard links, and told to the compiler, the linker and pkg-config by environment
variables that all of them read: gcc(1), ld(1), pkgconf(1). Nothing of it shows in what is built.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where the merged folder is in the sandbox; below it are bin, include, lib and so on.
INSIDE: Final = "/build/local"
_PREFIX: Final = b"/usr/local"


def merge(packages: Iterable[Path], into: Path) -> None:
    """Put together what unpacked packages have below usr/local, in ``into``, which is made.

    The paths in .pc files are made those of the sandbox. Raises ``BuildError`` when two packages have
    the same file.
    """
    into.mkdir()
    for package in packages:
        source = package / "usr/local"
        for place, folders, files in os.walk(source):
            target = into / Path(place).relative_to(source)
            target.mkdir(exist_ok=True)
            paths = (Path(place, name) for name in sorted((*files, *folders)))
            for path in paths:
                if path.is_symlink() or path.is_file():
                    _share(path, target / path.name, package.name)


def _share(source: Path, target: Path, package: str) -> None:
    if os.path.lexists(target):
        raise BuildError(
            f"two packages that this builds upon have the same file: {target.name}",
            where=package,
            hint="name only one of their recipes in needs.recipes",
        )
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif target.suffix == ".pc":
        target.write_bytes(source.read_bytes().replace(_PREFIX, INSIDE.encode()))
    else:
        try:
            target.hardlink_to(source)
        except OSError:
            # Another file system, or one without hard links.
            shutil.copy2(source, target)


def environment() -> Mapping[str, str]:
    """Return the variables by which tools find the merged folder.

    ld(1) looks for what shared libraries need in turn in LD_LIBRARY_PATH; test.sh runs with it, too.
    """
    return {
        "C_INCLUDE_PATH": f"{INSIDE}/include",
        "CPLUS_INCLUDE_PATH": f"{INSIDE}/include",
        "LIBRARY_PATH": f"{INSIDE}/lib",
        "LD_LIBRARY_PATH": f"{INSIDE}/lib",
        "PKG_CONFIG_PATH": f"{INSIDE}/lib/pkgconfig:{INSIDE}/share/pkgconfig",
    }


__all__ = ["INSIDE", "environment", "merge"]
