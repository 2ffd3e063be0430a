"""Users, groups and folders that a package asks systemd for: sysusers.d(5) and tmpfiles.d(5)."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tcz.importing.draft import Note

_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_SPECIFIERS = {"%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log", "%t": "/run", "%T": "/tmp"}  # noqa: S108
_MADE = frozenset("dDvqQ")
_NOTHING_TO_DO = frozenset("zZxXrRhHaAtTe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A system group; ``gid`` is ``None`` where any will do."""

    name: str
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A system user with a group of its own name, unless ``group`` names another."""

    name: str
    uid: int | None = None
    group: str = ""
    home: str = "/nonexistent"
    shell: str = "/bin/false"
    make_home: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user's membership in a further group."""

    user: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder, file or link that is to be there at run time; ``target`` is a link's, or a file's text."""

    kind: str
    path: str
    mode: int | None = None
    user: str = "root"
    group: str = "root"
    target: str = ""


Account = User | Group | Member


def is_account(name: str) -> bool:
    """Tell a name that user databases take."""
    return _ACCOUNT.match(name) is not None


def parse_sysusers(text: str, where: str) -> tuple[tuple[Account, ...], tuple[Note, ...]]:
    """Read a file of sysusers.d; lines that have no meaning here are told."""
    found: list[Account] = []
    notes = []
    for line in _lines(text):
        words = _words(line)
        kind = words[0].rstrip("!") if words else ""
        name = words[1] if len(words) > 1 else ""
        number = words[2] if len(words) > 2 else "-"  # noqa: PLR2004 - the third column
        if kind == "u" and is_account(name):
            uid, _, group = number.partition(":")
            home, shell = [*(word if word != "-" else "" for word in words[4:6]), "", ""][:2]
            found.append(
                User(
                    name=name,
                    uid=_number(uid),
                    group=group if is_account(group) else "",
                    home=home or "/nonexistent",
                    shell=shell if shell and shell != "/usr/sbin/nologin" else "/bin/false",
                )
            )
        elif kind == "g" and is_account(name):
            found.append(Group(name=name, gid=_number(number)))
        elif kind == "m" and is_account(name) and is_account(number):
            found.append(Member(user=name, group=number))
        elif kind != "r":
            notes.append(Note(verdict="by-hand", where=where, text=f"not understood: {line}"))
    return tuple(found), tuple(notes)


def parse_tmpfiles(text: str, where: str) -> tuple[tuple[Place, ...], tuple[Note, ...]]:
    """Read a file of tmpfiles.d; what cleans or labels is nothing to do, what else there is, told."""
    found = []
    notes = []
    for line in _lines(text):
        words = [*_words(line), *["-"] * 7][:7]
        kind, path = words[0], _expand(words[1])
        letter = kind[:1]
        if letter in _NOTHING_TO_DO or path.startswith(("/proc/", "/sys/")):
            continue
        simple = path.startswith("/") and "%" not in path + words[6] and "/../" not in path + "/"
        if letter not in _MADE | set("LfF") or not simple or "*" in path:
            notes.append(Note(verdict="by-hand", where=where, text=f"not understood: {line}"))
            continue
        mode = re.fullmatch("[:~]?([0-7]{3,4})", words[2])
        found.append(
            Place(
                kind="link" if letter == "L" else "folder" if letter in _MADE else "file",
                path=path.rstrip("/"),
                mode=int(mode[1], 8) if mode else None,
                user=words[3].lstrip(":") if words[3] != "-" else "root",
                group=words[4].lstrip(":") if words[4] != "-" else "root",
                target="" if words[6] == "-" else _expand(words[6]),
            )
        )
    return tuple(found), tuple(notes)


def account_lines(accounts: tuple[Account, ...]) -> tuple[str, ...]:
    """Return what a start-up script does to have these accounts: BusyBox's addgroup and adduser."""
    lines = []
    for one in dict.fromkeys(accounts):
        if isinstance(one, Group):
            lines.append(_group_line(one.name, one.gid))
        elif isinstance(one, Member):
            lines.append(f"addgroup {one.user} {one.group} 2>/dev/null")
        else:
            group = one.group or one.name
            if not one.group:
                lines.append(_group_line(group, one.uid))
            number = "" if one.uid is None else f" -u {one.uid}"
            home = f" -h {shlex.quote(one.home)}" + ("" if one.make_home else " -H")
            options = f"{number}{home} -s {shlex.quote(one.shell)} -G {group}"
            lines.append(f"grep -q '^{one.name}:' /etc/passwd || adduser -S -D{options} {one.name}")
    return tuple(dict.fromkeys(lines))


def place_lines(places: tuple[Place, ...]) -> tuple[str, ...]:
    """Return what a start-up script does to have these folders, files and links."""
    lines = []
    for place in places:
        path = shlex.quote(place.path)
        if place.kind == "link":
            lines.append(f"[ -e {path} ] || ln -s {shlex.quote(place.target)} {path}")
            continue
        owner = shlex.quote(f"{place.user}:{place.group}")
        mode = place.mode if place.mode is not None else (0o755 if place.kind == "folder" else 0o644)
        make = f"mkdir -p {path}"
        if place.kind == "file":
            make = f"printf %s {shlex.quote(place.target)} >{path}"
        # A folder that is there keeps its owner: it may be the base's.
        lines.append(f"[ -e {path} ] || {{ {make} && chown {owner} {path} && chmod {mode:o} {path}; }}")
    return tuple(dict.fromkeys(lines))


def _group_line(name: str, gid: int | None) -> str:
    number = "" if gid is None else f" -g {gid}"
    return f"grep -q '^{name}:' /etc/group || addgroup -S{number} {name}"


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line[0] not in "#;"]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _expand(text: str) -> str:
    for mark, value in _SPECIFIERS.items():
        text = text.replace(mark, value)
    return re.sub(r"^/var/run(?=/)", "/run", text)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None
