"""Values of boot codes that a pattern alone cannot tell right from wrong, by the name of the check.

A check returns what is wrong with a value, or ``None``. Forms: POSIX.1 (environment variable TZ, and POSIX
Issue 8's hours of -167 to 167 in rules), RFC 1123 host names, RFC 4253 keys of SSH; devices as Tiny Core's
scripts take them: a name below /dev, ``LABEL=`` or ``UUID=``, and behind it a folder.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from remaster import zones

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_HOST: Final = 253
_LARGEST_PORT: Final = 65535
_DEVICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|(LABEL|UUID)=[^\s/]+")
_UUID: Final = re.compile(
    r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}|[0-9A-Fa-f]{16}|[0-9]{4}(-[0-9]{2}){6}"
)
_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
#: Accounts of the system's own, on floe, Tiny Core, and those that its packages make.
SYSTEM_ACCOUNTS: Final = (
    *("root", "daemon", "bin", "sys", "adm", "sync", "shutdown", "halt", "operator", "man", "lp", "mail"),
    *("news", "uucp", "proxy", "www-data", "backup", "list", "irc", "games", "nobody", "sshd", "messagebus"),
)
_ZONE: Final = re.compile(
    r"(?P<name>[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)(?P<offset>[+-]?[0-9:]+)"
    r"((?P<summer>[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)(?P<shift>[+-]?[0-9:]+)?"
    r"(,(?P<start>[^,/]+)(/(?P<from>[^,/]+))?,(?P<end>[^,/]+)(/(?P<to>[^,/]+))?)?)?"
)
_TIME: Final = re.compile(r"[+-]?([0-9]{1,3})(?::([0-5][0-9]))?(?::([0-5][0-9]))?")
_DAY: Final = re.compile(r"M([1-9]|1[0-2])\.[1-5]\.[0-6]|J([0-9]{1,3})|([0-9]{1,3})")
_DAYS: Final = 365
_OFFSET_HOURS: Final = 24
_RULE_HOURS: Final = 167
_NO_OFFSET: Final = ("UTC", "GMT")


def host(value: str) -> str | None:
    """Return what is wrong with the name or the address of a host."""
    if re.fullmatch(r"[0-9.]+", value) or ":" in value:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return f"{value!r} is not an address"
        return None
    if len(value) > _LONGEST_HOST or not all(_LABEL.fullmatch(part) for part in value.split(".")):
        return f"{value!r} is not the name of a host"
    return None


def host_port(value: str) -> str | None:
    """Return what is wrong with a host that may have a port behind it."""
    name, colon, port = value.rpartition(":")
    if not colon or (":" in name and not name.startswith("[")):
        return host(value)
    return host(name.strip("[]")) or _port(port)


def _port(text: str) -> str | None:
    if re.fullmatch(r"[1-9][0-9]{0,4}", text) and int(text) <= _LARGEST_PORT:
        return None
    return f"{text!r} is not a port of 1 to {_LARGEST_PORT}"


def server_port(value: str) -> str | None:
    """Return what is wrong with ``SERVER:PORT[:no-ping]``."""
    name, colon, port = value.removesuffix(":no-ping").rpartition(":")
    return (host(name) or _port(port)) if colon else f"{value!r} is not SERVER:PORT"


def server_list(value: str) -> str | None:
    """Return what is wrong with ``HOST[:]/PATH/LIST[:no-ping]``."""
    name, slash, path = value.removesuffix(":no-ping").partition("/")
    if not slash or not path:
        return f"{value!r} is not HOST/PATH of a list"
    return host_port(name.removesuffix(":")) or _path(path)


def server_folder(value: str) -> str | None:
    """Return what is wrong with ``SERVER:DIR[:OPTIONS]``."""
    name, colon, rest = value.partition(":/")
    folder, _, options = rest.partition(":")
    if not colon:
        return f"{value!r} is not SERVER:/FOLDER"
    if options and not re.fullmatch(r"[a-z0-9-]+(=[^,=]+)?(,[a-z0-9-]+(=[^,=]+)?)*", options):
        return f"{options!r} is no list of mount options"
    return host(name) or (_path(folder) if folder else None)


def _path(text: str) -> str | None:
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts[:-1]) or parts[-1] in (".", ".."):
        return f"{text!r} is not a plain path: without // and .."
    return None


def device(value: str) -> str | None:
    """Return what is wrong with a device: its name, with or without /dev/, a label or a UUID."""
    name = value.removeprefix("/dev/")
    if not _DEVICE.fullmatch(name) or (name != value and "=" in name):
        return f"{value!r} is not a device such as sda1, LABEL=data or UUID=..."
    kind, _, rest = name.partition("=")
    if kind == "UUID" and not _UUID.fullmatch(rest):
        return f"{rest!r} is not the UUID of a file system"
    return None


def device_folder(value: str) -> str | None:
    """Return what is wrong with a device, without /dev/, that may have a folder or a file behind it."""
    if value.startswith("/"):
        return "no / in front, and no /dev/: the name of the device comes first"
    name, _, folder = value.partition("/")
    return device(name) or (_path(folder) if folder else None)


def disk_file(value: str) -> str | None:
    """Return what is wrong with the path of a file, with or without a device in front."""
    return "no / in front: a device may come first" if value.startswith("/") else _path(value)


def command(value: str) -> str | None:
    """Return what is wrong with the name or the path of a command."""
    return _path(value.removeprefix("/"))


def keymap(value: str) -> str | None:
    """Return what is wrong with the path of a keyboard map below /usr/share/kmap."""
    if value.endswith(".kmap"):
        return f"write {value.removesuffix('.kmap')!r}, without .kmap"
    return "no / in front: it is below /usr/share/kmap" if value.startswith("/") else _path(value)


def account(value: str) -> str | None:
    """Return what is wrong with the name of a user that is made and logged in."""
    if value in SYSTEM_ACCOUNTS:
        return f"{value} is an account of the system's own, not a person's"
    return None if _ACCOUNT.fullmatch(value) else f"{value!r} is not a user's name of 1 to 31 characters"


def ssh_key(value: str) -> str | None:
    """Return what is wrong with the second word of a public key."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "the key is cut off: this is not base64"
    size = int.from_bytes(data[:4])
    kind, rest = data[4 : 4 + size], data[4 + size :]
    if len(kind) < size or not re.fullmatch(rb"[a-z0-9@.-]+", kind) or not rest:
        return "this is no public key of SSH"
    while rest:
        size = int.from_bytes(rest[:4])
        if len(rest) < 4 + size:
            return "the key is cut off"
        rest = rest[4 + size :]
    return None


