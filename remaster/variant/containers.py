"""``[[container]]``: containers that the machine runs from its first boot on.

Each becomes a file with the words of ``ENGINE run``, one a line, behind one with the engine's name; the
service ``containers`` makes what is not there yet, starts what is, and replaces what was described otherwise.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.variant import secrets
from remaster.variant.fields import Choice, Flag, Many, Pairs, Rule, Shape, Text, Texts, Words
from remaster.variant.parts import ENGINES, PRIVATE, Effects, FileSpec, Ground
from remaster.variant.preload import NAME_RULE, engine_for
from tcz import toml
from tcz.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE: Final = Rule(r"[^\r\n\x00]+", "one line")
_LARGEST_PORT: Final = 65535
_NUMBERS: Final = "[0-9]{1,5}(?:-[0-9]{1,5})?"
_PORT_PATTERN: Final = rf"(?:(?:[0-9.]+|\[[0-9A-Fa-f:]+\]):)?(?:{_NUMBERS}:)?{_NUMBERS}(?:/(?:tcp|udp|sctp))?"


def _port_complaint(text: str) -> str | None:
    """Return what is wrong with the numbers and the address of ports, or ``None``."""
    if not re.fullmatch(_PORT_PATTERN, text):
        return None  # which the pattern tells
    plain = text.rpartition("/")[0] or text
    address, _, rest = plain.rpartition("]:") if "]" in plain else ("", "", plain)
    parts = rest.split(":")
    if not address and len(parts) == _WITH_ADDRESS:
        address = parts.pop(0)
    spans = [tuple(int(number) for number in part.split("-") if number.isdecimal()) for part in parts]
    for span in spans:
        if any(not 1 <= number <= _LARGEST_PORT for number in span):
            return f"{text!r} is not a port of 1 to {_LARGEST_PORT}"
        if len(span) > 1 and span[0] > span[-1]:
            return f"{text!r} goes from a larger port to a smaller one"
    ours, theirs = (span[-1] - span[0] for span in (spans[0], spans[-1]))
    if theirs and ours != theirs:
        return f"{text!r} has more ports on one side than on the other"
    try:
        ipaddress.ip_address(address.strip("[") or "0.0.0.0")  # noqa: S104 - where none is said
    except ValueError:
        return f"{address!r} is not an address"
    return None


_WITH_ADDRESS: Final = 3
_PORT: Final = Rule(
    _PORT_PATTERN,
    "a port such as 8080:80 or 127.0.0.1:53:53/udp",
    more=_port_complaint,
)
_VOLUME: Final = Rule(
    r"(?:/[^:\r\n]*|[A-Za-z0-9][A-Za-z0-9_.-]*):/[^:\r\n]*(?::[A-Za-z,]+)?",
    "a volume such as /srv/www:/www:ro or data:/var/lib/data",
)
_VARIABLE: Final = Rule(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")
_REFERENCE: Final = Rule(
    rf"{NAME_RULE.pattern}(?:@sha256:[0-9a-f]{{64}})?", "an image's name such as localhost/web:latest"
)

NAME = Text(
    "name",
    "The container's name.",
    rule=Rule(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a container's name"),
    default=None,
)
IMAGE = Text("image", "Its image: one that is preloaded, or is fetched.", rule=_REFERENCE, default=None)
ARGS = Words("args", "What it runs, and with which words.", rule=_LINE)
ENV = Pairs("env", "Variables of its environment.", key=_VARIABLE, value=_LINE, empty=True)
PORTS = Texts("ports", "Ports of the machine that lead to ports of the container.", rule=_PORT)
VOLUMES = Texts(
    "volumes", "Folders of the machine, or volumes, and where the container has them.", rule=_VOLUME
)
NETWORK = Text(
    "network",
    "The network: host, none, or one by name.",
    rule=Rule(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", "a network's name"),
)
INIT = Flag("init", "Whether a small init is its first process, which heeds signals and collects children.")
RESTART = Choice(
    "restart",
    "When the engine starts it again.",
    choices=("no", "always", "on-failure", "unless-stopped"),
    default="always",
)
ENGINE = Choice("engine", "Who runs it, where the variant has several engines.", choices=ENGINES)
KEY = Many(
    "container",
    "Containers that run from the first boot on.",
    Shape((NAME, IMAGE, ARGS, ENV, PORTS, VOLUMES, NETWORK, INIT, RESTART, ENGINE)),
    example="""\
