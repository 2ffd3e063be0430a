"""``[registries]``: where images come from, for podman, buildah and skopeo, and for docker what it can do.

Formats: containers-registries.conf(5), version 2, and containers-registries.d(5) of container-libs;
``registry-mirrors`` and ``insecure-registries`` of dockerd(8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.variant.documents import Free, quoted, toml_text
from remaster.variant.fields import Choice, Flag, Lists, Many, Rule, Section, Shape, Text, Texts
from remaster.variant.parts import CONTAINERS_READERS, Effects, FileSpec, Ground
from tcz.errors import Problem

if TYPE_CHECKING:
    from tcz import toml

_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)"
_PORT: Final = r"(?::[0-9]{1,5})?"
_PATH: Final = r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
REGISTRY: Final = Rule(f"{_HOST}{_PORT}", "a registry such as registry.example.org:5000, without https://")
PLACE: Final = Rule(f"{_HOST}{_PORT}{_PATH}", "a place such as registry.example.org/team, without https://")
_PREFIX: Final = Rule(
    rf"(?:\*\.{_HOST}|{_HOST}{_PORT}{_PATH})",
    "a place such as registry.example.org/team or *.example.org, without https://",
)
_STORE: Final = Rule(r"(?:https?://|file:///)[^\s]+", "an address with https://, http:// or file:///")

SEARCH = Texts("unqualified-search", "Registries in which names without one are looked for.", rule=REGISTRY)
SHORT_NAMES = Choice(
    "short-name-mode",
    "Where several have the name: enforcing asks, permissive tries them in turn if nobody can be asked.",
    choices=("enforcing", "permissive", "disabled"),
)
INSECURE = Texts("insecure", "Registries without TLS, or with certificates nobody vouches for.", rule=_PREFIX)
BLOCKED = Texts("blocked", "Registries, or parts of some, from which nothing is taken.", rule=_PREFIX)
MIRRORS = Lists(
    "mirrors", "For a registry the places that are asked before it, in this order.", key=_PREFIX, value=PLACE
)
LOOKASIDE = Text("lookaside", "Where signatures beside the images lie.", rule=_STORE)
STAGING = Text("lookaside-staging", "Where new ones are put.", rule=_STORE)
ATTACHMENTS = Flag("sigstore-attachments", "Whether sigstore's signatures are images in the registry.")
REGISTRY_KEY = Text("registry", "The registry, or a part of it.", rule=PLACE, default=None)
_SIGNATURES_SHAPE = Shape((REGISTRY_KEY, LOOKASIDE, STAGING, ATTACHMENTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """Where the signatures of a registry's images lie."""

    registry: str
    lookaside: str = ""
    staging: str = ""
    attachments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """What ``[registries]`` says."""

    search: tuple[str, ...] = ()
    short_names: str = ""
    insecure: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    mirrors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    signatures: tuple[Signatures, ...] = ()
    where: str = ""

    @property
    def said(self) -> bool:
        """Whether anything is said."""
        lists = (self.search, self.insecure, self.blocked, self.mirrors, self.signatures)
        return bool(self.short_names) or any(lists)


_SIGNATURES = Many("signatures", "Where the signatures of images lie.", _SIGNATURES_SHAPE)
_SHAPE = Shape((SEARCH, SHORT_NAMES, INSECURE, BLOCKED, MIRRORS, _SIGNATURES))
KEY = Section(
    "registries",
    "Where images come from.",
    _SHAPE,
    example="""\
[registries]
unqualified-search = ["docker.io"]
insecure = ["registry.lan:5000"]
blocked = ["untrusted.example.org"]
mirrors."docker.io" = ["registry.lan:5000/hub"]
""",
)
_CONF: Final = "etc/containers/registries.conf.d/50-image.conf"
_YAML: Final = "etc/containers/registries.d/50-image.yaml"


def read(table: toml.Table) -> Registries:
    """Return what the table says."""
    inner = KEY.open(table)
    return Registries(
        search=SEARCH.read(inner),
        short_names=SHORT_NAMES.read(inner),
        insecure=INSECURE.read(inner),
        blocked=BLOCKED.read(inner),
        mirrors=MIRRORS.read(inner),
        signatures=tuple(_signatures(one) for one in _SIGNATURES.open(inner)),
        where=table.where(KEY.name),
    )


def _signatures(table: toml.Table) -> Signatures:
    found = Signatures(
        registry=REGISTRY_KEY.read(table),
        lookaside=LOOKASIDE.read(table),
        staging=STAGING.read(table),
        attachments=ATTACHMENTS.read(table),
    )
    if not (found.lookaside or found.staging or found.attachments):
        table.fail(None, "says nothing of where signatures are", "give lookaside or sigstore-attachments")
    return found


