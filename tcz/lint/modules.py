"""Checks of kernel modules: where they lie, which kernel they are for, how their package is called."""

from __future__ import annotations

import io
import lzma
import re
import zlib
from typing import TYPE_CHECKING

import zstandard

from tcz.lint.finding import Fault, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

_MODULE = re.compile(r".*/([^/]+\.ko)(\.gz|\.xz|\.zst)?\Z")
_PLACE = re.compile(r"usr/local/lib/modules/([^/]+)/(?:kernel|updates|extra)/")
_RELEASE_IN_PATH = re.compile(r"(?:.*/)?lib/modules/([^/]+)/")
_VERMAGIC = re.compile(rb"vermagic=([^ \0]+)")
_INDEX = re.compile(r"(?:usr/local/|usr/)?lib/modules/[^/]+/modules\.[a-z.]+\Z")
#: Larger than any module unpacked, so that a hostile one does not fill the memory.
_LARGEST = 64 << 20


def _modules(subject: Subject) -> Iterator[str]:
    return (path for path in subject.paths if _MODULE.match(f"/{path}"))


def vermagic(data: bytes, suffix: str) -> str | None:
    """Return the kernel release in a module's vermagic, packed or not; ``None`` where there is none.

    Format: the .modinfo section, ``key=value`` strings that end with a NUL (kernel, include/linux/module.h).
    """
    try:
        match suffix:
            case ".gz":
                data = zlib.decompressobj(wbits=31).decompress(data, _LARGEST)
            case ".xz":
                data = lzma.LZMADecompressor(memlimit=_LARGEST * 2).decompress(data, _LARGEST)
            case ".zst":
                # As a stream: the size that a frame claims for itself is not to be trusted.
                stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST).stream_reader(io.BytesIO(data))
                data = stream.read(_LARGEST)
            case _:
                pass
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError):
        return None
    found = _VERMAGIC.search(data)
    return found[1].decode(errors="replace") if found else None


@check(
    "module-path",
    "error",
    """Kernel modules of a package lie below usr/local/lib/modules/RELEASE/kernel: there kernel.tclocal of the
    base leads depmod and modprobe. Below lib/modules they would mix with the base's own.""",
)
def module_path(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path in _modules(subject) if not _PLACE.match(path))
    if paths:
        yield Fault(message="not below usr/local/lib/modules/RELEASE/kernel", paths=paths)


@check(
    "module-name",
    "error",
    """A package of kernel modules is called NAME-RELEASE.tcz, where RELEASE is what uname -r says of its
    kernel: the loader makes it of NAME-KERNEL.tcz in a .dep. It holds the modules of that one kernel
    only.""",
)
def module_name(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    releases = sorted({match[1] for path in _modules(subject) if (match := _RELEASE_IN_PATH.match(path))})
    if len(releases) > 1:
        yield Fault(message=f"holds modules for several kernels: {', '.join(releases)}")
    elif releases and not subject.name.endswith(f"-{releases[0]}"):
        yield Fault(message=f"holds modules for {releases[0]}, which its name does not end with")


@check(
    "module-vermagic",
    "error",
    """A module says in its vermagic which kernel it was built for, and no other loads it. It must be the
    release in its path and, with --kernel, the kernel asked for.""",
)
def module_vermagic(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    wrong: dict[tuple[str, str], list[str]] = {}
    for path in _modules(subject):
        node = subject.tree[path]
        match, place = _MODULE.match(f"/{path}"), _RELEASE_IN_PATH.match(path)
        if match is None or not node.is_file or node.link is not None:
            continue
        wanted = context.kernel or (place[1] if place else None)
        found = vermagic(node.read(), match[2] or "")
        if found is None:
            wrong.setdefault(("no kernel", wanted or ""), []).append(path)
        elif wanted is not None and found != wanted:
            wrong.setdefault((found, wanted), []).append(path)
    for (found, wanted), paths in sorted(wrong.items()):
        message = (
            "has no vermagic: not a module, or a damaged one"
            if found == "no kernel"
            else f"built for {found}, not for {wanted}"
        )
        yield Fault(message=message, paths=tuple(paths))


@check(
    "module-release",
    "error",
    """Modules for another kernel than the one asked for with --kernel are never found by it: the release is a
    part of their path.""",
)
def module_release(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    for release in subject.releases:
        if context.kernel is not None and release != context.kernel:
            yield Fault(message=f"holds modules for {release}, the kernel is {context.kernel}")


@check(
    "module-index",
    "warning",
    """modules.dep and its like are made by depmod on the machine, over all packages that are loaded. One that
    comes with a package is the index of that package alone, and stands in the way.""",
    repair=lambda subject, _context: subject.without(_indexes(subject)),
)
def module_index(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _indexes(subject)
    if paths:
        yield Fault(message="made by depmod", paths=paths)


def _indexes(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.paths if _INDEX.match(path))


CHECKS = (module_path, module_name, module_vermagic, module_release, module_index)
