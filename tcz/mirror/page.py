"""``tcz.html``: a branch's packages as a page for people. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tcz.names import file_name

if TYPE_CHECKING:
    from tcz.mirror.model import Branch, Entry

NAME: Final = "tcz.html"
_HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:sans-serif}}td{{padding:0 1em 0 0}}td:nth-child(3){{text-align:right}}</style>
</head><body><h1>{title}</h1>
<table><tr><th>Package</th><th>Version</th><th>Bytes</th><th>Description</th></tr>
"""
TAIL: Final = "</table></body></html>\n"


def head(branch: Branch) -> str:
    """Return what stands before the rows."""
    return _HEAD.format(title=f"Packages of {branch}")


def row(entry: Entry) -> str:
    """Return the line of a package; every text of it is escaped."""
    file = file_name(entry.name)
    return (
        f'<tr><td><a href="{file}{".info" if ".info" in entry.files else ""}">{file}</a></td>'
        f"<td>{escape(entry.version)}</td><td>{entry.size}</td><td>{escape(entry.summary)}</td></tr>\n"
    )
