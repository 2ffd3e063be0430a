"""``[policy]``: which images are believed, and the keys that vouch for them.

Format: containers-policy.json(5) of container-libs. Only images of registries are judged: those from files
and other storages of the machine itself are always taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant import secrets
from remaster.variant.documents import Free, Value, json_text
from remaster.variant.fields import Choice, Many, Section, Shape, Text, Texts
from remaster.variant.parts import CONTAINERS_READERS, Effects, FileSpec, Ground
from remaster.variant.registries import PLACE
from tcz.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from tcz import toml

DEFAULT = Choice("default", "What happens to all others.", choices=("accept", "reject"))
ACCEPT = Texts("accept", "Registries, or parts of some, whose images are taken as they are.", rule=PLACE)
REJECT = Texts("reject", "Those whose images are never taken.", rule=PLACE)
SCOPE = Text("registry", "The registry, or a part of it.", rule=PLACE, default=None)
TYPE = Choice(
    "type",
    "Whose signature it is: of GnuPG (gpg) or of sigstore (sigstore, the default).",
    choices=("sigstore", "gpg"),
    default="sigstore",
)
FILE = Text("key", "The file with the public key, beside the variant's.", default=None)
_SIGNED = Many("signed", "Images that must be signed.", Shape((SCOPE, TYPE, FILE)))
KEY = Section(
    "policy",
    "Which images are believed.",
    Shape((DEFAULT, ACCEPT, REJECT, _SIGNED)),
    example="""\
[policy]
default = "reject"
accept = ["docker.io/library"]
""",
)
_PATH: Final = "etc/containers/policy.json"
_KEYS: Final = "etc/containers/keys"
_LOCAL: Final = (
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "tarball",
)
_ACCEPTED: Final = Free((("type", "insecureAcceptAnything"),))
_REJECTED: Final = Free((("type", "reject"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Images that must be signed: with which kind of signature, and by whom."""

    registry: str
    type: str
    name: str
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What ``[policy]`` says."""

    default: str = ""
    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    signed: tuple[Signed, ...] = ()
    where: str = ""

    @property
    def said(self) -> bool:
        """Whether anything is said."""
        return bool(self.default or self.accept or self.reject or self.signed)


def read(table: toml.Table, path: Path) -> Policy:
    """Return what the table says; ``path`` is the variant's file."""
    inner = KEY.open(table)
    found = Policy(
        default=DEFAULT.read(inner),
        accept=ACCEPT.read(inner),
        reject=REJECT.read(inner),
        signed=tuple(_signed(one, path) for one in _SIGNED.open(inner)),
        where=table.where(KEY.name),
    )
    places = [*found.accept, *found.reject, *(one.registry for one in found.signed)]
    for place in dict.fromkeys(place for place in places if places.count(place) > 1):
        inner.fail(None, f"{place} is judged twice")
    return found


def _signed(table: toml.Table, path: Path) -> Signed:
    file = path.parent / FILE.read(table)
    kind, content = TYPE.read(table), b""
    try:
        content = file.read_bytes() if table.has(FILE.name) else b""
    except OSError as error:
        table.fail(FILE.name, f"{file} cannot be read: {error.strerror}")
    else:
        complaint = (secrets.in_content(content) or _complaint(kind, content)) if content else "is empty"
        if complaint and table.has(FILE.name):
            table.fail(FILE.name, f"{file}: {complaint}")
    return Signed(registry=SCOPE.read(table), type=kind, name=file.name, key=content)


def _complaint(kind: str, content: bytes) -> str | None:
    if kind == "gpg":
        armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in content
        return None if armoured or content[:1] >= b"\x80" else "this is not a public key of GnuPG"
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow, and rarely wanted

    try:
        serialization.load_pem_public_key(content)
    except ValueError:
        return "this is not a public key in PEM form"
    return None


def merged(first: Policy, then: Policy) -> Policy:
    """Return both. What ``then`` says of a place counts."""
    said = {*then.accept, *then.reject, *(one.registry for one in then.signed)}

    def joined(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
        return (*(place for place in old if place not in said), *new)

    return Policy(
        default=then.default or first.default,
        accept=joined(first.accept, then.accept),
        reject=joined(first.reject, then.reject),
        signed=(*(one for one in first.signed if one.registry not in said), *then.signed),
        where=then.where if then.said else first.where,
    )


def policy_text(given: Policy) -> str:
    """Return policy.json."""
    scopes: list[tuple[str, Value]] = [(place, (_ACCEPTED,)) for place in given.accept]
    scopes += [(place, (_REJECTED,)) for place in given.reject]
    for one in given.signed:
        kind = "sigstoreSigned" if one.type == "sigstore" else "signedBy"
        key: list[tuple[str, Value]] = [("type", kind)]
        key += [("keyType", "GPGKeys")] if one.type == "gpg" else []
        key.append(("keyPath", f"/{_KEYS}/{one.name}"))
        if one.type == "sigstore":
            key.append(("signedIdentity", Free((("type", "matchRepository"),))))
        scopes.append((one.registry, (Free(tuple(key)),)))
    transports: list[tuple[str, Value]] = [("docker", Free(tuple(sorted(scopes))))] if scopes else []
    transports += [(name, Free((("", (_ACCEPTED,)),))) for name in _LOCAL]
    default = _REJECTED if given.default == "reject" else _ACCEPTED
    return json_text(Free((("default", (default,)), ("transports", Free(tuple(transports))))))


def effects(given: Policy, ground: Ground) -> tuple[Effects, tuple[Problem, ...]]:
    """Return the files, and whether nothing in the image reads them."""
    if not given.said:
        return Effects(), ()
    if ground.has("docker") and not ground.has(*CONTAINERS_READERS):
        message = "docker knows no policy"
        return Effects(), (Problem(where=given.where, message=message, hint="podman, buildah and skopeo do"),)
    files = [FileSpec(path=_PATH, content=policy_text(given).encode(), where=given.where)]
    keys = {one.name: one.key for one in given.signed}
    files += [FileSpec(path=f"{_KEYS}/{name}", content=key, where=given.where) for name, key in keys.items()]
    return Effects(files=tuple(files)), ()
