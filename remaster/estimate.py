"""What an image comes to before it is written: of the medium, and of memory. And whether that is too much."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster import memory, plan
from remaster.folders import ONBOOT, names_in
from remaster.memory import MIB, Cost
from remaster.placement import Placed
from tcz.clikit import columns, size_text
from tcz.errors import CheckError, VerifyError
from tcz.metadata import decode, parse_dep
from tcz.model import BuiltPackage
from tcz.tree import FileRef, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.image import Job
    from remaster.initrds import Laid
    from remaster.plan import MediumFile, Source
    from remaster.variant import Variant

_SECTOR: Final = 2048
#: Descriptors, path tables and the entries of a file.
_VOLUME: Final = 128 << 10
_NAMED: Final = 3
_LOADED: Final = {"boot": "at boot", "need": "needed", "request": "by hand", "demand": "when used"}
_HEAD: Final = 4096
_KEPT: Final = "cde/optional/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an image comes to, in bytes.

    ``packages`` are all packages as files, ``root`` is the root unpacked, ``least_memory_for`` what wants as
    much memory. ``table`` has a row for each package; those that the base has on its medium and loads at
    boot come last.
    """

    packages: int
    kernel: int
    initrd: int
    root: int
    iso: int
    least_memory: int
    least_memory_for: str
    table: tuple[Cost, ...]


def estimate(job: Job, initrd: Path, machine: Laid, medium: tuple[MediumFile, ...]) -> Estimate:
    """Return what an image comes to whose initrd is there; its greediest format decides on memory.

    ``machine`` is its root, ``medium`` are the files of its medium.
    """
    in_memory = any(one.in_memory for one in job.request.formats)
    table = _table(job, in_memory=in_memory)
    tree = _as_unpacked(job, machine.tree)
    files = sum(memory.pages(node.size) for _, node in tree.items() if node.is_file)
    packed = initrd.stat().st_size
    if in_memory:
        # Behind the initrd lies what would be on the medium, as it is.
        added = [one for one in table if one.place == "cde"]
        files += sum(one.initrd for one in added)
        packed += sum(one.download for one in added)
    words = (*job.facts.boot_codes, *(word for one in job.request.variant.entries for word in one.add))
    held = memory.Root(files=files, entries=len(tree), packed=packed, copied="noembed" in words)
    kernel = memory.kernel_need(_head(job.base.kernel))
    least, reason = memory.least(held, table, kernel)
    return Estimate(
        packages=sum(package.size for package in job.extensions),
        kernel=plan.size_of(job.base.kernel),
        initrd=initrd.stat().st_size,
        root=machine.unpacked if tree is machine.tree else plan.unpacked_size(tree),
        iso=iso_size(medium),
        least_memory=least,
        least_memory_for=reason,
        table=table,
    )


def _head(kernel: Source) -> bytes:
    if isinstance(kernel, bytes):
        return kernel[:_HEAD]
    if isinstance(kernel, FileRef):
        return FileRef(kernel.path, kernel.offset, min(kernel.size, _HEAD)).read()
    with kernel.open("rb") as file:
        return file.read(_HEAD)


def _as_unpacked(job: Job, tree: Tree) -> Tree:
    """Return what the kernel unpacks. An archive that is appended takes nothing away."""
    before = job.base.unpacked if job.request.mode == "append" else None
    if before is None:
        return tree
    gone = {path: node for path, node in before.items() if path not in tree}
    return tree.overlay(Tree(gone)) if gone else tree


