"""What lies in a folder or a file that is to be an image's kernel.

A folder holds one kernel image (told by its header, not by its name) and, if it has any, modules as
``make modules_install`` or a distribution's package leaves them: below ``lib/modules/RELEASE``,
``usr/lib/modules/RELEASE`` or ``usr/local/lib/modules/RELEASE``, or in a cpio archive such as Tiny Core's
modules64.gz. Packages named ``NAME-RELEASE.tcz`` are those of this kernel. A file is a kernel image alone,
a Debian package, or a tar archive of such a folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.survey import kernels
from tcz import cpio, deb
from tcz.buildroot import remove_tree
from tcz.compress import kind
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.kmod.modinfo import SUFFIX
from tcz.layout import read_back
from tcz.names import is_package_name
from tcz.reporting import SilentReporter
from tcz.store import sha256_file
from tcz.tree import FileRef, Tree, regular
from tcz.unpack import unpack
from tcz.workplace import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remaster.survey.model import KernelFile
    from tcz.paths import Dirs
    from tcz.tree import Node

_MODULES: Final = re.compile(r"(?:.*/)?lib/modules/([^/]+)/(.+)")
_CONFIG: Final = re.compile(r"(?:.*/)?(?:config(?:-[^/]*)?|\.config)")
_LINKS: Final = ("kernel.tclocal",)
_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A kernel: ``modules`` are files by their path below the release's folder, indexes among them.

    ``packages`` are .tcz files that belong to it. ``identity`` is a hash of all of it.
    """

    origin: str
    release: str
    architecture: str
    image: Node
    modules: Tree
    config: bytes
    packages: tuple[Path, ...]
    identity: str

    @property
    def name(self) -> str:
        """The name of the package that it becomes."""
        return f"kernel-{self.release}"

    @property
    def count(self) -> int:
        """How many modules there are."""
        return sum(1 for path in self.modules if SUFFIX.search(path))


def is_given(option: str, path: Path) -> bool:
    """Tell a path from the name of a package."""
    return "/" in option or path.exists()


def open_given(path: Path, dirs: Dirs) -> Given:
    """Look at a folder or a file. Raises ``ConfigError`` and ``VerifyError`` for what is no kernel."""
    if not path.exists():
        raise ConfigError(f"there is no kernel at {path}", hint="--kernel takes a package's name, or a path")
    if path.is_dir():
        return _of_tree(str(path), _read(path), path)
    if kernels.is_kernel(_head(path)):
        content = FileRef(path=path, offset=0, size=path.stat().st_size)
        return _of_tree(str(path), Tree({path.name: regular(content)}), None)
    folder = _unpacked(path, dirs)
    return _of_tree(str(path), _read(folder), folder)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(kernels.HEAD)


def _unpacked(path: Path, dirs: Dirs) -> Path:
    """Unpack an archive into the cache, by its hash."""
    folder = dirs.cache_folder("kernels") / sha256_file(path)
    done = folder.with_name(f"{folder.name}.done")
    with locked(folder.with_name(f".{folder.name}.lock"), SilentReporter(), path.name):
        if not done.is_file():
            # What is there without the mark was left by a process that was ended.
            if folder.exists():
                remove_tree(folder)
            _unpack(path, folder)
            done.touch()
    return folder


def _unpack(path: Path, folder: Path) -> None:
    try:
        source = deb.member(path, "data.tar") if _head(path).startswith(b"!<arch>\n") else path
        unpack(source, folder, system=True)
    except VerifyError as error:
        raise VerifyError(
            f"{path} is no kernel: neither an image nor an archive that holds one",
            why="\n".join(error.lines()),
            hint="a kernel image, a .deb, a tar archive or a folder was expected",
        ) from error


def _read(folder: Path) -> Tree:
    tree = read_back(folder)
    packed = [path for path, node in tree.items() if "/" not in path and _is_modules_archive(path, node)]
    for path in packed:
        tree = tree.overlay(cpio.read(tree[path].read()))
    return tree


def _is_modules_archive(path: str, node: Node) -> bool:
    return node.is_file and path.startswith("modules") and kind(next(node.pieces(), b"")[:8]) is not None


def _of_tree(origin: str, tree: Tree, folder: Path | None) -> Given:
    path, image = _one_image(origin, tree)
    release = image.release
    if not release or not is_package_name(f"x-{release}"):
        raise VerifyError("the kernel image does not tell its release", where=f"{origin}, {path}")
    modules = Tree(_modules(origin, tree, release))
    packages = _packages(folder, release) if folder is not None else ()
    configs = sorted(
        (one for one, node in tree.items() if node.is_file and _CONFIG.fullmatch(one)),
        key=lambda one: (release not in one, one.count("/"), one),
    )
    return Given(
        origin=origin,
        release=release,
        architecture=image.architecture,
        image=tree[path],
        modules=modules,
        config=tree[configs[0]].read() if configs else b"",
        packages=packages,
        identity=_identity(tree[path], modules, packages),
    )


def _one_image(origin: str, tree: Tree) -> tuple[str, KernelFile]:
    found: dict[bytes, tuple[str, KernelFile]] = {}
    for path, node in tree.items():
        if not node.is_file or path.count("/") > _DEEPEST or _MODULES.fullmatch(path):
            continue
        head = kernels.head_of(node.data)
        if kernels.is_kernel(head):
            # A kernel lies beside itself under two names now and then.
            found.setdefault(node.sha256(), (path, kernels.read(path, node.size, head)))
    if not found:
        raise VerifyError("there is no kernel image in it", where=origin, hint="such as vmlinuz or bzImage")
    if len(found) > 1:
        problems = [Problem(where=path, message=image.release) for path, image in found.values()]
        raise ConfigError(f"{origin} holds more than one kernel", problems, hint="name one of them")
    return next(iter(found.values()))


def _modules(origin: str, tree: Tree, release: str) -> Iterator[tuple[str, Node]]:
    others = set()
    here = False
    for path, node in tree.items():
        match = _MODULES.fullmatch(path)
        if match is None:
            continue
        if match[1] != release:
            if SUFFIX.search(path):
                others.add(match[1])
            continue
        if node.is_file and not _beside(match[2]):
            here = here or SUFFIX.search(path) is not None
            shared = tree[node.link] if node.link is not None else node
            yield match[2], shared
    if others and not here:
        raise ConfigError(
            f"{origin}: the kernel is {release}, and the modules are for {', '.join(sorted(others))}",
            hint="image and modules must be of one build",
        )


def _beside(path: str) -> bool:
    """Tell what a build leaves beside the modules: links into it."""
    return path.split("/", maxsplit=1)[0] in ("build", "source", *_LINKS)


def _packages(folder: Path, release: str) -> tuple[Path, ...]:
    found = sorted(folder.rglob(f"*-{release}.tcz"))
    return tuple(path for path in found if is_package_name(path.name.removesuffix(".tcz")))


def _identity(image: Node, modules: Tree, packages: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(image.sha256())
    for path, node in modules.items():
        digest.update(path.encode(errors="surrogateescape") + b"\0" + node.sha256())
    for package in packages:
        digest.update(f"{package.name} {sha256_file(package)}\n".encode())
    return digest.hexdigest()
