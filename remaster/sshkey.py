"""Public SSH keys that go into an image: told from private ones, checked, one a line.

The format is that of an authorized_keys file (sshd(8)): options, type, base64 blob, comment. The
blob starts with the type's name again (RFC 4253, section 6.6), which is how damage is found.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

#: Key types that today's sshd accepts; DSA is gone from dropbear and OpenSSH alike.
TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)

_PRIVATE = ("PRIVATE KEY-----", "PuTTY-User-Key-File")
_LARGEST = 64 * 1024
_SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One key: ``line`` as it goes into authorized_keys."""

    line: str
    type: str
    comment: str


def parse_line(line: str) -> PublicKey:
    """Return the key of one authorized_keys line; raise ``ValueError`` with the reason if it is none."""
    words = line.split()
    at = next((i for i, word in enumerate(words) if word in TYPES), None)
    if at is None:
        first = words[0] if words else ""
        if first == "ssh-dss":
            raise ValueError("DSA keys are refused by every current server; make an ed25519 key")
        raise ValueError("this is not a public key: no known key type such as ssh-ed25519 in it")
    if at + 1 >= len(words):
        raise ValueError(f"nothing follows the key type {words[at]}")
    try:
        blob = base64.b64decode(words[at + 1], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key's base64 part is damaged") from None
    name = words[at].encode()
    if blob[:4] != len(name).to_bytes(4, "big") or blob[4 : 4 + len(name)] != name:
        raise ValueError(f"the key's data does not belong to a key of type {words[at]}")
    if len(blob) < 4 + len(name) + _SHORTEST_KEY:
        raise ValueError("the key is cut short")
    if not line.replace("\t", " ").isprintable():
        raise ValueError("the line holds control characters")
    return PublicKey(line=line.strip(), type=words[at], comment=" ".join(words[at + 2 :]))


def parse(text: str, where: str) -> tuple[tuple[PublicKey, ...], tuple[Problem, ...]]:
    """Return the keys of a file's text, and its mistakes. Empty lines and ``#`` comments are skipped."""
    if any(mark in text for mark in _PRIVATE):
        problem = Problem(
            where=where,
            message="THIS IS A PRIVATE KEY; it must never be put into an image, and was not",
            hint="give the file that ends in .pub",
        )
        return (), (problem,)
    keys, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.append(parse_line(line))
        except ValueError as error:
            problems.append(Problem(where=f"{where}:{number}", message=str(error)))
    if not keys and not problems:
        problems.append(Problem(where=where, message="no key in it"))
    return tuple(keys), tuple(problems)


def load(files: tuple[Path, ...]) -> tuple[PublicKey, ...]:
    """Read key files; raise ``ConfigError`` that tells every mistake of all of them."""
    keys: list[PublicKey] = []
    problems: list[Problem] = []
    for file in files:
        try:
            raw = file.read_bytes()[:_LARGEST]
            text = raw.decode()
        except OSError as error:
            problems.append(Problem(where=str(file), message=error.strerror or str(error)))
            continue
        except UnicodeDecodeError:
            problems.append(Problem(where=str(file), message="not a text file, so no public key"))
            continue
        found, wrong = parse(text, str(file))
        keys += found
        problems += wrong
    if problems:
        raise ConfigError("the SSH keys cannot be used", problems)
    unique = {key.line: key for key in keys}
    return tuple(unique.values())
