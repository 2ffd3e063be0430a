"""``tcz.html``: a branch's packages as a page for people. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tcz.mirror.model import listed
from tcz.names import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.mirror.model import Branch, Entry

NAME: Final = "tcz.html"
_HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:sans-serif}}td{{padding:0 1em 0 0}}td:nth-child(3){{text-align:right}}</style>
</head><body><h1>{title}</h1>
<table><tr><th>Package</th><th>Version</th><th>Bytes</th><th>Description</th></tr>
"""
_TAIL = "</table></body></html>\n"


def page(branch: Branch, entries: Mapping[str, Entry]) -> str:
    """Return the page; every text of a package is escaped."""
    rows = [
        f'<tr><td><a href="{file}{".info" if ".info" in entry.files else ""}">{file}</a></td>'
        f"<td>{escape(entry.version)}</td><td>{entry.size}</td><td>{escape(entry.summary)}</td></tr>\n"
        for name in listed(entries)
        for file, entry in ((file_name(name), entries[name]),)
    ]
    return _HEAD.format(title=f"Packages of {branch}") + "".join(rows) + _TAIL
