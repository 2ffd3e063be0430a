"""Checks of the image: how it was packed, and whether a Tiny Core mounts it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tcz.lint.finding import Fault, check
from tcz.lint.image import PADDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.finding import Level
    from tcz.lint.subject import Subject

OFFICIAL_BLOCK: Final = 4096
OFFICIAL_COMPRESSOR: Final = "gzip"


@check(
    "image-damaged",
    "error",
    """The .tcz must be a whole squashfs image of version 4.0 in which every file can be read. Tiny Core marks
    a package that it cannot mount at boot as installed all the same, and leaves out the rest of what the
    package needs: the damage shows up somewhere else. Build or fetch it again.""",
)
def image_damaged(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.damage is not None:
        yield Fault(message=subject.damage)


def _repair_compressor(subject: Subject, _context: Context) -> Subject:
    return _packed(subject, compressor=OFFICIAL_COMPRESSOR)


def _packed(subject: Subject, *, compressor: str | None = None, block: int | None = None) -> Subject:
    """Return the package with other wishes for its image; it is written anew with them."""
    if subject.image is None:
        return subject
    image = subject.image
    return replace(
        subject,
        image=replace(
            image, compressor=compressor or image.compressor, block=block or image.block, xattrs=False
        ),
    )


@check(
    "image-compressor",
    "warning",
    """Every Tiny Core kernel mounts images compressed with gzip, and the official repository holds no others.
    Which other compressors a kernel has differs from release to release. Packages for a base whose kernel
    is known to read more may use more.""",
    repair=_repair_compressor,
    submission="error",
)
def image_compressor(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    image = subject.image
    if image is None or image.compressor == OFFICIAL_COMPRESSOR:
        return
    known = image.compressor in context.base.compressors
    trusted = known and context.base.name == "floe" and not context.submission
    level: Level | None = "note" if trusted else None if known else "error"
    yield Fault(message=f"compressed with {image.compressor}, not with {OFFICIAL_COMPRESSOR}", level=level)


def _repair_block(subject: Subject, _context: Context) -> Subject:
    return _packed(subject, block=OFFICIAL_BLOCK)


@check(
    "image-block-size",
    "note",
    """The official repository asks for blocks of 4096 bytes, and submitqc packs anything else again. Tiny
    Core up to 10.x mounts no others; from 11.x on any size mounts, and larger blocks make an image about
    a fifth smaller.""",
    repair=_repair_block,
    submission="error",
)
def image_block_size(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    image = subject.image
    if image is None or image.block == OFFICIAL_BLOCK:
        return
    if image.block > context.base.largest_block:
        message = (
            f"blocks of {image.block} bytes; {context.base.name} mounts {context.base.largest_block} at most"
        )
        yield Fault(message=message, level="error")
    elif context.submission:
        yield Fault(message=f"blocks of {image.block} bytes, not of {OFFICIAL_BLOCK}")


@check(
    "image-xattrs",
    "warning",
    """The image stores extended attributes. Tiny Core's kernels are built without SQUASHFS_XATTR, so that
    what they say (file capabilities, for one) is not there on the machine; the official packages are made
    with mksquashfs -no-xattrs.""",
    repair=lambda subject, _context: _packed(subject),
    submission="error",
)
def image_xattrs(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.image is not None and subject.image.xattrs:
        yield Fault(message="the image stores extended attributes")


@check(
    "image-padding",
    "warning",
    """An image's size is a multiple of 4096, as mksquashfs leaves it: a loop device ends at a whole block,
    and what lies in a last part of one may be out of reach.""",
    repair=lambda subject, _context: _packed(subject),
)
def image_padding(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.image is not None and subject.image.size % PADDING:
        yield Fault(message=f"the file has {subject.image.size} bytes, not a multiple of {PADDING}")


@check(
    "image-appended",
    "warning",
    """mksquashfs adds to an image that exists unless it is told -noappend, and calls what was there before
    NAME_1. A name such as usr_1 in the root folder tells of it: the old content is packed along.""",
)
def image_appended(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    tops = {path for path in subject.tree if path and "/" not in path}
    for path in sorted(tops):
        stem, mark, number = path.rpartition("_")
        if mark and number.isdigit() and stem in tops:
            yield Fault(message=f"{path} beside {stem}: the image was appended to", paths=(path,))


CHECKS = (image_damaged, image_compressor, image_block_size, image_xattrs, image_padding, image_appended)
