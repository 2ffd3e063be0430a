"""Users put into a root file system: passwd, group, shadow, gshadow, shells, sudoers, homes with keys.

Formats: passwd(5), group(5), shadow(5), gshadow(5), sudoers(5). Nothing of what the base has is changed but
what a user of the variant needs; passwords of those are locked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz.errors import Problem
from tcz.toml import guess
from tcz.tree import Tree, directory, regular

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.variant.users import User
    from tcz.tree import Node

PASSWD: Final = "etc/passwd"  # noqa: S105 - a path
GROUP: Final = "etc/group"
_SHADOW: Final = "etc/shadow"
_GSHADOW: Final = "etc/gshadow"
_SHELLS: Final = "etc/shells"
_SUDOERS: Final = "etc/sudoers"
_SKELETON: Final = "etc/skel"
#: Files that are written where there are users.
FILES: Final = (PASSWD, GROUP, _SHADOW, _GSHADOW, _SHELLS, _SUDOERS)
#: Files that no file of a variant may replace: the base's own users would be gone.
GUARDED: Final = (PASSWD, GROUP, _SHADOW, _GSHADOW)
GUARDED_WHY: Final = "the base's users and groups are in this file, and would be gone"
#: Groups that the services of engines make when they start, with the numbers that they would take.
_LATER: Final = {"docker": 101, "podman": 102}
_FIRST_USER: Final = 1002
_FIRST_GROUP: Final = 102
_NO_LOGIN: Final = ("/bin/false", "/sbin/nologin")
#: A password that no text has as its hash; "!" would make some servers refuse keys as well.
_LOCKED: Final = "*"
_DAY: Final = 86400


@dataclass(slots=True)
class _Accounts:
    passwd: dict[str, list[str]]
    group: dict[str, list[str]]
    shadow: dict[str, list[str]]
    gshadow: dict[str, list[str]]
    problems: list[Problem] = field(default_factory=list)


def lay(base: Tree, users: Iterable[User], epoch: int) -> tuple[dict[str, Node], tuple[Problem, ...]]:
    """Return the files and folders that put ``users`` into ``base``, and what cannot be done."""
    users = tuple(users)
    if not users:
        return {}, ()
    accounts = _Accounts(
        passwd=_rows(base, PASSWD),
        group=_rows(base, GROUP),
        shadow=_rows(base, _SHADOW),
        gshadow=_rows(base, _GSHADOW),
    )
    if "root" not in accounts.passwd:
        problem = Problem(where=users[0].where, message="the base has no /etc/passwd with root in it")
        return {}, (problem,)
    nodes: dict[str, Node] = {}
    # Those who ask for a number first, so that nobody is given it.
    for user in sorted(users, key=lambda user: (user.name not in accounts.passwd, user.uid is None)):
        _add(accounts, user, epoch)
        nodes |= _home(base, accounts.passwd.get(user.name), user, epoch)
    for path, rows in (
        (PASSWD, accounts.passwd),
        (GROUP, accounts.group),
        (_SHADOW, accounts.shadow),
        (_GSHADOW, accounts.gshadow),
    ):
        if rows:
            text = "".join(f"{':'.join(row)}\n" for row in rows.values())
            nodes[path] = _like(base, path, text, epoch)
    nodes |= _lists(base, users, epoch)
    return nodes, tuple(accounts.problems)


def _rows(base: Tree, path: str) -> dict[str, list[str]]:
    rows = (line.split(":") for line in _text(base, path).splitlines() if ":" in line)
    return {row[0]: row for row in rows}


def _text(base: Tree, path: str) -> str:
    node = base.get(path)
    if node is not None and node.link is not None:
        node = base.get(node.link)
    return node.read().decode(errors="replace") if node is not None and node.is_file else ""


def _like(base: Tree, path: str, text: str, epoch: int) -> Node:
    """Return a file with the mode and owner that the base's has."""
    old = base.get(path)
    if old is None or not old.is_file:
        return regular(text.encode(), mode=0o640 if "shadow" in path else 0o644, mtime=epoch)
    return regular(text.encode(), mode=old.mode & 0o7777, uid=old.uid, gid=old.gid, mtime=epoch)