[[container]]
name = "web"
image = "docker.io/library/nginx:latest"
ports = ["8080:80"]
env.GREETING = "hello"
""",
)
_FOLDER: Final = "usr/local/etc/containers.d"
#: A label that tells whether a container is as described.
LABEL: Final = "org.tinycore.described"
SERVICE: Final = "containers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container. What may be a secret and does not show it is told nowhere but in the image."""

    name: str
    image: str
    args: tuple[str, ...] = field(default=(), metadata=PRIVATE)
    env: tuple[tuple[str, str], ...] = field(default=(), metadata=PRIVATE)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    network: str = ""
    init: bool = False
    restart: str = "always"
    engine: str = ""
    where: str = ""


def read(table: toml.Table) -> tuple[Container, ...]:
    """Return the containers; two of one name are a mistake."""
    found: list[Container] = []
    for inner in KEY.open(table):
        container = Container(
            name=NAME.read(inner),
            image=IMAGE.read(inner),
            args=ARGS.read(inner),
            env=ENV.read(inner),
            ports=PORTS.read(inner),
            volumes=VOLUMES.read(inner),
            network=NETWORK.read(inner),
            init=INIT.read(inner),
            restart=RESTART.read(inner),
            engine=ENGINE.read(inner),
            where=inner.where(),
        )
        for name, value in container.env:
            problem = secrets.in_setting(name, value)
            if problem is not None:
                inner.fail(ENV.name, problem, secrets.HINT)
        problem = secrets.in_words(container.args)
        if problem is not None:
            inner.fail(ARGS.name, problem, secrets.HINT)
        if any(container.name == one.name for one in found):
            inner.fail(NAME.name, f"{container.name} is there twice")
        found.append(container)
    return tuple(found)


def merged(first: tuple[Container, ...], then: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return both; a container of ``then`` replaces one of its name."""
    return tuple(({one.name: one for one in first} | {one.name: one for one in then}).values())


def words(given: Container) -> tuple[str, ...]:
    """Return the words that follow ``ENGINE run``."""
    found = ["--detach", "--name", given.name, "--restart", given.restart]
    for option, values in (
        ("--publish", given.ports),
        ("--volume", given.volumes),
        ("--env", tuple(f"{name}={value}" for name, value in given.env)),
        ("--network", (given.network,) if given.network else ()),
    ):
        for value in values:
            found += [option, value]
    found += ["--init"] if given.init else []
    told = hashlib.sha256("\0".join((*found, given.image, *given.args)).encode()).hexdigest()
    return (*found, "--label", f"{LABEL}={told[:16]}", given.image, *given.args)


def is_local(image: str) -> bool:
    """Tell whether an image can come from the machine alone, since no registry has that name."""
    return image.startswith("localhost/")


def unknown(given: tuple[Container, ...], preloaded: Iterable[str]) -> Iterator[Problem]:
    """Yield each container whose image is the machine's own and is not among those preloaded."""
    known = tuple(preloaded)
    for one in given:
        name = one.image if ":" in one.image.rpartition("/")[2] else f"{one.image}:latest"
        if is_local(one.image) and name not in known:
            message = f"the image {one.image} can be fetched from nowhere, and is not preloaded"
            hint = toml.guess(name, known) or "name its archive in [[preload]]"
            yield Problem(where=one.where, message=message, hint=hint)


def effects(given: tuple[Container, ...], ground: Ground) -> tuple[Effects, tuple[Problem, ...]]:
    """Return the files, and the service that runs what they describe."""
    files: list[FileSpec] = []
    problems: list[Problem] = []
    for one in given:
        engine, problem = engine_for(one.engine, ground, one.where, f"the container {one.name}")
        problems += [] if problem is None else [problem]
        text = "".join(f"{word}\n" for word in (engine, *words(one)))
        files.append(FileSpec(path=f"{_FOLDER}/{one.name}", content=text.encode(), where=one.where))
    if not files:
        return Effects(), ()
    return (
        Effects(files=tuple(files), packages=("container-host",), services=(SERVICE,)),
        tuple(problems),
    )