# -- time zones ------------------------------------------------------------------------------------


def posix_zone(value: str) -> str | None:
    """Return what is wrong with a time zone as POSIX has it in TZ."""
    if value in _NO_OFFSET:
        return None
    found = _ZONE.fullmatch(value)
    if found is None:
        rule = zones.rule_of(zones.data(value)) if value in zones.names() else ""
        name = f"{value!r} is not a zone as POSIX writes it"
        return f"{name}; {value} is tz={rule}" if rule else name
    shift = found["shift"]
    times = [(found["offset"], _OFFSET_HOURS), *([(shift, _OFFSET_HOURS)] if shift else [])]
    times += [(found[group], _RULE_HOURS) for group in ("from", "to") if found[group]]
    for text, hours in times:
        time = _TIME.fullmatch(text)
        if time is None or int(time[1]) > hours:
            return f"{text!r} is not a time that a zone can have"
    for day in (found["start"], found["end"]):
        if day is not None and not _is_day(day):
            return f"{day!r} is not a day that a zone can change on, such as M3.5.0"
    return None


def _is_day(text: str) -> bool:
    found = _DAY.fullmatch(text)
    if found is None:
        return False
    if found[2] is not None:
        return 1 <= int(found[2]) <= _DAYS
    return found[3] is None or int(found[3]) <= _DAYS


#: By the name that a boot code's file gives.
CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "account": account,
    "command": command,
    "device": device,
    "device-folder": device_folder,
    "disk-file": disk_file,
    "host": host,
    "host-port": host_port,
    "keymap": keymap,
    "posix-zone": posix_zone,
    "server-folder": server_folder,
    "server-list": server_list,
    "server-port": server_port,
    "ssh-key": ssh_key,
}
