"""The folders of packages that an image has: /cde on its medium, /tmp/builtin in its initrd. Pure.

Their shape is what Tiny Core's tce-setup and tce-load read: ``optional/NAME.tcz`` with ``.dep`` and
``.md5.txt``; ``onboot.lst``, of each line the first word, ``#`` begins a remark; ``copy2fs.lst``, in which
tce-load looks for names. A list has another name where ``lst=`` is among the boot codes.

Items that load a package when it is used first belong to Tiny Core's tce folder, which an image does not
have: their ``ondemand -e`` would look for the package there. An image has its own in /etc/ondemand, which do
the same with a package from where it lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remaster.plan import MediumFile, Source, bytes_of
from tcz.tree import FileRef, Node, Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.placement import Arrangement, Placed
    from remaster.variant import Place

BUILTIN: Final = "tmp/builtin"
ONBOOT: Final = "onboot.lst"
_STAFF: Final = 50
_COPY: Final = "copy2fs.lst"
#: tce-setup does nothing for a list of no bytes, and does not note where the medium is, either.
_NOTHING: Final = "# nothing is loaded at boot\n"
ONDEMAND: Final = "etc/ondemand"
_PROFILE: Final = "etc/profile.d/ondemand.sh"
_PROFILE_TEXT: Final = """\
# Commands of packages that are loaded when they are used first.
PATH=$PATH:/etc/ondemand
export PATH
"""
_ITEM: Final = """\
#!/bin/sh
# Loads NAME.tcz when NAME is used first.
if [ ! -e /usr/local/tce.installed/NAME ]; then
    for folder in /tmp/builtin/optional "$(cat /etc/sysconfig/cde 2>/dev/null)"; do
        [ -f "$folder/NAME.tcz" ] && tce-load -is "$folder/NAME.tcz" && break
    done
fi
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if ! program=$(command -v NAME); then
    echo "NAME.tcz was not loaded, or brings no command NAME" >&2
    exit 127
fi
exec "$program" "$@"
"""


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of a list, without suffix."""
    words = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(line[0].removesuffix(".tcz") for line in words if line)


def list_text(names: Iterable[str]) -> str:
    """Return a list: one package a line, with its suffix, as Tiny Core's tools write it."""
    return "".join(f"{name}.tcz\n" for name in dict.fromkeys(names))


def _package_files(placed: Placed) -> list[tuple[str, Source]]:
    path = placed.package.path
    found: list[tuple[str, Source]] = [(f"optional/{placed.name}.tcz", path)]
    for suffix in (".dep", ".md5.txt"):
        file = path.with_name(path.name + suffix)
        if file.is_file():
            found.append((f"optional/{placed.name}.tcz{suffix}", file))
    return found


def _lists(
    arrangement: Arrangement, place: Place, here: dict[str, tuple[str, ...]], names: Sequence[str]
) -> dict[str, str]:
    """Return the lists of a place; ``here`` has those of the base, whose packages come first."""
    boot = arrangement.boot_list(place)
    packages = arrangement.at(place)
    texts = {name: list_text((*here.get(name, ()), *boot)) or _NOTHING for name in names}
    copied = (*here.get(_COPY, ()), *(one.name for one in packages if one.copied))
    if copied:
        texts[_COPY] = list_text(copied)
    return texts


def list_names(boot_codes: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the lists that boot codes ask for: onboot.lst, and those of ``lst=``."""
    other = (word.removeprefix("lst=") for word in boot_codes if word.startswith("lst="))
    return tuple(dict.fromkeys((ONBOOT, *other)))


def cde_files(
    arrangement: Arrangement, kept: Sequence[MediumFile] = (), lists: Sequence[str] = (ONBOOT,)
) -> tuple[MediumFile, ...]:
    """Return the files below /cde; a package of ours takes the place of one of its name among ``kept``."""
    here = {
        file.path.removeprefix("cde/"): names_in(bytes_of(file.content).decode(errors="replace"))
        for file in kept
        if file.path.endswith(".lst") and file.path.count("/") == 1
    }
    texts = _lists(arrangement, "cde", here, lists)
    files = [MediumFile(path=f"cde/{name}", content=text.encode()) for name, text in texts.items()]
    ours = set()
    for placed in arrangement.at("cde"):
        ours.add(f"cde/optional/{placed.name}.tcz")
        files += [MediumFile(path=f"cde/{name}", content=source) for name, source in _package_files(placed)]
    replaced = {f"cde/{name}" for name in texts}
    files += [
        file
        for file in kept
        if file.path not in replaced and f"{file.path.partition('.tcz')[0]}.tcz" not in ours
    ]
    return tuple(files)


def builtin_nodes(
    arrangement: Arrangement, root: Tree, epoch: int, lists: Sequence[str] = (ONBOOT,)
) -> dict[str, Node]:
    """Return what is put below /tmp/builtin of a root, parents with it; nothing where nothing is built in."""
    packages = arrangement.at("builtin")
    if not packages:
        return {}
    files: dict[str, Source] = dict(file for placed in packages for file in _package_files(placed))
    here = {name: _names_at(root, f"{BUILTIN}/{name}") for name in (*lists, _COPY)}
    files |= {name: text.encode() for name, text in _lists(arrangement, "builtin", here, lists).items()}
    return builtin_tree(files, root, epoch)


def builtin_tree(files: dict[str, Source], root: Tree, epoch: int) -> dict[str, Node]:
    """Return files below /tmp/builtin, and the folders that the root lacks for them."""
    nodes: dict[str, Node] = {}
    for name, source in files.items():
        path = f"{BUILTIN}/{name}"
        nodes[path] = regular(_content(source), gid=_STAFF, mtime=epoch)
        parent = path.rpartition("/")[0]
        while parent.startswith(BUILTIN):
            nodes[parent] = root.get(parent) or directory(0o775, gid=_STAFF, mtime=epoch)
            parent = parent.rpartition("/")[0]
    if nodes and "tmp" not in root:
        nodes["tmp"] = directory(0o1777, gid=_STAFF, mtime=epoch)
    return nodes


def _names_at(root: Tree, path: str) -> tuple[str, ...]:
    node = root.get(path)
    return names_in(node.read().decode(errors="replace")) if node is not None and node.is_file else ()


def merged_list(first: bytes, then: bytes) -> bytes:
    """Return the text of a list with the names of both."""
    names = (*names_in(first.decode(errors="replace")), *names_in(then.decode(errors="replace")))
    return (list_text(names) or _NOTHING).encode()


def _content(source: Source) -> bytes | FileRef:
    if isinstance(source, bytes | FileRef):
        return source
    return FileRef(source, 0, source.stat().st_size)


def ondemand_nodes(arrangement: Arrangement, epoch: int) -> dict[str, Node]:
    """Return the commands of packages that are loaded when they are used first, and what finds them."""
    names = [placed.name for placed in arrangement.packages if placed.load == "demand"]
    nodes = {
        f"{ONDEMAND}/{name}": regular(_ITEM.replace("NAME", name).encode(), mode=0o755, mtime=epoch)
        for name in names
    }
    if nodes:
        nodes[ONDEMAND] = directory(mtime=epoch)
        nodes[_PROFILE] = regular(_PROFILE_TEXT.encode(), mtime=epoch)
    return nodes
