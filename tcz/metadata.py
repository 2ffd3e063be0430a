"""The small text files beside a package: .dep .md5.txt .list .info .tree, as values and back.

Writers are strict: only what every script of Tiny Core reads in the same way. Readers accept what
a real mirror holds: stray blanks, blank lines, missing final newlines, misspelt keys, other
encodings. The formats are those of Tiny Core's own scripts and of its public repository.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tcz.errors import VerifyError
from tcz.names import file_name, package_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MD5 = re.compile(r"([0-9a-f]{32})  (\S+)\n\Z")
_MD5_LOOSE = re.compile(r"([0-9a-fA-F]{32})\s+\*?(?:\./)?(\S+)")
_START = re.compile(r"\A(?:\./|/)+")
_COLUMN = 16
_KIB_SHOWN = 1000


def decode(data: bytes) -> str:
    """Return text of a mirror: UTF-8, else Latin-1 (a handful of old files), without CRs."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n")


# -- .dep -----------------------------------------------------------------------------------------


def dep_text(needs: Iterable[str]) -> str | None:
    """Return a .dep file for package names without suffix, or ``None``: no needs, no file.

    One file name a line, no blanks, no comments, a final newline: what all readers agree on.
    Raises ``ConfigError`` for a name outside the grammar.
    """
    return "".join(file_name(package_name(name)) + "\n" for name in needs) or None


def parse_dep(text: str) -> tuple[str, ...]:
    """Return the names in a .dep file, without suffix, in order, each once.

    Blanks within lines vanish, as in Tiny Core's loader. Raises ``ConfigError`` for a name that
    would be unsafe to pass on.
    """
    names = ("".join(line.split()) for line in text.splitlines())
    return tuple(dict.fromkeys(package_name(name) for name in names if name))


# -- .md5.txt -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Md5:
    """The md5 of a file and its bare name."""

    md5: str
    name: str


def md5_text(entry: Md5) -> str:
    """Return exactly what ``md5sum`` prints; raises ``VerifyError`` for anything else."""
    text = f"{entry.md5}  {entry.name}\n"
    if not _MD5.match(text):
        raise VerifyError(f"not an md5 and a bare file name: {text!r}")
    return text


def parse_md5(text: str) -> Md5:
    """Read the first line of a .md5.txt file; raises ``VerifyError`` (an HTML page, an empty file)."""
    for line in text.splitlines():
        found = _MD5_LOOSE.fullmatch(line.strip())
        if found:
            return Md5(md5=found[1].lower(), name=found[2])
        if line.strip():
            break
    raise VerifyError("not an .md5.txt file", why=f"it begins {text[:40]!r}")


# -- .list ----------------------------------------------------------------------------------------


def list_text(paths: Iterable[str]) -> str:
    """Return a .list file: one path a line, sorted bytewise.

    Paths are relative to ``/`` without a leading slash: both styles occur in the official
    repository and nothing parses them, but ``provides.db`` is built from the same paths and its
    readers ask for ``usr/local/bin/x``.
    """
    ordered = sorted(set(paths), key=lambda path: path.encode(errors="surrogateescape"))
    return "".join(f"{path}\n" for path in ordered)


def parse_list(text: str) -> tuple[str, ...]:
    """Return the paths of a .list file in any of the three styles in use, sorted."""
    lines = {line.strip() for line in text.split("\n")}
    found = {_START.sub("", line) if line.startswith((".", "/")) else line for line in lines} - {""}
    # The order of code points is that of bytes, but where a byte is no text.
    return tuple(sorted(found, key=None if text.isascii() else _bytes))


def _bytes(path: str) -> bytes:
    return path.encode(errors="surrogateescape")


# -- .info ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """An .info file. Values may have several lines; the order of the fields is the canonical one."""

    title: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    original_site: str = ""
    copying_policy: str = ""
    size: str = ""
    extension_by: str = ""
    tags: str = ""
    comments: str = ""
    change_log: str = ""
    current: str = ""


#: The keys as they are spelt in the file, by field.
_KEY_OF = {
    field.name: field.name.capitalize()
    if field.name == "extension_by"
    else field.name.capitalize().replace("_", "-")
    for field in fields(Info)
}
#: Keys as readers compare them: lower case, letters only; with the misspellings that occur.
_FIELD_OF = {re.sub("[^a-z]", "", name): name for name in _KEY_OF} | {
    "descritpion": "description",
    "desription": "description",
    "originalsite": "original_site",
    "copyingpolicy": "copying_policy",
}
_KEY_LINE = re.compile(r"([A-Za-z][A-Za-z_ -]{0,20}?)\s*:(.*)\Z")
_RULER = re.compile(r"-{3,}\s*\Z")


def info_text(info: Info) -> str:
    """Return an .info file: every key in canonical order, values and their further lines at column 17."""
    lines = []
    for field, key in _KEY_OF.items():
        value: str = getattr(info, field)
        first, *rest = [line.strip() for line in value.splitlines() if line.strip()] or [""]
        lines.append(f"{key + ':':<{_COLUMN}}{first}".rstrip())
        lines += [" " * _COLUMN + line for line in rest]
    return "\n".join(lines) + "\n"


def parse_info(text: str) -> Info:
    """Read an .info file of a mirror: any padding, continuation lines, rulers, known misspellings.

    Lines before the first key, and keys outside the format (``Project``), are left out.
    """
    values: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if not line.strip() or _RULER.match(line):
            continue
        found = _KEY_LINE.match(line)
        name = re.sub("[^a-z]", "", found[1].lower()) if found else ""
        if found and name == "project":
            current = []
        elif found and name in _FIELD_OF:
            current = values.setdefault(_FIELD_OF[name], [])
            current.append(found[2].strip())
        else:
            current.append(line.strip())
    return Info(**{field: "\n".join(lines).strip() for field, lines in values.items()})


def human_size(size: int) -> str:
    """Return a size as .info files write it: ``388K``, ``1.2M``."""
    kib = -(-size // 1024)
    return f"{kib}K" if kib < _KIB_SHOWN else f"{size / 1048576:.1f}M"


# -- .tree ----------------------------------------------------------------------------------------

_INDENT = 3


def tree_text(name: str, needs: Callable[[str], Sequence[str] | None]) -> str:
    """Return a .tree file: the package, below it what it needs, depth first, repeated where needed again.

    ``needs`` returns the direct needs of a name, ``None`` for one that is unknown (it is listed all
    the same). A package that would stand below itself is listed and not followed.
    """
    lines: list[str] = []

    def walk(current: str, above: tuple[str, ...]) -> None:
        lines.append(" " * _INDENT * len(above) + file_name(current))
        if current not in above:
            for need in needs(current) or ():
                walk(need, (*above, current))

    walk(name, ())
    return "\n".join(lines) + "\n\n"


def parse_tree(text: str) -> tuple[tuple[int, str], ...]:
    """Return depth and name (without suffix) of each line of a .tree file."""
    rows = []
    for line in text.splitlines():
        name = line.strip()
        if name:
            rows.append(((len(line) - len(line.lstrip())) // _INDENT, str(package_name(name))))
    return tuple(rows)
