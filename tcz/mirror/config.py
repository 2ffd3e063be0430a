"""``mirror.toml``: what a mirror is, read strictly and written by ``tcz mirror init``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tcz import toml
from tcz.errors import ConfigError
from tcz.mirror import views
from tcz.mirror.model import ARCHITECTURES, Branch
from tcz.mirror.repository import CONFIG
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA: Final = 1
KEEP: Final = 3
_SCHEMES = ("http", "https", "rsync", "file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.]*\Z")
_KEY = re.compile(r"[A-Za-z0-9+/]{20,100}={0,2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A mirror that this one copies from. ``url``: http(s), rsync, or a folder; ``key``: whose signature.

    ``authorities`` is a file of certificates, of which one vouches for the server; empty for the usual ones.
    Of two that offer a package, the one of the higher priority is asked.
    """

    name: str
    url: str
    priority: int = 0
    key: str = ""
    authorities: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A mirror's configuration.

    ``keep`` counts states that stay. ``locks`` are files, relative to the mirror, whose packages stay.
    ``keys`` are the public keys that sign it. ``latest`` holds Tiny Core's newest version by architecture.
    """

    title: str = ""
    branches: tuple[Branch, ...] = ()
    keep: int = KEEP
    locks: tuple[str, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    keys: tuple[str, ...] = ()
    latest: Mapping[str, str]

    def branch(self, text: str | None) -> Branch:
        """Return the branch that is meant, the only one if none is named. Raises ``ConfigError``."""
        known = ", ".join(map(str, self.branches)) or "it has none"
        if text is None:
            if len(self.branches) == 1:
                return self.branches[0]
            raise ConfigError("the mirror has more than one branch", hint=f"--branch, one of: {known}")
        found = Branch.parse(text)
        if found not in self.branches:
            raise ConfigError(
                f"the mirror has no branch {found}", hint=f"its branches are in {CONFIG}: {known}"
            )
        return found


def read(root: Path) -> Config:
    """Read the configuration of the mirror in ``root``; raises ``ConfigError`` with all its mistakes."""
    return _read(toml.read(root / CONFIG))


def loads(text: str, where: str) -> Config:
    """Read a configuration's text; ``where`` names it in messages. Raises ``ConfigError``."""
    return _read(toml.parse(text, where))


def _read(document: toml.Document) -> Config:
    root = document.root
    schema = root.integer("schema")
    if schema != SCHEMA and not document.failed:
        root.fail("schema", f"{schema} is not known: this version reads schema {SCHEMA}")
    signing, latest = root.table("signing"), root.table("latest")
    found = Config(
        title=root.string("title", "", check=_line, empty=True),
        branches=_branches(root),
        keep=root.integer("keep", KEEP, low=1, high=10_000),
        locks=root.strings("locks", ()),
        upstreams=tuple(upstream(table) for table in root.tables("upstream")),
        keys=signing.strings("keys", (), check=_key),
        latest={arch: latest.string(arch, check=_version) for arch in _architectures(latest)},
    )
    names = [one.name for one in found.upstreams]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        root.fail("upstream", f"two have the name {twice!r}")
    document.finish(f"the configuration {document.where}")
    return found


def _branches(root: toml.Table) -> tuple[Branch, ...]:
    found = []
    for index, text in enumerate(root.strings("branches", ())):
        try:
            found.append(Branch.parse(text))
        except ConfigError as error:
            root.fail_item("branches", index, error.what, error.hint)
    if len(set(found)) < len(found):
        root.fail("branches", "one is there twice")
    return tuple(found)


def _architectures(table: toml.Table) -> tuple[str, ...]:
    for name in table.names():
        if name not in ARCHITECTURES:
            table.fail(name, f"is no architecture: {', '.join(ARCHITECTURES)}")
    return tuple(name for name in table.names() if name in ARCHITECTURES)


def upstream(table: toml.Table) -> Upstream:
    """Read one mirror's table, whatever the mirrors in the file are for."""
    return Upstream(
        name=table.string("name", check=_name),
        url=table.string("url", check=place),
        priority=table.integer("priority", 0, high=1000),
        key=table.string("key", "", check=_key),
        authorities=table.string("ca", "", check=_file),
    )


def place(text: str) -> str | None:
    """Complain of what is neither a URL of a known scheme nor the absolute path of a folder."""
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        return "holds blanks"
    if text.startswith("/"):
        return None
    try:
        parts = urlsplit(text)
    except ValueError as error:
        return str(error)
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.scheme == "file"):
        return "is neither a URL (http, https, rsync, file) nor a folder's absolute path"
    try:
        views.split(text)
    except ConfigError as error:
        return error.hint
    return None


def _file(text: str) -> str | None:
    if not text.startswith("/") or not text.isprintable():
        return "is not the absolute path of a file"
    return None


def _line(text: str) -> str | None:
    return None if text.isprintable() else "is not one line of text"


def _name(text: str) -> str | None:
    return None if _NAME.match(text) else "is not a name of letters, digits and . _ -"


def _version(text: str) -> str | None:
    return None if _VERSION.match(text) else "is not a version such as 17.0"


def _key(text: str) -> str | None:
    return None if _KEY.match(text) else "is not a public key in base 64"


def dumps(config: Config) -> str:
    """Return the text of a configuration; reading it gives the same value."""
    lines = [
        f"schema = {SCHEMA}",
        f"title = {_quoted(config.title)}",
        f"branches = {_listed([str(branch) for branch in config.branches])}",
        f"keep = {config.keep}",
    ]
    if config.locks:
        lines.append(f"locks = {_listed(config.locks)}")
    for upstream in config.upstreams:
        lines += ["", "[[upstream]]", f"name = {_quoted(upstream.name)}", f"url = {_quoted(upstream.url)}"]
        lines += [f"priority = {upstream.priority}"] if upstream.priority else []
        lines += [f"key = {_quoted(upstream.key)}"] if upstream.key else []
        lines += [f"ca = {_quoted(upstream.authorities)}"] if upstream.authorities else []
    if config.keys:
        lines += ["", "[signing]", f"keys = {_listed(config.keys)}"]
    if config.latest:
        lines += ["", "[latest]", *(f"{arch} = {_quoted(text)}" for arch, text in config.latest.items())]
    return "\n".join(lines) + "\n"


def add_key(root: Path, key: str) -> Config:
    """Make ``key`` the newest that the mirror in ``root`` is signed with; return the configuration.

    All else in the file stays as it is, comments included.
    """
    import tomlkit  # noqa: PLC0415 - only this changes a file that is there

    config = read(root)
    if config.keys[-1:] == (key,):
        return config
    document = tomlkit.parse((root / CONFIG).read_text(encoding="utf-8"))
    if "signing" not in document:
        document["signing"] = tomlkit.table()
    array = tomlkit.array()
    array.extend([*(one for one in config.keys if one != key), key])
    document["signing"]["keys"] = array
    with replacing(root / CONFIG, lasting=True) as temporary:
        temporary.write_text(tomlkit.dumps(document), encoding="utf-8")
    return read(root)


def _quoted(text: str) -> str:
    # A string of JSON is one of TOML, but for DEL and characters that JSON writes as two surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def write(root: Path, config: Config) -> None:
    """Write the configuration of the mirror in ``root``, in one step."""
    with replacing(root / CONFIG, lasting=True) as temporary:
        temporary.write_text(dumps(config), encoding="utf-8")
