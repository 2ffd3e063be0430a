"""A command's system calls recorded with strace, and what they did to the files of one folder."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.powercut import Change, Copy, Mode, Node, Recording, Sync, Write, apply, pairs, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.unit.powercut import Step

_TRACED = (
    *("open", "openat", "creat", "close", "dup", "dup2", "dup3", "write", "pwrite64", "lseek", "truncate"),
    *("ftruncate", "sendfile", "copy_file_range", "rename", "renameat", "renameat2", "link", "linkat"),
    *("symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "fsync", "fdatasync"),
    *("syncfs", "sync", "clone", "clone3", "fork", "vfork", "writev", "pwritev", "ioctl", "fallocate"),
    *("chdir", "fchdir", "chmod", "fchmod", "fchmodat", "openat2"),
)
_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)")
_UNFINISHED = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>\Z")
_CLOSE = re.compile(r"close\((\d+)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)\Z")
#: Calls that change files and that the player does not know.
_UNKNOWN = frozenset(("writev", "pwritev", "fallocate", "creat", "copy_file_range", "openat2"))


def record(
    argv: Sequence[str], folder: Path, scratch: Path, *, cwd: Path, env: Mapping[str, str]
) -> tuple[Recording, subprocess.CompletedProcess[str]]:
    """Run a command and return what it did to ``folder``; ``scratch`` takes strace's output."""
    before = read(folder)
    out = scratch / "strace"
    strace = ["strace", "-f", "-qq", "-xx", "-s", "100000000", "--seccomp-bpf", "-o", str(out)]
    traced = [*strace, "-e", f"trace={','.join(_TRACED)}", *argv]
    done = subprocess.run(traced, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    player = _Player(before, folder.resolve(), cwd.resolve())
    for call in _calls(out):
        player.play(*call)
    return Recording(before, tuple(player.steps)), done


def _calls(out: Path) -> Iterator[tuple[str, str, list[str], int]]:
    """Yield process, name, arguments and result of the calls that succeeded, in order."""
    begun: dict[str, str] = {}
    with out.open(encoding="ascii") as lines:
        for raw in lines:
            line = raw.rstrip("\n")
            unfinished = _UNFINISHED.match(line)
            if unfinished:
                process, call = unfinished[1], unfinished[2]
                if closed := _CLOSE.match(call):
                    # From now on another thread may be given the number, and be told of before this ends.
                    yield process, "close", [closed[1]], 0
                begun[process] = call
                continue
            resumed = _RESUMED.match(line)
            if resumed:
                call = begun.pop(resumed[1])
                if _CLOSE.match(call):
                    continue
                line = f"{resumed[1]} {call}{resumed[2]}"
            found = _CALL.match(line)
            if found and found[4] != "?" and int(found[4]) >= 0:
                yield found[1], found[2], found[3].split(", "), int(found[4])


@dataclass
class _Open:
    """An open file: its node if it lies in the folder, else where it is."""

    path: str
    node: Node | None
    at: int = 0


class _Player:
    """Follows the calls of a command in a copy of the folder that is at hand at any time."""

    def __init__(self, before: Node, folder: Path, cwd: Path) -> None:
        copy = Copy()
        self._root = copy.of(before)
        self._of = {id(made): given for given, made in pairs(before, self._root)}
        self._folder = str(folder)
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._start = str(cwd)
        self._cwd = self._start
        self._cwds: dict[str, str] = {}
        self._files: dict[str, dict[int, _Open]] = {}
        self._kept: list[Node] = [node for _, node in pairs(before, self._root)]
        self.steps: list[Step] = []

    def play(self, process: str, name: str, args: list[str], result: int) -> None:
        files = self._files.setdefault(process, {})
        self._cwd = self._cwds.setdefault(process, self._start)
        if name in ("clone", "clone3", "fork", "vfork"):
            self._cwds.setdefault(str(result), self._cwd)
            if "CLONE_FILES" in " ".join(args):
                # What a thread did may be told before that it was begun.
                files |= self._files.get(str(result), {})
                self._files[str(result)] = files
            else:
                self._files[str(result)] = dict(files)
        elif name in ("open", "openat"):
            self._open(files, args if name == "openat" else ["AT_FDCWD", *args], result)
        elif name in ("chdir", "fchdir"):
            to = files[int(args[0])].path if name == "fchdir" else self._path(files, "AT_FDCWD", args[0])
            self._cwds[process] = to
        elif name == "close":
            files.pop(int(args[0]), None)
        elif name in ("dup", "dup2", "dup3"):
            if int(args[0]) in files:
                files[result] = files[int(args[0])]
        elif name == "sync" or (name == "syncfs" and int(args[0]) in files):
            self.steps.append(Sync(None))
        else:
            self._change(files, name, args, result)

    def _change(self, files: dict[int, _Open], name: str, args: list[str], result: int) -> None:
        if name in ("rename", "link", "symlink", "unlink", "mkdir", "rmdir", "truncate"):
            self._named(name, [self._path(files, "AT_FDCWD", one) for one in args[:2] if one[0] == '"'], args)
        elif name in ("renameat", "renameat2", "linkat"):
            paths = [self._path(files, args[0], args[1]), self._path(files, args[2], args[3])]
            self._named("link" if name == "linkat" else "rename", paths, args)
        elif name == "symlinkat":
            self._named("symlink", ["", self._path(files, args[1], args[2])], args)
        elif name in ("unlinkat", "mkdirat"):
            kind = "mkdir" if name == "mkdirat" else "rmdir" if "AT_REMOVEDIR" in args[-1] else "unlink"
            self._named(kind, [self._path(files, args[0], args[1])], args)
        elif name in ("chmod", "fchmodat"):
            at, mode = (["AT_FDCWD", args[0]], args[1]) if name == "chmod" else (args[:2], args[2])
            self._allow(self._find(self._path(files, *at)), mode)
        elif args[0].isdigit():
            one = files.get(int(args[0]))
            if one is not None and one.node is not None:
                self._written(files, one, one.node, name, args, result)

    def _written(
        self, files: dict[int, _Open], one: _Open, node: Node, name: str, args: list[str], result: int
    ) -> None:
        assert name not in _UNKNOWN, name
        assert name != "ioctl" or "FICLONE" not in args[1], name
        if name == "write":
            self._put(node, one.at, _bytes(args[1]))
            one.at += result
        elif name == "pwrite64":
            self._put(node, int(args[3]), _bytes(args[1]))
        elif name == "sendfile":
            source = files[int(args[1])]
            data = Path(source.path).read_bytes() if source.node is None else source.node.data
            start = int(re.sub(r"\D.*", "", args[2].strip("[")))
            self._put(node, one.at, data[start : start + result])
            one.at += result
        elif name == "lseek":
            one.at = result
        elif name == "ftruncate":
            self._put(node, int(args[1]), None)
        elif name == "fchmod":
            self._allow(node, args[1])
        elif name in ("fsync", "fdatasync"):
            self.steps.append(Sync(self._given(node)))

    def _allow(self, node: Node | None, mode: str) -> None:
        if node is not None and node.kind == "file":
            self.steps.append(Mode(self._given(node), int(mode, 8)))

    def _open(self, files: dict[int, _Open], args: list[str], result: int) -> None:
        path = self._path(files, args[0], args[1])
        flags = args[2]
        node = self._find(path)
        if node is None and "O_CREAT" in flags:
            parent = self._find(str(Path(path).parent))
            if parent is not None:
                node = Node("file", mode=int(args[3], 8) & ~self._umask)
                self._link([(parent, Path(path).name, node)])
        elif node is not None and "O_TRUNC" in flags and node.data:
            self._put(node, 0, None)
        at = len(node.data) if node is not None and "O_APPEND" in flags else 0
        files[result] = _Open(path, node, at)

    def _named(self, name: str, paths: list[str], args: list[str]) -> None:
        folders = [self._find(str(Path(path).parent)) for path in paths]
        names = [Path(path).name for path in paths]
        last = folders[-1]
        if last is None:
            return
        if name == "truncate":
            node = self._find(paths[0])
            assert node is not None
            self._put(node, int(args[1]), None)
        elif name == "mkdir":
            self._link([(last, names[0], Node("folder"))])
        elif name in ("unlink", "rmdir"):
            self._link([(last, names[0], None)])
        elif name == "symlink":
            target = _bytes(args[0])
            self._link([(last, names[1], Node("link", target))])
        else:
            source = self._at(paths[0])
            assert source is not None, f"{name} from elsewhere: {paths}"
            first = folders[0]
            assert first is not None
            moved = [] if name == "link" else [(first, names[0], None)]
            self._link([*moved, (last, names[1], source)])

    def _link(self, entries: Sequence[tuple[Node, str, Node | None]]) -> None:
        for folder, name, node in entries:
            if node is None:
                folder.entries.pop(name, None)
            else:
                folder.entries[name] = node
        given = tuple((self._given(f), name, None if n is None else self._given(n)) for f, name, n in entries)
        self.steps.append(Change(given))

    def _put(self, node: Node, at: int, data: bytes | None) -> None:
        self.steps.append(Write(self._given(node), at, data))
        apply(node, Write(node, at, data))

    def _given(self, node: Node) -> Node:
        """Return what stands for a node in steps: its beginning, which no step changes."""
        if id(node) not in self._of:
            self._of[id(node)] = Node(node.kind, node.data if node.kind == "link" else b"", mode=node.mode)
            self._kept.append(node)  # or its id might be another's
        return self._of[id(node)]

    def _path(self, files: dict[int, _Open], folder: str, quoted: str) -> str:
        path = os.fsdecode(_bytes(quoted))
        if not path.startswith("/"):
            base = self._cwd if folder == "AT_FDCWD" else files[int(folder)].path
            path = f"{base.rstrip('/')}/{path}"
        # No ".." and no link but those of the mirror's own is part of any path here.
        return os.path.normpath(path)

    def _at(self, path: str) -> Node | None:
        """Return what lies at a path, a link itself and not what it points to."""
        if path == self._folder:
            return self._root
        if not path.startswith(f"{self._folder}/"):
            return None
        node: Node | None = self._root
        for part in path[len(self._folder) + 1 :].split("/"):
            if node is not None and node.kind == "link":
                node = None
            node = None if node is None else node.entries.get(part)
        return node

    def _find(self, path: str) -> Node | None:
        node = self._at(path)
        return None if node is not None and node.kind == "link" else node


def _bytes(quoted: str) -> bytes:
    assert quoted.startswith('"'), quoted[:80]
    assert quoted.endswith('"'), f"cut off: {quoted[:80]}"
    return bytes.fromhex(quoted[1:-1].replace("\\x", ""))
