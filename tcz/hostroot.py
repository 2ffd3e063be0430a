"""The build root ``host``: the machine itself, its /usr read-only, nothing else of it.

Home folders, /etc but for what programs need to start, /var and the network are not there. The id of
such a root is the hash of all installed Debian packages, where the machine has a list of them, and of the
bytes of common tools: it changes when the machine does. What is built in it is not reproducible elsewhere.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.buildroot import BuildRoot, remove_tree
from tcz.errors import ConfigError
from tcz.model import ResolvedSource
from tcz.paths import mark_used
from tcz.sandbox import Bind
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.model import Recipe
    from tcz.paths import Dirs

_LAYOUT = 1
_TOOLS = (
    *("sh", "cc", "gcc", "g++", "clang", "as", "ld", "ar", "make", "cmake", "meson", "ninja", "autoconf"),
    *("pkg-config", "patch", "perl", "python3", "go", "rustc", "cargo", "m4", "bison", "flex", "gawk"),
)
#: Folders at the top that are links into /usr on most machines, and folders of their own on the others.
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/build/tmp:/bin/sh\nlp:x:7:7:lp:/build/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nlp:x:7:\n",
    "etc/hosts": "127.0.0.1 localhost build\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine's files are; tests have small ones."""

    top: Path = Path("/")

    def packages(self) -> Mapping[str, str]:
        """Return installed Debian packages and their versions; none on other machines."""
        try:
            text = (self.top / "var/lib/dpkg/status").read_text(errors="replace")
        except OSError:
            return {}
        found = {}
        for stanza in text.split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " "
            )
            if fields.get("Status", "").endswith(" installed") and "Package" in fields:
                found[fields["Package"]] = fields.get("Version", "")
        return found

    def tools(self) -> Mapping[str, str]:
        """Return the sha256 of each common tool that is there."""
        path = ":".join(str(self.top / folder) for folder in ("usr/local/bin", "usr/bin", "bin", "usr/sbin"))
        places = {name: shutil.which(name, path=path) for name in _TOOLS}
        return {name: sha256_file(Path(place)) for name, place in places.items() if place}

    def system(self) -> tuple[str, str]:
        """Return ID and VERSION_ID of os-release(5)."""
        try:
            text = (self.top / "etc/os-release").read_text()
        except OSError:
            text = ""
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return fields.get("ID", "linux").strip('"'), fields.get("VERSION_ID", "").strip('"') or "unknown"


class HostRoots:
    """Makes the root ``host``."""

    def __init__(self, dirs: Dirs, machine: Machine | None = None) -> None:
        """Read nothing yet."""
        self._dirs = dirs
        self._machine = machine or Machine()
        self._contents: tuple[ResolvedSource, ...] | None = None

    def resolve(self, recipe: Recipe) -> BuildRoot:
        """Return the root. Raises ``ConfigError`` for Debian packages that are not installed."""
        contents = self._read()
        installed = {one.name for one in contents if one.kind == "host-package"}
        absent = [name for name in recipe.build.debian if name not in installed] if installed else []
        if absent:
            raise ConfigError(
                f"{recipe.name} is built on the machine itself, which lacks {', '.join(absent)}",
                hint=f"sudo apt-get install {' '.join(absent)}",
            )
        lines = [f"host {_LAYOUT}", *(f"{one.kind} {one.name} {one.version} {one.hash}" for one in contents)]
        identity = "host-" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:27]
        path = self._dirs.cache / "roots" / identity
        return BuildRoot(id=identity, path=path, contents=contents, binds=tuple(self._binds()))

    def get(self, recipe: Recipe) -> BuildRoot:
        """Return the root with its folder: empty places for what is bound into it."""
        root = self.resolve(recipe)
        if not root.path.is_dir():
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._dirs.cache_folder("roots")))
            try:
                self._fill(new, root.binds)
                new.chmod(0o755)
                new.rename(root.path)
            finally:
                if new.exists():
                    remove_tree(new)
        mark_used(root.path)
        return root

    def _read(self) -> tuple[ResolvedSource, ...]:
        if self._contents is None:
            name, version = self._machine.system()
            packages = self._machine.packages()
            listing = "\n".join(f"{name} {version}" for name, version in sorted(packages.items()))
            digest = hashlib.sha256(listing.encode()).hexdigest()
            self._contents = (
                _part("host", name, version, digest),
                *(_part("host-package", name, version, "") for name, version in sorted(packages.items())),
                *(_part("host-tool", name, "", digest) for name, digest in self._machine.tools().items()),
            )
        return self._contents

    def _binds(self) -> Sequence[Bind]:
        top = self._machine.top
        found = [Bind(host=top / "usr", inside="/usr")]
        found += [
            Bind(host=top / name, inside=f"/{name}")
            for name in _TOP
            if (top / name).is_dir() and not (top / name).is_symlink()
        ]
        found += [
            Bind(host=(top / "etc" / name).resolve(), inside=f"/etc/{name}")
            for name in _ETC
            if (top / "etc" / name).exists()
        ]
        return found

    def _fill(self, new: Path, binds: Sequence[Bind]) -> None:
        for name in ("build", "dev", "etc", "proc", "tmp", "usr", "var/tmp"):
            (new / name).mkdir(parents=True)
        for name in _TOP:
            link = self._machine.top / name
            if link.is_symlink():
                (new / name).symlink_to(link.readlink())
        for bind in binds:
            place = new / bind.inside[1:]
            if bind.host.is_dir():
                place.mkdir(exist_ok=True)
            else:
                place.touch()
        for name, text in _FILES.items():
            (new / name).write_text(text)


def _part(kind: str, name: str, version: str, digest: str) -> ResolvedSource:
    said = f"sha256:{digest}" if digest else ""
    return ResolvedSource(kind=kind, name=name, version=version, hash=said, origin="the machine itself")
