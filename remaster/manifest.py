"""The manifest: what an image is made of, as JSON that is the same bytes for the same inputs.

It lies in the image, so it names nothing that depends on the image itself; the copy beside the image
has the image's own hash and sizes as well.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import tcz

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.asked import Asked
    from remaster.variant import FileSpec
    from tcz.model import Built, BuiltPackage, ResolvedSource
    from tcz.tree import Tree

SCHEMA = 1
#: What follows the address of a mirror where the serial of what it showed is told.
SERIAL = "#serial="
_SET_ID = stat.S_ISUID | stat.S_ISGID

_Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A package of an image: what it is there for, the build it came from, where it is kept.

    ``md5`` is told where the machine has no program for sha256.
    """

    role: str
    package: BuiltPackage
    built: Built
    place: str = ""
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A base that is not ours: what it is, a hash of all of it, and the edits with the files they changed.

    ``asked`` is the name of a release where that was asked for; ``files`` are those that it was made of, by
    name, with their sha256. A folder has none.
    """

    release: str
    kernel: str
    libc: str
    identity: str
    edits: tuple[tuple[str, tuple[str, ...]], ...]
    asked: str = ""
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetId:
    """A file of the root that runs with the rights of its owner or group; ``path`` without leading slash."""

    path: str
    mode: int
    sha256: str
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the manifest tells; ``early`` is what the kernel takes before it unpacks the initrd.

    ``set_id`` are all such files of the root, so that a machine can tell them from others.
    """

    variant: str
    version: str
    base: str
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    parts: tuple[Part, ...]
    epoch: int
    origin: Origin | None = None
    asked: Asked | None = None
    early: tuple[str, ...] = ()
    set_id: tuple[SetId, ...] = ()

    @property
    def kernel(self) -> str | None:
        """The version of the kernel: of its package, or as the base's own image tells it."""
        own = next((part.built.version for part in self.parts if part.role == "kernel"), None)
        return self.origin.kernel if own is None and self.origin is not None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A finished file, for the copy of the manifest that lies beside the image."""

    name: str
    size: int
    sha256: str


def root_digest(root: Sequence[ResolvedSource]) -> str:
    """Return a short name for a build root: the hash of its packages' names, versions and hashes."""
    return rows_digest((source.name, source.version, source.hash) for source in root)


def rows_digest(root: Iterable[tuple[str, str, str]]) -> str:
    """Return the name of a build root by the names, versions and hashes of its packages."""
    lines = sorted(f"{name} {version} {hash_}\n" for name, version, hash_ in root)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def set_id(root: Tree, given: Iterable[FileSpec] = (), *, md5: bool = False) -> tuple[SetId, ...]:
    """Return the set-uid and set-gid files of a root, and of files that are laid over it, by path."""
    files = {path: root[one.link] if one.link is not None else one for path, one in root.items()}
    found = {
        path: (stat.S_IMODE(node.mode), node.read)
        for path, node in files.items()
        if node.is_file and node.mode & _SET_ID
    }
    for spec in given:
        found.pop(spec.path, None)
        if spec.mode & _SET_ID:
            found[spec.path] = (spec.mode, partial(bytes, spec.content))
    told = []
    for path in sorted(found):
        mode, read = found[path]
        content = read()
        weak = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 else ""
        told.append(SetId(path=path, mode=mode, sha256=hashlib.sha256(content).hexdigest(), md5=weak))
    return tuple(told)


def _source(source: ResolvedSource) -> _Json:
    return {
        "kind": source.kind,
        "name": source.name,
        "version": source.version,
        "hash": source.hash,
        "origin": plain_address(source.origin),
    }


def plain_address(text: str) -> str:
    """Return an address without a password in it, and without the serial that a mirror had at the time."""
    text = text.partition(SERIAL)[0]
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def mirror_address(where: str, serial: int | None) -> str:
    """Return how a package tells its mirror: an address, of a folder its last parts, and the serial."""
    folder = "://" not in where or where.startswith("file://")
    text = f"folder:{'/'.join(where.split('/')[-3:])}" if folder else plain_address(where)
    return text if serial is None else f"{text}{SERIAL}{serial}"


