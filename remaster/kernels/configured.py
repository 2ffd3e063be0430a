"""The configuration of a kernel, wherever it is: a file of its own, an image, a medium that boots one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster import isofs, kconfig
from remaster.survey import kernels
from remaster.survey.medium import open_medium
from tcz.errors import ConfigError, Problem, VerifyError

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.kconfig import KernelConfig
    from tcz.tree import Tree


def read(path: Path) -> KernelConfig:
    """Read a configuration from a file, a kernel image, or the kernel of an ISO image or of a folder.

    Where a kernel does not hold its own, a file ``config-RELEASE`` or ``config`` in the folder of the kernel
    is taken. Raises ``VerifyError`` where there is none, ``ConfigError`` for several, and ``OSError``.
    """
    if path.is_dir() or isofs.is_iso(path):
        return _of_medium(str(path), open_medium(path).files)
    return kconfig.read(path)


def _of_medium(where: str, files: Tree) -> KernelConfig:
    found = {}
    for path, node in files.items():
        if node.is_file and node.size > kernels.HEAD and not path.endswith(".tcz"):
            head = kernels.head_of(node.data)
            if kernels.is_kernel(head):
                found[path] = kernels.read(path, node.size, head).release
    if not found:
        raise VerifyError("there is no kernel in it", where=where, hint="give a kernel's configuration")
    if len(set(found.values())) > 1:
        problems = [Problem(where=path, message=release) for path, release in found.items()]
        raise ConfigError(f"{where} has several kernels", problems, hint="extract one and name its file")
    path, release = next(iter(found.items()))
    try:
        return kconfig.find(files[path].read())
    except VerifyError as error:
        folder = path.rpartition("/")[0]
        names = (f"config-{release}", "config", ".config")
        beside = [f"{folder}/{name}".lstrip("/") for name in names]
        beside = [one for one in beside if one in files and files[one].is_file]
        if beside:
            return kconfig.find(files[beside[0]].read())
        raise VerifyError(error.what, where=f"{where}, {path}", why=error.why, hint=error.hint) from error
