"""``[[network]]`` and ``fallback-name-servers``: what the machine's interfaces are set up with.

Both come to ``/etc/network.conf``, lines that ``/etc/init.d/network`` reads; boot codes, a config disk and
the data disk are stronger. docs/reference/host.md has the words of such lines, each key below is one of them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant.fields import Flag, Many, MaybeNumber, Pairs, Rule, Shape, Text, Texts
from remaster.variant.parts import Effects, FileSpec, Ground

if TYPE_CHECKING:
    from tcz import toml

PATH: Final = "etc/network.conf"
_SEVERAL: Final = "any"
#: Other lines of the file begin with these; ``lo`` is nobody's to set up.
_TAKEN: Final = ("fallback", "proxy", "lo")
_NONE: Final = "none"
_V4, _V6 = 4, 6
_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def _who_complaint(text: str) -> str | None:
    if text in _TAKEN:
        return f"{text!r} is not the name of an interface that can be set up"
    return None


def _version(text: str) -> int:
    """Return 4 or 6 for an address, 0 for anything else."""
    try:
        return 0 if "%" in text else ipaddress.ip_address(text).version
    except ValueError:
        return 0


def _network_version(text: str) -> int:
    """Return 4 or 6 for a network or an address with its prefix, 0 for anything else."""
    head, _, prefix = text.partition("/")
    found = _version(head)
    longest = {_V4: 32, _V6: 128}.get(found, -1)
    return found if re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix) and int(prefix) <= longest else 0


def _address_complaint(text: str) -> str | None:
    if not _network_version(text):
        return f"{text!r} is not an address with its prefix such as 192.168.1.5/24"
    address = ipaddress.ip_address(text.partition("/")[0])
    first = address.packed[0]
    nobodys = address.version == _V4 and (first in (0, 127) or first >= 224)  # noqa: PLR2004 - RFC 5735
    if nobodys or address.is_multicast or address.is_unspecified or address.is_loopback:
        return f"{text!r} is not an address that an interface can have"
    return f"{text!r}: a prefix of 0 is no network" if text.endswith("/0") else None


def _ip_complaint(text: str) -> str | None:
    return None if _version(text) else f"{text!r} is not an address such as 192.168.1.1"


def _target_complaint(text: str) -> str | None:
    return None if _network_version(text) else f"{text!r} is not a network such as 10.0.0.0/8"


def _fallback_complaint(text: str) -> str | None:
    return None if text == _NONE else _ip_complaint(text)


_IP: Final = Rule(r"[0-9A-Fa-f:.]+", "an address", more=_ip_complaint)
_DOMAIN: Final = Rule(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?", "a domain such as lan")

WHO = Text(
    "interface",
    "The interface: its name, its MAC address, or any for all that nothing else is said of.",
    rule=Rule(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}",
        "an interface's name such as eth0, a MAC address, or any",
        more=_who_complaint,
    ),
    default=None,
)
DHCP = Flag("dhcp", "Whether an address of IPv4 is asked for; it is where none is given.")
DHCP6 = Flag("dhcp6", "Whether a server for IPv6 is asked, besides what routers announce.")
ROUTERS = Flag("router-advertisements", "Whether routers are listened to (IPv6).", default=True)
ADDRESSES = Texts(
    "addresses",
    "Addresses of IPv4 and IPv6, each with its prefix.",
    rule=Rule(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", "an address with its prefix", more=_address_complaint),
)
GATEWAYS = Texts("gateways", "The routers that packets for everywhere else go to.", rule=_IP)
SERVERS = Texts("name-servers", "DNS servers, in place of those that others name.", rule=_IP)
SEARCH = Texts("search", "Domains in which short names are looked for.", rule=_DOMAIN)
ROUTES = Pairs(
    "routes",
    "More routes: networks, and the router to each.",
    key=Rule(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", "a network", more=_target_complaint),
    value=_IP,
)
MTU = MaybeNumber("mtu", "The largest packet, in bytes.", low=576, high=65535)
METRIC = MaybeNumber("metric", "Of default routes: the lower one is taken.", low=1, high=65535)
OFF = Flag("off", "Whether the interface stays off.")
KEY = Many(
    "network",
    "What interfaces are set up with.",
    Shape((WHO, DHCP, DHCP6, ROUTERS, ADDRESSES, GATEWAYS, SERVERS, SEARCH, ROUTES, MTU, METRIC, OFF)),
    example="""\
[[network]]
interface = "eth0"
addresses = ["192.168.1.5/24", "2001:db8::5/64"]
gateways = ["192.168.1.1"]
name-servers = ["192.168.1.1"]
search = ["lan"]
routes = { "10.0.0.0/8" = "192.168.1.2" }
mtu = 1400

