"""The configuration of a kernel, wherever it is: a file of its own, an image of any kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from remaster import hooks, isofs, kconfig
from remaster.survey import kernels, look
from remaster.survey.medium import is_image, open_medium
from tcz.compress import kind as compression_of
from tcz.errors import ConfigError, Problem, VerifyError

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.kconfig import KernelConfig
    from remaster.survey.look import Examined

_IN_ROOT: Final = re.compile(rf"(?:{re.escape(hooks.KERNEL_CONFIGS)}|boot/config-)([^/]+?)(?:\.gz)?")


def read(path: Path) -> KernelConfig:
    """Read a configuration from a file, a kernel image, or an image of any kind that is looked into.

    Where a kernel does not hold its own, a file ``config-RELEASE`` or ``config`` in the folder of the kernel
    is taken, or what remaster put into the root. Raises ``VerifyError`` where there is none, ``ConfigError``
    for several, and ``OSError``.
    """
    if path.is_dir() or isofs.is_iso(path):
        return _of_image(path)
    with path.open("rb") as file:
        head = file.read(kernels.HEAD)
    if is_image(head):
        return _of_image(path)
    try:
        return kconfig.read(path)
    except VerifyError:
        if compression_of(head) is None:
            raise
        return _of_image(path)  # an initrd


def _of_image(path: Path) -> KernelConfig:
    medium = open_medium(path)
    found = {}
    for name, node in medium.files.items():
        if node.is_file and node.size > kernels.HEAD and not name.endswith(".tcz"):
            head = kernels.head_of(node.data)
            if kernels.is_kernel(head):
                found[name] = kernels.read(name, node.size, head).release
    if len(set(found.values())) > 1:
        raise _several(path, found)
    name, release = next(iter(found.items()), ("", ""))
    fault = VerifyError(
        "there is no kernel in it", where=str(path), hint="give a kernel's configuration, or a package's name"
    )
    if name:
        try:
            return kconfig.find(medium.files[name].read())
        except VerifyError as error:
            fault = VerifyError(error.what, where=f"{path}, {name}", why=error.why, hint=error.hint)
        folder = name.rpartition("/")[0]
        names = (f"config-{release}", f"config-{release}.gz", "config", ".config")
        for beside in (f"{folder}/{one}".lstrip("/") for one in names):
            if beside in medium.files and medium.files[beside].is_file:
                return kconfig.find(medium.files[beside].read())
    return _of_root(look.examine_medium(medium), release, fault)


def _of_root(examined: Examined, release: str, fault: VerifyError) -> KernelConfig:
    """Return what the root has for a release, for any where no kernel tells; else raise ``fault``."""
    there = {
        path: told[1]
        for path, node in examined.root.items()
        if (told := _IN_ROOT.fullmatch(path)) and node.is_file and release in ("", told[1])
    }
    if len(set(there.values())) > 1:
        raise _several(examined.medium.path, there)
    if there:
        return kconfig.find(examined.root[next(iter(there))].read())
    manifest = examined.survey.manifest
    kernel = next((one.name for one in manifest.packages if one.role == "kernel"), "") if manifest else ""
    if kernel:
        fault.hint = f"the kernel is the package {kernel}: remaster kernel check {kernel}"
    raise fault


def _several(where: Path, found: dict[str, str]) -> ConfigError:
    problems = [Problem(where=name, message=release) for name, release in found.items()]
    return ConfigError(f"{where} has several kernels", problems, hint="extract one and name its file")
