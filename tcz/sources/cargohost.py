"""What this machine's cargo configuration says about how crates are reached, for cargo in a sandbox."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Where the sandbox has the certificate authorities that the configuration names.
CAINFO = "/build/authorities.pem"

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_SETTINGS = ("CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_")
#: The parts of cargo's configuration that say how crates are reached; others name programs of the machine.
_TABLES = ("http", "net", "registries", "registry", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """How this machine reaches crates: an environment, a file of certificate authorities where one is named.

    ``registry`` is the name of the one that stands in for the usual registry, if any does.
    """

    env: dict[str, str]
    authorities: Path | None
    registry: str | None


def host_settings(into: Path, environ: Mapping[str, str] = os.environ) -> HostSettings:
    """Write what this machine's cargo configuration says about reaching crates into the folder ``into``.

    Returns what goes with it. Raises ``ConfigError`` for a configuration that cannot be read.
    """
    env = {
        key: value
        for key, value in environ.items()
        if value and (key in _PROXIES or key.startswith(_SETTINGS))
    }
    home = Path(environ.get("CARGO_HOME") or Path(environ.get("HOME") or Path.home()) / ".cargo")
    config = _first(home, ("config", "config.toml"), lambda data: {k: data[k] for k in _TABLES if k in data})
    http = _table(config, "http")
    named = env.get("CARGO_HTTP_CAINFO") or http.get("cainfo")
    if named:
        env["CARGO_HTTP_CAINFO"] = CAINFO
    registry = _stand_in(config)
    _write_toml(into / "config.toml", config)
    credentials = _first(home, ("credentials", "credentials.toml"), lambda data: data)
    _write_toml(into / "credentials.toml", credentials)
    return HostSettings(env=env, authorities=home / str(named) if named else None, registry=registry)


def _stand_in(config: dict[str, object]) -> str | None:
    """Return the name of the registry that replaces the usual one; it is added to ``config`` if need be."""
    sources = _table(config, "source")
    name = "crates-io"
    for _ in sources:
        following = _table(sources, name).get("replace-with")
        if not isinstance(following, str):
            break
        name = following
    if name == "crates-io":
        return None
    registries = _table(config, "registries")
    address = _table(sources, name).get("registry")
    if name not in registries and isinstance(address, str):
        config["registries"] = {**registries, name: {"index": address}}
    return name


def _table(data: Mapping[str, object], key: str) -> dict[str, object]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _first(
    home: Path, names: Sequence[str], pick: Callable[[dict[str, object]], dict[str, object]]
) -> dict[str, object]:
    """Read the first of the files that is there, as cargo does; none is an empty one."""
    for path in (home / name for name in names):
        if path.is_file():
            try:
                return pick(tomllib.loads(path.read_text()))
            except (OSError, ValueError) as error:
                raise ConfigError(f"{path}: cargo's configuration cannot be read: {error}") from error
    return {}


def _write_toml(path: Path, data: Mapping[str, object]) -> None:
    import tomlkit  # noqa: PLC0415 - slow to import, and only for a fetch

    if data:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(tomlkit.dumps(data))
