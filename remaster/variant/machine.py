"""The machine itself: ``hostname``, ``[sysctl]``, ``modules``, ``ntp``, ``[proxy]``.

Settings of the kernel and modules are applied by the service ``settings``, the clock is kept by the service
``clock``, both of the package host-settings; what was refused is told on the console.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.variant import secrets
from remaster.variant.fields import Key, Rule, Schema, Section, Shape, Text, Texts
from remaster.variant.parts import Effects, FileSpec, Ground

if TYPE_CHECKING:
    from tcz import toml

HOST: Final = Rule(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "a host's name such as node1")
_SERVER: Final = Rule(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+", "a time server's name or address"
)
_MODULE: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9_-]*", "the name of a kernel module such as wireguard")
_SETTING: Final = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_@-]+)+")
#: No more than this: no one writes longer names, and deeper tables than these name nothing.
_DEEPEST: Final = 12
_ADDRESS: Final = Rule(
    r"https?://[^\s'\"\\$`@]+",
    "the address of a proxy such as http://proxy.example.org:3128",
    more=secrets.in_text,
)
_BYPASS: Final = Rule(
    r"[A-Za-z0-9.:*/\[\]-]+", "a host, a domain or a network that is reached without the proxy"
)

HOSTNAME = Text(
    "hostname", "The machine's name: the boot code host=.", rule=HOST, example='hostname = "node1"\n'
)
MODULES = Texts(
    "modules",
    "Kernel modules that are loaded at boot.",
    rule=_MODULE,
    example='modules = ["wireguard"]\n',
)
NTP = Texts(
    "ntp",
    "Time servers that the clock is kept by.",
    rule=_SERVER,
    example='ntp = ["0.pool.ntp.org", "1.pool.ntp.org"]\n',
)
PROXY_HTTP = Text("http", "The proxy for http.", rule=_ADDRESS)
PROXY_HTTPS = Text("https", "The proxy for https.", rule=_ADDRESS)
PROXY_NOT = Texts("no-proxy", "What is reached without it.", rule=_BYPASS)
PROXY = Section(
    "proxy",
    "Proxies, for logins and services.",
    Shape((PROXY_HTTP, PROXY_HTTPS, PROXY_NOT)),
    example="""\
[proxy]
http = "http://proxy.lan:3128"
https = "http://proxy.lan:3128"
no-proxy = ["localhost", "127.0.0.1", ".lan"]
""",
)


@dataclass(frozen=True, slots=True)
class Sysctl(Key[tuple[tuple[str, str], ...]]):
    """Settings of the kernel: names with dots, quoted or as tables within tables."""

    def read(self, table: toml.Table) -> tuple[tuple[str, str], ...]:
        """Return the settings by name, values as text."""
        found: dict[str, str] = {}
        if table.has(self.name):
            _flatten(table.table(self.name), "", found, 0)
        return tuple(found.items())

    def value_schema(self) -> Schema:
        """Return the schema of such a table."""
        values: Schema = {"type": ["integer", "string", "object"]}
        return {"type": "object", "additionalProperties": values}


def _flatten(table: toml.Table, prefix: str, found: dict[str, str], depth: int) -> None:
    for key in table.names():
        name, value = f"{prefix}{key}", table.anything(key)
        if isinstance(value, dict) and depth < _DEEPEST:
            _flatten(table.table(key), f"{name}.", found, depth + 1)
        elif not _SETTING.fullmatch(name):
            table.fail(key, f"{name!r} is not the name of a setting such as vm.swappiness")
        elif isinstance(value, bool) or not isinstance(value, int | str):
            table.fail(key, "expected a number or a string")
        elif isinstance(value, str) and (not value.strip() or not value.isprintable()):
            table.fail(key, "must be one line of printable characters")
        elif name in found:
            table.fail(key, f"{name} is there twice")
        else:
            found[name] = str(value)


SYSCTL = Sysctl(
    "sysctl",
    "Settings of the kernel, applied at boot after those of packages.",
    example="""\
