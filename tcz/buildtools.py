"""Programs of the toolkit that a build script may run, as ``python3 -m tcz.NAME``.

They need nothing but Python's standard library. In the sandbox they lie below /build/tools, which goes into
PYTHONPATH. They look at what a build makes and let it fail; as they decide no byte of it, what they consist
of is in no id.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Where they are in a sandbox.
INSIDE: Final = "/build/tools"
_OURS: Final = Path(__file__).parent
#: What a tool consists of, below this package.
_PARTS: Final = {"kconfig": ("errors.py", "kconfig")}
TOOLS: Final = tuple(_PARTS)


def places(tools: Iterable[str]) -> tuple[tuple[Path, str], ...]:
    """Return where the parts of tools are, and where each appears in a sandbox."""
    parts = dict.fromkeys(part for tool in tools for part in _PARTS[tool])
    return tuple((_OURS / part, f"{INSIDE}/tcz/{part}") for part in parts)
