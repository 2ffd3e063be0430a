"""Where the address of the archive comes from, with the machine's apt and a stand-in for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcz import aptconf
from tcz.errors import MissingToolError, ToolkitError
from tcz.run import HostRunner, Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Answers(HostRunner):
    """Says what apt of another machine would say."""

    def __init__(self, read: str, unread: str = "") -> None:
        self.read = read
        self.unread = unread

    def run(self, argv: Sequence[str], **_more: object) -> Result:  # type: ignore[override]
        said = self.unread if "--no-release-info" in argv else self.read
        return Result(argv=tuple(argv), returncode=0, stdout=said.encode())

    def which(self, program: str) -> Path | None:  # noqa: ARG002
        return None


DEBIAN = """\
http://a.example/other/\tOther\tDebian
http://d.example/debian/\tDebian\tDebian
http://d.example/sec/\tDebian\tDebian-Security
"""
UNREAD = """\
http://d.example/debian\t$(ORIGIN)\t$(LABEL)
http://u.example/ubuntu\t$(ORIGIN)\t$(LABEL)
http://d.example/debian-security/\t$(ORIGIN)\t$(LABEL)
"""
UBUNTU = "http://u.example/ubuntu/\tUbuntu\tUbuntu\n"


def test_the_machines_own_apt() -> None:
    found = aptconf.find_mirror(None, "trixie", Answers(DEBIAN), {})
    assert (found.main, found.security) == ("http://d.example/debian/", "http://d.example/sec/")


def test_lists_never_read() -> None:
    found = aptconf.find_mirror(None, "trixie", Answers("", UNREAD), {})
    assert found.security == "http://d.example/debian-security/"


def test_option_and_environment_go_first() -> None:
    env = {"TCZ_DEBIAN_MIRROR": "http://e.example/d http://e.example/s"}
    found = aptconf.find_mirror(None, "trixie", Answers(DEBIAN), env)
    assert (found.main, found.security) == ("http://e.example/d", "http://e.example/s")
    found = aptconf.find_mirror("http://o.example/d", "trixie", Answers(DEBIAN), env)
    assert (found.main, found.security) == ("http://o.example/d", "http://d.example/sec/")
    found = aptconf.find_mirror("http://o.example/d/", "trixie", Answers(UBUNTU), {})
    assert found.security == "http://o.example/d-security"


def test_none_known() -> None:
    with pytest.raises(ToolkitError) as caught:
        aptconf.find_mirror(None, "trixie", Answers(UBUNTU), {})
    assert "TCZ_DEBIAN_MIRROR" in str(caught.value.hint)


@pytest.mark.skipif(HostRunner().which("mmdebstrap") is None, reason="needs mmdebstrap")
def test_mmdebstrap_is_asked_where_apt_knows_no_debian() -> None:
    class Ubuntu(HostRunner):
        def run(self, argv: Sequence[str], **more: object) -> Result:  # type: ignore[override]
            if argv[0] == "apt-get":
                return Result(argv=tuple(argv), returncode=0, stdout=UBUNTU.encode())
            return super().run(argv, **more)  # type: ignore[arg-type]

    found = aptconf.find_mirror(None, "trixie", Ubuntu(), {})
    assert found.main.startswith("http")
    assert found.security.rstrip("/").endswith("debian-security")


def test_missing_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aptconf, "KEYRING", tmp_path / "absent.gpg")
    mirror = aptconf.Mirror(main="http://a", security="http://b")
    with pytest.raises(MissingToolError, match="keys") as caught:
        aptconf.write(tmp_path, mirror, "trixie", HostRunner())
    assert "debian-archive-keyring" in str(caught.value.hint)


@pytest.mark.skipif(not aptconf.KEYRING.is_file(), reason="needs debian-archive-keyring")
def test_apt_reads_the_private_configuration_only(tmp_path: Path) -> None:
    mirror = aptconf.Mirror(main="http://m.example/d", security="http://m.example/s")
    conf = aptconf.write(tmp_path, mirror, "trixie", HostRunner())
    argv = ["apt-get", "indextargets", "--no-release-info"]
    argv += ["--format", "$(CREATED_BY) $(REPO_URI) $(RELEASE)", "Identifier: Packages"]
    said = HostRunner().run(argv, env=aptconf.environment(conf)).stdout.decode()
    assert sorted(set(said.splitlines())) == [
        "Packages http://m.example/d/ trixie",
        "Packages http://m.example/d/ trixie-updates",
        "Packages http://m.example/s/ trixie-security",
    ]
    argv = ["apt-config", "shell", "S", "Dir::State::status/f", "R", "APT::Install-Recommends"]
    said = HostRunner().run(argv, env=aptconf.environment(conf)).stdout.decode()
    assert f"S='{tmp_path}/dpkg/status'" in said
    assert "R='false'" in said
