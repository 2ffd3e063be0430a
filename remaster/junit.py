"""Outcomes of checks as JUnit XML, as CI services read it.

There is no standard; these are the elements and attributes that Jenkins' and GitLab's readers agree on
(testsuites, testsuite, testcase, failure, system-out).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remaster.checks import Outcome


def document(suite: str, outcomes: Sequence[Outcome], log: str) -> bytes:
    """Return the XML of one image's outcomes; ``log`` is what its console said."""
    failures = str(sum(not one.passed for one in outcomes))
    seconds = f"{sum(one.seconds for one in outcomes):.3f}"
    counts = {"tests": str(len(outcomes)), "failures": failures, "errors": "0", "time": seconds}
    top = ET.Element("testsuites", counts)
    group = ET.SubElement(top, "testsuite", {"name": _clean(suite), **counts, "skipped": "0"})
    for one in outcomes:
        case = {"classname": _clean(suite), "name": _clean(one.name), "time": f"{one.seconds:.3f}"}
        element = ET.SubElement(group, "testcase", case)
        if not one.passed:
            message = _clean(one.why.splitlines()[0])
            ET.SubElement(element, "failure", {"message": message}).text = _clean(one.why)
    ET.SubElement(group, "system-out").text = _clean(log)
    ET.indent(top)
    written: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _clean(text: str) -> str:
    """Leave out what XML 1.0 has no way to write: most control characters, surrogates."""
    return "".join(
        char
        for char in text
        if char in "\t\n" or " " <= char < "\ud800" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
    )
