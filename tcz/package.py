"""From a staged folder to finished packages: stripped, divided, packed, with their companion files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcz import bases, companions, divide, interpreter, metadata, provides, resolve, stage, tar
from tcz.errors import ConfigError, Problem
from tcz.layout import lay_out
from tcz.model import BuiltPackage
from tcz.names import PackageName, file_name, follows_kernel, package_name, with_kernel
from tcz.squashfs import writer as squashfs
from tcz.store import sha256_file
from tcz.strip import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tcz.model import Built, PackageSpec, Recipe
    from tcz.sandbox import Sandbox
    from tcz.squashfs.options import SquashOptions
    from tcz.tree import Tree

#: What is in this base no package needs to bring.
BASE = "floe"
_MODULES = re.compile(r"(?:usr/local/|usr/)?lib/modules/([^/]+)\Z")
_NOT_SHIPPED = re.compile(r"\.la\Z|(?:\A|/)share/info/dir\Z")
_NO_LIBRARIES = provides.Libraries(shared=frozenset(), own=frozenset(), wanted=())


def _silent(_text: str) -> None:
    """Say nothing."""


def _nobody(_soname: str) -> Sequence[str]:
    """Know of no package."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What packing needs beside the staged files: the tools, and the choices that decide bytes.

    ``needs`` are the builds that this one builds upon. ``warn`` is told what a recipe's writer should look
    at; ``providers`` returns the packages known to hold a shared library, for an error to name.
    """

    sandbox: Sandbox
    root: Path
    options: SquashOptions
    epoch: int
    needs: tuple[Built, ...] = ()
    warn: Callable[[str], None] = _silent
    providers: Callable[[str], Sequence[str]] = _nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """A package about to be written."""

    spec: PackageSpec
    name: PackageName
    tree: Tree
    libraries: provides.Libraries


def pack(recipe: Recipe, version: str, dest: Path, out: Path, how: Packing) -> tuple[BuiltPackage, ...]:
    """Turn what was staged in ``dest`` into packages below ``out``: the recipe's, then those split off.

    libtool's .la files go, and info's index, which every package would have; ELF files are stripped
    unless the recipe says otherwise, and programs name the loader where Tiny Core has it. Raises
    ``ConfigError`` where files and packages do not fit together, and where files need libraries that
    nothing brings, with all problems.
    """
    for entry in stage.scan(dest):
        if _NOT_SHIPPED.search(entry.path) and not stat.S_ISDIR(entry.status.st_mode):
            (dest / entry.path).unlink()
    shares = divide.shares(recipe, dest, stage.scan(dest))
    # Boot loader modules are ELF files too, and do not survive it: plain files stay as built.
    live = [entry for share in shares if share.spec.form != "files" for entry in share.entries]
    loaded = [entry for share in shares if share.spec.form == "extension" for entry in share.entries]
    stripped = recipe.build.strip and strip(dest, live, how)
    if interpreter.rename(dest, loaded) or stripped:
        shares = divide.shares(recipe, dest, stage.scan(dest))
    products = [_product(recipe, dest, share, how) for share in shares]
    needs = _needs(products, how)
    return tuple(
        _write(recipe, version, product, needs.get(product.name, product.spec.needs), out, how)
        for product in products
    )


def _product(recipe: Recipe, dest: Path, share: divide.Share, how: Packing) -> _Product:
    spec = share.spec
    tree = stage.tree_of(dest, share.entries, spec, how.epoch)
    lost = stage.lost_bits(share.entries, tree, spec)
    if lost:
        how.warn(
            f"{spec.name}: installed set-uid or set-gid, and not so in the package: {', '.join(lost)}; "
            f'an owner rule of the recipe keeps it: owners = [{{ path = "{lost[0]}", mode = "4755" }}]'
        )
    name = _name(spec, tree)
    if spec.startup is not None:
        tree = stage.with_startup(tree, name, (recipe.folder / spec.startup).read_bytes(), how.epoch)
    found = provides.libraries(tree) if spec.form == "extension" else _NO_LIBRARIES
    return _Product(spec=spec, name=name, tree=tree, libraries=found)


def _needs(products: Sequence[_Product], how: Packing) -> Mapping[str, tuple[str, ...]]:
    """Return the needs of each extension: the recipe's in its order, then those of its files, sorted."""
    linked = [product for product in products if product.spec.form == "extension"]
    asked = [
        provides.Asked(
            name=product.name,
            needs=product.spec.needs,
            libraries=product.libraries if product.spec.auto_needs else replace(product.libraries, wanted=()),
        )
        for product in linked
    ]
    upon = [
        provides.Provider(package=package.name, sonames=frozenset(package.provides))
        for built in how.needs
        for package in built.packages
        if package.form == "extension"
    ]
    found = provides.needs(asked, upon, bases.load(BASE).sonames, how.providers)
    needs = {one.name: (*one.needs, *found[one.name]) for one in asked}
    cycles = resolve.closure(list(needs), lambda name: needs.get(name, ())).cycles
    if cycles:
        problems = [Problem(where=cycle[0], message=" -> ".join(cycle)) for cycle in cycles]
        raise ConfigError(
            "packages need each other, so none can be loaded first",
            problems,
            hint="the files of libraries say so: put both into one package",
        )
    return needs


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
    recipe: Recipe, version: str, product: _Product, needs: tuple[str, ...], out: Path, how: Packing
) -> BuiltPackage:
    spec, name, tree = product.spec, product.name, product.tree
    if spec.form == "extension":
        path = out / file_name(name)
        squashfs.write(tree, path, how.options, epoch=how.epoch)
        info = _info(recipe, version, spec, path, how.epoch)
        companions.write(path, tree, needs=needs, info=info)
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
        needs=needs,
        provides=tuple(sorted(product.libraries.shared)) if spec.form == "extension" else (),
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


def _info(recipe: Recipe, version: str, spec: PackageSpec, path: Path, epoch: int) -> metadata.Info:
    entry = f"{companions.day(epoch)} {version}, release {recipe.release}"
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
        change_log=entry,
        current=entry,
    )
