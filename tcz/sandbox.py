"""Run a program in a root file system of its own, through bubblewrap: no root rights, no network.

The root is read-only, so one root serves many builds. ``/build`` is an empty folder in memory into
which the binds go; ``/tmp``, ``/dev`` and ``/proc`` are private. Host name, user, umask and
environment are the same everywhere.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tcz.run import Result, Runner

#: PATH of everything that runs in a sandbox.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What a program needs of the machine to reach the network by name.
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts")

_NO_NAMESPACES = """\
on Ubuntu 24.04 and later, allow it: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
on older Debian kernels: sudo sysctl -w kernel.unprivileged_userns_clone=1
in a container, start that with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or folder of the machine, and where it appears in the sandbox."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who and where a program in a sandbox believes to be."""

    uid: int = 0
    gid: int = 0
    hostname: str = "build"


class Sandbox:
    """Runs programs under bubblewrap."""

    def __init__(self, runner: Runner, identity: Identity | None = None) -> None:
        """Start nothing yet."""
        self._runner = runner
        self.identity = identity or Identity()
        self._works = False

    def run(  # noqa: PLR0913 - all have defaults
        self,
        root: Path,
        argv: Sequence[str],
        *,
        binds: Sequence[Bind] = (),
        env: Mapping[str, str] | None = None,
        network: bool = False,
        cwd: str = "/build/src",
        log: Path | None = None,
        check: bool = True,
        watch: Callable[[int], None] | None = None,
    ) -> Result:
        """Run ``argv`` in ``root`` with exactly the environment ``env`` (default: PATH and LC_ALL).

        Binds must lie below /build, /tmp or on files that the root has. With ``network`` the machine's
        network, name service and certificates are there. ``watch`` is as in ``Runner.run``. Raises what
        that does, and ``ToolkitError`` with what to do where the machine forbids user namespaces.
        """
        self.probe()
        if network:
            binds = (*_network_binds(root), *binds)
        inside = {"PATH": PATH, "LC_ALL": "C"} if env is None else dict(env)
        full = _bwrap(root, binds, cwd, self.identity, network=network)
        full += [*_loader_settings(inside), "--new-session", "--"]
        # The user's umask would show in the modes of what is built.
        full += ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", *argv]
        return self._runner.run(full, env=inside, log=log, check=check, watch=watch)

    def shell(self, root: Path, *, binds: Sequence[Bind], env: Mapping[str, str], cwd: str) -> None:
        """Open a shell on this program's terminal where ``run`` would run something; for the main thread."""
        inside = dict(env)
        full = _bwrap(root, binds, cwd, self.identity, network=False)
        full += [*_loader_settings(inside), "--"]
        full += ["/bin/sh", "-c", "umask 022; command -v bash >/dev/null && exec bash --norc -i; exec sh -i"]
        said = {"TERM": os.environ.get("TERM", "dumb"), "PS1": "[build] $PWD $ "}
        self._runner.interact(full, env={**inside, **said})

    def like(self, identity: Identity) -> Sandbox:
        """Return a sandbox of the same kind for another identity."""
        return Sandbox(self._runner, identity)

    def halting(self) -> AbstractContextManager[None]:
        """End all that runs; see ``Runner.halting``."""
        return self._runner.halting()

    def probe(self) -> None:
        """Find out once whether namespaces may be made, to tell that from a failing build.

        Raises ``MissingToolError`` without bubblewrap, ``ToolkitError`` where it may not work.
        """
        if self._works:
            return
        argv = ["bwrap", *_isolation(self.identity, network=False), "--ro-bind", "/", "/", "--", "/bin/true"]
        result = self._runner.run(argv, check=False)
        if result.returncode != 0:
            raise ToolkitError(
                "bubblewrap cannot make a user namespace on this machine",
                why=result.stderr.decode(errors="replace").strip() or None,
                hint=_NO_NAMESPACES,
            )
        self._works = True


def _loader_settings(env: dict[str, str]) -> list[str]:
    """Take what is for the dynamic loader out of ``env``: it is meant for the sandbox, not for bwrap."""
    names = [name for name in env if name.startswith("LD_")]
    return [word for name in names for word in ("--setenv", name, env.pop(name))]


def _bwrap(root: Path, binds: Sequence[Bind], cwd: str, identity: Identity, *, network: bool) -> list[str]:
    full = ["bwrap", *_isolation(identity, network=network), "--ro-bind", str(root), "/"]
    full += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/build"]  # noqa: S108
    for bind in binds:
        full += ["--bind" if bind.writable else "--ro-bind", str(bind.host), bind.inside]
    return [*full, "--chdir", cwd]


def _isolation(identity: Identity, *, network: bool) -> list[str]:
    argv = ["--unshare-all", "--unshare-user"]
    if network:
        argv.append("--share-net")
    # Inside, one is root of nothing; without this, real root would keep its capabilities.
    argv += ["--uid", str(identity.uid), "--gid", str(identity.gid), "--cap-drop", "ALL"]
    return [*argv, "--hostname", identity.hostname, "--die-with-parent"]


def certificates() -> Path | None:
    """Return the machine's bundle of certificate authorities."""
    default = ssl.get_default_verify_paths().cafile
    known = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", default)
    for name in (os.environ.get("SSL_CERT_FILE"), *known):
        if name and Path(name).is_file():
            return Path(name)
    # A machine without any: what requests brings along for its own fetches.
    import certifi  # noqa: PLC0415 - rarely needed

    bundle = Path(certifi.where())
    return bundle if bundle.is_file() else None


def _network_binds(root: Path) -> list[Bind]:
    # Resolved: resolv.conf is often a link into /run, which the sandbox has not.
    binds = [Bind(host=Path(name).resolve(), inside=name) for name in _NETWORK_FILES if Path(name).is_file()]
    bundle = certificates()
    if bundle is not None and (root / "etc/ssl/certs").is_dir():
        binds.append(Bind(host=bundle.resolve(), inside="/etc/ssl/certs/ca-certificates.crt"))
    return binds
