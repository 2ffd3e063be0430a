"""Puts together what the parts of an image tell, and says where they contradict one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remaster.survey import bootconfig, cde, kernels, loaders, owntext, rootfacts
from remaster.survey.medium import INITRD_MAX, is_archive, open_medium
from remaster.survey.menutext import Around, Places
from remaster.survey.model import ArchiveShape, Fact, InitrdFile, MemberShape, Survey
from tcz import cpio
from tcz.compress import most
from tcz.errors import VerifyError
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from remaster.survey.medium import Medium
    from remaster.survey.model import BootEntry, KernelFile

#: How deep in a folder initrds that no menu names are looked for: release/distribution_files/core.gz.
_FOLDERS_MAX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A survey with what it is about: the medium, the root as it boots, and where both come from.

    ``root`` is empty where there is none; ``initrds`` and ``kernel`` are the paths that the default entry
    starts, or those that were found where there is no menu.
    """

    survey: Survey
    medium: Medium
    root: Tree
    initrds: tuple[str, ...]
    kernel: str


@dataclass(slots=True)
class _Notes:
    """What does not fit together, and what could not be read."""

    contradictions: list[str]
    unread: list[str]


def survey(path: Path) -> Survey:
    """Return the facts of the image at ``path``. Raises ``VerifyError`` for what is no image."""
    return examine(path).survey


def examine(path: Path) -> Examined:
    """Look at the image at ``path``; see ``survey``."""
    return examine_medium(open_medium(path))


def examine_medium(medium: Medium) -> Examined:
    """Look at what was opened."""
    notes = _Notes(list(medium.notes), [])
    notes.unread += [f"partition {one.number}: {one.fault}" for one in medium.partitions if one.fault]
    around = Around(files=medium.files, labels=_labels(medium), notes=notes.contradictions)
    entries, timeout = bootconfig.menus(around)
    found = _kernels(medium.files)
    # A menu may start from a disk by default; what it has for Tiny Core is looked at all the same.
    chosen = next((entry for entry in (*(one for one in entries if one.default), *entries)), None)
    named = _named(medium.files, entries, notes)
    loaded = _initrds(medium, [path for paths in named.values() for path in paths], notes)
    kernel = _kernel_path(medium.files, chosen, found)
    order = named.get(_place(chosen), ()) if chosen else ()
    initrds = tuple(path for path in order if path in loaded) or _unnamed(loaded, notes)
    root = medium.root or _root(medium, initrds, loaded)
    facts = rootfacts.facts(root) if len(root) > 1 else None
    lists, extensions = cde.found(medium.files, root, notes.contradictions)
    manifest = owntext.manifest(medium.files, root, notes.unread)
    image = next((one for one in found if one.path == kernel), None)
    result = Survey(
        path=str(medium.path),
        kind=medium.kind,
        size=medium.size,
        volume_id=_volume(medium),
        table=medium.table,
        partitions=medium.partitions,
        names="" if medium.iso is None else medium.iso.names,
        hybrid=medium.iso is not None and medium.iso.hybrid,
        kernel=None if image is None else Fact(value=image.release, where=image.path),
        kernels=found,
        initrds=tuple(_initrd_file(medium.files, path, one) for path, one in loaded.items()),
        loaders=loaders.found(medium),
        entries=entries,
        timeout=timeout,
        cde=lists,
        extensions=cde.versions(extensions, manifest),
        manifest=manifest,
        files=sum(not node.is_dir for _, node in medium.files.items()),
        root_entries=len(root) - 1,
        root_size=root.content_size(),
    )
    if facts is not None:
        result = replace(
            result,
            distribution=facts.distribution,
            release=facts.release,
            architecture=facts.architecture,
            libc=facts.libc,
            libc_kernel=facts.libc_kernel,
            modules=facts.modules,
            installed=facts.installed,
        )
        notes.contradictions += facts.contradictions
    notes.contradictions += _disagreements(result, image)
    result = replace(result, contradictions=tuple(notes.contradictions), unread=tuple(notes.unread))
    return Examined(survey=result, medium=medium, root=root, initrds=initrds, kernel=kernel)


def _labels(medium: Medium) -> frozenset[str]:
    """Return what the file systems that were looked into are called."""
    names = {name for one in medium.partitions if one.chosen for name in (one.label, one.uuid)}
    names |= set() if medium.iso is None else {medium.iso.volume_id}
    return frozenset(names - {""})


def _volume(medium: Medium) -> Fact | None:
    if medium.iso is None:
        return None
    return Fact(value=medium.iso.volume_id, where="the primary volume descriptor")


# -- menus ----------------------------------------------------------------------------------------


def find(files: Tree, path: str) -> str | None:
    """Return where a path of a menu is on the medium: its root is the medium's, case may differ."""
    return Places(files).find(path)


def _place(entry: BootEntry) -> tuple[str, str, str]:
    return entry.where, entry.label, entry.title


