"""Locks of images: exactly what one is made of, as a file that can be compared, kept, and built from again.

A lock is that of ``tcz.lock`` with another part, ``image``: the manifest without its build roots (whose
packages the lock has already), every setting, and the formats. JSON with sorted keys, two spaces, one item a
line; what is not known in it is refused.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tcz
from remaster import asked as asking
from remaster import manifest, recorded, variant
from remaster.formats import FORMATS
from tcz import lock
from tcz.errors import ConfigError, MissingToolError
from tcz.toml import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from remaster.formats import Format
    from remaster.image import Request
    from remaster.manifest import Facts
    from remaster.recorded import Recorded
    from tcz.compress import Compression
    from tcz.run import Runner

#: Libraries whose version decides the bytes of an image.
_DECIDING_LIBRARIES: Final = ("deflate", "pycdlib", "zstandard")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLock:
    """A lock that was read."""

    lock: lock.Lock
    image: Recorded
    settings: tuple[str, ...]
    formats: tuple[str, ...]


def settings(request: Request) -> tuple[str, ...]:
    """Return every setting of a request; see ``remaster.asked``."""
    level = "" if request.level is None else f" level {request.level}"
    more = (
        ("base", request.base),
        ("initrd", f"{request.compressor}{level}, {request.mode}"),
        ("ssh-keys", tuple(key.line for key in request.keys)),
    )
    return asking.settings(request.variant, more, _files(request))


def _files(request: Request) -> tuple[asking.FileTold, ...]:
    return asking.told(request.variant.files, request.options.files)


def asked(request: Request) -> asking.Asked:
    """Return what a manifest tells of a request."""
    own = request.variant.origin
    named = [variant.find(name) for name in variant.names()]
    return asking.Asked(
        variant_files=() if own is None else asking.variant_files(own, named),
        options=request.options,
        compressor=request.compressor,
        level=request.level,
        mode=request.mode,
        keys=tuple(key.line for key in request.keys),
        files=_files(request),
        settings=asking.digest(settings(request)),
    )


def tools(compressor: Compression, written: Iterable[Format], runner: Runner) -> tuple[lock.Tool, ...]:
    """Return what decides bytes of an image by its version: of this toolkit, libraries, programs.

    Raises ``MissingToolError`` without a program that a format is written with.
    """
    found = dict(libraries(compressor))
    for one in written:
        for name, version in one.tools:
            if name not in found:
                found[name] = version(runner)
    return tuple(lock.Tool(name=name, version=version) for name, version in found.items())


@functools.cache
def libraries(compressor: Compression) -> tuple[tuple[str, str], ...]:
    """Return the libraries whose version decides bytes that are packed so, each with its version."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, and only a new image needs it

    names = (*_DECIDING_LIBRARIES, *(["lz4"] if compressor == "lz4" else []))
    found = [("tinycore-toolkit", tcz.__version__), *((name, metadata.version(name)) for name in names)]
    return (*found, ("liblzma", _liblzma())) if compressor == "xz" else tuple(found)


def _liblzma() -> str:
    """Return the version of the library that Python's lzma uses; Python itself does not tell it."""
    import _lzma  # noqa: PLC0415 - few images need it
    import ctypes  # noqa: PLC0415

    try:
        version = ctypes.CDLL(_lzma.__file__).lzma_version_string
    except (OSError, AttributeError):
        return "unknown"
    version.restype = ctypes.c_char_p
    return str(version().decode())


def other_tools(
    locked: ImageLock, compressor: Compression, written: Iterable[Format], runner: Runner
) -> Iterator[str]:
    """Tell each tool that is here in another version than is locked; those of formats not written are not."""
    kept = [one for one in written if one.name in locked.formats]
    mine = {name for one in kept for name, _ in one.tools}
    others = {name for one in FORMATS.values() for name, _ in one.tools} - mine
    before = {tool.name: tool.version for tool in locked.lock.tools if tool.name not in others}
    now: dict[str, str] = {}
    try:
        now = {tool.name: tool.version for tool in tools(compressor, kept, runner)}
    except MissingToolError:
        now = {tool.name: tool.version for tool in tools(compressor, (), runner)}
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"tool {name}: {before.get(name, 'none')} is locked, {now.get(name, 'none')} is here"


def dumps(request: Request, facts: Facts, runner: Runner) -> str:
    """Return the lock of an image. Raises as ``tools`` does."""
    builds = manifest.builds(facts.parts)
    names = tuple(built.recipe for built in builds)
    deciding = tools(request.compressor, request.formats, runner)
    found = lock.of_builds(builds, recipes=names, epoch=facts.epoch, variant=facts.variant, tools=deciding)
    told = manifest.value_of(facts)
    assert isinstance(told, dict)  # noqa: S101 - for the type checker
    image = {**told, "settings": settings(request), "formats": [one.name for one in request.formats]}
    return lock.dumps(found, image)


def read(path: Path) -> ImageLock:
    """Read a lock. Raises ``ConfigError`` with all that is wrong in it, and for one of recipes alone."""
    whole = lock.read(path)
    data = lock.parsed(path.read_text(encoding="utf-8"), str(path))
    image = data.get("image")
    if not isinstance(image, dict):
        raise ConfigError(
            f"{path} is a lock of packages, not of an image", hint=f"remaster lock VARIANT -o {path}"
        )
    where = f"{path}: image"
    own = Document(where, {key: image.pop(key) for key in ("settings", "formats") if key in image}, {})
    found = ImageLock(
        lock=whole,
        image=recorded.of_value(image, where),
        settings=own.root.strings("settings"),
        formats=own.root.strings("formats"),
    )
    own.finish(f"the lock {path}")
    if found.image.asked is None:
        raise ConfigError(
            f"{path} does not tell what was asked for", hint="remaster lock writes one that does"
        )
    return found
