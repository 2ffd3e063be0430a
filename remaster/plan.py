"""What goes where in an image, decided before anything is written. Pure: values in, values out.

Two places exist: the initrd, which becomes the root file system in memory, and the medium, whose
files cost no memory.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from remaster import accounts, hooks
from remaster.menu import (
    INITRD_PATH,
    KERNEL_PATH,
    NORMAL,
    Menu,
    boot_msg,
    entries_for,
    grub_cfg,
    help_files,
    isolinux_cfg,
    pages_for,
    serial_line,
)
from tcz.errors import ConfigError, Problem
from tcz.tree import FileRef, Node, Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from remaster.bootcode import BootCode
    from remaster.sshkey import PublicKey
    from remaster.variant import FileSpec, Variant
    from remaster.variant.parts import Needed
    from remaster.variant.users import User

MIB = 1 << 20
#: The time of everything in an image: 2025-01-01T00:00:00Z.
EPOCH = 1735689600
_VOLUME_ID_LIMIT = 32
#: A file's content: where it lies, a region of a file (of another image), or the bytes.
Source: TypeAlias = "Path | FileRef | bytes"


def size_of(source: Source) -> int:
    """Return how many bytes a source has."""
    if isinstance(source, bytes):
        return len(source)
    return source.size if isinstance(source, FileRef) else source.stat().st_size


def bytes_of(source: Source) -> bytes:
    """Return all of a source."""
    if isinstance(source, bytes):
        return source
    return source.read() if isinstance(source, FileRef) else source.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the image's own layer is made from, over the base.

    ``kernel_config`` is the release of a kernel that does not hold its configuration, and that, packed.
    """

    services: tuple[str, ...]
    files: tuple[FileSpec, ...]
    keys: tuple[PublicKey, ...]
    manifest: bytes
    epoch: int
    users: tuple[User, ...] = ()
    needed: tuple[Needed, ...] = ()
    data_label: str = ""
    kernel_config: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumFile:
    """One file of the medium: its path there, and its bytes or where they lie."""

    path: str
    content: Source

    @property
    def size(self) -> int:
        """Bytes of content."""
        return size_of(self.content)


def overlay(base: Tree, content: Content) -> Tree:
    """Return the tree that is laid over ``base``.

    Raises ``ConfigError`` with every conflict: two files at one path, a file where the base has a
    folder (or the other way round), an owner that the base's passwd does not know.
    """
    own, made, problems = _laid(base, content)
    if problems:
        raise ConfigError("the image's files cannot be laid over the base", problems)
    return _with_parents({**made, **own}, base, content.epoch)


def conflicts(base: Tree, content: Content) -> tuple[Problem, ...]:
    """Return what ``overlay`` would refuse."""
    return tuple(_laid(base, content)[2])


def _laid(base: Tree, content: Content) -> tuple[dict[str, Node], dict[str, Node], list[Problem]]:
    """Return the files of the image's own layer, what its users come to, and conflicts."""
    epoch = content.epoch
    own = {
        hooks.SERVICES: regular(hooks.services_text(content.services).encode(), mtime=epoch),
        hooks.MANIFEST: regular(content.manifest, mtime=epoch),
    }
    if content.kernel_config is not None:
        release, packed = content.kernel_config
        own[hooks.kernel_config(release)] = regular(packed, mtime=epoch)
    if content.data_label:
        own[hooks.DATA_LABEL] = regular(f"{content.data_label}\n".encode(), mtime=epoch)
    if content.keys:
        text = hooks.authorized_keys_text(content.keys).encode()
        own[hooks.AUTHORIZED_KEYS] = regular(text, mode=0o600, mtime=epoch)
    made, wrong = accounts.lay(base, content.users, epoch)
    problems = [*wrong, *_lacking(base, content)]
    owners = _Owners(base, made)
    given = {spec.path for spec in content.files}
    # A new home's files give way to those that are given outright; lists of accounts do not.
    own |= {path: node for path, node in made.items() if node.is_file and _stays(path, given)}
    for spec in content.files:
        message = f"/{spec.path} is written by remaster itself"
        if spec.path in accounts.GUARDED:
            problems.append(Problem(where=spec.where, message=accounts.GUARDED_WHY, hint=_USERS))
        elif spec.path in own:
            problems.append(Problem(where=spec.where, message=message, hint=_INSTEAD))
        else:
            try:
                uid, gid = owners.ids(spec.owner)
            except ValueError as error:
                problems.append(Problem(where=spec.where, message=f"/{spec.path}: {error}"))
                continue
            own[spec.path] = regular(spec.content, mode=spec.mode, uid=uid, gid=gid, mtime=epoch)
    problems += _collisions(base, own, content.files)
    return own, made, problems