[sysctl]
vm.swappiness = 10
"net.ipv4.tcp_rmem" = "4096 87380 6291456"
""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What ``[proxy]`` says."""

    http: str = ""
    https: str = ""
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is said of the machine itself."""

    hostname: str = ""
    modules: tuple[str, ...] = ()
    sysctl: tuple[tuple[str, str], ...] = ()
    ntp: tuple[str, ...] = ()
    proxy: Proxy = field(default_factory=Proxy)
    where: str = ""


def read(table: toml.Table) -> Machine:
    """Return what the keys say."""
    inner = PROXY.open(table)
    proxy = Proxy(http=PROXY_HTTP.read(inner), https=PROXY_HTTPS.read(inner), bypass=PROXY_NOT.read(inner))
    if proxy.bypass and not (proxy.http or proxy.https):
        inner.fail(PROXY_NOT.name, "there is no proxy to do without", "give http or https")
    return Machine(
        hostname=HOSTNAME.read(table),
        modules=MODULES.read(table),
        sysctl=SYSCTL.read(table),
        ntp=NTP.read(table),
        proxy=proxy,
        where=table.where(),
    )


def merged(first: Machine, then: Machine) -> Machine:
    """Return both: lists joined, settings by name and single values of ``then`` win."""
    return Machine(
        hostname=then.hostname or first.hostname,
        modules=tuple(dict.fromkeys((*first.modules, *then.modules))),
        sysctl=tuple((dict(first.sysctl) | dict(then.sysctl)).items()),
        ntp=tuple(dict.fromkeys((*first.ntp, *then.ntp))),
        proxy=Proxy(
            http=then.proxy.http or first.proxy.http,
            https=then.proxy.https or first.proxy.https,
            bypass=tuple(dict.fromkeys((*first.proxy.bypass, *then.proxy.bypass))),
        ),
        where=then.where or first.where,
    )


def proxy_text(proxy: Proxy) -> str:
    """Return a script for login shells and services. Values hold nothing that a shell would read."""
    pairs = (("http_proxy", proxy.http), ("https_proxy", proxy.https), ("no_proxy", ",".join(proxy.bypass)))
    lines = ["# shellcheck shell=sh", "# Read by login shells and by the scripts of services."]
    for name, value in pairs:
        if value:
            lines += [f"{name}='{value}' {name.upper()}='{value}'", f"export {name} {name.upper()}"]
    return "\n".join(lines) + "\n"


def effects(given: Machine, ground: Ground) -> Effects:
    """Return the files, services and boot codes."""
    files = []
    if given.modules:
        text = "".join(f"{name}\n" for name in given.modules)
        files.append(("usr/local/etc/modules-load.d/50-image.conf", text))
    if given.sysctl:
        text = "".join(f"{name} = {value}\n" for name, value in given.sysctl)
        files.append(("usr/local/etc/sysctl.d/50-image.conf", text))
    settings = bool(given.modules or given.sysctl)
    # A service of that name keeps the clock already, by the same file.
    clock = bool(given.ntp) and "ntpd" not in ground.services
    if given.ntp:
        files.append(("etc/ntp.conf", "".join(f"server {name}\n" for name in given.ntp)))
        files.append(("etc/sysconfig/ntpserver", "".join(f"{name}\n" for name in given.ntp)))
    if given.proxy.http or given.proxy.https:
        files.append(("etc/profile.d/proxy.sh", proxy_text(given.proxy)))
    return Effects(
        files=tuple(FileSpec(path=path, content=text.encode(), where=given.where) for path, text in files),
        packages=(
            *(("host-settings",) if settings or clock else ()),
            # Another base has modules of its own, or gets a kernel with all that goes with it.
            *(("modules-KERNEL",) if given.modules and ground.own else ()),
        ),
        first=("settings",) if settings else (),
        services=("clock",) if clock else (),
        boot_codes=(f"host={given.hostname}",) if given.hostname else (),
    )
