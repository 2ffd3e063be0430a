"""``[[cni]]``: networks of CNI plugins, for engines that use them (containerd's clients, CRI-O).

Format: the network configuration list of the CNI specification, 1.1.0. Podman and docker have networks
of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant.documents import Free, free, json_text
from remaster.variant.fields import Choice, Flag, Key, Many, Number, Rule, Schema, Shape, Text
from remaster.variant.parts import Effects, FileSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz import toml

_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: Those of the package cni-plugins.
TYPES: Final = (
    *("bridge", "dummy", "host-device", "ipvlan", "loopback", "macvlan", "ptp", "tap", "vlan"),
    *("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf", "dhcp", "host-local", "static"),
)
_VERSIONS: Final = ("1.1.0", "1.0.0", "0.4.0", "0.3.1")


@dataclass(frozen=True, slots=True)
class Plugins(Key[tuple[Free, ...]]):
    """A list of tables, each with the type of a plugin and what that plugin knows."""

    @property
    def needed(self) -> bool:
        """A network without plugins is none."""
        return True

    def read(self, table: toml.Table) -> tuple[Free, ...]:
        """Return the tables."""
        found = []
        if not table.has(self.name):
            table.fail(None, f"the key '{self.name}' is missing")
        for inner in table.tables(self.name):
            inner.string("type", check=_type_complaint)
            found.append(free(inner, {key: inner.anything(key) for key in inner.names()}))
        return tuple(found)

    def value_schema(self) -> Schema:
        """Return the schema of such a list."""
        item = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
        return {"type": "array", "items": item, "minItems": 1}


def _type_complaint(text: str) -> str | None:
    return None if _TYPE.fullmatch(text) else f"{text!r} is not the name of a plugin such as bridge"


NAME = Text(
    "name", "The network's name.", rule=Rule(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a network's name"), default=None
)
ORDER = Number("order", "Engines take the first network: files are sorted by it.", high=99, default=50)
VERSION = Choice("version", "The version of CNI.", choices=_VERSIONS, default="1.0.0")
DISABLE_CHECK = Flag("disable-check", "Whether the network is never checked.")
PLUGINS = Plugins("plugins", "The plugins, called in this order: each a table with type and its own keys.")
KEY = Many(
    "cni",
    "Networks of CNI plugins.",
    Shape((NAME, ORDER, VERSION, DISABLE_CHECK, PLUGINS)),
    example="""\
[[cni]]
name = "lan"
plugins = [
    { type = "bridge", isGateway = true, ipam = { type = "host-local", subnet = "10.22.0.0/16" } },
    { type = "portmap", capabilities = { portMappings = true } },
]
""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network."""

    name: str
    order: int
    version: str
    disable_check: bool
    plugins: tuple[Free, ...]
    where: str


def read(table: toml.Table) -> tuple[Network, ...]:
    """Return the networks; two of one name are a mistake."""
    found: list[Network] = []
    for inner in KEY.open(table):
        network = Network(
            name=NAME.read(inner),
            order=ORDER.read(inner),
            version=VERSION.read(inner),
            disable_check=DISABLE_CHECK.read(inner),
            plugins=PLUGINS.read(inner),
            where=inner.where(),
        )
        if any(network.name == one.name for one in found):
            inner.fail("name", f"{network.name} is there twice")
        found.append(network)
    return tuple(found)


def merged(first: tuple[Network, ...], then: tuple[Network, ...]) -> tuple[Network, ...]:
    """Return both; a network of ``then`` replaces one of its name."""
    return tuple(({one.name: one for one in first} | {one.name: one for one in then}).values())


def conflist(network: Network) -> str:
    """Return the configuration list."""
    items: list[tuple[str, str | bool | tuple[Free, ...]]] = [
        ("cniVersion", network.version),
        ("name", network.name),
    ]
    if network.disable_check:
        items.append(("disableCheck", True))
    items.append(("plugins", network.plugins))
    return json_text(Free(tuple(items)))


def types(network: Network) -> Iterator[str]:
    """Yield the names of the plugins that a network calls, those for addresses among them."""
    for plugin in network.plugins:
        ipam = plugin.get("ipam")
        for one in (plugin, ipam):
            name = one.get("type") if isinstance(one, Free) else None
            if isinstance(name, str):
                yield name


def effects(networks: tuple[Network, ...]) -> Effects:
    """Return the files, and the package with the plugins."""
    files = tuple(
        FileSpec(
            path=f"etc/cni/net.d/{one.order:02}-{one.name}.conflist",
            content=conflist(one).encode(),
            where=one.where,
        )
        for one in networks
    )
    return Effects(files=files, packages=("cni-plugins",) if files else ())
