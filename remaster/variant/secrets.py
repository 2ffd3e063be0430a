"""What must not go into an image, which anyone who has it can read: keys and passwords, where they show.

Nothing here proves that a text holds no secret; it tells those that can be told.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_OTHERS: Final = (b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-1")
_HASH: Final = re.compile(rb"(?m)^[a-z_][a-z0-9_-]*:\$(?:1|2[aby]|5|6|y|gy|7)\$")
#: Names whose value is a secret; those that end with FILE tell where it is.
_NAME: Final = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|(?:^|[._-])(?:secret|token|credentials?|pass)|[._-]pwd"
    r"|(?:^|[._-])(?:pg|my|db|root|user|admin|require|master|redis|sudo)pass"
    r"|(?:api|access|secret|private|encryption|signing|master)[_-]?key)$"
)
#: An option of a program, and its value where that is in the same word.
_OPTION: Final = re.compile(r"--?([A-Za-z][\w.-]*)(?:=(.*))?")
#: Not what stands for one: `$PASSWORD`, `<password>`, `{password}`, `%s`, `***`.
_IN_ADDRESS: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@\"']*:[^/\s@$<{%*\"'][^/\s@\"']*@", re.IGNORECASE
)
#: What clients of registries note when somebody logs in, and those of other servers.
_LOGIN: Final = re.compile(rb'"(?:auth|identitytoken|registrytoken|password)"\s*:\s*"[^"\s]')
_NETRC: Final = re.compile(rb"(?m)^\s*(?:machine\s+\S+|default)\s(?:[^#\n]*\s)?password\s+\S")
HINT: Final = (
    "everyone who has the image can read it; put it on the data disk, or hand it over when the machine runs"
)


def in_content(content: bytes) -> str | None:
    """Return what secret a file's content holds, or ``None``."""
    if _PRIVATE_KEY.search(content) or any(mark in content for mark in _OTHERS):
        return "THIS IS A PRIVATE KEY; it must never be put into an image, and was not"
    if _HASH.search(content):
        return "this holds the hash of a password, which can be guessed from an image"
    if (b'"auths"' in content and _LOGIN.search(content)) or _NETRC.search(content):
        return "this holds a secret: how somebody logs in to a server"
    return None


def in_file(content: bytes) -> str | None:
    """Return what secret a file has, or ``None``: as in any content, and passwords in addresses of text."""
    if b"\0" not in content and _IN_ADDRESS.search(content.decode(errors="replace")):
        return "there is a password in an address, and so a secret"
    return in_content(content)


def in_words(words: Sequence[str]) -> str | None:
    """Return why the words that a program is started with have a secret, or ``None``."""
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        option = _OPTION.fullmatch(word)
        if option is None:
            problem = in_text(word) if "=" not in word else in_setting(*word.split("=", 1))
        else:
            value = option[2] if option[2] is not None else after if not after.startswith("-") else ""
            problem = in_setting(option[1], value)
        if problem is not None:
            return problem
    return None


def in_text(text: str) -> str | None:
    """Return what secret a value is by itself, or ``None``."""
    if _IN_ADDRESS.search(text):
        return "there is a password in this address"
    return in_content(text.encode())


def in_setting(name: str, value: str) -> str | None:
    """Return why a setting looks like a secret, by its name and its value, or ``None``."""
    if value and _NAME.search(name):
        return f"{name} looks like a secret"
    return in_text(value)
