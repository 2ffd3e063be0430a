"""Container images made into an extension, for the service ``preload`` to hand to an engine.

Whatever an image comes as, it goes in as what ``docker load`` and ``podman load`` both take: the archive of
``docker save`` (manifest.json, a configuration, layers not compressed, since the extension is). Its
configuration and layers are checked against their digests on the way.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.variant import containers
from remaster.variant.parts import Ground
from remaster.variant.preload import NAME_RULE, PACKAGE, Preload, engine_for
from tcz.errors import ConfigError, Problem, ToolkitError
from tcz.importing import oci
from tcz.importing.archive import Spool
from tcz.metadata import Info, human_size, info_text
from tcz.squashfs import writer
from tcz.squashfs.options import WRITER
from tcz.store import sha256_file
from tcz.tree import FileRef, Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remaster.variant import Variant
    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.squashfs.options import SquashOptions

#: Counts up when the same images come to be written as other bytes.
_FORM: Final = 1
_FOLDER: Final = "usr/local/share/preloaded"
_TAGGED: Final = re.compile(r":[^/]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """An image as it goes in: which engine gets it, its id, its name, the archive."""

    engine: str
    image: str
    name: str
    path: Path


def package(
    variant: Variant, dirs: Dirs, reporter: Reporter, options: SquashOptions, epoch: int
) -> Path | None:
    """Return the extension with a variant's images, made unless it is there; ``None`` without any.

    Raises ``ConfigError`` with all images that cannot be read, are damaged, are for another processor, or
    have no name.
    """
    wanted = variant.settings.preload
    if not wanted:
        return None
    ground = Ground(packages=(*variant.onboot, *variant.optional))
    engines = [engine_for(one.engine, ground, one.where, one.archive.name)[0] for one in wanted]
    chosen = tuple(zip(wanted, engines, strict=True))
    told = [(one.image, one.name, engine, _digest(one.archive)) for one, engine in chosen]
    own = [one.image for one in variant.settings.containers if containers.is_local(one.image)]
    inputs = (_FORM, WRITER, options, epoch, told, *([own] if own else []))
    key = hashlib.sha256(repr(inputs).encode()).hexdigest()
    place = dirs.cache_folder("preloaded") / key / f"{PACKAGE}.tcz"
    if place.with_name(f"{place.name}.info").is_file():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with reporter.step("container images"), tempfile.TemporaryDirectory(dir=place.parent.parent) as folder:
        images = tuple(_packed(chosen, Path(folder)))
        _refuse_unknown(variant, images)
        _write(images, place, options, epoch)
    return place


def check(variant: Variant, dirs: Dirs) -> None:
    """Raise ``ConfigError`` with all that is wrong with a variant's images."""
    with tempfile.TemporaryDirectory(dir=dirs.cache_folder("preloaded")) as folder:
        images = tuple(_packed(tuple((one, "") for one in variant.settings.preload), Path(folder)))
    _refuse_unknown(variant, images)


def _refuse_unknown(variant: Variant, images: Sequence[_Packed]) -> None:
    """Refuse containers whose image is the machine's own and is none of these."""
    problems = tuple(containers.unknown(variant.settings.containers, (one.name for one in images)))
    if problems:
        raise ConfigError("containers have no image", problems)


def _digest(archive: Path) -> str:
    if archive.is_file():
        return sha256_file(archive)
    files = sorted(path for path in archive.rglob("*") if path.is_file())
    rows = (f"{sha256_file(path)}  {path.relative_to(archive)}\n" for path in files)
    return hashlib.sha256("".join(rows).encode(errors="surrogateescape")).hexdigest()


