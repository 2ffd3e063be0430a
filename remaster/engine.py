"""What container engines need of a kernel, as data, and whether a configuration has it.

The data is engines/kernel.toml, gathered from the checks that the engines ship and from their documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tcz import toml, versions
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remaster.kconfig import KernelConfig

Level = Literal["required", "optional"]
ENGINES: Final = ("docker", "podman", "k3s")
_LEVELS: Final[tuple[Level, ...]] = ("required", "optional")
_DATA: Final = Path(__file__).parent / "engines" / "kernel.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One symbol that an engine asks for. ``since`` and ``before`` bound the releases of Linux, if set."""

    symbol: str
    level: Level
    why: str = ""
    since: str = ""
    before: str = ""

    def applies(self, release: str) -> bool:
        """Tell whether a kernel of this release has to have it; of an unknown release, the newest does."""
        here = versions.key(release.partition("-")[0]) if release else None
        if self.since and here is not None and here < versions.key(self.since):
            return False
        return not (self.before and (here is None or here >= versions.key(self.before)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A need and what the kernel has: ``y`` built in, ``m`` as a module, or ``n``."""

    symbol: str
    level: Level
    value: str
    met: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings for an engine, in the order of the data."""

    engine: str
    release: str
    findings: tuple[Finding, ...]

    def missing(self, level: Level) -> tuple[Finding, ...]:
        """Return what is asked for at this level and not there."""
        return tuple(one for one in self.findings if one.level == level and not one.met)

    @property
    def fit(self) -> bool:
        """Whether the engine can run on the kernel."""
        return not self.missing("required")


def needs(engine: str) -> tuple[Need, ...]:
    """Return what an engine asks for; raises ``ConfigError`` for one that is unknown."""
    if engine not in ENGINES:
        listed = f"engines: {', '.join(ENGINES)}"
        raise ConfigError(f"there is no engine {engine!r}", hint=toml.guess(engine, ENGINES) or listed)
    document = toml.read(_DATA)
    document.root.integer("schema", low=1, high=1)
    found = tuple(_read(document.root.tables("need"), engine))
    document.finish("what engines need")
    return found


def _read(tables: Iterable[toml.Table], engine: str) -> Iterable[Need]:
    for table in tables:
        levels = {name: table.choice(name, _LEVELS) for name in ENGINES if table.has(name)}
        symbols = table.strings("symbols")
        why, since, before = (table.string(key, "") for key in ("why", "since", "before"))
        if engine in levels:
            for symbol in symbols:
                yield Need(symbol=symbol, level=levels[engine], why=why, since=since, before=before)


def check(config: KernelConfig, engine: str) -> Verdict:
    """Hold a configuration against what an engine needs. Raises ``ConfigError`` for an unknown engine."""
    findings = tuple(
        Finding(
            symbol=need.symbol,
            level=need.level,
            value=config.value(need.symbol),
            met=config.value(need.symbol) in ("y", "m"),
            why=need.why,
        )
        for need in needs(engine)
        if need.applies(config.release)
    )
    return Verdict(engine=engine, release=config.release, findings=findings)


def lines(verdict: Verdict, *, everything: bool = False) -> tuple[str, ...]:
    """Return a verdict as text: what is missing, or all with ``everything``; a summary at the end."""
    shown = verdict.findings if everything else (*verdict.missing("required"), *verdict.missing("optional"))
    words = {"y": "built in", "m": "module", "n": "missing"}
    rows = tuple(
        f"{one.level:<8}  {words.get(one.value, one.value):<8}  CONFIG_{one.symbol}"
        + (f": {one.why}" if one.why else "")
        for one in shown
    )
    required, optional = len(verdict.missing("required")), len(verdict.missing("optional"))
    kernel = f"Linux {verdict.release}" if verdict.release else "the kernel"
    end = f"{kernel} has all that {verdict.engine} requires"
    if required:
        end = f"{verdict.engine} does not run on {kernel}: {required} required symbols are missing"
    return (*rows, f"{end}; {optional} optional symbols are missing" if optional else end)
