"""``[[user]]``: people who may log in, with keys. Passwords are locked always: an image keeps no secret.

A user that the base has already (tc) gets keys and groups; any other one is made, with a home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster import sshkey
from remaster.variant.fields import Flag, Many, MaybeNumber, Rule, Shape, Text, Texts

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.sshkey import PublicKey
    from tcz import toml

_LARGEST: Final = 65533
_ACCOUNT: Final = Rule(r"[a-z_][a-z0-9_-]{0,30}", "a user's name such as anna")
_GROUP: Final = Rule(r"[a-z_][a-z0-9_-]{0,30}", "a group's name such as docker")

NAME = Text("name", "The name that logs in; tc is the user that Tiny Core has.", rule=_ACCOUNT, default=None)
UID = MaybeNumber("uid", "The user's number; the first free one from 1002 otherwise.", low=1, high=_LARGEST)
GID = MaybeNumber("gid", "The number of the first group; a group of the user's own otherwise.", high=_LARGEST)
GROUPS = Texts("groups", "Further groups: those of the base, docker and podman.", rule=_GROUP)
SHELL = Text(
    "shell",
    "The log-in shell; /bin/false lets nobody in.",
    rule=Rule(r"/[A-Za-z0-9/._-]+", "the path of a program"),
    default="/bin/sh",
)
KEYS = Texts("ssh-keys", "Public SSH keys, as lines or as files (.pub) beside the variant's.")
SUDO = Flag("sudo", "Whether the user may do everything as root, without being asked.")
KEY = Many(
    "user",
    "People who may log in, with SSH keys; passwords are locked.",
    Shape((NAME, UID, GID, GROUPS, SHELL, KEYS, SUDO)),
    example="""\
[[user]]
name = "anna"
groups = ["docker"]
ssh-keys = ["anna.pub"]
""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user; ``shell`` is empty where nothing is said."""

    name: str
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    shell: str = ""
    keys: tuple[PublicKey, ...] = ()
    sudo: bool = False
    where: str = ""


def read(table: toml.Table, path: Path) -> tuple[User, ...]:
    """Return the users; ``path`` is the variant's file. Two of one name are a mistake."""
    found: list[User] = []
    for inner in KEY.open(table):
        user = User(
            name=NAME.read(inner),
            uid=UID.read(inner),
            gid=GID.read(inner),
            groups=GROUPS.read(inner),
            shell=SHELL.read(inner) if inner.has(SHELL.name) else "",
            keys=_keys(inner, path),
            sudo=SUDO.read(inner),
            where=inner.where(),
        )
        if any(user.name == one.name for one in found):
            inner.fail(NAME.name, f"{user.name} is there twice")
        if user.name == "root":
            inner.fail(NAME.name, "root has no log-in over the network; give another user sudo = true")
        found.append(user)
    return tuple(found)


def _keys(table: toml.Table, path: Path) -> tuple[PublicKey, ...]:
    found: dict[str, PublicKey] = {}
    for index, text in enumerate(KEYS.read(table)):
        where = table.where(KEYS.name)
        if any(kind in text.split() for kind in sshkey.TYPES) or "PRIVATE KEY" in text:
            keys, problems = sshkey.parse(text, where)
        else:
            file = path.parent / text
            try:
                keys, problems = sshkey.parse(file.read_text(), str(file))
            except OSError as error:
                table.fail_item(KEYS.name, index, f"{file} cannot be read: {error.strerror}", _OR_LINE)
                continue
            except UnicodeDecodeError:
                table.fail_item(KEYS.name, index, f"{file} is no text, so no public key")
                continue
        for problem in problems:
            table.fail_item(KEYS.name, index, problem.message, problem.hint)
        found |= {key.line: key for key in keys}
    return tuple(found.values())


_OR_LINE: Final = "a public key itself begins with its type, such as ssh-ed25519"


def merged(first: tuple[User, ...], then: tuple[User, ...]) -> tuple[User, ...]:
    """Return both; of one user keys and groups are joined, and what ``then`` says counts."""
    found = {one.name: one for one in first}
    for one in then:
        old = found.get(one.name)
        found[one.name] = one if old is None else _both(old, one)
    return tuple(found.values())


def _both(old: User, new: User) -> User:
    keys = {key.line: key for key in (*old.keys, *new.keys)}
    return User(
        name=new.name,
        uid=old.uid if new.uid is None else new.uid,
        gid=old.gid if new.gid is None else new.gid,
        groups=tuple(dict.fromkeys((*old.groups, *new.groups))),
        shell=new.shell or old.shell,
        keys=tuple(keys.values()),
        sudo=old.sudo or new.sudo,
        where=new.where,
    )
