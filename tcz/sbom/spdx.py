"""Bills as SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3/); the same bill, the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tcz import __version__

if TYPE_CHECKING:
    from tcz.sbom.bill import Bill, Part, Relation

_NONE: Final = "NOASSERTION"
_PURPOSES: Final = {
    "package": "INSTALL",
    "source": "SOURCE",
    "library": "LIBRARY",
    "tool": "APPLICATION",
    "base": "OPERATING-SYSTEM",
    "kernel": "OPERATING-SYSTEM",
}


def dumps(bill: Bill) -> str:
    """Return the file's text."""
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{bill.name}-{bill.version}",
        # A namespace is a name, not an address: nothing needs to be there.
        "documentNamespace": f"https://spdx.org/spdxdocs/{_word(bill.name)}-{bill.uuid}",
        "creationInfo": {
            "created": datetime.fromtimestamp(bill.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: tcz-{__version__}"],
        },
        "packages": [_package(part) for part in bill.parts],
        "relationships": [
            *(_relation("SPDXRef-DOCUMENT", "DESCRIBES", identifier(ref)) for ref in bill.subjects),
            *(_linked(relation) for relation in bill.relations),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def identifier(ref: str) -> str:
    """Return an SPDX identifier: letters, digits, dots and hyphens only, and yet one for each ref."""
    return f"SPDXRef-{_word(ref)[:80]}-{hashlib.sha256(ref.encode()).hexdigest()[:8]}"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def _package(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "SPDXID": identifier(part.ref),
        "name": part.name,
        "versionInfo": part.version,
        "downloadLocation": _location(part.origin),
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": part.license or _NONE,
        "copyrightText": _NONE,
        "primaryPackagePurpose": _PURPOSES[part.role],
    }
    if not part.version:
        del found["versionInfo"]
    if part.summary:
        found["summary"] = part.summary
    if part.license_text:
        found["licenseComments"] = part.license_text
    if part.homepage:
        found["homepage"] = part.homepage
    if part.checksum is not None:
        algorithm, digest = part.checksum
        found["checksums"] = [{"algorithm": algorithm.upper(), "checksumValue": digest}]
    notes = [("hash", part.hash), ("build id", part.build_id), ("build root", part.root)]
    comment = "; ".join(f"{name} {value}" for name, value in notes if value)
    if comment:
        found["comment"] = comment
    if part.purl:
        found["externalRefs"] = [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": part.purl,
            }
        ]
    return found


def _location(origin: str) -> str:
    return origin or _NONE


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _linked(relation: Relation) -> dict[str, str]:
    one, other = identifier(relation.one), identifier(relation.other)
    match relation.link:
        case "needs":
            return _relation(one, "DEPENDS_ON", other)
        case "library":
            return _relation(one, "CONTAINS", other)
        case "source":
            return _relation(one, "GENERATED_FROM", other)
        case "tool":
            return _relation(other, "BUILD_TOOL_OF", one)
