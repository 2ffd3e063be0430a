"""What a package is looked at against: a base, a kernel, other packages, and how strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcz.lint.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.bases import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """``shell`` returns what is wrong with the syntax of a shell script, or ``None``.

    It is ``None`` itself where this machine has no shell to ask. ``others`` holds the packages that are
    looked at too, ``published`` only those that were there before. ``kernel`` is the release that module
    packages are for, where it is given.
    """

    base: Base
    kernel: str | None = None
    others: Catalogue = field(default_factory=Catalogue)
    published: Catalogue = field(default_factory=Catalogue)
    submission: bool = False
    shell: Callable[[bytes], str | None] | None = None