def _add(accounts: _Accounts, user: User, epoch: int) -> None:
    row = accounts.passwd.get(user.name)
    if row is None:
        row = _new(accounts, user)
    else:
        for key, wanted, has in (("uid", user.uid, row[2]), ("gid", user.gid, row[3])):
            if wanted is not None and str(wanted) != has:
                _refuse(accounts, user, f"the base's user {user.name} has {key} {has}, which stays")
        if user.shell:
            row[6] = user.shell
    day = str(epoch // _DAY)
    shadow = accounts.shadow.setdefault(user.name, [user.name, _LOCKED, day, "0", "99999", "7", "", "", ""])
    shadow[1] = _LOCKED
    row[1] = "x"
    for name in user.groups:
        _join(accounts, user, name)


def _new(accounts: _Accounts, user: User) -> list[str]:
    uid = user.uid
    taken = {row[2]: name for name, row in accounts.passwd.items()}
    if uid is None:
        groups = _numbers(accounts.group)
        uid = next(
            number
            for number in range(_FIRST_USER, _FIRST_USER + len(taken) + len(groups) + 1)
            if str(number) not in taken and (user.gid is not None or number not in groups)
        )
    elif str(uid) in taken:
        _refuse(accounts, user, f"uid {uid} is {taken[str(uid)]}'s")
    gid = user.gid
    if gid is None:
        gid = _own_group(accounts, user, uid)
    elif str(gid) not in {row[2] for row in accounts.group.values()}:
        if user.name in accounts.group:
            has = accounts.group[user.name][2]
            _refuse(accounts, user, f"there is no group {gid}, and the group {user.name} has gid {has}")
        else:
            _make_group(accounts, user.name, gid)
    row = [user.name, "x", str(uid), str(gid), user.name, f"/home/{user.name}", user.shell or "/bin/sh"]
    accounts.passwd[user.name] = row
    return row


def _own_group(accounts: _Accounts, user: User, uid: int) -> int:
    old = accounts.group.get(user.name)
    if old is not None:
        return int(old[2])
    gid = uid if uid not in _numbers(accounts.group) else _free(accounts, _FIRST_USER)
    _make_group(accounts, user.name, gid)
    return gid


def _numbers(group: dict[str, list[str]]) -> set[int]:
    return {int(row[2]) for row in group.values() if row[2].isdecimal()} | set(_LATER.values())


def _free(accounts: _Accounts, first: int) -> int:
    taken = _numbers(accounts.group)
    return next(number for number in range(first, first + len(taken) + 1) if number not in taken)


def _make_group(accounts: _Accounts, name: str, gid: int) -> None:
    accounts.group[name] = [name, "x", str(gid), ""]
    if accounts.gshadow:
        accounts.gshadow[name] = [name, "!", "", ""]


def _join(accounts: _Accounts, user: User, name: str) -> None:
    if name not in accounts.group:
        if name not in _LATER:
            known = (*accounts.group, *_LATER)
            message = f"the base has no group {name}; it has {', '.join(sorted(accounts.group))}"
            _refuse(accounts, user, message, guess(name, known) or "")
            return
        taken = {row[2] for row in accounts.group.values()}
        number = _LATER[name]
        _make_group(accounts, name, _free(accounts, _FIRST_GROUP) if str(number) in taken else number)
    for rows in (accounts.group, accounts.gshadow):
        row = rows.get(name)
        if row is not None:
            members = [member for member in row[3].split(",") if member]
            row[3] = ",".join([*members, user.name] if user.name not in members else members)


def _refuse(accounts: _Accounts, user: User, message: str, hint: str = "") -> None:
    accounts.problems.append(Problem(where=user.where, message=message, hint=hint or None))


def _home(base: Tree, row: list[str] | None, user: User, epoch: int) -> dict[str, Node]:
    """Return the user's home with what new homes have in them, and the keys."""
    if row is None:
        return {}
    home, uid, gid = row[5].strip("/"), int(row[2]), int(row[3])
    nodes: dict[str, Node] = {}
    if home not in base:
        nodes[home] = directory(0o755, uid=uid, gid=gid, mtime=epoch)
        for path, node in base.items():
            if path.startswith(f"{_SKELETON}/") and node.is_file:
                name = path.removeprefix(f"{_SKELETON}/")
                content = _text(base, path).encode()
                nodes[f"{home}/{name}"] = regular(
                    content, mode=node.mode & 0o777, uid=uid, gid=gid, mtime=epoch
                )
    if user.keys:
        text = "".join(f"{key.line}\n" for key in user.keys).encode()
        nodes[f"{home}/.ssh"] = directory(0o700, uid=uid, gid=gid, mtime=epoch)
        nodes[f"{home}/.ssh/authorized_keys"] = regular(text, mode=0o600, uid=uid, gid=gid, mtime=epoch)
    return nodes


def _lists(base: Tree, users: tuple[User, ...], epoch: int) -> dict[str, Node]:
    """Return the lists of shells and of those who may become root, where they change."""
    nodes = {}
    shells = _text(base, _SHELLS) or "/bin/sh\n"
    new = dict.fromkeys(
        user.shell for user in users if user.shell and user.shell not in (*shells.split(), *_NO_LOGIN)
    )
    if new:
        nodes[_SHELLS] = _like(base, _SHELLS, shells + "".join(f"{shell}\n" for shell in new), epoch)
    sudoers = _text(base, _SUDOERS)
    granted = [user.name for user in users if user.sudo and f"\n{user.name}\t" not in sudoers]
    if granted:
        text = sudoers + "".join(f"{name}\tALL=(ALL:ALL) NOPASSWD: ALL\n" for name in granted)
        old = base.get(_SUDOERS)
        node = _like(base, _SUDOERS, text, epoch)
        nodes[_SUDOERS] = node if old is not None else regular(text.encode(), mode=0o440, mtime=epoch)
    return nodes