def _named(
    files: Tree, entries: Sequence[BootEntry], notes: _Notes
) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Return for each entry the initrds that are there; tell what is not."""
    found = {}
    place = Places(files)
    for entry in entries:
        paths = []
        folder = entry.where.rpartition("/")[0]
        for path in (entry.kernel, *entry.initrds):
            real = place.find(path) or (None if path.startswith("/") else place.find(f"{folder}/{path}"))
            if real is None and not entry.elsewhere:
                name = entry.label or entry.title
                notes.contradictions.append(
                    f"{entry.where}: the entry {name!r} starts {path}, which is not there"
                )
            elif real is not None and path != entry.kernel:
                paths.append(real)
        found[_place(entry)] = tuple(paths)
    return found


# -- kernels and initrds --------------------------------------------------------------------------


def _kernels(files: Tree) -> tuple[KernelFile, ...]:
    found = []
    for path, node in files.items():
        if node.is_file and node.size > kernels.HEAD and not path.endswith(".tcz"):
            head = kernels.head_of(node.data)
            if kernels.is_kernel(head):
                found.append(kernels.read(path, node.size, head))
    return tuple(found)


def _kernel_path(files: Tree, chosen: BootEntry | None, found: Sequence[KernelFile]) -> str:
    if chosen is not None:
        real = find(files, chosen.kernel) or find(files, f"{chosen.where.rpartition('/')[0]}/{chosen.kernel}")
        if real is not None:
            return real
    return found[0].path if found else ""


def _initrds(medium: Medium, named: Sequence[str], notes: _Notes) -> dict[str, cpio.Loaded]:
    if medium.loaded is not None:
        return {medium.path.name: medium.loaded}
    found: dict[str, cpio.Loaded] = {}
    left = most(medium.size)
    for path in dict.fromkeys(named) if named else medium.files:
        node = medium.files[path]
        if not node.is_file or not 0 < node.size <= INITRD_MAX or path.endswith(".tcz"):
            continue
        if not named and (path.count("/") > _FOLDERS_MAX or not is_archive(kernels.head_of(node.data))):
            continue
        try:
            found[path] = cpio.load(node.read(), limit=left)
            left -= sum(member.unpacked for member in found[path].members)
        except VerifyError as error:
            if named:
                notes.unread.append(f"{path}: {'; '.join(error.lines())}")
    return found


def _unnamed(loaded: dict[str, cpio.Loaded], notes: _Notes) -> tuple[str, ...]:
    """Return the initrds to take where no menu names any.

    Those with nothing but what the kernel takes early, one with an /init, then those with modules only.
    """
    early = [path for path, one in loaded.items() if _is_early(one.tree)]
    roots = [path for path, one in loaded.items() if "init" in one.tree]
    whole = [path for path in roots if rootfacts.modules(loaded[path].tree)]
    others = [path for path in loaded if path not in roots and rootfacts.modules(loaded[path].tree)]
    if len(roots) > 1:
        best = (whole or roots)[0]
        notes.contradictions.append(
            f"there are several initrds with an /init ({', '.join(roots)}) and no menu says which is "
            f"started; {best} was looked at"
        )
        return (*early, best)
    return (*early, *roots, *([] if whole else others)) or tuple(loaded)[:1]


def _is_early(tree: Tree) -> bool:
    files = [path for path, node in tree.items() if not node.is_dir]
    return bool(files) and all(path.startswith(cpio.EARLY) for path in files)


def _root(medium: Medium, initrds: Sequence[str], loaded: dict[str, cpio.Loaded]) -> Tree:
    if not initrds:
        return Tree()
    if len(initrds) == 1:
        return loaded[initrds[0]].tree
    return cpio.read(joined(medium.files[path].read() for path in initrds))


def joined(parts: Iterable[bytes]) -> bytes:
    """Return initrds as boot loaders lay them into memory: one behind the other, each at a multiple of 4."""
    whole = bytearray()
    for part in parts:
        whole += bytes(-len(whole) % 4)
        whole += part
    return bytes(whole)


def _initrd_file(files: Tree, path: str, loaded: cpio.Loaded) -> InitrdFile:
    members = tuple(
        MemberShape(
            offset=member.offset,
            size=member.size,
            unpacked=member.unpacked,
            compressor=member.compressor,
            archives=tuple(
                ArchiveShape(format=one.format, entries=one.entries, microcode=one.microcode, acpi=one.acpi)
                for one in member.archives
            ),
        )
        for member in loaded.members
    )
    return InitrdFile(
        path=path,
        size=files[path].size,
        members=members,
        entries=sum(member.entries for member in loaded.members),
        unpacked=loaded.tree.content_size(),
        root="init" in loaded.tree,
        modules=tuple(fact.value for fact in rootfacts.modules(loaded.tree)),
    )


# -- contradictions -------------------------------------------------------------------------------


def _disagreements(found: Survey, image: KernelFile | None) -> list[str]:
    told = [sentence for initrd in found.initrds for sentence in _too_late(initrd)]
    if image is not None and found.modules and image.release not in [one.value for one in found.modules]:
        listed = ", ".join(one.value for one in found.modules)
        told.append(f"{image.path} is Linux {image.release}, but the modules are for {listed}")
    if image is not None and found.architecture is not None:
        cpu = found.architecture.value
        if cpu == "x86_64" and image.architecture == "386":
            told.append(f"{found.architecture.where} is for {cpu}, but {image.path} is a 32-bit kernel")
    oldest = found.libc_kernel
    if image is not None and oldest is not None and too_old(image.release, oldest.value):
        told.append(
            f"{oldest.where} wants Linux {oldest.value} or newer, but {image.path} is {image.release}"
        )
    return told


def _too_late(initrd: InitrdFile) -> Iterator[str]:
    """Tell of what the kernel looks for in front only, and in plain archives."""
    front = True
    for number, member in enumerate(initrd.members, 1):
        front = front and member.compressor == "none"
        names = (("microcode", "microcode"), ("acpi", "tables for ACPI"))
        held = [told for name, told in names if any(getattr(one, name) for one in member.archives)]
        if held and not front:
            yield (
                f"{initrd.path}: the kernel does not find {' and '.join(held)} in member {number}, "
                "for it looks in plain archives at the front only"
            )


def too_old(kernel: str, wanted: str) -> bool:
    """Tell whether a kernel release is older than the version that a libc wants."""
    return _numbers(kernel) < _numbers(wanted)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.replace("-", ".").split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple([*numbers, 0, 0, 0][:3])
