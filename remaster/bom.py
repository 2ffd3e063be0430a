"""Bills of materials of images: from the manifest, and from what Go programs say of themselves.

Rust programs say nothing: their crates are those that the manifest names.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from remaster import packages, recorded
from remaster.survey import look
from tcz import gobuild
from tcz.errors import VerifyError
from tcz.model import Built, BuiltPackage, Form, ResolvedSource
from tcz.sbom import bill, purl
from tcz.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.packages import Opened
    from remaster.recorded import BuildTold, PackageTold, Recorded
    from tcz.gobuild import CompiledModule
    from tcz.reporting import Reporter
    from tcz.sbom.bill import Bill, Part, Relation

_BASE: Final = "base:"
_KERNEL: Final = "kernel"


def of_image(path: Path, reporter: Reporter) -> Bill:
    """Return the bill of an image. Raises ``VerifyError`` for one without a manifest, or damaged."""
    examined = look.examine(path)
    found = examined.survey.manifest
    if found is None:
        raise VerifyError("this image has no manifest: remaster did not make it", where=str(path))
    told = recorded.loads(found.text, f"{path}: {found.where}")
    made = of_told(told, packages.opener(examined), reporter)
    return bill.with_modules(made, f"{_BASE}{told.base}", gobuild.modules_of(examined.root))


def of_parts(told: Recorded, places: dict[str, Path], reporter: Reporter) -> Bill:
    """Return the bill of an image that is not built: its packages lie at ``places``, by name."""
    return of_told(told, packages.opener_of_files(places), reporter)


def of_told(told: Recorded, opened: Opened, reporter: Reporter) -> Bill:
    """Return the bill of what a manifest tells."""
    roots = {root.digest: root.packages for root in told.roots}
    contents = []
    with reporter.step("look into the packages", total=len(told.builds)) as step:
        for count, build in enumerate(told.builds):
            step.progress(count, len(told.builds))
            step.detail(build.name)
            mine = [package for package in told.packages if package.recipe == build.name]
            programs = {one.name: tuple(_modules(one, opened)) for one in mine if one.form == "extension"}
            built = _built(build, mine, roots.get(build.build_root, ()))
            contents.append(bill.Contents(built=built, programs=programs, crates=build.libraries))
    names = [package.name for package in told.packages]
    made = bill.make(told.variant, names, names, contents, told.epoch)
    kernels = {one.name for one in told.packages if one.role == _KERNEL}
    parts = tuple(
        _licensed(replace(one, role="kernel") if one.role == "package" and one.name in kernels else one)
        for one in made.parts
    )
    more, relations = _base(told, made)
    return replace(
        made,
        version=told.version,
        subjects=tuple(one.ref for one in more) + made.subjects,
        parts=tuple(sorted((*parts, *more), key=lambda part: part.ref)),
        relations=tuple(sorted((*made.relations, *relations), key=lambda r: (r.one, r.link, r.other))),
    )


def _modules(package: PackageTold, opened: Opened) -> Iterator[CompiledModule]:
    with opened(package.name) as tree:
        yield from gobuild.modules_of(Tree() if tree is None else tree)


def _built(build: BuildTold, mine: list[PackageTold], root: tuple[tuple[str, str, str], ...]) -> Built:
    return Built(
        recipe=build.name,
        version=build.version,
        build_id=build.build_id,
        content_id=build.build_id,
        folder=Path(),
        packages=tuple(
            BuiltPackage(
                name=one.name,
                form=cast("Form", one.form),
                path=Path(),
                sha256=one.sha256,
                size=one.size,
                installed=one.installed,
                needs=one.needs,
            )
            for one in mine
        ),
        sources=build.sources,
        root=tuple(
            ResolvedSource(
                kind="debian-binary" if hash_ else "host-package",
                name=name,
                version=version,
                hash=hash_,
                origin="debian:" if hash_ else "",
            )
            for name, version, hash_ in root
        ),
        license=build.license,
        homepage=build.homepage,
        summary=build.summary,
    )


def _licensed(part: Part) -> Part:
    """Keep what a mirror or a file says of its licence in its own words, where it is no expression."""
    if not part.license:
        return part
    with suppress(InvalidLicenseExpression):
        canonicalize_license_expression(part.license)
        return part
    return replace(part, license="", license_text=part.license)


def _base(told: Recorded, made: Bill) -> tuple[tuple[Part, ...], tuple[Relation, ...]]:
    origin = told.origin
    ref = f"{_BASE}{told.base}"
    if origin is None:
        layers = {one.name for one in told.packages if one.role != "package"}
        part = bill.Part(
            ref=ref, role="base", name=told.base, version=told.version, purl=None, summary="made of packages"
        )
        needs = [one.ref for one in made.parts if one.role == "package" and one.name in layers]
        return (part,), tuple(bill.Relation(one=ref, link="needs", other=other) for other in needs)
    files = [
        bill.Part(
            ref=f"source:{_BASE}{name}",
            role="source",
            name=name,
            version=origin.release,
            purl=purl.generic(name, origin.release, checksum=f"sha256:{sha256}"),
            hash=f"sha256:{sha256}",
        )
        for name, sha256 in origin.files
    ]
    part = bill.Part(
        ref=ref,
        role="base",
        name=told.base,
        version=origin.release,
        purl=None,
        summary=f"a base of others; libc {origin.libc or 'unknown'}; content {origin.sha256}",
    )
    links = [bill.Relation(one=ref, link="source", other=one.ref) for one in files]
    if any(one.role == _KERNEL for one in told.packages):
        return (part, *files), tuple(links)
    kernel = bill.Part(
        ref="kernel:base",
        role="kernel",
        name="linux",
        version=origin.kernel,
        purl=None,
        summary="the base's own",
    )
    links.append(bill.Relation(one=ref, link="needs", other=kernel.ref))
    return (part, kernel, *files), tuple(links)
