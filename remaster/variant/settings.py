"""Everything that a variant says of the machine's configuration, one part for each concern."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.variant import (
    certificates,
    clock,
    cni,
    containers,
    engineconf,
    machine,
    network,
    policy,
    preload,
    registries,
    users,
)
from remaster.variant.certificates import Certificate  # noqa: TC001 - dataclasses look at annotations
from remaster.variant.clock import Clock
from remaster.variant.cni import Network as CniNetwork  # noqa: TC001
from remaster.variant.containers import Container  # noqa: TC001
from remaster.variant.engineconf import EngineConf
from remaster.variant.machine import Machine
from remaster.variant.network import Network
from remaster.variant.policy import Policy
from remaster.variant.preload import Preload  # noqa: TC001
from remaster.variant.registries import Registries
from remaster.variant.users import User  # noqa: TC001

if TYPE_CHECKING:
    from pathlib import Path

    from remaster.variant.fields import Key, Many, Section
    from remaster.variant.parts import Effects, Ground
    from tcz import toml
    from tcz.errors import Problem

#: The keys of a variant's file that are read here.
KEYS: Final[tuple[Key[object] | Section | Many, ...]] = (
    machine.HOSTNAME,
    clock.TIMEZONE,
    clock.KEYMAP,
    machine.NTP,
    machine.MODULES,
    certificates.CERTIFICATES,
    network.FALLBACK,
    machine.SYSCTL,
    machine.PROXY,
    network.KEY,
    users.KEY,
    registries.KEY,
    policy.KEY,
    engineconf.DAEMON,
    engineconf.CONTAINERS,
    engineconf.STORAGE,
    cni.KEY,
    preload.KEY,
    containers.KEY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the tables say, before it comes to files."""

    machine: Machine = field(default_factory=Machine)
    clock: Clock = field(default_factory=Clock)
    network: Network = field(default_factory=Network)
    certificates: tuple[Certificate, ...] = ()
    users: tuple[User, ...] = ()
    registries: Registries = field(default_factory=Registries)
    policy: Policy = field(default_factory=Policy)
    engines: EngineConf = field(default_factory=EngineConf)
    cni: tuple[CniNetwork, ...] = ()
    preload: tuple[Preload, ...] = ()
    containers: tuple[Container, ...] = ()


def read(table: toml.Table, path: Path) -> Settings:
    """Return what a variant's file says; files that it names are beside it."""
    return Settings(
        machine=machine.read(table),
        clock=clock.read(table, path),
        network=network.read(table),
        certificates=certificates.read(table, path),
        users=users.read(table, path),
        registries=registries.read(table),
        policy=policy.read(table, path),
        engines=engineconf.read(table),
        cni=cni.read(table),
        preload=preload.read(table, path),
        containers=containers.read(table),
    )


def merged(first: Settings, then: Settings) -> Settings:
    """Return ``then`` over ``first``, each part as its own module says."""
    return Settings(
        machine=machine.merged(first.machine, then.machine),
        clock=clock.merged(first.clock, then.clock),
        network=network.merged(first.network, then.network),
        certificates=certificates.merged(first.certificates, then.certificates),
        users=users.merged(first.users, then.users),
        registries=registries.merged(first.registries, then.registries),
        policy=policy.merged(first.policy, then.policy),
        engines=engineconf.merged(first.engines, then.engines),
        cni=cni.merged(first.cni, then.cni),
        preload=preload.merged(first.preload, then.preload),
        containers=containers.merged(first.containers, then.containers),
    )


def effects(settings: Settings, ground: Ground) -> tuple[Effects, tuple[Problem, ...]]:
    """Return all that the settings ask for, and what cannot be done on this ground."""
    places, daemon, refused = registries.effects(settings.registries, ground)
    believed, unread = policy.effects(settings.policy, ground)
    loaded, unloadable = preload.effects(settings.preload, ground)
    run, unrunnable = containers.effects(settings.containers, ground)
    together = (
        machine.effects(settings.machine, ground)
        + clock.effects(settings.clock)
        + network.effects(settings.network, ground)
        + certificates.effects(settings.certificates)
        + places
        + believed
        + engineconf.effects(settings.engines, daemon)
        + cni.effects(settings.cni)
        + loaded
        + run
    )
    # What archives hold is looked at with them.
    absent = () if settings.preload else tuple(containers.unknown(settings.containers, ()))
    return together, (*refused, *unread, *unloadable, *unrunnable, *absent)


def told(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return what is said, each key with a short text, keys that are not said left out."""
    one, where = settings.machine, settings.clock
    conf = settings.engines
    tables = ((conf.daemon, engineconf.DAEMON), (conf.containers, engineconf.CONTAINERS))
    pairs = (
        (machine.HOSTNAME.name, one.hostname),
        (clock.TIMEZONE.name, where.timezone),
        (clock.KEYMAP.name, where.keymap),
        (machine.NTP.name, " ".join(one.ntp)),
        (machine.MODULES.name, " ".join(one.modules)),
        (certificates.CERTIFICATES.name, " ".join(each.name for each in settings.certificates)),
        (machine.SYSCTL.name, ", ".join(f"{name}={value}" for name, value in one.sysctl)),
        (machine.PROXY.name, " ".join(dict.fromkeys(filter(None, (one.proxy.http, one.proxy.https))))),
        (network.FALLBACK.name, " ".join(settings.network.fallback)),
        (network.KEY.name, " ".join(each.who for each in settings.network.interfaces)),
        (users.KEY.name, ", ".join(_user(each) for each in settings.users)),
        (registries.KEY.name, "yes" if settings.registries.said else ""),
        (policy.KEY.name, settings.policy.default or ("accept" if settings.policy.said else "")),
        *((key.name, " ".join(name for name, _ in value.items)) for value, key in tables),
        (engineconf.STORAGE.name, "yes" if conf.storage.items else ""),
        (cni.KEY.name, " ".join(each.name for each in settings.cni)),
        (preload.KEY.name, " ".join(each.archive.name for each in settings.preload)),
        (containers.KEY.name, ", ".join(f"{each.name} ({each.image})" for each in settings.containers)),
    )
    return tuple((key, text) for key, text in pairs if text)


def _user(user: User) -> str:
    keys = f"{len(user.keys)} key{'' if len(user.keys) == 1 else 's'}"
    return f"{user.name} ({', '.join((keys, *user.groups))})"
