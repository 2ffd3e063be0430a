"""From a staged folder to finished packages: stripped, divided, packed, with their companion files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tcz import metadata, stage, tar
from tcz.errors import ConfigError, Problem
from tcz.layout import lay_out
from tcz.model import BuiltPackage
from tcz.names import PackageName, file_name, follows_kernel, package_name, with_kernel
from tcz.sandbox import Bind
from tcz.squashfs import writer as squashfs
from tcz.store import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tcz.model import PackageSpec, Recipe
    from tcz.sandbox import Sandbox
    from tcz.squashfs.options import SquashOptions
    from tcz.tree import Tree

_MODULES = re.compile(r"(?:usr/local/|usr/)?lib/modules/([^/]+)\Z")
_ELF_HEADER = struct.Struct("<4sBB10xHH")
_ET_EXEC, _ET_DYN = 2, 3
_EM_386, _EM_X86_64 = 3, 62
_STRIP_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What packing needs beside the staged files: the tools, and the choices that decide bytes."""

    sandbox: Sandbox
    root: Path
    options: SquashOptions
    epoch: int


def pack(recipe: Recipe, version: str, dest: Path, out: Path, how: Packing) -> tuple[BuiltPackage, ...]:
    """Turn what was staged in ``dest`` into the recipe's packages below ``out``.

    libtool's .la files go; ELF files are stripped unless the recipe says otherwise. Raises
    ``ConfigError`` where files and packages do not fit together, with all problems.
    """
    for entry in stage.scan(dest):
        if entry.path.endswith(".la") and stat.S_ISREG(entry.status.st_mode):
            (dest / entry.path).unlink()
    entries = stage.scan(dest)
    shares = stage.claim(entries, recipe.packages)
    if recipe.build.strip:
        # Boot loader modules are ELF files too, and do not survive it: plain files stay as built.
        live = [entry for spec in recipe.packages if spec.form != "files" for entry in shares[spec.name]]
        if _strip(dest, live, how):
            shares = stage.claim(stage.scan(dest), recipe.packages)
    trees = [(spec, stage.tree_of(dest, shares[spec.name], spec, how.epoch)) for spec in recipe.packages]
    names = [_name(spec, tree) for spec, tree in trees]
    return tuple(
        _write(recipe, version, spec, name, tree, out, how)
        for (spec, tree), name in zip(trees, names, strict=True)
    )


# -- strip ----------------------------------------------------------------------------------------


def is_strippable(path: Path) -> bool:
    """Tell an x86 ELF program or shared object; kernel modules and object files are neither."""
    with path.open("rb") as file:
        head = file.read(_ELF_HEADER.size)
    if len(head) < _ELF_HEADER.size:
        return False
    magic, _, order, kind, machine = _ELF_HEADER.unpack(head)
    return (
        magic == b"\x7fELF"
        and order == 1
        and kind in (_ET_EXEC, _ET_DYN)
        and machine in (_EM_386, _EM_X86_64)
    )


def _strip(dest: Path, entries: Iterable[stage.Entry], how: Packing) -> bool:
    """Strip ELF files in place, each inode once; tell whether there were any."""
    found: dict[tuple[int, int], str] = {}
    for entry in entries:
        status = entry.status
        if stat.S_ISREG(status.st_mode) and is_strippable(dest / entry.path):
            found.setdefault((status.st_dev, status.st_ino), entry.path)
    paths = list(found.values())
    for path in paths:
        target = dest / path
        target.chmod(stat.S_IMODE(target.stat().st_mode) | 0o200)
    for start in range(0, len(paths), _STRIP_AT_ONCE):
        chunk = paths[start : start + _STRIP_AT_ONCE]
        how.sandbox.run(
            how.root,
            ("strip", "--strip-unneeded", *(f"/build/dest/{path}" for path in chunk)),
            binds=(Bind(host=dest, inside="/build/dest", writable=True),),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/build/dest",
        )
    return bool(paths)


# -- names ----------------------------------------------------------------------------------------


def kernel_releases(tree: Tree) -> tuple[str, ...]:
    """Return the kernel releases whose modules a tree holds."""
    found = {match[1] for path, node in tree.items() if node.is_dir and (match := _MODULES.match(path))}
    return tuple(sorted(found))


