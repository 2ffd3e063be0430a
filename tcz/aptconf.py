"""A private apt: its folders, its configuration, and which archive it talks to.

Nothing of the machine's apt is touched or needed but its programs, its proxy settings and, where it
names a Debian archive, that address. See apt.conf(5) and sources.list(5).
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import MissingToolError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcz.run import Runner

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_CONF = """\
Dir "{root}";
Dir::State "state";
Dir::State::status "{root}/dpkg/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::main "empty.conf";
Dir::Etc::parts "empty";
Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "empty";
Dir::Etc::trusted "empty.gpg";
Dir::Etc::trustedparts "empty";
Dir::Etc::preferences "empty.conf";
Dir::Etc::preferencesparts "empty";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
// Root would hand downloads to another user, who may not reach a folder below a home.
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::PDiffs "false";
// Without it apt prints MD5 sums for the sake of old callers.
Acquire::ForceHash "SHA256";
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Base addresses of the Debian archive and of its security archive."""

    main: str
    security: str

    def sources_list(self, suite: str) -> str:
        """Return the one-line-style sources.list for a suite with its updates."""
        option = f"[signed-by={KEYRING}]"
        wanted = (
            ("deb deb-src", self.main, suite),
            ("deb", self.main, f"{suite}-updates"),
            ("deb deb-src", self.security, f"{suite}-security"),
        )
        return "".join(
            f"{kind} {option} {base} {name} main\n" for kinds, base, name in wanted for kind in kinds.split()
        )


def write(root: Path, mirror: Mirror, suite: str, runner: Runner) -> Path:
    """Write the private configuration below ``root`` and return the path for ``APT_CONFIG``."""
    if not KEYRING.is_file():
        raise MissingToolError(
            "the keys of the Debian archive are not installed",
            where=str(KEYRING),
            hint="sudo apt-get install debian-archive-keyring",
        )
    for folder in ("etc/empty", "state/lists/partial", "cache/archives/partial", "dpkg", "incoming"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("etc/empty.conf", "dpkg/status"):
        (root / name).touch()
    (root / "etc/sources.list").write_text(mirror.sources_list(suite))
    conf = root / "apt.conf"
    conf.write_text(_CONF.format(root=root) + _proxies(runner))
    return conf


def find_mirror(
    option: str | None, suite: str, runner: Runner, env: Mapping[str, str] = os.environ
) -> Mirror:
    """Return the archive to use.

    In order: ``option`` or TCZ_DEBIAN_MIRROR (the base address and, after a space, that of the
    security archive), the machine's own apt configuration, what mmdebstrap would use by itself.
    """
    given = (option or env.get("TCZ_DEBIAN_MIRROR", "")).split()
    if len(given) > 1:
        return Mirror(main=given[0], security=given[1])
    found = _from_apt(runner) or _from_mmdebstrap(suite, runner)
    if found is None and not given:
        raise ToolkitError(
            "no Debian archive is known",
            why="this machine's apt has no Debian entries, and mmdebstrap is not installed or named none",
            hint="set TCZ_DEBIAN_MIRROR to the address of a Debian mirror and, after a space,\n"
            "of a Debian security mirror; or: sudo apt-get install mmdebstrap",
        )
    if not given:
        return found  # type: ignore[return-value]
    security = found.security if found else given[0].rstrip("/") + "-security"
    return Mirror(main=given[0], security=security)


def environment(conf: Path, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment in which apt's programs use the private configuration."""
    return {**env, "APT_CONFIG": str(conf), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _from_apt(runner: Runner) -> Mirror | None:
    """Ask for archives by their origin; before the machine has read its lists, only by their address."""
    query = ["--format", "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)"]
    for unread in ([], ["--no-release-info"]):
        said = runner.run(["apt-get", "indextargets", *unread, *query], check=False).stdout.decode()
        main = security = None
        for line in said.splitlines():
            uri, origin, label = (*line.split("\t"), "", "")[:3]
            if unread:
                last = uri.rstrip("/").rpartition("/")[2]
                label = {"debian": "Debian", "debian-security": "Debian-Security"}.get(last, "")
            elif origin != "Debian":
                continue
            if label == "Debian":
                main = main or uri
            elif label == "Debian-Security":
                security = security or uri
        if main and security:
            return Mirror(main=main, security=security)
    return None


def _from_mmdebstrap(suite: str, runner: Runner) -> Mirror | None:
    """Let mmdebstrap write its sources.list, copy it out and stop it there."""
    if runner.which("mmdebstrap") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="tcz-") as folder:
        copy = Path(folder) / "sources.list"
        hook = f'cat "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* >{copy} 2>/dev/null; exit 1'
        argv = ["mmdebstrap", "--variant=custom", "--mode=chrootless", f"--setup-hook={hook}"]
        runner.run([*argv, suite, f"{folder}/root.tar"], check=False)
        text = copy.read_text() if copy.exists() else ""
    main = security = None
    for line in text.splitlines():
        words = [word for word in line.split() if not word.startswith("[") and not word.endswith("]")]
        if len(words) >= 3 and words[0] == "deb":  # noqa: PLR2004 - type, address, suite
            main = words[1] if words[2] == suite else main
            security = words[1] if words[2] == f"{suite}-security" else security
    return Mirror(main=main, security=security) if main and security else None


def _proxies(runner: Runner) -> str:
    """Return the machine's apt settings on how to reach the network."""
    said = runner.run(["apt-config", "dump"], check=False).stdout.decode(errors="replace")
    wanted = ("acquire::http::", "acquire::https::", "acquire::ftp::", "acquire::retries")
    return "".join(f"{line}\n" for line in said.splitlines() if line.lower().startswith(wanted))