_USERS = "use [[user]]: with groups, sudo = true and ssh-keys"


def _stays(path: str, given: set[str]) -> bool:
    return path not in given or path in accounts.FILES or path.endswith("/authorized_keys")


def _lacking(base: Tree, content: Content) -> list[Problem]:
    given = {spec.path for spec in content.files}
    return [
        Problem(where=one.where, message=one.message, hint=one.hint or None)
        for one in content.needed
        if one.path not in base and one.path not in given
    ]


_INSTEAD = "use services = [...], --ssh-key or [[user]]"


class _Owners:
    """Names of users and groups, as the base and the image's own users give them."""

    def __init__(self, base: Tree, made: Mapping[str, Node]) -> None:
        self.users = _ids(_text(made.get(accounts.PASSWD, base.get(accounts.PASSWD))))
        self.groups = _ids(_text(made.get(accounts.GROUP, base.get(accounts.GROUP))))

    def ids(self, owner: str) -> tuple[int, int]:
        user, _, group = owner.partition(":")
        return _id(user, self.users, "user"), _id(group or user, self.groups, "group")


def _text(node: Node | None) -> str:
    return node.read().decode(errors="replace") if node is not None and node.is_file else ""


def _ids(text: str) -> dict[str, int]:
    known = {"root": 0}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = rest.partition(":")[2].partition(":")[0]
        if number.isdecimal():
            known[name] = int(number)
    return known


def _id(name: str, known: dict[str, int], what: str) -> int:
    if name.isdecimal():
        return int(name)
    if name not in known:
        raise ValueError(f"the base knows no {what} {name}; it has {', '.join(sorted(known))}")
    return known[name]


def _collisions(base: Tree, own: dict[str, Node], files: Iterable[FileSpec]) -> list[Problem]:
    where = {spec.path: spec.where for spec in files}
    folders = [path for path in own if (here := base.get(path)) is not None and here.is_dir]
    problems = [
        Problem(where=where.get(path, f"/{path}"), message=f"/{path} is a folder of the base")
        for path in folders
    ]
    # What is below such a folder is right.
    own = {path: node for path, node in own.items() if path not in folders}
    for path in own:
        place = where.get(path, f"/{path}")
        parent = path.rpartition("/")[0]
        while parent:
            node = own.get(parent) or base.get(parent)
            if node is not None and not node.is_dir:
                kind = "a link" if node.is_link else "a file"
                problems.append(
                    Problem(where=place, message=f"/{parent} is {kind}, so nothing can be below it")
                )
                break
            parent = parent.rpartition("/")[0]
    return problems


def _with_parents(own: dict[str, Node], base: Tree, epoch: int) -> Tree:
    """Add the folders that are missing; those the base has are repeated as they are there."""
    nodes: dict[str, Node] = {}
    for path, node in own.items():
        nodes[path] = node
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            nodes[parent] = own.get(parent) or base.get(parent) or directory(mtime=epoch)
    return Tree(nodes)


def root_tree(base: Tree, content: Content) -> Tree:
    """Return the initrd's tree: the base, the image's own layer over it, every time the epoch."""
    return laid_over(base, content).with_mtime(content.epoch)


def laid_over(base: Tree, content: Content) -> Tree:
    """Return the base with the image's own layer over it; what the base has keeps its times."""
    tree = base.overlay(overlay(base, content))
    if "init" not in tree:
        raise ConfigError("the base has no /init, so it cannot boot", hint="check the base's list of layers")
    return tree


