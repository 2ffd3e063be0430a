"""OCI images as drafts: a layout folder, or an archive as ``docker save`` and ``skopeo`` write it.

Formats: OCI image layout and image specification 1.1 (index.json, blobs by digest, layers with
whiteouts), and docker-archive (manifest.json naming a configuration and layers). Every blob is
checked against its digest, every layer of a docker-archive against the configuration's ``diff_ids``.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tcz.errors import ConfigError, VerifyError
from tcz.importing import archive, placing
from tcz.importing.builder import TreeBuilder
from tcz.importing.draft import Draft, Note, Origin
from tcz.importing.tarball import below
from tcz.names import is_package_name, package_name
from tcz.store import sha256_file
from tcz.tree import FileRef

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tcz.bases import Base
    from tcz.importing.archive import Spool
    from tcz.tree import Tree

    #: Returns a file of a layout by path, or ``None``.
    Files = Callable[[str], FileRef | None]

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})\Z")
#: docker save names a configuration by its hash.
_NAMED: Final = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.json)?\Z")
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_LAYER: Final = re.compile(
    r"application/vnd\.(?:oci\.image|docker\.image\.rootfs)\.[\w.-]*(?:layer|diff)[\w.]*tar(?:[.+](?:gzip|zstd))?\Z"
)
_MAX_JSON: Final = 8 << 20
_MAX_NESTED: Final = 4
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_REF: Final = "org.opencontainers.image.ref.name"
_LABEL: Final = "org.opencontainers.image."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """Which image (by reference name, where there are several), which layer, and how it is named."""

    base: Base
    name: str | None = None
    version: str | None = None
    image: str | None = None
    layer: int | Literal["all"] = "all"
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image found: its layers from the bottom up, its configuration, what it is called."""

    layers: tuple[FileRef, ...]
    diff_ids: tuple[str, ...]
    config: dict[str, Any]
    reference: str
    digest: str
    #: The configuration as it is written, whose hash is the image's id.
    config_file: FileRef


def is_layout(path: Path) -> bool:
    """Tell a folder that is an OCI image layout."""
    return (path / "index.json").is_file()


def is_image_archive(path: Path, spool: Spool) -> bool:
    """Tell a tar file that holds an image rather than plain files."""
    if path.is_dir() or archive.is_zip(path):
        return False
    tree = archive.read(path, spool, archive.Owners(users={}, groups={})).tree
    return "manifest.json" in tree or ("oci-layout" in tree and "index.json" in tree)


def read(path: Path, spool: Spool, options: ImageOptions) -> Draft:
    """Read an image or one layer of it, whiteouts applied.

    Raises ``VerifyError`` for damaged or hostile files and wrong digests, ``ConfigError`` for an
    image or a layer that is not there.
    """
    try:
        image = find(files_of(path, spool), options.image)
        layers = _chosen(image, options.layer)
        contents = apply_layers([spool.add(layer) for layer in layers], image, options)
    except VerifyError as error:
        raise VerifyError(error.what, where=error.where or str(path), why=error.why) from error
    reference, _, tag = image.reference.rpartition("/")[2].partition(":")
    labels = _dict(_dict(image.config.get("config")).get("Labels"))
    name = options.name or reference or path.name.partition(".")[0]
    if not is_package_name(name):
        raise ConfigError(f"{name!r} is not a package name", hint="name it with --name")
    tree = placing.on_base(below(contents.tree, options.folder), options.base)
    return Draft(
        name=package_name(name),
        version=options.version or _label(labels, "version") or tag or "unknown",
        tree=tree,
        origins=(Origin(kind="OCI image", name=image.reference or path.name, sha256=image.digest),),
        epoch=max((node.mtime for _, node in tree.items() if not node.is_dir), default=0),
        summary=_label(labels, "description") or _label(labels, "title"),
        license=_label(labels, "licenses"),
        homepage=_label(labels, "url") or _label(labels, "source"),
        notes=(*contents.notes, *_config_notes(image)),
    )


def files_of(path: Path, spool: Spool) -> Files:
    """Return what finds the files of a layout or an archive by path."""
    if not path.is_dir():
        return _members(archive.read(path, spool, archive.Owners(users={}, groups={})).tree)

    def find_file(name: str) -> FileRef | None:
        place = path / name
        return FileRef(place, 0, place.stat().st_size) if place.is_file() else None

    return find_file


