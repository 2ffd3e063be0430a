"""What must not go into an image, which anyone who has it can read: keys and passwords, where they show.

Nothing here proves that a text holds no secret; it tells those that can be told.
"""

from __future__ import annotations

import re
from typing import Final

_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_OTHERS: Final = (b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-1")
_HASH: Final = re.compile(rb"(?m)^[a-z_][a-z0-9_-]*:\$(?:1|2[aby]|5|6|y|gy|7)\$")
_NAME: Final = re.compile(
    r"(?i)(?:^|[._-])(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)$"
)
_IN_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
HINT: Final = (
    "everyone who has the image can read it; put it on the data disk, or hand it over when the machine runs"
)


def in_content(content: bytes) -> str | None:
    """Return what secret a file's content holds, or ``None``."""
    if _PRIVATE_KEY.search(content) or any(mark in content for mark in _OTHERS):
        return "THIS IS A PRIVATE KEY; it must never be put into an image, and was not"
    if _HASH.search(content):
        return "this holds the hash of a password, which can be guessed from an image"
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
