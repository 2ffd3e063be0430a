"""Files that go into the root: ``[[file]]`` of a variant, and the option ``--file``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remaster.variant.checks import MODE, OWNER, matching, path_complaint
from remaster.variant.model import FileSpec
from tcz.errors import ConfigError, Problem
from tcz.tree import safe_path

if TYPE_CHECKING:
    from tcz import toml


def read_files(table: toml.Table, path: Path) -> tuple[FileSpec, ...]:
    """Return the files of a variant that is at ``path``, sorted; mistakes are noted in its document."""
    found: dict[str, FileSpec] = {}
    for entry in table.tables("file"):
        target = entry.string("path", check=path_complaint)
        mode = entry.string("mode", "644", check=matching(MODE, "an octal mode such as 644"))
        owner = entry.string("owner", "root:root", check=matching(OWNER, "user:group"))
        content = _content(entry, path)
        if not target or path_complaint(target):
            continue
        inside = safe_path(target)
        if inside in found:
            entry.fail("path", f"{target} is there twice")
        found[inside] = FileSpec(
            path=inside,
            content=content,
            mode=int(mode, 8) if MODE.fullmatch(mode) else 0o644,
            owner=owner,
            where=entry.where("path"),
        )
    return tuple(found[path] for path in sorted(found))


def _content(entry: toml.Table, path: Path) -> bytes:
    if entry.has("content") == entry.has("source"):
        entry.fail(None, "give either content or source")
        return b""
    if entry.has("content"):
        return entry.string("content", empty=True).encode()
    source = path.parent / entry.string("source")
    try:
        return source.read_bytes()
    except OSError as error:
        entry.fail("source", f"{source} cannot be read: {error.strerror}")
        return b""


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
    if mode and not MODE.fullmatch(mode):
        problems.append(Problem(where=where, message=f"{mode!r} is not an octal mode such as 644"))
    if owner and not OWNER.fullmatch(owner):
        problems.append(Problem(where=where, message=f"{owner!r} is not user:group"))
    file = Path(host)
    content = b""
    try:
        content = file.read_bytes()
    except OSError as error:
        problems.append(Problem(where=where, message=f"{host} cannot be read: {error.strerror}"))
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