[[network]]
interface = "any"
dhcp = true
""",
)
FALLBACK = Texts(
    "fallback-name-servers",
    "DNS servers that are asked when nobody names one; none for no such servers.",
    rule=Rule(r"none|[0-9A-Fa-f:.]+", "an address", more=_fallback_complaint),
    example='fallback-name-servers = ["9.9.9.9", "2620:fe::fe"]\n',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What is said of one; ``dhcp`` is ``None`` where nothing is."""

    who: str
    dhcp: bool | None = None
    dhcp6: bool = False
    routers: bool = True
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    mtu: int | None = None
    metric: int | None = None
    off: bool = False
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """All interfaces, and the servers that are asked when nobody names one."""

    interfaces: tuple[Interface, ...] = ()
    fallback: tuple[str, ...] = ()
    where: str = ""


def read(table: toml.Table) -> Network:
    """Return what the keys say; two tables of one interface are a mistake."""
    found: list[Interface] = []
    for inner in KEY.open(table):
        one = _interface(inner)
        _contradictions(inner, one)
        if any(one.who and one.who == other.who for other in found):
            inner.fail(WHO.name, f"{one.who} is there twice")
        found.append(one)
    fallback = FALLBACK.read(table)
    if _NONE in fallback and len(fallback) > 1:
        table.fail(FALLBACK.name, "none goes with no other")
    return Network(interfaces=tuple(found), fallback=fallback, where=table.where(FALLBACK.name))


def _interface(table: toml.Table) -> Interface:
    who = WHO.read(table)
    return Interface(
        who=who.lower() if _MAC.fullmatch(who) else who,
        dhcp=DHCP.read(table) if table.has(DHCP.name) else None,
        dhcp6=DHCP6.read(table),
        routers=ROUTERS.read(table),
        addresses=ADDRESSES.read(table),
        gateways=GATEWAYS.read(table),
        servers=SERVERS.read(table),
        search=SEARCH.read(table),
        routes=ROUTES.read(table),
        mtu=MTU.read(table),
        metric=METRIC.read(table),
        off=OFF.read(table),
        where=table.where(),
    )


def _contradictions(table: toml.Table, one: Interface) -> None:
    """Note what the keys of one interface cannot say together."""
    words = _words(one)
    fixed = any(_network_version(text) == _V4 for text in one.addresses)
    if not words:
        table.fail(None, f"nothing is said of {one.who or 'the interface'}")
    elif one.off and len(words) > 1:
        table.fail(OFF.name, "an interface that stays off can have nothing else said of it")
    if one.dhcp and fixed:
        table.fail(
            DHCP.name, "an address of IPv4 is given, and one is to be asked for", "leave one of both out"
        )
    for index, gateway in enumerate(one.gateways):
        if _version(gateway) == _V4 and one.dhcp is False and not fixed:
            table.fail_item(GATEWAYS.name, index, f"{gateway} needs an address of IPv4")
        if gateway in (text.partition("/")[0] for text in one.addresses):
            table.fail_item(GATEWAYS.name, index, f"{gateway} is this interface's own address")
    for target, gateway in one.routes:
        versions = _network_version(target), _version(gateway)
        if all(versions) and versions[0] != versions[1]:
            table.fail(ROUTES.name, f"{target} cannot be reached by {gateway}: one is IPv4, the other IPv6")


def merged(first: Network, then: Network) -> Network:
    """Return both; an interface of ``then`` takes the other's place, and so do its fallback servers."""
    interfaces = {one.who: one for one in first.interfaces} | {one.who: one for one in then.interfaces}
    chosen = then if then.fallback else first
    return Network(interfaces=tuple(interfaces.values()), fallback=chosen.fallback, where=chosen.where)


def _yes(*, said: bool) -> str:
    return "yes" if said else "no"


def _words(one: Interface) -> list[str]:
    """Return the words of an interface's line."""
    return [
        *(["up=no"] if one.off else []),
        *([f"dhcp={_yes(said=one.dhcp)}"] if one.dhcp is not None else []),
        *(["dhcp6=yes"] if one.dhcp6 else []),
        *(["ra=no"] if not one.routers else []),
        *(f"address={text}" for text in one.addresses),
        *(f"gateway={text}" for text in one.gateways),
        *(f"route={target}@{gateway}" for target, gateway in one.routes),
        *(f"dns={text}" for text in one.servers),
        *(f"search={text}" for text in one.search),
        *([f"mtu={one.mtu}"] if one.mtu is not None else []),
        *([f"metric={one.metric}"] if one.metric is not None else []),
    ]


def lines(network: Network) -> tuple[str, ...]:
    """Return the lines of ``/etc/network.conf``."""
    named = tuple(" ".join((one.who, *_words(one))) for one in network.interfaces)
    servers = " ".join(f"dns={text}" for text in network.fallback)
    return (*named, *((f"fallback {servers}",) if servers else ()))


def effects(network: Network, ground: Ground) -> Effects:
    """Return the file, and the program that another base than ours lacks."""
    # It is an applet of our own BusyBox.
    client = any(one.dhcp6 for one in network.interfaces) and not ground.own
    text = "".join(f"{line}\n" for line in lines(network))
    if not text:
        return Effects()
    where = network.interfaces[0].where if network.interfaces else network.where
    return Effects(
        files=(FileSpec(path=PATH, content=text.encode(), where=where),),
        packages=("udhcpc6",) if client else (),
    )
