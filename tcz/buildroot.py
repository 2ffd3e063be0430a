"""Build roots: Debian packages unpacked side by side, without root and without maintainer scripts.

What those scripts would do and builds need is done here: users and groups, the alternatives links
(``cc``, ``awk``...), a certificate bundle. A root is named by the hash of exactly what is in it and
is never written to after it is finished.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.apt import Apt, GoneError
from tcz.deb import DebFile, member, resolved
from tcz.paths import mark_used, need_space
from tcz.threads import Threads
from tcz.unpack import make_folder, tar_member, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tcz.model import ResolvedSource
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.sandbox import Bind

#: In every root: what Debian calls essential, as far as a build can notice, and common compressors.
BASE = (
    "base-files", "base-passwd", "bash", "bzip2", "coreutils", "dash", "debianutils", "diffutils",
    "findutils", "grep", "gzip", "hostname", "libc-bin", "mawk", "patch", "perl-base", "sed", "tar",
    "util-linux", "xz-utils",
)  # fmt: skip

#: Part of a root's name: raise it when the same packages would be laid out differently.
_LAYOUT = 1

_WORKERS = 2
_UNPACKED = 6  # unpacked size over packed, generously, for the check of free space

#: Nothing there is ever asked for by a build, and it is half of all files.
_SKIP = ("usr/share/doc/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/man/")

_FILES = {
    "etc/hosts": "127.0.0.1 localhost build\n",
    "etc/resolv.conf": "",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/ssl/certs/ca-certificates.crt": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRoot:
    """A finished root: its id, its folder, and every package in it; ``binds`` belong to it."""

    id: str
    path: Path
    contents: tuple[ResolvedSource, ...]
    binds: tuple[Bind, ...] = ()


class BuildRoots:
    """Makes build roots and keeps them in the cache."""

    def __init__(self, dirs: Dirs, apt: Apt, reporter: Reporter) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._apt = apt
        self._reporter = reporter

    def resolve(self, packages: Sequence[str]) -> BuildRoot:
        """Say which root ``get`` would return, without making it; raises what ``Apt.resolve`` does."""
        return self._root(self._apt.resolve((*BASE, *packages)))

    def get(self, packages: Sequence[str]) -> BuildRoot:
        """Return a root with ``packages``, all they need, and ``BASE``.

        A root that exists is returned without starting anything. Where a package's bytes are gone
        from the archive, the newest versions are taken and that is told. Raises what ``Apt`` does.
        """
        wanted = (*BASE, *packages)
        debs = self._apt.resolve(wanted)
        root = self._root(debs)
        if root.path.is_dir():
            return root
        try:
            self._make(root, debs)
        except GoneError as error:
            self._reporter.warn(f"{error.what}; taking the newest versions")
            debs = self._apt.resolve(wanted, newest=True)
            root = self._root(debs)
            if not root.path.is_dir():
                self._make(root, debs)
        mark_used(root.path)
        return root

    def _root(self, debs: Sequence[DebFile]) -> BuildRoot:
        contents = tuple(resolved(deb, self._apt.suite) for deb in debs)
        lines = [f"layout {_LAYOUT}", *(f"{deb.name} {deb.version} {deb.sha256}" for deb in debs)]
        identity = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
        return BuildRoot(id=identity, path=self._dirs.cache / "roots" / identity, contents=contents)

    def _make(self, root: BuildRoot, debs: Sequence[DebFile]) -> None:
        files = dict(zip(debs, self._apt.fetch(debs), strict=True))
        folder = self._dirs.cache_folder("roots")
        need_space(folder, _UNPACKED * sum(deb.size for deb in debs), "unpacking a build root")
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            self._fill(new, files)
            new.chmod(0o755)
            if not root.path.is_dir():
                new.rename(root.path)
        finally:
            if new.exists():
                remove_tree(new)

    def _fill(self, new: Path, files: dict[DebFile, Path]) -> None:
        # base-files brings the links /bin -> usr/bin and so on, which must be there first.
        order = sorted(files, key=lambda deb: (deb.name != "base-files", -deb.size))
        scripts: list[str] = []
        with self._reporter.step("unpacking a build root", total=len(order)) as step:
            scripts.append(_install(files[order[0]], new))
            with Threads(_WORKERS) as pool:
                jobs = [pool.submit(_install, files[deb], new) for deb in order[1:]]
                for count, job in enumerate(as_completed(jobs), 2):
                    job.result()
                    step.progress(count, len(order))
                scripts += [job.result() for job in jobs]
        _finish(new, scripts)


def remove_tree(folder: Path) -> None:
    """Remove a folder, whatever modes its folders have."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def _install(deb: Path, root: Path) -> str:
    """Unpack one package into the root and return its postinst script."""
    unpack(member(deb, "data.tar"), root, system=True, skip=_SKIP)
    return (tar_member(member(deb, "control.tar"), "postinst") or b"").decode(errors="replace")


def _finish(root: Path, scripts: Sequence[str]) -> None:
    for name in ("build", "dev", "etc", "proc", "root", "tmp", "usr", "var/tmp"):
        make_folder(root / name)
    for kind in ("passwd", "group"):
        master = root / "usr/share/base-passwd" / f"{kind}.master"
        if master.is_file():
            shutil.copyfile(master, root / "etc" / kind)
    for name, text in _FILES.items():
        path = root / name
        make_folder(path.parent)
        path.write_text(text)
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if authorities:
        bundle = b"".join(path.read_bytes() for path in authorities)
        (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(bundle)
    best: dict[str, tuple[int, str]] = {}
    for link, target, priority in (found for text in scripts for found in alternatives(text)):
        if (priority, target) > best.get(link, (-1, "")) and (root / target.lstrip("/")).exists():
            best[link] = (priority, target)
    for link, (_priority, target) in sorted(best.items()):
        place = root / link.lstrip("/")
        if not place.exists() and not place.is_symlink():
            make_folder(place.parent)
            place.symlink_to(target)


def alternatives(script: str) -> Iterator[tuple[str, str, int]]:
    """Yield link, target and priority of each ``update-alternatives --install`` in a postinst script.

    Slaves have their master's priority. Lines with shell variables are left out.
    """
    for line in script.replace("\\\n", " ").splitlines():
        found = re.search(r"update-alternatives\b.*?--install\s+(\S+)\s+\S+\s+(\S+)\s+(\d+)(.*)", line)
        if found is None:
            continue
        priority = int(found[3])
        pairs = [(found[1], found[2]), *re.findall(r"--slave\s+(\S+)\s+\S+\s+(\S+)", found[4])]
        for link, target in pairs:
            if "$" not in link + target and link.startswith("/") and target.startswith("/"):
                yield link, target, priority