def _name(spec: PackageSpec, tree: Tree) -> PackageName:
    if not follows_kernel(spec.name):
        return package_name(spec.name)
    releases = kernel_releases(tree)
    if len(releases) != 1:
        found = ", ".join(releases) or "no folder below usr/local/lib/modules or lib/modules"
        raise ConfigError(
            f"the kernel's release for the package {spec.name} cannot be told",
            [Problem(where=f"package {spec.name}", message=f"it holds {found}")],
        )
    return with_kernel(spec.name, releases[0])


# -- writing --------------------------------------------------------------------------------------


def _write(
    recipe: Recipe, version: str, spec: PackageSpec, name: PackageName, tree: Tree, out: Path, how: Packing
) -> BuiltPackage:
    if spec.form == "extension":
        path = out / file_name(name)
        squashfs.write(tree, path, how.options, epoch=how.epoch)
        _companions(recipe, version, spec, path, tree, how.epoch)
    elif spec.form == "layer":
        path = out / f"{name}.tar"
        tar.write(tree, path)
    else:
        path = out / name
        return _plain(spec, name, tree, path, how.epoch)
    return BuiltPackage(
        name=name,
        form=spec.form,
        path=path,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        installed=tree.content_size(),
        needs=spec.needs,
    )


def _plain(spec: PackageSpec, name: PackageName, tree: Tree, folder: Path, epoch: int) -> BuiltPackage:
    """Copy plain files into a folder, with their ``SHA256SUMS``."""
    lay_out(tree, folder)
    sums = "".join(f"{digest}  {path}\n" for path, digest in _sums(folder, tree))
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8", errors="surrogateescape")
    (folder / "SHA256SUMS").chmod(0o644)
    for path in (*reversed(list(tree)), "SHA256SUMS"):
        os.utime(folder / path, (epoch, epoch), follow_symlinks=False)
    size = tree.content_size()
    digest = hashlib.sha256(sums.encode(errors="surrogateescape")).hexdigest()
    return BuiltPackage(
        name=name, form="files", path=folder, sha256=digest, size=size, installed=size, needs=spec.needs
    )


def _sums(folder: Path, tree: Tree) -> Iterator[tuple[str, str]]:
    for path, node in tree.items():
        if node.is_file:
            yield path, sha256_file(folder / path)


def _companions(recipe: Recipe, version: str, spec: PackageSpec, path: Path, tree: Tree, epoch: int) -> None:
    """Write what lies beside a .tcz: .dep (where it needs something), .info, .list, .md5.txt."""
    dep = metadata.dep_text(spec.needs)
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    texts = {
        ".list": metadata.list_text(p for p, node in tree.items() if not node.is_dir),
        ".md5.txt": metadata.md5_text(metadata.Md5(md5=md5, name=path.name)),
        ".info": metadata.info_text(_info(recipe, version, spec, path, epoch)),
    }
    if dep is not None:
        texts[".dep"] = dep
    for suffix, text in texts.items():
        path.with_name(path.name + suffix).write_text(text, encoding="utf-8", errors="surrogateescape")


def _info(recipe: Recipe, version: str, spec: PackageSpec, path: Path, epoch: int) -> metadata.Info:
    date = datetime.fromtimestamp(epoch, UTC).strftime("%Y/%m/%d")
    return metadata.Info(
        title=path.name,
        description=spec.summary or recipe.summary,
        version=version,
        author="see Original-site",
        original_site=recipe.homepage,
        copying_policy=recipe.license,
        size=metadata.human_size(path.stat().st_size),
        extension_by="tcz",
        tags=" ".join(spec.tags),
        comments=f"Built by tcz from the recipe {recipe.name}.",
        change_log="",
        current=f"{date} {version}, release {recipe.release}",
    )


def companions(package: BuiltPackage) -> Sequence[Path]:
    """Return the files of an extension: the .tcz itself and those that lie beside it."""
    beside = (
        package.path.with_name(package.path.name + suffix)
        for suffix in (".dep", ".info", ".list", ".md5.txt")
    )
    return (package.path, *(path for path in beside if path.exists()))
