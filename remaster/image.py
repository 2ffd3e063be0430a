"""The whole job: a variant, a base and packages in; an ISO and its companions out.

Nothing here needs root, a mount or a loop device. The same inputs give the same bytes; ``Job.key``
is the hash of all of them, and an image whose key has not changed is not written again.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import remaster
import tcz
from remaster import base as bases
from remaster import foreign, iso, libccheck, manifest, plan
from remaster.manifest import Artefact, Facts, Origin, Part
from remaster.outputs import Outputs, Records, sums_text
from remaster.variant import joined, override
from tcz import cpio, lock, record
from tcz.errors import ConfigError, VerifyError
from tcz.paths import need_space
from tcz.store import replacing, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remaster.base import Base, BaseSpec
    from remaster.foreign import Foreign
    from remaster.plan import MediumFile
    from remaster.sshkey import PublicKey
    from remaster.variant import Variant
    from tcz.compress import Compression
    from tcz.model import Built, BuiltPackage
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.tree import Tree

InitrdMode = Literal["repack", "append"]

#: Room for boot catalogue, directories and padding on the medium.
_ISO_OVERHEAD: Final = 4 << 20
#: Libraries whose version decides the bytes of an image.
_DECIDING_LIBRARIES: Final = ("deflate", "pycdlib", "zstandard")


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
    #: ``repack`` writes one archive; ``append`` leaves the base's bytes alone and puts another behind.
    mode: InitrdMode = "repack"

    def needs(self) -> BaseSpec:
        """Return which packages the base is made of."""
        return self.spec or bases.load(self.base, self.variant.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request with all its packages at hand: everything is known, nothing is written yet."""

    request: Request
    spec: BaseSpec
    facts: Facts
    key: str
    base: Base
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> BuiltPackage:
        """Return a package of the job by name."""
        for part in self.facts.parts:
            if part.package.name == name:
                return part.package
        raise VerifyError(f"the package {name} was asked for and did not come")

    @property
    def extensions(self) -> tuple[BuiltPackage, ...]:
        """The packages that go under /cde, in load order."""
        return tuple(part.package for part in self.facts.parts if part.role == "package")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An image that is there. ``changed`` is false when it was there already."""

    outputs: Outputs
    sha256: str
    size: int
    changed: bool
    least_memory: int | None = None


def prepare(request: Request, supplier: Supplier) -> Job:
    """Get every package of a request, building what is missing."""
    variant = request.variant
    spec = request.needs()
    wanted = (*variant.onboot, *variant.optional)
    # One question for all, so that the modules belong to the kernel.
    supplied = supplier.packages((*spec.packages(), *wanted))
    roles = dict.fromkeys(spec.layers, "layer") | {spec.kernel: "kernel"}
    roles |= {spec.bios: "loader", spec.uefi: "loader"}
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
    )
    if request.foreign is None:
        base = bases.floe(spec, by_name.__getitem__)
        return Job(request=request, spec=spec, facts=facts, key=_key(request, facts), base=base)
    made = foreign.make(request.foreign, spec, variant, by_name.__getitem__)
    libc = request.foreign.examined.survey.libc
    libccheck.check("" if libc is None else libc.value, request.foreign.architecture, others)
    facts = replace(
        facts,
        boot_codes=override(made.base.starts.words, variant.boot_codes),
        origin=_origin(request.foreign, made),
    )
    return Job(
        request=request,
        spec=spec,
        facts=facts,
        key=_key(request, facts),
        base=made.base,
        notes=(*made.notes, *_left(request)),
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


def _key(request: Request, facts: Facts) -> str:
    """Hash everything that decides the image's bytes; where files came from does not."""
    variant = request.variant
    digest = hashlib.sha256()
    keys = tuple(key.line for key in request.keys)
    program = (_own_code(), request.compressor, request.level, request.mode)
    chosen = (variant.name, variant.onboot, variant.optional, keys)
    medium = (variant.volume_id, variant.title, variant.timeout)
    digest.update(repr((program, chosen, medium)).encode())
    for spec in variant.files:
        digest.update(repr((spec.path, spec.mode, spec.owner, spec.content)).encode())
    digest.update(manifest.document(facts))
    return digest.hexdigest()


