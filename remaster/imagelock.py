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
from tcz import lock
from tcz.errors import ConfigError
from tcz.toml import Document

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.image import Request
    from remaster.manifest import Facts
    from remaster.recorded import Recorded

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


@functools.cache
def tools() -> tuple[lock.Tool, ...]:
    """Return what decides bytes of an image by its version."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, and only a new image needs it

    found = [lock.Tool(name="tinycore-toolkit", version=tcz.__version__)]
    found += [lock.Tool(name=name, version=metadata.version(name)) for name in _DECIDING_LIBRARIES]
    return tuple(found)


def dumps(request: Request, facts: Facts) -> str:
    """Return the lock of an image."""
    builds = manifest.builds(facts.parts)
    names = tuple(built.recipe for built in builds)
    found = lock.of_builds(builds, recipes=names, epoch=facts.epoch, variant=facts.variant, tools=tools())
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
