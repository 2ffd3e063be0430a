"""What this program is: part of the name of all that it keeps."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import remaster
import tcz


@functools.cache
def own_code() -> str:
    """Return the hash of this program: another version may write other bytes."""
    digest = hashlib.sha256()
    for package in (remaster, tcz):
        for file in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