def merged(first: Registries, then: Registries) -> Registries:
    """Return both: lists joined, the mirrors of a registry too; single values of ``then`` win."""
    mirrors = dict(first.mirrors)
    for place, more in then.mirrors:
        mirrors[place] = tuple(dict.fromkeys((*mirrors.get(place, ()), *more)))
    signatures = {one.registry: one for one in (*first.signatures, *then.signatures)}
    return Registries(
        search=tuple(dict.fromkeys((*first.search, *then.search))),
        short_names=then.short_names or first.short_names,
        insecure=tuple(dict.fromkeys((*first.insecure, *then.insecure))),
        blocked=tuple(dict.fromkeys((*first.blocked, *then.blocked))),
        mirrors=tuple(mirrors.items()),
        signatures=tuple(signatures.values()),
        where=then.where if then.said else first.where,
    )


def conf_text(given: Registries) -> str:
    """Return the file of registries.conf.d."""
    head: list[tuple[str, str | tuple[str, ...]]] = []
    if given.search:
        head.append(("unqualified-search-registries", given.search))
    if given.short_names:
        head.append(("short-name-mode", given.short_names))
    parts = [toml_text(Free(tuple(head)))] if head else []
    places = dict.fromkeys((*(place for place, _ in given.mirrors), *given.insecure, *given.blocked))
    mirrors = dict(given.mirrors)
    for place in sorted(places):
        lines = ["[[registry]]", f"prefix = {quoted(place)}"]
        if not place.startswith("*."):
            lines.append(f"location = {quoted(place)}")
        lines += [f"{word} = true" for word, those in _marks(given) if place in those]
        for mirror in mirrors.get(place, ()):
            lines += ["", "[[registry.mirror]]", f"location = {quoted(mirror)}"]
            lines += ["insecure = true"] if _covered(mirror, given.insecure) else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _marks(given: Registries) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("insecure", given.insecure), ("blocked", given.blocked))


def _covered(place: str, those: tuple[str, ...]) -> bool:
    return any(place == one or place.startswith(f"{one}/") for one in those)


def yaml_text(given: Registries) -> str:
    """Return the file of registries.d. A basic string of JSON is one of YAML too."""
    lines = ["docker:"]
    for one in given.signatures:
        lines.append(f"  {quoted(one.registry)}:")
        lines += [f"    lookaside: {quoted(one.lookaside)}"] if one.lookaside else []
        lines += [f"    lookaside-staging: {quoted(one.staging)}"] if one.staging else []
        lines += ["    use-sigstore-attachments: true"] if one.attachments else []
    return "\n".join(lines) + "\n"


def effects(given: Registries, ground: Ground) -> tuple[Effects, Free, tuple[Problem, ...]]:
    """Return the files, what goes into docker's daemon.json, and what docker alone cannot do."""
    if not given.said:
        return Effects(), Free(), ()
    files = []
    if given.search or given.short_names or given.insecure or given.blocked or given.mirrors:
        files.append(FileSpec(path=_CONF, content=conf_text(given).encode(), where=given.where))
    if given.signatures:
        files.append(FileSpec(path=_YAML, content=yaml_text(given).encode(), where=given.where))
    daemon = Free()
    problems: tuple[Problem, ...] = ()
    if ground.has("docker"):
        daemon = _for_docker(given)
        # Where another engine is there too, that one does what docker cannot.
        problems = () if ground.has(*CONTAINERS_READERS) else tuple(_refused(given))
    return Effects(files=tuple(files)), daemon, problems


def _for_docker(given: Registries) -> Free:
    hub = dict(given.mirrors).get("docker.io", ())
    mirrors = tuple(
        f"{'http' if _covered(mirror, given.insecure) else 'https'}://{mirror}"
        for mirror in hub
        if "/" not in mirror
    )
    insecure = tuple(place for place in given.insecure if "/" not in place and not place.startswith("*."))
    pairs = (("registry-mirrors", mirrors), ("insecure-registries", insecure))
    return Free(tuple((key, value) for key, value in pairs if value))


def _refused(given: Registries) -> list[Problem]:
    def problem(message: str) -> Problem:
        return Problem(where=given.where, message=f"docker {message}", hint="podman can; docker alone cannot")

    found = []
    if given.search:
        found.append(problem("looks for names without a registry in docker.io only: unqualified-search"))
    if given.short_names:
        found.append(problem("has no short-name-mode"))
    found += [problem(f"blocks no registry: {place}") for place in given.blocked]
    for place, mirrors in given.mirrors:
        if place != "docker.io":
            found.append(problem(f"has mirrors of docker.io only, not of {place}"))
        found += [problem(f"takes no path of a mirror: {one}") for one in mirrors if "/" in one]
    odd = (place for place in given.insecure if "/" in place or place.startswith("*."))
    found += [problem(f"knows whole registries only: {place}") for place in odd]
    found += [problem(f"looks for no signatures: {one.registry}") for one in given.signatures]
    return found