def _own_code() -> str:
    """Return the hash of this program: another version may write other bytes."""
    digest = hashlib.sha256()
    for package in (remaster, tcz):
        for file in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def make(job: Job, dirs: Dirs, reporter: Reporter) -> Finished:
    """Write the image unless it is there unchanged.

    Raises ``NoSpaceError`` before anything is written when the disk is too full; whatever goes wrong,
    files that were there stay as they were.
    """
    outputs = Outputs.at(job.request.output)
    if outputs.image.is_dir():
        raise ConfigError(f"{outputs.image} is a folder; the output is a file such as out/x.iso")
    records = Records(dirs.cache_folder("images"))
    sha256 = records.unchanged(outputs, job.key)
    if sha256 is not None:
        return Finished(outputs=outputs, sha256=sha256, size=outputs.image.stat().st_size, changed=False)
    # A cache may be damaged without a change of sizes; what goes into an image is looked at again.
    for built in manifest.builds(job.facts.parts):
        record.check(built)
    with reporter.step("initrd"):
        initrd, unpacked = make_initrd(job, dirs)
    with reporter.step("ISO"):
        finished = _write(job, outputs, initrd, unpacked)
    records.remember(outputs, job.key, finished.sha256)
    return finished


def make_initrd(job: Job, dirs: Dirs) -> tuple[Path, int]:
    """Return the initrd, kept in the cache by the hash of its inputs, and its size unpacked."""
    request = job.request
    content = plan.Content(
        services=request.variant.services,
        files=request.variant.files,
        keys=request.keys,
        manifest=manifest.document(job.facts, roots=False),
        epoch=job.facts.epoch,
    )
    tree = plan.root_tree(job.base.root, content)
    unpacked = plan.unpacked_size(tree)
    folder = dirs.cache_folder("initrds")
    if request.mode == "append":
        return _appended(job, content, folder), unpacked
    return _packed(folder / job.key, tree, request, unpacked), unpacked


def _packed(place: Path, tree: Tree, request: Request, unpacked: int) -> Path:
    """Return a tree as a packed archive at ``place``, written unless it is there already."""
    sums = place.with_name(f"{place.name}.sha256")
    if not _is_as_written(place, sums):
        need_space(place.parent, unpacked, "the initrd")
        buffer = io.BytesIO()
        cpio.write(tree, file=buffer)
        with replacing(place) as temporary:
            temporary.write_bytes(cpio.compress(buffer.getvalue(), request.compressor, request.level))
        with replacing(sums) as temporary:
            temporary.write_text(sha256_file(place))
    return place


def _appended(job: Job, content: plan.Content, folder: Path) -> Path:
    """Return the base's initrds as they are and our own archive behind them, as one file.

    Our own base's layers are packed once, and kept by the hash of what they are made from.
    """
    request, base = job.request, job.base
    parts = base.initrds
    before = base.unpacked
    if before is None:
        before = base.root.with_mtime(job.facts.epoch)
        inputs = [part.package.sha256 for part in job.facts.parts if part.role == "layer"]
        found = request.foreign.identity if request.foreign is not None else ""
        told = repr((_own_code(), request.compressor, request.level, inputs, found))
        key = hashlib.sha256(told.encode()).hexdigest()
        parts = (_packed(folder / f"base-{key}", before, request, plan.unpacked_size(before)),)
    after = plan.laid_over(base.root, content)
    if base.unpacked is None:
        after = after.with_mtime(job.facts.epoch)
    segment = cpio.dumps(plan.segment(before, after))
    place = folder / f"whole-{job.key}"
    with replacing(place) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(bytes(-file.tell() % 4))
            file.write(plan.bytes_of(part))
        # A lz4 member has no end of its own: a block of no bytes tells that there is no more of it.
        file.write(bytes(-file.tell() % 4 + 4))
        file.write(cpio.compress(segment, request.compressor, request.level))
    return place


