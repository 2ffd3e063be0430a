"""What a Debian package says of itself: fields and relations (deb-control(5), Debian Policy 5 and 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_VERSION = re.compile(r"(?:\d+:)?[0-9A-Za-z.+~-]*[0-9A-Za-z.+~]\Z")
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w+)?\s*(?:\(\s*(?P<how><<|<=|=|>=|>>|<|>)\s*(?P<version>[\w.+:~-]+)\s*\))?"
    r"\s*(?:\[[^]]*\])?\s*(?:<[^>]*>\s*)*\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One package that would meet a dependency; ``how`` and ``version`` are empty without a condition."""

    name: str
    how: str = ""
    version: str = ""


#: Any of these will do.
Dependency = tuple[Alternative, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The fields that matter here. ``depends`` includes the pre-dependencies."""

    package: str
    version: str
    architecture: str
    depends: tuple[Dependency, ...] = ()
    provides: tuple[str, ...] = ()
    summary: str = ""
    homepage: str = ""
    section: str = ""
    source: str = ""
    essential: bool = False


def is_debian_name(name: str) -> bool:
    """Tell what may be the name of a Debian package."""
    return _NAME.match(name) is not None


def parse_stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of a control file: lower-case field names, further lines after a line break.

    A lone dot stands for an empty line. Raises ``VerifyError`` for a line that is neither.
    """
    fields: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] == "#":
            continue
        elif line[0] in " \t":
            if not last:
                raise VerifyError(f"line {number} continues no field: {line[:60]!r}")
            fields[last] += "\n" + ("" if line.strip() == "." else line[1:].rstrip())
        else:
            found = _FIELD.match(line)
            if found is None:
                raise VerifyError(f"line {number} is no control field: {line[:60]!r}")
            last = found[1].lower()
            fields[last] = found[2].rstrip()
    if fields:
        yield fields


def parse_control(data: bytes) -> Control:
    """Read a package's control file. Raises ``VerifyError`` for one without proper name and version."""
    fields = next(parse_stanzas(data.decode(errors="replace")), {})
    name, version = fields.get("package", ""), fields.get("version", "")
    if not _NAME.match(name) or not _VERSION.match(version):
        raise VerifyError(f"not a package's control file: Package {name!r}, Version {version!r}")
    both = [fields.get(key, "") for key in ("pre-depends", "depends")]
    return Control(
        package=name,
        version=version,
        architecture=fields.get("architecture", ""),
        depends=tuple(found for text in both for found in parse_depends(text)),
        provides=tuple(
            choice.name for any_of in parse_depends(fields.get("provides", "")) for choice in any_of
        ),
        summary=fields.get("description", "").partition("\n")[0],
        homepage=_url(fields.get("homepage", "")),
        section=fields.get("section", "").rpartition("/")[2],
        source=fields.get("source", "").partition(" ")[0],
        essential=fields.get("essential") == "yes",
    )


def parse_depends(text: str) -> tuple[Dependency, ...]:
    """Read a relation field. Raises ``VerifyError`` for a part that is no relation."""
    found = []
    for part in text.replace("\n", " ").split(","):
        if not part.strip():
            continue
        choices = []
        for choice in part.split("|"):
            match = _RELATION.match(choice.strip())
            if match is None:
                raise VerifyError(f"not a dependency: {part.strip()!r}")
            how = {"<": "<=", ">": ">="}.get(match["how"], match["how"]) or ""
            choices.append(Alternative(name=match["name"], how=how, version=match["version"] or ""))
        found.append(tuple(choices))
    return tuple(found)


def depends_text(depends: tuple[Dependency, ...]) -> str:
    """Return a relation field."""
    return ", ".join(
        " | ".join(f"{one.name} ({one.how} {one.version})" if one.how else one.name for one in any_of)
        for any_of in depends
    )


def _url(text: str) -> str:
    return text if re.match(r"https?://\S+\Z", text) else ""
