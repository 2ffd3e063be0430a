"""Which of a mirror's states is asked for: what it shows now, a snapshot, or a state by its number.

An address may end in ``#snapshot=NAME`` or ``#state=N``. Clients that verify know then that an old state is
what their user wants; what they remember of it is kept apart from what they have seen of the mirror itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError
from tcz.mirror.repository import CONFIG, PUBLIC, Mirror

if TYPE_CHECKING:
    from pathlib import Path

_VIEW = re.compile(
    r"(.+)#((?:snapshot=[A-Za-z0-9][A-Za-z0-9._-]{0,99})|(?:state=[1-9][0-9]{0,17}))\Z", re.DOTALL
)
SNAPSHOT: Final = "snapshot="
STATE: Final = "state="


def split(address: str) -> tuple[str, str]:
    """Return an address and the view that it ends in, empty for what is shown now. Raises ``ConfigError``."""
    found = _VIEW.match(address)
    if found is not None:
        return found[1], found[2]
    if "://" in address and "#" in address:
        raise ConfigError(
            f"{address} is no address of a mirror", hint="after # is a snapshot=NAME or a state=NUMBER"
        )
    return address, ""


def shown(folder: Path, view: str) -> Path:
    """Return the folder of a state: of a mirror's own folder what it shows in a view, else the folder itself.

    Raises ``ConfigError`` for a mirror that has no such snapshot or state.
    """
    if not (folder / CONFIG).is_file():
        return folder
    mirror = Mirror.open(folder)
    if view.startswith(SNAPSHOT):
        snapshots = mirror.snapshots()
        name = view.removeprefix(SNAPSHOT)
        if name not in snapshots:
            hint = f"there are: {', '.join(sorted(snapshots)) or 'none'}"
            raise ConfigError(f"{folder} has no snapshot {name!r}", hint=hint)
        return snapshots[name].resolve()
    if view:
        state = folder / "states" / view.removeprefix(STATE)
        if not state.is_dir():
            raise ConfigError(f"{folder} has no state {state.name}", hint="it was removed, or is yet to come")
        return state.resolve()
    return (folder / PUBLIC).resolve()
