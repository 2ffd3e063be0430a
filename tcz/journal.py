"""What finished builds were made of, kept beside the logs: it outlives an emptied cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from tcz.model import ResolvedSource
from tcz.store import replacing
from tcz.why import Past

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1


class Journal:
    """One file for each recipe and way of packing, with the inputs of the last finished build."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when something is written."""
        self._folder = folder

    def _file(self, recipe: str, past_or_present: Past) -> Path:
        # Packed in two ways in turn, a recipe has two histories.
        packing = hashlib.sha256(past_or_present.lines[-1].encode()).hexdigest()[:8]
        return self._folder / f"{recipe}-{packing}.json"

    def write(self, recipe: str, past: Past) -> None:
        """Remember a finished build."""
        with replacing(self._file(recipe, past)) as temporary:
            temporary.write_text(json.dumps({"format": _FORMAT, **asdict(past)}, indent=1) + "\n")

    def last(self, recipe: str, present: Past) -> Past | None:
        """Return the last finished build that was packed as ``present`` is; ``None`` where none is known."""
        try:
            data = json.loads(self._file(recipe, present).read_bytes())
            if data["format"] != _FORMAT:
                return None
            return Past(
                build_id=str(data["build_id"]),
                lines=tuple(str(line) for line in data["lines"]),
                root=tuple(ResolvedSource(**one) for one in data["root"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
