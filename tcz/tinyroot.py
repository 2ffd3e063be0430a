"""The build root ``tinycore``: Tiny Core's root file system with extensions loaded as ``tce-load`` would.

Extensions are laid over the root in load order; a file that is there already stays, as on the live system.
Owners, devices and set-uid bits are left out, and the scripts of ``tce.installed`` are not run: a build
needs none of them. ``ldconfig`` of the root itself is run once at the end.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcz import cpio, tar
from tcz.buildroot import BuildRoot, remove_tree
from tcz.errors import ConfigError
from tcz.model import ResolvedSource
from tcz.paths import mark_used, need_space
from tcz.sandbox import Bind
from tcz.squashfs import image
from tcz.tree import Tree
from tcz.unpack import make_folder, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.model import Recipe
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.sandbox import Sandbox
    from tcz.tinycore import Chosen, Mirror

_LAYOUT = 1
_UNPACKED = 6


class TinyCoreRoots:
    """Makes roots of Tiny Core and keeps them in the cache."""

    def __init__(
        self,
        dirs: Dirs,
        mirror: Mirror,
        sandbox: Sandbox,
        reporter: Reporter,
    ) -> None:
        """Start nothing yet."""
        self._dirs = dirs
        self._mirror = mirror
        self._sandbox = sandbox
        self._reporter = reporter

    def resolve(self, recipe: Recipe) -> BuildRoot:
        """Say which root ``get`` would return, without making it; raises what ``Mirror.resolve`` does."""
        return self._root(recipe, self._mirror.resolve(_release(recipe), recipe.build.tinycore))

    def get(self, recipe: Recipe) -> BuildRoot:
        """Return the root of a recipe, made the first time. Raises what ``Mirror.fetch`` does."""
        root = self.resolve(recipe)
        if root.path.is_dir():
            mark_used(root.path)
            return root
        chosen, files = self._mirror.fetch(_release(recipe), recipe.build.tinycore)
        root = self._root(recipe, chosen)
        folder = self._dirs.cache_folder("roots")
        need_space(
            folder, _UNPACKED * sum(file.stat().st_size for file in files), "unpacking a root of Tiny Core"
        )
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            (new / "root").mkdir()
            self._fill(new, files)
            (new / "root").chmod(0o755)
            if not root.path.is_dir():
                (new / "root").rename(root.path)
        finally:
            remove_tree(new)
        return root

    def _root(self, recipe: Recipe, chosen: Chosen) -> BuildRoot:
        release = _release(recipe)
        # By md5, which is known before anything is fetched; the mirror offers nothing better.
        lines = [f"tinycore {_LAYOUT}", *(f"{file.path} {file.md5}" for file in chosen.files)]
        identity = "tinycore-" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:23]
        contents = tuple(
            ResolvedSource(
                kind="tinycore",
                name=file.name,
                version=release,
                hash=f"md5:{file.md5}",
                origin=f"tinycore:{release}/{file.path}",
            )
            for file in chosen.files
        )
        return BuildRoot(id=identity, path=self._dirs.cache / "roots" / identity, contents=contents)

    def _fill(self, new: Path, files: Sequence[Path]) -> None:
        root = new / "root"
        with self._reporter.step("unpacking a root of Tiny Core", total=len(files)) as step:
            _lay(cpio.read(files[0].read_bytes()), root, new)
            for count, file in enumerate(files[1:], 1):
                step.progress(count, len(files))
                _lay(image.read(file), root, new)
        for name in ("build", "dev", "proc", "tmp"):
            make_folder(root / name)
        if (root / "sbin/ldconfig").exists():
            self._sandbox.run(
                root,
                ("/sbin/ldconfig",),
                binds=(Bind(host=root / "etc", inside="/etc", writable=True),),
                cwd="/",
            )


def _lay(tree: Tree, root: Path, scratch: Path) -> None:
    """Lay a tree over a root; what is there stays. Links are followed inside the root only."""
    kinds = (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK)
    there = {
        path
        for path, node in tree.items()
        if stat.S_IFMT(node.mode) not in kinds or (not node.is_dir and os.path.lexists(root / path))
    }
    # A hard link to what is left out gets the content itself.
    kept = {
        path: replace(tree[node.link], link=None) if node.link in there else node
        for path, node in tree.items()
        if path not in there and not (node.is_dir and os.path.lexists(root / path))
    }
    archive = scratch / "layer.tar"
    tar.write(Tree(kept), archive)
    unpack(archive, root, system=True)
    archive.unlink()


def _release(recipe: Recipe) -> str:
    if recipe.build.tinycore_release is None:
        raise ConfigError(
            f"{recipe.name}: which release of Tiny Core?", hint='write tinycore = "17.x" in [build]'
        )
    return recipe.build.tinycore_release
