"""Manifests read back: what an image says it is made of, strictly, as values.

A manifest comes out of an image that anybody may have made: whatever is wrong in it is told at once, and an
unknown key is a mistake, for it may be what decides. Names that lead to files here cannot lead elsewhere.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from remaster.asked import Asked, FileTold, Options, VariantFile
from remaster.manifest import SCHEMA, SetId
from tcz import lock
from tcz.errors import ConfigError, VerifyError
from tcz.model import Form, ResolvedSource
from tcz.names import is_package_name
from tcz.toml import Document

if TYPE_CHECKING:
    from tcz.toml import Check, Table

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_FORMS: Final = get_args(Form)
_BUILD_ID: Final = re.compile(r"[0-9a-f]{32,128}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FILE_NAME: Final = re.compile(r"[^/\x00-\x1f]{1,255}")
_COMPRESSORS: Final = ("gzip", "zstd", "xz", "lz4", "none")
_MODES: Final = ("layers", "repack", "append")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageTold:
    """A package of an image, as its manifest tells it; ``recipe`` is the name of the build it came from.

    ``beside`` tells, of one that was a file, the suffix and the sha256 of what lay beside it;
    ``place`` where it is kept.
    """

    name: str
    role: str
    form: str
    version: str
    sha256: str
    size: int
    installed: int
    needs: tuple[str, ...]
    recipe: str
    beside: tuple[tuple[str, str], ...] = ()
    md5: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTold:
    """A build of a recipe, or what stands for one: ``file:NAME``, ``mirror:NAME``."""

    name: str
    version: str
    summary: str
    license: str
    homepage: str
    build_id: str
    build_root: str
    sources: tuple[ResolvedSource, ...]
    libraries: tuple[ResolvedSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTold:
    """A base that is not ours; ``asked`` is a release's name or empty, ``files`` pairs names and sha256."""

    release: str
    kernel: str
    libc: str
    sha256: str
    asked: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTold:
    """An edit that was made to the base, and the files that it changed or added."""

    name: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTold:
    """A build root: the digest that builds name it by, and its Debian packages (name, version, hash)."""

    digest: str
    packages: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A manifest. ``text`` is the whole of it as it was read."""

    tool: str
    variant: str
    version: str
    base: str
    kernel: str
    epoch: int
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    packages: tuple[PackageTold, ...]
    builds: tuple[BuildTold, ...]
    origin: BaseTold | None
    edits: tuple[EditTold, ...]
    asked: Asked | None
    roots: tuple[RootTold, ...]
    text: str
    early: tuple[str, ...] = ()
    set_id: tuple[SetId, ...] = ()

    def build(self, name: str) -> BuildTold:
        """Return the build of a recipe that one of the packages names."""
        return next(one for one in self.builds if one.name == name)

    def package(self, name: str) -> PackageTold | None:
        """Return a package by name."""
        return next((one for one in self.packages if one.name == name), None)


def loads(text: str, where: str) -> Recorded:
    """Read a manifest. Raises ``VerifyError`` with all that is wrong in it."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise VerifyError("it holds no object", where=where)
        return of_value(data, where, text)
    except ConfigError as error:
        raise VerifyError(
            "a manifest that this version cannot read",
            where=where,
            why=error.why,
            hint="was it made by a newer version?",
        ) from error
    except (ValueError, RecursionError) as error:
        raise VerifyError(f"not a manifest: {error}", where=where) from error


def of_value(data: dict[str, Any], where: str, text: str = "") -> Recorded:
    """Read a manifest that is part of another JSON document. Raises ``ConfigError``."""
    document = Document(where, data, {})
    found = _recorded(document.root, text)
    names = {build.name for build in found.builds}
    for package in found.packages:
        if package.recipe not in names and not document.failed:
            document.fail((), f"the package {package.name} is of {package.recipe!r}, which is not told")
    document.finish("the manifest")
    return found


def _recorded(root: Table, text: str) -> Recorded:
    schema = root.integer("schema")
    if schema != SCHEMA and not root.document.failed:
        root.fail("schema", f"{schema} is not known: this version reads schema {SCHEMA}")
    root.has("artefacts")  # of the copy beside an image
    return Recorded(
        tool=root.string("tool"),
        variant=root.string("variant", check=_matching(_WORD, "a name")),
        version=root.string("version"),
        base=root.string("base", check=_matching(_WORD, "a name")),
        kernel="" if root.is_null("kernel") else root.string("kernel", empty=True),
        epoch=root.integer("epoch"),
        boot_codes=root.strings("boot-codes"),
        services=root.strings("services"),
        packages=tuple(_package(table) for table in root.tables("packages")),
        builds=tuple(_build(table) for table in root.tables("recipes")),
        origin=_origin(root.table("origin")) if root.has("origin") else None,
        edits=tuple(
            EditTold(name=table.string("name"), files=table.strings("files"))
            for table in root.tables("edits")
        ),
        asked=_asked(root.table("request")) if root.has("request") else None,
        roots=tuple(_root(table) for table in root.tables("build-roots")),
        text=text,
        early=root.strings("early", ()),
        set_id=tuple(
            SetId(
                path=one.string("path"),
                mode=int(one.string("mode", check=_octal) or "0", 8) if not root.document.failed else 0,
                sha256=one.string("sha256", check=_hash),
                md5=one.string("md5", "", empty=True, check=_weak),
            )
            for one in root.tables("set-id")
        ),
    )


