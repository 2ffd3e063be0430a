"""Files that go into the root: ``[[file]]`` of a variant, and the option ``--file``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remaster.variant import secrets
from remaster.variant.checks import MODE, OWNER, PATH, path_complaint
from remaster.variant.fields import Many, Shape, Text
from remaster.variant.parts import FileSpec
from tcz.errors import ConfigError, Problem
from tcz.tree import safe_path

if TYPE_CHECKING:
    from tcz import toml


_PATH = Text("path", "Where it is in the image.", rule=PATH, default=None)
_MODE = Text("mode", "Its mode, in octal digits; 644 where nothing is said.", rule=MODE, default="644")
_OWNER = Text("owner", "Whose it is: user:group, by name or number.", rule=OWNER, default="root:root")
_CONTENT = Text("content", "What is in it.", empty=True)
_SOURCE = Text("source", "Or: the file, beside the variant's, that it is a copy of.")
KEY = Many(
    "file",
    "Files of the root; nothing is put into them.",
    Shape((_PATH, _MODE, _OWNER, _CONTENT, _SOURCE)),
    example="""\
[[file]]
path = "/etc/motd"
content = "Welcome\\n"
""",
)


def read_files(table: toml.Table, path: Path) -> tuple[FileSpec, ...]:
    """Return the files of a variant that is at ``path``, sorted; mistakes are noted in its document."""
    found: dict[str, FileSpec] = {}
    for entry in KEY.open(table):
        target, mode, owner = _PATH.read(entry), _MODE.read(entry), _OWNER.read(entry)
        content = _content(entry, path)
        if not target or path_complaint(target):
            continue
        inside = safe_path(target)
        if inside in found:
            entry.fail("path", f"{target} is there twice")
        found[inside] = FileSpec(
            path=inside,
            content=content,
            mode=0o644 if MODE.complaint(mode) else int(mode, 8),
            owner=owner,
            where=entry.where("path"),
        )
    return tuple(found[path] for path in sorted(found))


def _content(entry: toml.Table, path: Path) -> bytes:
    if entry.has(_CONTENT.name) == entry.has(_SOURCE.name):
        entry.fail(None, "give either content or source")
        return b""
    if entry.has(_CONTENT.name):
        content, key = _CONTENT.read(entry).encode(), _CONTENT.name
    else:
        source, key = path.parent / _SOURCE.read(entry), _SOURCE.name
        try:
            content = source.read_bytes()
        except OSError as error:
            entry.fail(key, f"{source} cannot be read: {error.strerror}")
            return b""
    secret = secrets.in_file(content)
    if secret is not None:
        entry.fail(key, secret, secrets.HINT)
    return content


def file_option(text: str) -> FileSpec:
    """Return the file of an option ``HOST:PATH[:MODE[:OWNER]]``; raise ``ConfigError``.

    Without a mode it is 755 for a program, 644 for anything else, whatever the umask was.
    """
    where = f"--file {text}"
    host, _, rest = text.partition(":")
    path, _, rest = rest.partition(":")
    mode, _, owner = rest.partition(":")
    problems = []
    if not host or not path:
        raise ConfigError(f"{where} is not HOST:PATH[:MODE[:OWNER]]", hint="--file ./motd:/etc/motd")
    complaint = path_complaint(path)
    if complaint:
        problems.append(Problem(where=where, message=complaint))
    for given, rule in ((mode, MODE), (owner, OWNER)):
        wrong = rule.complaint(given) if given else None
        if wrong:
            problems.append(Problem(where=where, message=wrong))
    file = Path(host)
    content = b""
    try:
        content = file.read_bytes()
    except OSError as error:
        problems.append(Problem(where=where, message=f"{host} cannot be read: {error.strerror}"))
    secret = secrets.in_file(content)
    if secret is not None:
        problems.append(Problem(where=where, message=f"{host}: {secret}", hint=secrets.HINT))
    if problems:
        raise ConfigError("a file cannot be put into the image", problems)
    usual = 0o755 if file.stat().st_mode & 0o100 else 0o644
    return FileSpec(
        path=safe_path(path),
        content=content,
        mode=int(mode, 8) if mode else usual,
        owner=owner or "root:root",
        where=where,
    )