def _is_as_written(file: Path, sums: Path) -> bool:
    try:
        return sums.read_bytes() == sha256_file(file).encode()
    except OSError:
        return False


def medium_files(job: Job, initrd: Path) -> tuple[MediumFile, ...]:
    """Return every file of the medium, sorted by path."""
    variant, facts = job.request.variant, job.facts
    title = variant.title.replace("{name}", variant.name).replace("{version}", facts.version)
    base = job.base
    menu = plan.menu_for(title, facts.boot_codes, variant.timeout, base.starts)
    boot = plan.boot_files(menu, base.loaders, base.kernel, initrd)
    taken = {file.path for file in boot}
    kept = tuple(file for file in base.keep if file.path not in taken)
    files = (
        *boot,
        *plan.cde_files(
            job.extensions,
            joined(base.onboot, variant.onboot),
            tuple(file for file in kept if file.path.startswith("cde/")),
        ),
        *(file for file in kept if not file.path.startswith("cde/")),
        plan.MediumFile(path="manifest.json", content=manifest.document(facts)),
    )
    return tuple(sorted(files, key=lambda file: file.path))


def _lock_text(job: Job) -> str:
    from importlib import metadata  # noqa: PLC0415 - slow to import, and only a new image needs it

    variant = job.request.variant
    tools = [lock.Tool(name="tinycore-toolkit", version=tcz.__version__)]
    tools += [lock.Tool(name=name, version=metadata.version(name)) for name in _DECIDING_LIBRARIES]
    builds = manifest.builds(job.facts.parts)
    names = tuple(built.recipe for built in builds)
    found = lock.of_builds(builds, recipes=names, epoch=job.facts.epoch, variant=variant.name, tools=tools)
    return lock.dumps(found)


def _write(job: Job, outputs: Outputs, initrd: Path, unpacked: int) -> Finished:
    files = medium_files(job, initrd)
    total = sum(file.size for file in files)
    need_space(outputs.image.parent, total + _ISO_OVERHEAD, "the image")
    variant, facts, loaders = job.request.variant, job.facts, job.base.loaders
    initrd_sha256, document = sha256_file(initrd), manifest.document(facts)
    medium = iso.IsoPlan(
        volume_id=plan.volume_id(variant.volume_id, name=variant.name, version=facts.version),
        files=tuple((file.path, file.content) for file in files),
        mbr_code=None if loaders.mbr is None else plan.bytes_of(loaders.mbr),
        epoch=facts.epoch,
        # The manifest holds the hash of every package.
        identity=document + initrd_sha256.encode(),
    )
    with outputs.replacing() as new:
        iso.write_iso(medium, new.image)
        sha256, size = sha256_file(new.image), new.image.stat().st_size
        new.lock.write_text(_lock_text(job))
        artefacts = (
            Artefact(name=outputs.image.name, size=size, sha256=sha256),
            Artefact(name="initrd", size=initrd.stat().st_size, sha256=initrd_sha256),
        )
        new.manifest.write_bytes(manifest.document_beside(facts, artefacts))
        loader = sum(file.size for file in files if "linux/" in file.path or "efiboot" in file.path)
        kernel = plan.size_of(job.base.kernel)
        rows = manifest.size_rows(facts, kernel, initrd.stat().st_size, unpacked, loader)
        new.sizes.write_text(manifest.size_table(rows))
        named = ((new.lock, outputs.lock), (new.manifest, outputs.manifest), (new.sizes, outputs.sizes))
        sums = ((sha256, outputs.image.name), *((sha256_file(path), final.name) for path, final in named))
        new.sums.write_text(sums_text(sums))
    return Finished(
        outputs=outputs,
        sha256=sha256,
        size=size,
        changed=True,
        least_memory=plan.least_memory(unpacked, initrd.stat().st_size),
    )