def _members(tree: Tree) -> Files:
    def find_member(name: str) -> FileRef | None:
        for _ in range(_MAX_NESTED):
            node = tree.get(name)
            if node is None or not node.is_link:
                break
            # docker save links layers that images share.
            name = posixpath.normpath(posixpath.join(posixpath.dirname(name), node.read().decode()))
        node = tree.get(name)
        if node is not None and node.link is not None:
            node = tree[node.link]
        return node.data if node is not None and isinstance(node.data, FileRef) else None

    return find_member


# -- what image -----------------------------------------------------------------------------------


def find(files: Files, wanted: str | None) -> Image:
    """Return the image that a layout or an archive holds: the wanted one, or the only one for amd64."""
    if files("index.json") is not None:
        return _from_layout(files, wanted)
    if files("manifest.json") is not None:
        return _from_docker(files, wanted)
    raise VerifyError("not an image: it holds neither index.json nor manifest.json")


def _from_layout(files: Files, wanted: str | None) -> Image:
    index = _dict(_json(files("index.json"), "index.json"))
    found: list[tuple[str, str]] = []
    _manifests(files, index, "", found, _MAX_NESTED)
    names = sorted({name for name, _ in found if name})
    if wanted is not None:
        found = [(name, digest) for name, digest in found if name == wanted]
    if len({digest for _, digest in found}) != 1:
        what = "no image for linux/amd64" if not found else "several images"
        raise ConfigError(
            f"there is {what} here" if not found else f"there are {what} here",
            hint=f"choose one with --image: {', '.join(names)}" if names else None,
        )
    reference, digest = found[0]
    manifest = _dict(_json(_blob(files, digest), digest))
    config_file = _blob(files, _text(_dict(manifest.get("config")).get("digest")))
    config = _dict(_json(config_file, "configuration"))
    layers = []
    for entry in _list(manifest.get("layers")):
        kind = _text(_dict(entry).get("mediaType"))
        if not _LAYER.match(kind):
            raise VerifyError(f"a layer of a kind that cannot be read: {kind!r}")
        layers.append(_blob(files, _text(_dict(entry).get("digest"))))
    diff_ids = _diff_ids(config)
    return Image(
        layers=tuple(layers),
        diff_ids=diff_ids,
        config=config,
        reference=reference,
        digest=digest.removeprefix("sha256:"),
        config_file=config_file,
    )