def segment(before: Tree, after: Tree, wanted: Callable[[str], bool] = lambda _: True) -> Tree:
    """Return what must be laid over ``before`` to make it ``after``, as an archive of its own.

    With ``wanted`` it is only that of the paths that are wanted.

    Folders on the way are repeated as they are, for an entry of a folder sets owner and mode. What is
    gone from ``after`` stays: an archive cannot take anything away.
    """
    # Most nodes are the same objects: to compare what is in them takes longer.
    nodes = {
        path: node
        for path, node in after.items()
        if (here := before.get(path)) is not node and here != node and path and wanted(path)
    }
    for path, node in list(nodes.items()):
        if node.link is not None and node.link not in nodes:
            shared = after[node.link]
            nodes[path] = replace(node, link=None, data=shared.data)
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            nodes.setdefault(parent, after[parent])
    return Tree(nodes)


def unpacked_size(tree: Tree) -> int:
    """Return the bytes that the tree takes in a tmpfs: whole 4 KiB pages for files, a little for all."""
    pages = sum((node.size + 4095) >> 12 for _, node in tree.items() if stat.S_ISREG(node.mode))
    return (pages << 12) + 1024 * len(tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """The boot loaders' files: for isolinux ``isolinux_bin`` and ``ldlinux``, for UEFI a FAT image.

    An isolinux before 5 has no ``ldlinux``; without ``mbr`` an image starts from CD only. ``grub_cfg`` is
    where the GRUB in the FAT image looks for its menu.
    """

    isolinux_bin: Source
    ldlinux: Source | None
    mbr: Source | None
    efi_image: Source
    grub_cfg: str = "boot/grub/grub.cfg"


def boot_files(menu: Menu, loaders: Loaders, kernel: Source, initrd: Path) -> tuple[MediumFile, ...]:
    """Return the files of the medium that boot it."""
    files = [
        MediumFile(path=menu.kernel.lstrip("/"), content=kernel),
        MediumFile(path=menu.initrd.lstrip("/"), content=initrd),
        MediumFile(path="boot/isolinux/isolinux.bin", content=loaders.isolinux_bin),
        MediumFile(path="boot/isolinux/isolinux.cfg", content=isolinux_cfg(menu).encode()),
        MediumFile(path="boot/isolinux/boot.msg", content=boot_msg(menu).encode()),
        *(MediumFile(path=f"boot/isolinux/{name}", content=text.encode()) for name, text in help_files(menu)),
        MediumFile(path=loaders.grub_cfg, content=grub_cfg(menu).encode()),
        MediumFile(path="EFI/BOOT/efiboot.img", content=loaders.efi_image),
    ]
    if loaders.ldlinux is not None:
        files.append(MediumFile(path="boot/isolinux/ldlinux.c32", content=loaders.ldlinux))
    return tuple(files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """What a menu starts: paths of kernel and initrd, the name of the first entry, words of the base.

    With ``serial`` the base opens a login on whatever serial line ``console=`` names.
    """

    kernel: str = KERNEL_PATH
    initrd: str = INITRD_PATH
    label: str = "floe"
    words: tuple[str, ...] = field(default=())
    serial: bool = True


def menu_for(
    title: str,
    variant: Variant,
    words: tuple[str, ...],
    codes: Iterable[BootCode] = (),
    starts: Starts | None = None,
) -> Menu:
    """Return the menu of an image with the boot codes ``words``; ``codes`` are those that help tells of.

    Its serial line is the one that a ``console=ttyS`` word names.
    """
    starts = starts or Starts()
    entries = entries_for(
        words, starts.label, variant.entries, serial=starts.serial or serial_line(words) is not None
    )
    codes = tuple(codes)
    return Menu(
        title=title,
        entries=entries,
        timeout=variant.timeout,
        serial=serial_line(words),
        kernel=starts.kernel,
        initrd=starts.initrd,
        default="" if variant.default_entry == NORMAL else variant.default_entry,
        pages=pages_for(entries, codes) if codes else (),
    )


def volume_id(template: str, *, name: str, version: str) -> str:
    """Fill ``{name}`` and ``{version}`` in; 32 characters at most, as ISO 9660 allows."""
    text = template.replace("{name}", name).replace("{version}", version)
    if len(text) > _VOLUME_ID_LIMIT or not text.isascii() or not text.isprintable() or not text:
        raise ConfigError(
            f"the volume id {text!r} is not 1 to {_VOLUME_ID_LIMIT} printable ASCII characters",
            hint="set volume-id in [image] of the variant",
        )
    return text
