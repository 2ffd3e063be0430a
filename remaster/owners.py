"""What a plain user's folder cannot hold, kept in a file beside it: owners, modes, times, devices.

Format (JSON, one object a line; the first says ``{"schema": 1, "what": "owners"}``): ``path`` (the root is
empty; what is no UTF-8 is escaped as Python's surrogateescape does), ``mode`` in octal with its type bits,
``uid``, ``gid``, ``mtime``, and where they apply ``rdev`` (two numbers) and ``link`` (the path whose content
a hard link shares). Links' targets and files' contents are in the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tcz.errors import VerifyError
from tcz.rootfs import encoded
from tcz.store import replacing
from tcz.tree import FileRef, Node, Tree, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX: Final = ".owners"
_HEAD: Final = {"schema": 1, "what": "owners"}
_ENTRIES_MAX: Final = 2_000_000
_MODE_MAX: Final = 0o177777
_DEVICES: Final = (stat.S_IFCHR, stat.S_IFBLK)


def beside(folder: Path) -> Path:
    """Return where the record of a folder lies."""
    return folder.with_name(folder.name + SUFFIX)


def dumps(tree: Tree) -> bytes:
    """Return the record of a tree."""
    lines = [json.dumps(_HEAD)]
    for path, node in tree.items():
        row: dict[str, Any] = {"path": path, "mode": f"{node.mode:o}", "uid": node.uid, "gid": node.gid}
        row["mtime"] = node.mtime
        if node.rdev != (0, 0):
            row["rdev"] = list(node.rdev)
        if node.link is not None:
            row["link"] = node.link
        lines.append(json.dumps(row))
    return ("\n".join(lines) + "\n").encode()


def loads(data: bytes, where: str) -> dict[str, Node]:
    """Read a record: nodes without content. Raises ``VerifyError`` with the line of what is wrong."""
    found: dict[str, Node] = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line)
            if number == 1:
                _check_head(row)
                continue
            path = safe_path(row["path"])
            major, minor = row.get("rdev", (0, 0))
            link = row.get("link")
            found[path] = Node(
                mode=_number(int(row["mode"], 8), _MODE_MAX),
                uid=_number(row["uid"]),
                gid=_number(row["gid"]),
                mtime=_number(row["mtime"]),
                rdev=(_number(major), _number(minor)),
                link=None if link is None else safe_path(link),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise VerifyError("not a record of owners", where=f"{where}:{number}", why=str(error)) from error
        except VerifyError as error:
            raise VerifyError("not a record of owners", where=f"{where}:{number}", why=error.what) from error
    return found


def _number(value: object, most: int = 0xFFFFFFFF) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r:.80} is no number from 0 to {most}")
    return value


def _check_head(row: object) -> None:
    if row != _HEAD:
        raise ValueError(f"the first line is not {json.dumps(_HEAD)}")


def read(folder: Path) -> Tree:
    """Return a folder as a tree, its owners, modes and devices as the record beside it has them.

    Files that are no longer there are left out, new ones belong to root. Without a record everything
    belongs to root, modes are 755 and 644; but where devices lie in it, which only root makes, root unpacked
    it, and owners and modes are what they are there. Symbolic links are never followed. Raises
    ``VerifyError`` for sockets and the like, and a record that is broken.
    """
    record = beside(folder)
    recorded = loads(record.read_bytes(), str(record)) if record.is_file() else {}
    nodes = dict(_walk(folder))
    if not recorded and any(stat.S_IFMT(node.mode) in _DEVICES for node in nodes.values()):
        return Tree({path: _as_it_is(node, _place(folder, path)) for path, node in nodes.items()})
    for path, node in recorded.items():
        here = nodes.get(path)
        if here is not None:
            if stat.S_IFMT(here.mode) == stat.S_IFMT(node.mode):
                nodes[path] = replace(node, data=b"" if node.link else here.data)
        elif stat.S_IFMT(node.mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            nodes[path] = node  # devices are in the record alone
    return Tree(_unshared(nodes, folder))


def _as_it_is(node: Node, place: Path) -> Node:
    status = place.lstat()
    mode = node.mode if node.is_link else status.st_mode
    return replace(node, mode=mode, uid=status.st_uid, gid=status.st_gid)


def _unshared(nodes: dict[str, Node], folder: Path) -> dict[str, Node]:
    """Let a hard link whose holder is gone, or which was replaced by another file, have its own content."""
    found = {}
    for path, node in nodes.items():
        holder = nodes.get(node.link) if node.link is not None else None
        if node.link is None or not node.is_file:
            found[path] = node
            continue
        here, there = _place(folder, path), _place(folder, node.link)
        same = holder is not None and holder.is_file and holder.link is None and here.samefile(there)
        found[path] = node if same else replace(node, link=None, data=_content(here))
    return found


def _place(folder: Path, path: str) -> Path:
    return folder / os.fsdecode(encoded(path))


def _content(file: Path) -> FileRef | bytes:
    size = file.stat().st_size
    return FileRef(file, 0, size) if size else b""


def _walk(folder: Path) -> Iterator[tuple[str, Node]]:
    yield "", Node(mode=stat.S_IFDIR | 0o755)
    todo = [("", folder)]
    count = 0
    while todo:
        base, place = todo.pop()
        for entry in os.scandir(place):
            path = f"{base}/{entry.name}" if base else entry.name
            count += 1
            if count > _ENTRIES_MAX:
                raise VerifyError(f"more than {_ENTRIES_MAX} files", where=str(folder))
            status = entry.stat(follow_symlinks=False)
            mtime = max(0, int(status.st_mtime))
            if entry.is_symlink():
                target = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - a Path would lose slashes
                yield path, Node(mode=stat.S_IFLNK | 0o777, mtime=mtime, data=target)
            elif entry.is_dir():
                todo.append((path, Path(entry.path)))
                yield path, Node(mode=stat.S_IFDIR | 0o755, mtime=mtime)
            elif entry.is_file():
                mode = 0o755 if status.st_mode & 0o111 else 0o644
                yield path, Node(mode=stat.S_IFREG | mode, mtime=mtime, data=_content(Path(entry.path)))
            elif stat.S_IFMT(status.st_mode) in _DEVICES:
                rdev = os.major(status.st_rdev), os.minor(status.st_rdev)
                yield path, Node(mode=status.st_mode, mtime=mtime, rdev=rdev)
            else:
                raise VerifyError("neither a file nor a folder nor a link nor a device", where=entry.path)


def write(tree: Tree, folder: Path) -> None:
    """Unpack a tree into ``folder``, which must not exist yet, and write the record beside it.

    Nothing is written outside of ``folder`` and the record, whatever the tree holds; files are the
    user's own, without set-uid bits, and devices are in the record alone. When anything goes wrong
    nothing is left. Raises ``VerifyError`` for a tree that cannot be unpacked.
    """
    unpacked = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpacked.mkdir(parents=True)
        _fill(unpacked, tree)
        with replacing(beside(folder)) as temporary:
            temporary.write_bytes(dumps(tree))
            unpacked.rename(folder)
    except BaseException:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise


def _fill(folder: Path, tree: Tree) -> None:
    """Make folders, then files, then further names of files; symbolic links last, so none is followed."""
    for path, node in tree.items():
        parent = tree.get(path.rpartition("/")[0])
        if parent is None or not parent.is_dir or safe_path(path) != path:
            raise VerifyError(f"{path!r} does not lie in a folder of its tree")
        if node.is_dir and path:
            _place(folder, path).mkdir()
    for path, node in tree.items():
        if node.is_file and node.link is None:
            _copy(node, _place(folder, path))
    for path, node in tree.items():
        if node.is_file and node.link is not None:
            _place(folder, path).hardlink_to(_place(folder, _holder(tree, path, node.link)))
    for path, node in tree.items():
        if node.is_link:
            os.symlink(node.read(), encoded(f"{folder}/{path}"))  # noqa: PTH211 - as above


def _holder(tree: Tree, path: str, link: str) -> str:
    holder = tree.get(link)
    if holder is None or not holder.is_file or holder.link is not None:
        raise VerifyError(f"{path!r} shares the content of {link!r}, which is no file")
    return link


def _copy(node: Node, place: Path) -> None:
    with place.open("xb") as file:
        for piece in node.pieces():
            file.write(piece)
    place.chmod(0o755 if node.mode & 0o111 else 0o644)