def _packed(chosen: Sequence[tuple[Preload, str]], folder: Path) -> Iterator[_Packed]:
    problems = []
    for number, (one, engine) in enumerate(chosen, 1):
        try:
            spool = Spool(Path(tempfile.mkdtemp(dir=folder)))
            image = oci.find(oci.files_of(one.archive, spool), one.image or None)
            layers = _layers(image, spool)
            name = _name(one, image)
            _for_this_processor(image)
            path = folder / f"{number}.tar"
            _archive(image, layers, name, path)
            yield _Packed(engine=engine, image=_image_id(image), name=name, path=path)
        except (ToolkitError, OSError) as error:
            what = error.what if isinstance(error, ToolkitError) else str(error)
            hint = ((error.hint or "") if isinstance(error, ToolkitError) else "").replace(
                "with --image:", "with image = '...':"
            )
            why = error.why if isinstance(error, ToolkitError) else None
            message = f"{one.archive}: {what}{f' ({why})' if why else ''}"
            problems.append(Problem(where=one.where, message=message, hint=hint or None))
    if problems:
        raise ConfigError("container images cannot be preloaded", problems)


def _image_id(image: oci.Image) -> str:
    return hashlib.sha256(image.config_file.read()).hexdigest()


def _name(one: Preload, image: oci.Image) -> str:
    name = one.name or image.reference
    # What an OCI layout calls an image is often but its tag.
    if not one.name and ("/" not in name and ":" not in name):
        raise ConfigError("the archive does not say what the image is called", hint="give name = '...'")
    complaint = NAME_RULE.complaint(name)
    if complaint:
        raise ConfigError(complaint, hint="give name = '...'")
    return name if _TAGGED.search(name) else f"{name}:latest"


def _for_this_processor(image: oci.Image) -> None:
    found = (image.config.get("os"), image.config.get("architecture"))
    if found not in (("linux", "amd64"), ("linux", "386")):
        raise ConfigError(f"the image is for {found[0]}/{found[1]}, and the machine is linux/amd64")


def _layers(image: oci.Image, spool: Spool) -> tuple[Path, ...]:
    """Return the layers, not compressed. Raises ``ConfigError`` for one that is not as its digest says."""
    if len(image.layers) != len(image.diff_ids):
        raise ConfigError(f"{len(image.layers)} layers, but the configuration names {len(image.diff_ids)}")
    found = []
    for number, (layer, expected) in enumerate(zip(image.layers, image.diff_ids, strict=True), 1):
        path = spool.add(layer)
        if f"sha256:{sha256_file(path)}" != expected:
            raise ConfigError(f"layer {number} is not what the configuration names: {expected}")
        found.append(path)
    return tuple(found)


def _archive(image: oci.Image, layers: Sequence[Path], name: str, path: Path) -> None:
    config = image.config_file.read()
    config_name = f"{_image_id(image)}.json"
    names = [f"{digest.removeprefix('sha256:')}.tar" for digest in image.diff_ids]
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": names}]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in (("manifest.json", json.dumps(manifest).encode()), (config_name, config)):
            archive.addfile(_member(member, len(content)), io.BytesIO(content))
        # Layers that are alike are there once.
        for member, layer in dict(zip(names, layers, strict=True)).items():
            with layer.open("rb") as stream:
                archive.addfile(_member(member, layer.stat().st_size), stream)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _write(images: Sequence[_Packed], place: Path, options: SquashOptions, epoch: int) -> None:
    folders = ("", "usr", "usr/local", "usr/local/share", _FOLDER)
    nodes = {path: directory(mtime=epoch) for path in folders}
    rows = []
    for number, one in enumerate(images, 1):
        file = f"{number}.tar"
        nodes[f"{_FOLDER}/{file}"] = regular(FileRef(one.path, 0, one.path.stat().st_size), mtime=epoch)
        rows.append(f"{one.engine} {file} {one.image} {one.name}\n")
    nodes[f"{_FOLDER}/list"] = regular("".join(rows).encode(), mtime=epoch)
    writer.write(Tree(nodes), place, options, epoch=epoch)
    info = Info(
        title=place.name,
        description=f"Container images: {', '.join(one.name for one in images)}",
        version=_image_version(images),
        size=human_size(place.stat().st_size),
    )
    place.with_name(f"{place.name}.info").write_text(info_text(info))


def _image_version(images: Sequence[_Packed]) -> str:
    return hashlib.sha256("".join(one.image for one in images).encode()).hexdigest()[:12]
