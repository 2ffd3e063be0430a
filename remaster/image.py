"""The whole job: a variant, a base and packages in; an ISO and its companions out.

Nothing here needs root, a mount or a loop device. The same inputs give the same bytes; ``Job.key``
is the hash of all of them, and an image whose key has not changed is not written again.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import tcz
from remaster import base as bases
from remaster import (
    contents,
    early,
    estimate,
    fitting,
    folders,
    foreign,
    formats,
    imagelock,
    injection,
    libccheck,
    locked,
    manifest,
    placement,
    plan,
)
from remaster.asked import Options
from remaster.initrds import laid, making, sum_of
from remaster.kernels.choice import check_libc
from remaster.manifest import Artefact, Facts, Origin, Part
from remaster.outputs import Outputs, Records, sums_text
from remaster.program import own_code
from remaster.variant import PLACES, mistakes, override
from tcz import record
from tcz.errors import ConfigError, VerifyError
from tcz.paths import need_space
from tcz.run import HostRunner
from tcz.squashfs.pipeline import Pipeline
from tcz.store import Store, md5_file, sha256_file, sweep
from tcz.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from remaster.base import Base, BaseSpec
    from remaster.estimate import Estimate
    from remaster.foreign import Foreign
    from remaster.formats import Format
    from remaster.initrds import Laid
    from remaster.kernels.given import Given
    from remaster.placement import Arrangement
    from remaster.plan import MediumFile
    from remaster.sshkey import PublicKey
    from remaster.variant import Place, Variant
    from tcz.compress import Compression
    from tcz.model import Built, BuiltPackage
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.run import Runner
    from tcz.tree import Tree

InitrdMode = Literal["layers", "repack", "append"]


class Supplier(Protocol):
    """Where packages come from."""

    def packages(self, names: Sequence[str]) -> tuple[BuiltPackage, ...]:
        """Return the closure of packages in load order, built where need be."""
        ...

    def built(self, package: str) -> Built:
        """Return the build that a package of an earlier answer came from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user wants."""

    variant: Variant
    base: str
    output: Path
    keys: tuple[PublicKey, ...] = ()
    compressor: Compression = "zstd"
    level: int | None = None
    #: What the base is where it is not one of ours, and which packages it still needs.
    foreign: Foreign | None = None
    spec: BaseSpec | None = None
    #: The kernel that the user brings, where it is none of a recipe's.
    given: Given | None = None
    #: ``layers`` packs base, packages and the image's own each for itself; ``repack`` writes one archive;
    #: ``append`` leaves the base's bytes alone and puts others behind.
    mode: InitrdMode = "layers"
    formats: tuple[Format, ...] = formats.named(())
    #: Formats that the image was written in at another time: the packages that these need are in it, too.
    other_formats: tuple[Format, ...] = ()
    options: Options = field(default_factory=Options)

    def format_packages(self) -> tuple[str, ...]:
        """Return the packages whose files the writers of the formats need."""
        return tuple(
            dict.fromkeys(name for one in (*self.formats, *self.other_formats) for name in one.packages)
        )

    def needs(self) -> BaseSpec:
        """Return which packages the base is made of."""
        return self.spec or bases.load(self.base, self.variant.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request with all its packages at hand: everything is known, nothing is written yet.

    ``root`` is the base's root with the packages in it that do not lie on the medium, ``owners`` tells whose
    a path is that came out of one; ``lists`` are the names of the lists of what is loaded at boot.
    ``document`` is the manifest, ``short`` the one that the root has.
    """

    request: Request
    spec: BaseSpec
    facts: Facts
    key: str
    base: Base
    root: Tree
    arrangement: Arrangement
    lists: tuple[str, ...]
    owners: Mapping[str, str]
    document: bytes
    short: bytes
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> BuiltPackage:
        """Return a package of the job by name."""
        for part in self.facts.parts:
            if part.package.name == name:
                return part.package
        raise VerifyError(f"the package {name} was asked for and did not come")

    @property
    def extensions(self) -> tuple[BuiltPackage, ...]:
        """The packages that are loaded, wherever they are kept, in load order."""
        return tuple(part.package for part in self.facts.parts if part.role == "package")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An image that is there. ``changed`` is false when it was there already."""

    outputs: Outputs
    sha256: str
    size: int
    changed: bool
    least_memory: int | None = None
    least_memory_for: str = ""


def prepare(request: Request, supplier: Supplier) -> Job:
    """Get every package of a request, building what is missing."""
    variant = request.variant
    spec = request.needs()
    wanted = variant.packages()
    # One question for all, so that the modules belong to the kernel.
    extra = request.format_packages()
    with fitting.naming(variant):
        supplied = supplier.packages((*spec.packages(), *extra, *wanted))
    roles = dict.fromkeys(spec.layers, "layer") | {spec.kernel: "kernel"}
    roles |= {spec.bios: "loader", spec.uefi: "loader"} | dict.fromkeys(extra, "loader")
    roles.pop("", None)
    by_name = {package.name: package for package in supplied}
    basic = [(role, by_name[name]) for name, role in roles.items() if name in by_name]
    if len(basic) != len(roles):
        raise VerifyError(f"the base {spec.name} lacks {', '.join(n for n in roles if n not in by_name)}")
    others = [package for package in supplied if package.name not in roles]
    _only_extensions(others, wanted, roles)
    members = (*basic, *(("package", package) for package in others))
    parts = tuple(Part(role=role, package=one, built=supplier.built(one.name)) for role, one in members)
    facts = Facts(
        variant=variant.name,
        version=_version(variant, parts),
        base=spec.name,
        boot_codes=variant.boot_codes,
        services=variant.services,
        parts=parts,
        epoch=plan.EPOCH,
        asked=imagelock.asked(request),
    )
    if request.foreign is None:
        base = bases.floe(spec, by_name.__getitem__)
        check_libc(base.root, bases.release_in(by_name[spec.kernel]))
        return _placed(request, spec, facts, base, ())
    made = foreign.make(request.foreign, spec, variant, by_name.__getitem__)
    libc = request.foreign.examined.survey.libc
    libccheck.check("" if libc is None else libc.value, request.foreign.architecture, others)
    facts = replace(
        facts,
        boot_codes=override(made.base.starts.words, variant.boot_codes),
        origin=_origin(request.foreign, made),
    )
    notes = (*made.notes, *_left(request))
    if spec.kernel:
        notes += tuple(foreign.unresolved(request.foreign, made.kernel, (one.name for one in others)))
    return _placed(request, spec, facts, made.base, notes)


def _located(part: Part, places: Mapping[str, Place], *, md5: bool) -> Part:
    """Return a part with its place, where it is a package, and with its md5 where that is wanted."""
    if part.role != "package":
        return part
    path = part.package.path
    return replace(part, place=places[part.package.name], md5=md5_file(path) if md5 else "")


def _placed(request: Request, spec: BaseSpec, facts: Facts, base: Base, notes: tuple[str, ...]) -> Job:
    """Put every package in its place; raises ``ConfigError`` where that cannot be."""
    variant = request.variant
    packages = [part.package for part in facts.parts if part.role == "package"]
    arrangement = placement.arrange(packages, variant, injection.present(base.root, base.keep))
    places = {one.name: one.place for one in arrangement.packages}
    # Tiny Core has no sha256sum.
    weak = request.foreign is not None
    facts = replace(facts, parts=tuple(_located(part, places, md5=weak) for part in facts.parts))
    lists = folders.list_names((*facts.boot_codes, *(word for one in variant.entries for word in one.add)))
    fit = fitting.fit(variant, base.root, arrangement.packages, base.keep)
    problems = (*fit.problems, *fitting.volume(variant, facts.version))
    if problems:
        raise mistakes(f"variant {variant.name}", problems)
    notes += fit.notes
    injected = injection.inject(base.root, arrangement, lists, facts.epoch)
    if request.foreign is not None:
        notes += tuple(
            f"{name} in {place} is copied, too: Tiny Core finds its name in that of {other} in copy2fs.lst"
            for place in PLACES
            for name, other in placement.also_copied(arrangement, place)
        )
    given = (file.path.lstrip("/") for file in variant.files)
    facts = replace(
        facts,
        early=early.paths((*early.files(injected.root), *given)),
        set_id=manifest.set_id(injected.root, variant.files, md5=weak),
    )
    document = manifest.document(facts)
    return Job(
        request=request,
        spec=spec,
        facts=facts,
        document=document,
        short=manifest.document(facts, roots=False),
        key=_key(request, document),
        base=base,
        root=injected.root,
        owners=injected.owners,
        arrangement=arrangement,
        lists=lists,
        notes=(*notes, *injected.notes),
    )


def _left(request: Request) -> Iterator[str]:
    """Tell what an archive that is appended cannot take away."""
    if request.mode == "append" and request.foreign is not None and request.needs().kernel:
        yield f"the modules of the base's kernel {request.foreign.kernel} stay in the initrd, of no use"


def _origin(found: Foreign, made: foreign.Made) -> Origin:
    survey = found.examined.survey
    return Origin(
        release=found.release,
        kernel=made.kernel,
        identity=found.identity,
        libc="" if survey.libc is None else survey.libc.value,
        edits=tuple((done.name, done.files) for done in made.done),
        asked=found.origin if bases.release_of(found.origin) else "",
        files=found.sums,
    )


def _only_extensions(others: Sequence[BuiltPackage], wanted: Sequence[str], basic: Iterable[str]) -> None:
    wrong = [package.name for package in others if package.form != "extension"]
    wrong += [name for name in wanted if name in basic]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)}: only extensions can be loaded", hint="take it out of the variant's packages"
        )


def _version(variant: Variant, parts: Sequence[Part]) -> str:
    if not variant.version_of:
        return tcz.__version__
    for part in parts:
        if part.package.name == variant.version_of:
            return part.built.version
    raise ConfigError(
        f"variant {variant.name}: version-of names {variant.version_of!r}, which is not in the image"
    )


def _key(request: Request, document: bytes) -> str:
    """Hash everything that decides the image's bytes; where files came from does not."""
    variant = request.variant
    digest = hashlib.sha256()
    keys = tuple(key.line for key in request.keys)
    names = tuple(one.name for one in request.formats)
    program = (own_code(), request.compressor, request.level, request.mode, names)
    packages = (variant.onboot, variant.optional, variant.ondemand, variant.copy2fs)
    chosen = (variant.name, packages, keys)
    medium = (variant.volume_id, variant.title, variant.timeout, variant.data_label, variant.data_mib)
    menu = (
        variant.default_entry,
        tuple((one.name, one.title, one.add, one.remove) for one in variant.entries),
    )
    digest.update(repr((program, chosen, medium, menu, variant.settings.users)).encode())
    for spec in variant.files:
        digest.update(repr((spec.path, spec.mode, spec.owner, spec.content)).encode())
    digest.update(document)
    return digest.hexdigest()


