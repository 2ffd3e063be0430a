"""``[daemon-json]``, ``[containers-conf]``, ``[storage-conf]``: the engines' own files as tables.

Formats: dockerd(8); containers.conf(5) and containers-storage.conf(5) of container-libs. For the latter
two a file beside the packages' own is written, whose keys count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remaster.variant import enginekeys
from remaster.variant.documents import Free, FreeTable, json_text, toml_text
from remaster.variant.parts import Effects, FileSpec

if TYPE_CHECKING:
    from tcz import toml

#: The service gives these to the daemon, which takes none of them twice.
_HOSTS: Final = "is the service's business: for TCP, with TLS, add the package docker-tls"
_TWICE: Final = "is given to the daemon by its service, and must not be there twice"

DAEMON = FreeTable(
    "daemon-json",
    "Docker's /etc/docker/daemon.json.",
    known=enginekeys.DAEMON,
    refused=(("containerd", _TWICE), ("hosts", _HOSTS), ("pidfile", _TWICE)),
    example="""\
[daemon-json]
log-driver = "json-file"
log-opts = { max-size = "10m", max-file = "3" }
""",
)
CONTAINERS = FreeTable(
    "containers-conf",
    "Settings of podman and buildah: containers.conf.",
    known=enginekeys.CONTAINERS,
    example="""\
[containers-conf.containers]
pids_limit = 4096
""",
)
STORAGE = FreeTable(
    "storage-conf",
    "Where podman and buildah keep images: storage.conf.",
    known=enginekeys.STORAGE,
    example="""\
[storage-conf.storage]
driver = "overlay"
""",
)
_DAEMON_PATH: Final = "etc/docker/daemon.json"
_CONTAINERS_PATH: Final = "etc/containers/containers.conf.d/50-image.conf"
_STORAGE_PATH: Final = "etc/containers/storage.conf.d/50-image.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConf:
    """What the three tables say."""

    daemon: Free = field(default_factory=Free)
    containers: Free = field(default_factory=Free)
    storage: Free = field(default_factory=Free)
    where: str = ""


def read(table: toml.Table) -> EngineConf:
    """Return what the tables say."""
    return EngineConf(
        daemon=DAEMON.read(table),
        containers=CONTAINERS.read(table),
        storage=STORAGE.read(table),
        where=table.where(DAEMON.name),
    )


def merged(first: EngineConf, then: EngineConf) -> EngineConf:
    """Return both: tables merged, lists joined, single values of ``then`` win."""
    return EngineConf(
        daemon=first.daemon.merged(then.daemon),
        containers=first.containers.merged(then.containers),
        storage=first.storage.merged(then.storage),
        where=then.where if then.daemon.items else first.where,
    )


def effects(given: EngineConf, registries: Free) -> Effects:
    """Return the files. ``registries`` is what ``[registries]`` adds to daemon.json."""
    files = []
    daemon = registries.merged(given.daemon)
    if daemon.items:
        files.append((_DAEMON_PATH, json_text(daemon)))
    if given.containers.items:
        files.append((_CONTAINERS_PATH, toml_text(given.containers)))
    if given.storage.items:
        files.append((_STORAGE_PATH, toml_text(given.storage)))
    return Effects(
        files=tuple(FileSpec(path=path, content=text.encode(), where=given.where) for path, text in files)
    )
