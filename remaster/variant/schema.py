"""What a variant's file may hold, for those who write one: a JSON Schema, and a file to begin with.

Both are made of the descriptions that the reader reads by.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from remaster.variant.documents import quoted
from remaster.variant.fields import DRAFT
from remaster.variant.reading import SHAPE
from remaster.variant.root import EXTENDS, NAME_KEY, SCHEMA, SUMMARY

if TYPE_CHECKING:
    from remaster.variant.fields import Schema

_SET = (SCHEMA, NAME_KEY, SUMMARY, EXTENDS)


def json_schema() -> Schema:
    """Return the schema of a variant's file, read as TOML."""
    return {"$schema": DRAFT, "title": "A variant of remaster's, schema 1", **SHAPE.schema()}


def text() -> str:
    """Return the schema as text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def starter(name: str, extends: str) -> str:
    """Return a variant's file that says nothing yet, every key in it as a remark."""
    head = f"""\
# A variant of remaster's. Take the # away from what you want, and check with:
#   remaster variant lint ./{name}.toml
#   remaster --variant ./{name}.toml --dry-run
schema = 1
name = {quoted(name)}
summary = {quoted(f"{name}, built upon {extends}")}
extends = {quoted(extends)}
"""
    parts = [head]
    for key in SHAPE.keys:
        if key not in _SET:
            lines = "".join(f"#{line}\n" for line in key.example.splitlines())
            parts.append(f"# {key.about}\n{lines}")
    return "\n".join(parts)