def _name(text: str) -> str | None:
    return None if is_package_name(text) else f"{text!r} is not the name of a package"


def _hash(text: str) -> str | None:
    return None if _HEX.fullmatch(text) else "is not a sha256 in lower-case hex"


def _weak(text: str) -> str | None:
    return None if re.fullmatch("[0-9a-f]{32}", text) else "is not an md5 in lower-case hex"


def _matching(pattern: re.Pattern[str], what: str) -> Check:
    return lambda text: None if pattern.fullmatch(text) else f"{text[:60]!r} is not {what}"


def _plain_name(text: str) -> str | None:
    return (
        None if _FILE_NAME.fullmatch(text) and text not in (".", "..") else f"{text[:60]!r} is no file's name"
    )


def _package(table: Table) -> PackageTold:
    return PackageTold(
        name=table.string("name", check=_name),
        role=table.string("role"),
        form=table.choice("form", _FORMS, "extension"),
        version=table.string("version", empty=True),
        sha256=table.string("sha256", check=_hash),
        md5=table.string("md5", "", empty=True, check=_weak),
        size=table.integer("size"),
        installed=table.integer("installed"),
        needs=table.strings("needs"),
        recipe=table.string("recipe"),
        place=table.string("place", "", empty=True),
        beside=tuple(
            (one.choice("suffix", (".dep", ".md5.txt")), one.string("sha256", check=_hash))
            for one in table.tables("beside")
        ),
    )


def _build(table: Table) -> BuildTold:
    return BuildTold(
        name=table.string("name"),
        version=table.string("version", empty=True),
        summary=table.string("summary", empty=True),
        license=table.string("license", empty=True),
        homepage=table.string("homepage", empty=True),
        build_id=table.string("build-id", check=_matching(_BUILD_ID, "a build id")),
        build_root=table.string("build-root"),
        sources=tuple(map(lock.source_of, table.tables("sources"))),
        libraries=tuple(map(lock.source_of, table.tables("libraries"))),
    )


def _origin(table: Table) -> BaseTold:
    return BaseTold(
        release=table.string("release", empty=True),
        kernel=table.string("kernel", empty=True),
        libc=table.string("libc", empty=True),
        sha256=table.string("sha256"),
        asked=table.string("asked", "", empty=True, check=_matching(_WORD, "a release's name")),
        files=tuple(
            (one.string("name", check=_plain_name), one.string("sha256", check=_hash))
            for one in table.tables("files")
        ),
    )


def _asked(table: Table) -> Asked:
    initrd, more = table.table("initrd"), table.table("options")
    files = tuple(
        FileTold(
            path=one.string("path"),
            mode=int(one.string("mode", check=_octal) or "0", 8) if not table.document.failed else 0,
            owner=one.string("owner"),
            hash=one.string("hash"),
            given=one.boolean("given"),
        )
        for one in table.tables("files")
    )
    return Asked(
        variant_files=tuple(
            VariantFile(name=one.string("name", check=_plain_name), sha256=one.string("sha256", check=_hash))
            for one in table.tables("variant-files")
        ),
        options=Options(
            packages=table.strings("packages", check=_name),
            boot_codes=table.strings("boot-codes"),
            files=tuple(one.path for one in files if one.given),
            kernel=None if table.is_null("kernel") else table.string("kernel"),
            more=tuple((name, more.strings(name)) for name in more.names()),
        ),
        compressor=initrd.choice("compressor", _COMPRESSORS),
        level=None if initrd.is_null("level") else initrd.integer("level"),
        mode=initrd.choice("mode", _MODES),
        keys=table.strings("ssh-keys"),
        files=files,
        settings=table.string("settings", check=_hash),
    )


def _octal(text: str) -> str | None:
    return None if re.fullmatch(r"[0-7]{1,4}", text) else "is not an octal mode"


def _root(table: Table) -> RootTold:
    return RootTold(
        digest=table.string("digest"),
        packages=tuple(
            (one.string("name"), one.string("version", empty=True), one.string("hash", empty=True))
            for one in table.tables("packages")
        ),
    )