def iso_size(files: tuple[MediumFile, ...]) -> int:
    """Return how large an ISO image with these files will be: it ends with a whole MiB."""
    sectors = sum(-(-file.size // _SECTOR) for file in files)
    folders = {parent for file in files for parent in Path(file.path).parents}
    size = (sectors + len(folders)) * _SECTOR + _VOLUME
    return -(-size // MIB) * MIB


# -- a row for each package -----------------------------------------------------------------------


def _table(job: Job, *, in_memory: bool) -> tuple[Cost, ...]:
    flag = any(file.path == "cde/copy2fs.flg" for file in job.base.keep)

    def cost(one: Placed) -> Cost:
        return memory.cost(_copied(one) if flag and one.place == "cde" else one, in_memory=in_memory)

    rows = [cost(one) for one in job.arrangement.packages]
    with ExitStack() as stack:
        for one in _kept(job, stack):
            # What others put on their medium and nobody can mount costs nothing.
            with suppress(VerifyError):
                rows.append(cost(one))
    return tuple(rows)


def _copied(one: Placed) -> Placed:
    return Placed(package=one.package, place=one.place, load=one.load, copied=True)


def _kept(job: Job, stack: ExitStack) -> Iterator[Placed]:
    """Give the packages of the base's own medium that its list loads, written to files for a while."""
    here = {file.path: file for file in job.base.keep if file.path.startswith("cde/")}
    ours = {one.name for one in job.arrangement.packages}
    todo = list(names_in(_text(here.get(f"cde/{ONBOOT}"))))
    folder: Path | None = None
    seen: set[str] = set(ours)
    while todo:
        name = todo.pop().removesuffix(".tcz")
        file = here.get(f"{_KEPT}{name}.tcz")
        if name in seen or file is None:
            continue
        seen.add(name)
        todo += parse_dep(_text(here.get(f"{_KEPT}{name}.tcz.dep")))
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remaster-")))
        path = folder / f"{name}.tcz"
        path.write_bytes(plan.bytes_of(file.content))
        package = BuiltPackage(
            name=name, form="extension", path=path, sha256="", size=file.size, installed=0, needs=()
        )
        yield Placed(package=package, place="cde", load="boot")


def _text(file: MediumFile | None) -> str:
    return "" if file is None else decode(plan.bytes_of(file.content))


# -- budgets --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """An image over its variant's budgets: which, and the packages that take most."""

    variant: str
    over: tuple[str, ...]
    biggest: tuple[str, ...]

    def error(self) -> CheckError:
        """Return the error that tells it."""
        return CheckError(
            f"the image is over the budget of the variant {self.variant}",
            why="\n".join(self.over),
            hint="\n".join(self.biggest) or "no package is in it: the base alone is too big",
        )


def overrun(variant: Variant, found: Estimate, iso: int | None = None) -> Overrun | None:
    """Return how an image is over its variant's budgets, if it is; ``iso`` is its size once it is there."""
    size = found.iso if iso is None else iso
    over, most = [], []
    if variant.max_iso_mb and size > variant.max_iso_mb * MIB:
        over.append(f"its ISO image has {_mib(size)}, and max-iso-mb allows {variant.max_iso_mb} MiB")
        biggest = memory.biggest(found.table, _NAMED, on_medium=True)
        most += [f"{one.name} is {size_text(one.download)}" for one in biggest]
    if variant.max_ram_mb and found.least_memory > variant.max_ram_mb * MIB:
        over.append(
            f"it needs {_mib(found.least_memory)} of memory to boot, for {found.least_memory_for}, "
            f"and max-ram-mb allows {variant.max_ram_mb} MiB"
        )
        biggest = memory.biggest(found.table, _NAMED, on_medium=False)
        most += [f"{one.name} in {one.place} takes {size_text(one.boot)} of memory" for one in biggest]
    return Overrun(variant=variant.name, over=tuple(over), biggest=tuple(most)) if over else None


def _mib(size: int) -> str:
    return f"{-(-size // MIB)} MiB"


def lines(found: Estimate) -> tuple[str, ...]:
    """Return the table and the sums as text."""
    head = ("package", "where", "loaded", "download", "unpacked", "memory")
    rows = [
        (
            one.name,
            one.place,
            f"{_LOADED[one.load]}{', copied' if one.copied else ''}",
            size_text(one.download),
            size_text(one.unpacked),
            size_text(one.boot),
        )
        for one in found.table
    ]
    total = (
        "all",
        "",
        "",
        size_text(sum(one.download for one in found.table)),
        size_text(sum(one.unpacked for one in found.table)),
        size_text(sum(one.boot for one in found.table)),
    )
    return (
        *(columns([head, *rows, total]) if rows else ()),
        f"packages    {size_text(found.packages)}",
        f"kernel      {size_text(found.kernel)}",
        f"initrd      {size_text(found.initrd)}",
        f"root        {size_text(found.root)} unpacked",
        f"iso         {_mib(found.iso)}",
        f"memory      {_mib(found.least_memory)} at least, for {found.least_memory_for}",
    )
