"""A bill of materials as a value: packages, what went into them, and what they were built with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from tcz.sbom import purl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tcz.gobuild import CompiledModule
    from tcz.model import Built, BuiltPackage, ResolvedSource

#: ``package``: one of ours; ``source``: compiled or taken into it; ``library``: came along with a source
#: (a Go module, a crate); ``tool``: was in the build root. Of an image also ``base``: what it is built upon,
#: and ``kernel``.
Role = Literal["package", "source", "library", "tool", "base", "kernel"]
Link = Literal["needs", "source", "library", "tool"]

#: Names bills; any fixed value does.
_NAMESPACE = uuid.UUID("2b0c7a4e-6a43-5a0f-9d57-0d4f3f6e8c11")
_ALGORITHMS = ("sha256", "sha1", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of the bill; ``ref`` is unique in it. ``hash`` is as in ``ResolvedSource``.

    ``license_text`` is a licence in words of its own, where it is no expression.

    ``build_id`` and ``root`` say, for packages, which build and which kind of build root it came from.
    """

    ref: str
    role: Role
    name: str
    version: str
    purl: str | None
    hash: str = ""
    license: str = ""
    homepage: str = ""
    summary: str = ""
    origin: str = ""
    build_id: str = ""
    root: str = ""
    license_text: str = ""

    @property
    def checksum(self) -> tuple[str, str] | None:
        """Return algorithm and hexadecimal digest of the file, where the hash is one of a file.

        A git commit and Go's ``h1:`` are hashes of something else.
        """
        algorithm, _, digest = self.hash.partition(":")
        if algorithm not in _ALGORITHMS or algorithm == "sha1":
            return None
        return algorithm, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """``one`` has ``other`` as what ``link`` says; both are refs."""

    one: str
    link: Link
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What ``name`` (a recipe or package) consists of; ``subjects`` are the refs of what was asked for."""

    name: str
    version: str
    epoch: int
    subjects: tuple[str, ...]
    parts: tuple[Part, ...]
    relations: tuple[Relation, ...]

    @property
    def uuid(self) -> str:
        """Return a name that the same bill always has, and no other."""
        refs = (f"{part.ref} {part.build_id} {part.hash}" for part in self.parts)
        return str(uuid.uuid5(_NAMESPACE, "\n".join((self.name, *refs))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was found out of a build beyond its record.

    ``programs`` are Go modules by package, ``crates`` those that the recipe's locks name.
    """

    built: Built
    programs: Mapping[str, Sequence[CompiledModule]]
    crates: Sequence[ResolvedSource] = ()


def make(
    name: str, wanted: Sequence[str], order: Sequence[str], found: Iterable[Contents], epoch: int
) -> Bill:
    """Return the bill of the packages ``order``, of which ``wanted`` were asked for."""
    collector = _Collector(frozenset(order))
    contents = tuple(found)
    for one in contents:
        collector.add(one)
    main = next(one.built for one in contents if any(made.name in wanted for made in one.built.packages))
    refs = {part.name: part.ref for part in collector.parts.values() if part.role == "package"}
    return Bill(
        name=name,
        version=main.version,
        epoch=epoch,
        subjects=tuple(refs[one] for one in wanted),
        parts=tuple(sorted(collector.parts.values(), key=lambda part: part.ref)),
        relations=tuple(sorted(collector.relations, key=lambda r: (r.one, r.link, r.other))),
    )


def with_modules(made: Bill, ref: str, modules: Iterable[CompiledModule]) -> Bill:
    """Return a bill with Go modules that the part ``ref`` has compiled in, and no package is told to have."""
    collector = _Collector(frozenset())
    told = {part.ref for part in made.parts}
    for module in modules:
        collector.module(module)
    new = {name: part for name, part in collector.parts.items() if name not in told}
    links = {Relation(one=ref, link="library", other=name) for name in new}
    return replace(
        made,
        parts=tuple(sorted((*made.parts, *new.values()), key=lambda part: part.ref)),
        relations=tuple(sorted((*made.relations, *links), key=lambda r: (r.one, r.link, r.other))),
    )


def _address(origin: str) -> str:
    """Return where a source came from as a URI; nothing where it has no address of its own."""
    return quote(origin, safe=":/?#[]@!$&'()*+,;=%~") if origin.startswith(("http:", "https:")) else ""


class _Collector:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self.parts: dict[str, Part] = {}
        self.relations: set[Relation] = set()

    def add(self, contents: Contents) -> None:
        built = contents.built
        sources = [self._source("source", one) for one in built.sources]
        crates = [self._source("library", one) for one in contents.crates]
        tools = [self._source("tool", one) for one in built.root]
        for package in built.packages:
            if package.name not in self._names:
                continue
            ref = self._package(built, package)
            modules = [self.module(one) for one in contents.programs.get(package.name, ())]
            for link, others in (("source", sources), ("tool", tools), ("library", [*crates, *modules])):
                self.relations |= {Relation(one=ref, link=link, other=other) for other in others}  # type: ignore[arg-type]
            for need in package.needs:
                if need in self._names:
                    self.relations.add(Relation(one=ref, link="needs", other=f"package:{need}"))

    def _package(self, built: Built, package: BuiltPackage) -> str:
        part = Part(
            ref=f"package:{package.name}",
            role="package",
            name=package.name,
            version=built.version,
            purl=purl.of_package(package.name, built.version),
            hash=f"sha256:{package.sha256}" if package.form != "files" else "",
            license=built.license,
            homepage=built.homepage,
            summary=built.summary,
            build_id=built.build_id,
            root=built.root[0].kind.partition("-")[0] if built.root else "",
        )
        return self._put(part)

    def _source(self, role: Role, source: ResolvedSource) -> str:
        address = purl.of_source(source)
        # One thing may be a source of one package and a tool of another: each has its own line.
        ref = f"{role}:{address or f'{source.kind}/{source.name}@{source.version}'}"
        return self._put(
            Part(
                ref=ref,
                role=role,
                name=source.name,
                version=source.version,
                purl=address,
                hash=source.hash,
                origin=_address(source.origin),
            )
        )

    def module(self, module: CompiledModule) -> str:
        address = purl.golang(module.path, module.version)
        part = Part(
            ref=f"library:{address}",
            role="library",
            name=module.path,
            version=module.version,
            purl=address,
            hash=module.sum,
        )
        return self._put(part)

    def _put(self, part: Part) -> str:
        self.parts.setdefault(part.ref, part)
        return part.ref
