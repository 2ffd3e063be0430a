"""The text at the head of a .zsync file. Format: http://zsync.moria.org.uk/ and zsyncmake 0.6.2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderField:
    """One line of the head."""

    key: str
    value: str


def header(data: bytes) -> tuple[HeaderField, ...]:
    """Return the lines of the head, in order; what is no ``Key: value`` line ends it."""
    text, _, _ = data[:4096].partition(b"\n\n")
    fields = []
    for line in text.decode("latin-1").split("\n"):
        key, colon, value = line.partition(": ")
        if not colon:
            break
        fields.append(HeaderField(key=key, value=value))
    return tuple(fields)