def _package(part: Part) -> _Json:
    package, built = part.package, part.built
    beside = [(suffix, package.path.with_name(package.path.name + suffix)) for suffix in (".dep", ".md5.txt")]
    files = [
        {"suffix": suffix, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for suffix, file in beside
        if built.recipe.startswith("file:") and file.is_file()
    ]
    return {
        "name": package.name,
        "role": part.role,
        "form": package.form,
        **({"place": part.place} if part.place else {}),
        "version": built.version,
        "sha256": package.sha256,
        **({"md5": part.md5} if part.md5 else {}),
        "size": package.size,
        "installed": package.installed,
        "needs": list(package.needs),
        "recipe": built.recipe,
        **({"beside": files} if files else {}),
    }


def _recipe(built: Built) -> _Json:
    return {
        "name": built.recipe,
        "version": built.version,
        "summary": built.summary,
        "license": built.license,
        "homepage": built.homepage,
        "build-id": built.build_id,
        "build-root": root_digest(built.root),
        "sources": [_source(source) for source in built.sources],
        **({"libraries": [_source(one) for one in built.libraries]} if built.libraries else {}),
    }


def builds(parts: Iterable[Part]) -> tuple[Built, ...]:
    """Return the builds that the parts come from, each once, by recipe name."""
    found = {part.built.recipe: part.built for part in parts}
    return tuple(found[name] for name in sorted(found))


def document(facts: Facts, *, roots: bool = True) -> bytes:
    """Return the manifest. Without ``roots`` the build roots are named by digest only."""
    return _dump(_value(facts, roots=roots))


def value_of(facts: Facts) -> object:
    """Return the manifest without build roots as what JSON is made of: for a file that has it in it."""
    return _value(facts, roots=False)


def document_beside(facts: Facts, artefacts: Iterable[Artefact]) -> bytes:
    """Return the manifest with the image's files in it."""
    value = _value(facts, roots=True)
    value["artefacts"] = [
        {"name": artefact.name, "size": artefact.size, "sha256": artefact.sha256} for artefact in artefacts
    ]
    return _dump(value)


def _value(facts: Facts, *, roots: bool) -> _Json:
    built = builds(facts.parts)
    value: _Json = {
        "schema": SCHEMA,
        "tool": f"tinycore-toolkit {tcz.__version__}",
        "variant": facts.variant,
        "version": facts.version,
        "base": facts.base,
        "kernel": facts.kernel,
        "epoch": facts.epoch,
        "boot-codes": list(facts.boot_codes),
        "services": list(facts.services),
        "packages": [_package(part) for part in facts.parts],
        "recipes": [_recipe(one) for one in built],
    }
    if facts.set_id:
        value["set-id"] = [
            {
                "path": one.path,
                "mode": f"{one.mode:o}",
                "sha256": one.sha256,
                **({"md5": one.md5} if one.md5 else {}),
            }
            for one in facts.set_id
        ]
    if facts.early:
        value["early"] = list(facts.early)
    if facts.origin is not None:
        value["origin"] = {
            "release": facts.origin.release,
            "kernel": facts.origin.kernel,
            "libc": facts.origin.libc,
            "sha256": facts.origin.identity,
            "asked": facts.origin.asked,
            "files": [{"name": name, "sha256": sha256} for name, sha256 in facts.origin.files],
        }
        value["edits"] = [{"name": name, "files": list(files)} for name, files in facts.origin.edits]
    if facts.asked is not None:
        value["request"] = _asked(facts.asked)
    if roots:
        distinct = {root_digest(one.root): one.root for one in built if one.root}
        value["build-roots"] = [
            {
                "digest": digest,
                "packages": [
                    {"name": source.name, "version": source.version, "hash": source.hash}
                    for source in sorted(distinct[digest], key=lambda source: source.name)
                ],
            }
            for digest in sorted(distinct)
        ]
    return value


def _asked(asked: Asked) -> _Json:
    options = asked.options
    return {
        "variant-files": [{"name": one.name, "sha256": one.sha256} for one in asked.variant_files],
        "packages": list(options.packages),
        "boot-codes": list(options.boot_codes),
        "kernel": options.kernel,
        "options": {name: list(values) for name, values in options.more},
        "initrd": {"compressor": asked.compressor, "level": asked.level, "mode": asked.mode},
        "ssh-keys": list(asked.keys),
        "files": [
            {
                "path": one.path,
                "mode": f"{one.mode:o}",
                "owner": one.owner,
                "hash": one.hash,
                "given": one.given,
            }
            for one in asked.files
        ],
        "settings": asked.settings,
    }


def _dump(value: _Json) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """A line of the table of sizes."""

    name: str
    version: str
    size: int
    installed: int


def size_rows(facts: Facts, kernel: int, initrd: int, unpacked: int, loader: int) -> tuple[SizeRow, ...]:
    """Return what takes how much of the image: boot files first, then packages, the largest first."""
    boot = (
        SizeRow(name="kernel", version=facts.kernel or "", size=kernel, installed=0),
        SizeRow(name="initrd", version="", size=initrd, installed=unpacked),
        SizeRow(name="boot loaders", version="", size=loader, installed=0),
    )
    packages = [
        SizeRow(
            name=part.package.name,
            version=part.built.version,
            size=part.package.size,
            installed=part.package.installed,
        )
        for part in facts.parts
        if part.package.form == "extension"
    ]
    return (*boot, *sorted(packages, key=lambda row: (-row.size, row.name)))


def size_table(rows: Sequence[SizeRow]) -> str:
    """Return the table as text: bytes in the image, bytes unpacked."""
    total = SizeRow(
        name="all",
        version="",
        size=sum(row.size for row in rows),
        installed=sum(row.installed for row in rows),
    )
    cells = [("name", "version", "size", "installed")]
    cells += [(row.name, row.version, f"{row.size:,}", f"{row.installed:,}") for row in (*rows, total)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = (
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in cells
    )
    return "\n".join(lines) + "\n"
