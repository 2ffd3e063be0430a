"""Bills as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/); the same bill, the same bytes.

What was built with is there with the scope ``excluded``, as are sources: neither is on the machine that
runs the package. What CycloneDX has no field for is in properties whose names begin with ``tcz:``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tcz import __version__

if TYPE_CHECKING:
    from tcz.sbom.bill import Bill, Part

_ALGORITHMS: Final = {"sha256": "SHA-256", "md5": "MD5"}
_TYPES: Final = {
    "package": "application",
    "source": "library",
    "library": "library",
    "tool": "application",
    "base": "operating-system",
    "kernel": "operating-system",
}
_RUNNING: Final = ("package", "library", "base", "kernel")


def dumps(bill: Bill) -> str:
    """Return the file's text."""
    components = [_component(part) for part in bill.parts]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{bill.uuid}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(bill.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "tcz", "version": __version__}]},
            "component": {
                "type": "application",
                "bom-ref": f"subject:{bill.name}",
                "name": bill.name,
                "version": bill.version,
            },
        },
        "components": components,
        "dependencies": _dependencies(bill),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _component(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": _TYPES[part.role],
        "bom-ref": part.ref,
        "name": part.name,
        "version": part.version,
    }
    if part.summary:
        found["description"] = part.summary
    found["scope"] = "required" if part.role in _RUNNING else "excluded"
    if part.checksum is not None:
        algorithm, digest = part.checksum
        found["hashes"] = [{"alg": _ALGORITHMS[algorithm], "content": digest}]
    if part.license:
        found["licenses"] = [{"expression": part.license}]
    elif part.license_text:
        found["licenses"] = [{"license": {"name": part.license_text}}]
    if part.purl:
        found["purl"] = part.purl
    references = [("website", part.homepage), ("source-distribution", part.origin)]
    external = [{"type": kind, "url": url} for kind, url in references if url]
    if external:
        found["externalReferences"] = external
    values = {"role": part.role, "hash": part.hash, "build-id": part.build_id, "build-root": part.root}
    found["properties"] = [
        {"name": f"tcz:{name}", "value": value} for name, value in sorted(values.items()) if value
    ]
    return found


def _dependencies(bill: Bill) -> list[dict[str, Any]]:
    """Return what each part needs where it runs: other packages, and libraries that are inside."""
    wanted: dict[str, list[str]] = {f"subject:{bill.name}": list(bill.subjects)}
    wanted |= {part.ref: [] for part in bill.parts}
    for relation in bill.relations:
        if relation.link in ("needs", "library"):
            wanted[relation.one].append(relation.other)
    return [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(wanted.items())]
