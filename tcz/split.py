"""Which files of a build are for developers, readers and speakers of other languages.

The package that holds the rest of a build is split as Tiny Core's own are: NAME, and NAME-dev,
NAME-doc and NAME-locale where there is anything for them. Paths alone decide here; what only the bytes
tell (whether a link serves linking only) is for the caller to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tcz.model import PackageSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.model import Recipe

Part = Literal["main", "dev", "doc", "locale"]
PARTS: tuple[Part, ...] = ("dev", "doc", "locale")

_PREFIX = r"(?:usr/local/|usr/|)"
_LIB = r"lib(?:32|64|x32)?(?:/[^/]+-linux-[^/]+)?"

#: A folder below share/doc that comes with every copy of the program.
LICENCE_FOLDER = "usr/local/share/doc"
_LICENCE = re.compile(
    r"(?:(?:COPYING|LICEN[CS]ES?|NOTICE|COPYRIGHT|UNLICENSE)(?:[.\-_][^/]*)?|[^/]+\.(?:LICEN[CS]E|COPYING))\Z",
    re.IGNORECASE,
)
_DEV = re.compile(
    rf"{_PREFIX}(?:"
    rf"include/.+|{_LIB}/.+\.l?a|(?:{_LIB}|share)/pkgconfig/.+|(?:{_LIB}|share)/cmake/.+"
    r"|share/aclocal(?:-[^/]+)?/.+|share/gir-1\.0/.+|share/vala/vapi/.+)\Z",
    re.DOTALL,
)
_DOC = re.compile(
    rf"{_PREFIX}(?:(?:share/)?(?:man|info)|share/(?:doc|gtk-doc|doc-base|help))/.+\Z", re.DOTALL
)
_LOCALE = re.compile(rf"{_PREFIX}(?:share/(?:locale|i18n)|{_LIB}/locale)/.+\Z", re.DOTALL)
_LINK_NAME = re.compile(rf"{_PREFIX}{_LIB}/(lib[^/]+\.so)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    summary: str
    tag: str


_TEXTS: Mapping[Part, _Text] = {
    "dev": _Text(summary="development files", tag="development"),
    "doc": _Text(summary="documentation", tag="documentation"),
    "locale": _Text(summary="translations", tag="locale"),
}


def is_licence(path: str) -> bool:
    """Tell a licence text by its name, or by that of a folder LICENSES above it."""
    *folders, name = path.split("/")
    return _LICENCE.match(name) is not None or bool({"LICENSES", "LICENCES"} & set(folders))


def part_of(path: str) -> Part:
    """Return what a staged path is for. Licence texts below share/doc stay with the program."""
    if _DEV.match(path):
        return "dev"
    if _DOC.match(path):
        return "main" if "/doc/" in f"/{path}" and is_licence(path) else "doc"
    return "locale" if _LOCALE.match(path) else "main"


def is_link_name(path: str) -> bool:
    """Tell a name that the linker asks for, ``libNAME.so`` in a folder of libraries."""
    return _LINK_NAME.match(path) is not None


def main_package(recipe: Recipe) -> PackageSpec | None:
    """Return the package that holds the rest of the recipe's build, if one does."""
    return next((spec for spec in recipe.packages if spec.rest), None)


def parts(recipe: Recipe) -> Mapping[Part, PackageSpec]:
    """Return the packages that are split off the main one, by part; each may turn out to be empty.

    A package that the recipe itself gives the name of a part takes that part's files in.
    """
    main = main_package(recipe)
    if main is None or not recipe.build.split or main.form != "extension" or main.name.endswith("-KERNEL"):
        return {}
    named = {spec.name: spec for spec in recipe.packages}
    found: dict[Part, PackageSpec] = {}
    for part in PARTS:
        name = f"{main.name}-{part}"
        text = _TEXTS[part]
        found[part] = named.get(name) or PackageSpec(
            name=name,
            files=(),
            needs=(main.name,) if part == "dev" else (),
            summary=f"{main.summary or recipe.summary} ({text.summary})",
            tags=tuple(dict.fromkeys((*main.tags, text.tag))),
            owners=main.owners,
        )
    return found


def products(recipe: Recipe) -> tuple[PackageSpec, ...]:
    """Return all packages that a recipe may make: those it names, then those split off, empty or not."""
    named = {spec.name for spec in recipe.packages}
    return (*recipe.packages, *(spec for spec in parts(recipe).values() if spec.name not in named))