def outputs_of(request: Request) -> Outputs:
    """Return every path that a request leads to."""
    written = formats.targets(request.output, request.formats)
    images = tuple(path for _, paths in written for path in paths)
    return Outputs.at(request.output, images, stem=formats.stem(request.output).name)


def make(job: Job, dirs: Dirs, reporter: Reporter, runner: Runner | None = None) -> Finished:
    """Write the image in all its formats unless it is there unchanged.

    Raises ``CheckError`` for an image over its variant's budgets, and ``NoSpaceError`` when the disk is too
    full, both before anything is written; whatever goes wrong, files that were there stay as they were.
    """
    outputs = outputs_of(job.request)
    for path in outputs.images:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; the output is a file such as out/x.iso")
    records = Records(dirs.cache_folder("images"))
    sweep(dirs.cache_folder("images"))
    sha256 = records.unchanged(outputs, job.key)
    if sha256 is not None:
        return Finished(outputs=outputs, sha256=sha256, size=outputs.image.stat().st_size, changed=False)
    # A cache may be damaged without a change of sizes; what goes into an image is looked at again.
    sums = Sums.of_user(dirs)
    with Pipeline[None](None) as pipeline:
        for built in manifest.builds(job.facts.parts):
            pipeline.put(partial(record.check, built, sums.of), lambda _: None)
        pipeline.finish()
    with ExitStack() as stack:
        with reporter.step("initrd"):
            machine = laid(job)
            initrd = stack.enter_context(making(job, dirs, machine))
        finished = _write(job, outputs, machine, initrd, reporter, runner or HostRunner())
    try:
        records.remember(outputs, job.key, finished.sha256)
    except OSError as error:
        reporter.warn(f"the image is there, but will be made again next time: {error}")
    try:
        locked.kept(job.request.variant.files, job.facts.parts, Store(dirs.cache / "store"))
    except OSError as error:
        reporter.warn(f"files that were given are not kept for the lock, keep them yourself: {error}")
    return finished