def _manifests(
    files: Files,
    index: dict[str, Any],
    reference: str,
    found: list[tuple[str, str]],
    depth: int,
) -> None:
    for entry in map(_dict, _list(index.get("manifests"))):
        digest = _text(entry.get("digest"))
        name = _text(_dict(entry.get("annotations", {})).get(_REF, reference))
        platform = _dict(entry.get("platform", {}))
        if entry.get("mediaType") in _INDEXES:
            if not depth:
                raise VerifyError("indexes within indexes go too deep")
            _manifests(files, _dict(_json(_blob(files, digest), digest)), name, found, depth - 1)
        elif not platform or (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            found.append((name, digest))


def _from_docker(files: Files, wanted: str | None) -> Image:
    entries = [_dict(entry) for entry in _list(_json(files("manifest.json"), "manifest.json"))]
    tags = [tuple(_text(tag) for tag in _list(entry.get("RepoTags") or [])) for entry in entries]
    chosen = [n for n, names in enumerate(tags) if wanted is None or wanted in names]
    if len(chosen) != 1:
        listed = ", ".join(name for names in tags for name in names)
        raise ConfigError(
            "there is no such image here" if not chosen else "there are several images here",
            hint=f"choose one with --image: {listed}" if listed else None,
        )
    entry = entries[chosen[0]]
    place = _text(entry.get("Config"))
    file = files(place)
    config = _dict(_json(file, place))
    layers = []
    for name in map(_text, _list(entry.get("Layers"))):
        layer = files(name)
        if layer is None:
            raise VerifyError(f"a layer is missing: {name!r}")
        layers.append(layer)
    if file is None:
        raise VerifyError(f"the configuration is missing: {place!r}")
    digest = hashlib.sha256(file.read()).hexdigest()
    named = _NAMED.search(place)
    if named is not None and named[1] != digest:
        raise VerifyError(f"wrong sha256: {place}", why=f"found sha256:{digest}")
    reference = wanted or (tags[chosen[0]][0] if tags[chosen[0]] else "")
    diff_ids = _diff_ids(config)
    if len(diff_ids) != len(layers):
        raise VerifyError(f"{len(layers)} layers, but the configuration names {len(diff_ids)}")
    return Image(
        layers=tuple(layers),
        diff_ids=diff_ids,
        config=config,
        reference=reference,
        digest=digest,
        config_file=file,
    )


def _diff_ids(config: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(_dict(config.get("rootfs", {})).get("diff_ids", [])))


def _blob(files: Files, digest: str) -> FileRef:
    found = _DIGEST.match(digest)
    if found is None:
        raise VerifyError(f"not a sha256 digest: {digest!r}")
    file = files(f"blobs/sha256/{found[1]}")
    if file is None:
        raise VerifyError(f"a blob is missing: {digest}")
    actual = hashlib.sha256()
    with file.path.open("rb") as stream:
        stream.seek(file.offset)
        left = file.size
        while left and (block := stream.read(min(left, 1 << 20))):
            actual.update(block)
            left -= len(block)
    if actual.hexdigest() != found[1]:
        raise VerifyError(f"wrong sha256: {digest}", why=f"found sha256:{actual.hexdigest()}")
    return file


# -- layers ---------------------------------------------------------------------------------------


def _chosen(image: Image, layer: int | Literal["all"]) -> tuple[FileRef, ...]:
    if layer == "all":
        return image.layers
    if not 1 <= layer <= len(image.layers):
        raise ConfigError(f"there is no layer {layer}: the image has {len(image.layers)}")
    return image.layers[layer - 1 : layer]


def apply_layers(layers: Sequence[Path], image: Image, options: ImageOptions) -> archive.Contents:
    """Return the tree of uncompressed layers laid over each other from the bottom up."""
    # Numbers are what counts in an image: its users are its own.
    owners = archive.Owners(users={}, groups={}, by_number=True)
    notes: list[Note] = []
    builder = TreeBuilder(replacing=True)
    start = 0 if options.layer == "all" else options.layer - 1
    for number, layer in enumerate(layers, start):
        expected = image.diff_ids[number] if number < len(image.diff_ids) else None
        if expected is not None and f"sha256:{sha256_file(layer)}" != expected:
            raise VerifyError(f"layer {number + 1} is not what the configuration names: {expected}")
        _apply(builder, tuple(archive.members(layer, owners, notes)))
    return archive.Contents(tree=builder.finish(), notes=(*owners.notes(), *notes))


def _apply(builder: TreeBuilder, members: Sequence[archive.Member]) -> None:
    """Lay one layer over what is below: first what it hides there, then what it brings."""
    for member in members:
        folder, _, name = archive.stripped(member.path, 0).rpartition("/")
        if name == _OPAQUE:
            builder.clear(builder.real(folder) if folder else "")
        elif name.startswith(_WHITEOUT) and not name.startswith(_WHITEOUT * 2):
            hidden = name.removeprefix(_WHITEOUT)
            if hidden in ("", ".", ".."):
                raise VerifyError(f"a whiteout that hides nothing: {member.path!r}")
            builder.remove(builder.real(f"{folder}/{hidden}"))
    for member in members:
        place = archive.stripped(member.path, 0)
        if any(part.startswith(_WHITEOUT) for part in place.split("/")):
            continue
        if member.link is not None:
            builder.link(place, archive.stripped(member.link, 0))
        elif place or member.node.is_dir:
            builder.put(place, member.node)


# -- JSON that may hold anything ------------------------------------------------------------------


def _json(file: FileRef | None, what: str) -> object:
    if file is None:
        raise VerifyError(f"{what} is missing")
    if file.size > _MAX_JSON:
        raise VerifyError(f"{what} is too large to be true")
    try:
        return json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise VerifyError(f"{what} is not JSON", why=str(error)) from error


def _dict(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise VerifyError(f"the image's JSON has something else where an object belongs: {str(value)[:60]!r}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise VerifyError(f"the image's JSON has something else where a list belongs: {str(value)[:60]!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise VerifyError(f"the image's JSON has something else where a text belongs: {str(value)[:60]!r}")
    return value


def _label(labels: dict[str, Any], name: str) -> str:
    value = labels.get(_LABEL + name, "")
    return " ".join(value.split()) if isinstance(value, str) else ""


def _config_notes(image: Image) -> tuple[Note, ...]:
    config = _dict(image.config.get("config"))
    notes = []
    words = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    if words:
        text = "the image would start: " + " ".join(map(str, words))
        notes.append(Note(verdict="by-hand", where="configuration", text=text))
    if config.get("Env"):
        text = "the image would set: " + " ".join(map(str, config["Env"]))
        notes.append(Note(verdict="by-hand", where="configuration", text=text))
    return tuple(notes)