def estimated(job: Job, dirs: Dirs) -> Estimate:
    """Return what an image comes to, without writing it."""
    machine = laid(job)
    with making(job, dirs, machine) as initrd:
        files = contents.medium_files(job, initrd, contents.menu(job))
        return estimate.estimate(job, initrd, machine, files)


def _write(
    job: Job, outputs: Outputs, machine: Laid, initrd: Path, reporter: Reporter, runner: Runner
) -> Finished:
    facts, chosen, menu = job.facts, job.request.formats, contents.menu(job)
    files = contents.medium_files(job, initrd, menu)
    content = contents.content(job, initrd, menu, files, runner)
    found = estimate.estimate(job, initrd, machine, files)
    _within(job, found)
    need_space(outputs.image.absolute().parent, formats.space(content, chosen), "the image")
    with outputs.replacing() as new:
        left = new.images
        for one, paths in formats.targets(job.request.output, chosen):
            with reporter.step(one.title):
                one.write(content, left[: len(paths)])
            left = left[len(paths) :]
        digests: list[str] = []
        with Pipeline[str](None) as pipeline:
            for path in new.images:
                pipeline.put(partial(sha256_file, path), digests.append)
            pipeline.finish()
        artefacts = tuple(
            Artefact(name=final.name, size=path.stat().st_size, sha256=digest)
            for path, final, digest in zip(new.images, outputs.images, digests, strict=True)
        )
        _within(job, found, next((path for path in new.images if path.name.endswith(".iso")), None))
        new.lock.write_text(imagelock.dumps(job.request, facts, runner))
        packed = Artefact(name="initrd", size=initrd.stat().st_size, sha256=sum_of(initrd))
        new.manifest.write_bytes(manifest.document_beside(facts, (*artefacts, packed)))
        _write_sizes(job, new.sizes, initrd, machine.unpacked, files)
        named = ((new.lock, outputs.lock), (new.manifest, outputs.manifest), (new.sizes, outputs.sizes))
        base = outputs.sums.parent
        sums = (
            *(
                (made.sha256, path.relative_to(base).as_posix())
                for made, path in zip(artefacts, outputs.images, strict=True)
            ),
            *((sha256_file(path), final.name) for path, final in named),
        )
        new.sums.write_text(sums_text(sums))
    return Finished(
        outputs=outputs,
        sha256=artefacts[0].sha256,
        size=artefacts[0].size,
        changed=True,
        least_memory=found.least_memory,
        least_memory_for=found.least_memory_for,
    )


def _within(job: Job, found: Estimate, iso: Path | None = None) -> None:
    """Raise ``CheckError`` for an image over its variant's budgets."""
    over = estimate.overrun(job.request.variant, found, None if iso is None else iso.stat().st_size)
    if over is not None:
        raise over.error()


def _write_sizes(job: Job, target: Path, initrd: Path, unpacked: int, files: tuple[MediumFile, ...]) -> None:
    loader = sum(file.size for file in files if "linux/" in file.path or "efiboot" in file.path)
    kernel = plan.size_of(job.base.kernel)
    rows = manifest.size_rows(job.facts, kernel, initrd.stat().st_size, unpacked, loader)
    target.write_text(manifest.size_table(rows))
