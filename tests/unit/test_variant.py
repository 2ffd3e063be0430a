from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from remaster import variant
from remaster.bootcode import BootCodes
from remaster.variant import FileSpec
from tcz.errors import ConfigError, ToolkitError

if TYPE_CHECKING:
    from pathlib import Path

CODES = BootCodes.load()


@pytest.mark.parametrize("name", variant.names())
def test_shipped_variants_are_right(name: str) -> None:
    found = variant.load(name, CODES)
    assert found.name == name
    assert found.summary


def test_docker_is_a_container_host() -> None:
    docker = variant.extended(variant.load("docker", CODES), CODES)
    assert "noembed" in docker.boot_codes
    assert "cde" in docker.boot_codes
    assert {"sshd", "docker", "ntpd", "crond"} <= set(docker.services)
    assert "docker" in docker.onboot
    assert [spec.path for spec in docker.files] == ["etc/docker/daemon.json"]


def test_linux_brings_nothing() -> None:
    linux = variant.load("linux", CODES)
    assert linux.onboot == linux.services == linux.files == ()


def test_unknown_variant_gets_a_guess() -> None:
    with pytest.raises(ConfigError) as caught:
        variant.load("dokcer", CODES)
    assert "did you mean 'docker'?" in caught.value.hint
    assert "linux" in caught.value.hint


def test_ones_own_variant(tmp_path: Path) -> None:
    (tmp_path / "motd").write_bytes(b"hello\n")
    path = tmp_path / "mine.toml"
    path.write_text(
        """
schema = 1
name = "mine"
summary = "Mine"
extends = "docker"
boot-codes = ["host=node1", "loglevel=5"]
services = ["docker", "extra"]
packages.onboot = ["htop"]

[image]
timeout = 0

[[file]]
path = "/etc/motd"
source = "motd"
mode = "0600"
owner = "tc:staff"
"""
    )
    mine = variant.load(str(path), CODES)
    docker = variant.load("docker", CODES)
    assert mine.onboot == (*docker.onboot, "htop")
    assert mine.services == (*docker.services, "extra")
    assert "loglevel=5" in mine.boot_codes
    assert "loglevel=3" not in mine.boot_codes
    assert mine.boot_codes.count("noembed") == 1
    assert mine.timeout == 0
    assert mine.version_of == docker.version_of
    (motd,) = mine.files
    assert (motd.path, motd.content, motd.mode, motd.owner) == ("etc/motd", b"hello\n", 0o600, "tc:staff")


def test_five_mistakes_are_all_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        """schema = 1
name = "bad"
sumary = "x"
boot-codes = ["noembd"]
packages.onboot = ["docker.tcz"]

[image]
timeout = "long"

[[file]]
path = "etc/motd"
content = ""
source = "x"
mode = "rw"
"""
    )
    with pytest.raises(ConfigError) as caught:
        variant.load(str(path), CODES)
    text = "\n".join(caught.value.lines())
    for line in (3, 4, 5, 8, 11, 14):
        assert f"bad.toml:{line}:" in text
    assert "did you mean 'noembed'" in text
    assert "did you mean 'summary'?" in text
    assert "either content or source" in text


def test_clashes_with_the_extended_variant(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('schema=1\nname="a"\nsummary="a"\nboot-codes=["tce=sda1"]\n')
    path = tmp_path / "b.toml"
    path.write_text('schema=1\nname="b"\nsummary="b"\nextends="a.toml"\nboot-codes=["base"]\n')
    with pytest.raises(ConfigError, match="has a mistake"):
        variant.load(str(path), CODES)


def test_a_circle(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        text = f'schema=1\nname="{one}"\nsummary="x"\nextends="{other}.toml"\n'
        (tmp_path / f"{one}.toml").write_text(text)
    with pytest.raises(ConfigError, match="extends itself"):
        variant.load(str(tmp_path / "a.toml"), CODES)


def test_file_option(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    assert variant.file_option(f"{script}:/opt/run.sh").mode == 0o755
    spec = variant.file_option(f"{script}:/opt/run.sh:0640:tc:staff")
    assert (spec.path, spec.mode, spec.owner) == ("opt/run.sh", 0o640, "tc:staff")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ":/etc/x",
        "HERE:etc/x",
        "HERE:/etc/../x",
        "HERE:/etc/x:999",
        "HERE:/",
        "HERE:/tmp/x",
        "nowhere:/etc/x",
    ],
)
def test_bad_file_options(tmp_path: Path, text: str) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(ConfigError):
        variant.file_option(text.replace("HERE", str(tmp_path / "f")))


def test_command_line_wins_over_the_variant() -> None:
    docker = variant.load("docker", CODES)
    file = FileSpec(path="etc/docker/daemon.json", content=b"{}")
    more = variant.extended(
        docker, CODES, packages=["htop"], files=[file], boot_codes=["loglevel=7", "host=n1"]
    )
    assert more.onboot[-1] == "htop"
    assert more.files == (file,)
    assert [code for code in more.boot_codes if code.startswith("loglevel")] == ["loglevel=7"]


@pytest.mark.parametrize(
    ("packages", "codes"), [(["a/b"], []), (["x.tcz"], []), ([], ["noembd"]), ([], ["isolcpus=1"])]
)
def test_bad_additions(packages: list[str], codes: list[str]) -> None:
    with pytest.raises(ConfigError):
        variant.extended(variant.load("docker", CODES), CODES, packages=packages, boot_codes=codes)


@given_any(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_are_a_variant_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("v") / "x.toml"
    path.write_bytes(data)
    with pytest.raises(ToolkitError):
        variant.load(str(path), CODES)


# -- what is set on the command line ---------------------------------------------------------------


def given(*texts: str, name: str = "docker") -> variant.Variant:
    return variant.over(variant.load(name, CODES), variant.set_options(texts), CODES)


def test_set_is_as_if_a_variant_extended_it() -> None:
    found = given(
        "hostname=node1",
        "timeout = 1".replace("timeout", "image.timeout"),
        'ntp=["a.example.org"]',
        "sysctl.vm.swappiness=10",
        'sysctl."net.ipv4.tcp_rmem"=4096 87380',
        'packages.onboot=["htop"]',
        'user=[{name="anna"}]',
        'user=[{name="bert"}]',
        "hostname=node2",
    )
    docker = variant.load("docker", CODES)
    assert found.settings.machine.hostname == "node2"
    assert found.settings.machine.sysctl == (("vm.swappiness", "10"), ("net.ipv4.tcp_rmem", "4096 87380"))
    assert [user.name for user in found.settings.users] == ["anna", "bert"]
    assert found.timeout == 1
    assert found.onboot == (*docker.onboot, "htop")
    assert (found.name, found.summary, found.extends) == (docker.name, docker.summary, docker.extends)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hostnam=x", "did you mean 'hostname'?"),
        ("image.timeout=long", "expected an integer"),
        ("ntp=a.example.org", "expected a list"),
        ("hostname", "not KEY=VALUE"),
        ("=x", "not KEY=VALUE"),
        ("a b=x", "not KEY=VALUE"),
        ("extends=linux", "cannot be set"),
        ("hostname=", "is empty"),
        ("hostname.x=1", "expected a string"),
    ],
)
def test_what_is_set_is_read_as_strictly(text: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        given(text)
    assert part in "\n".join(caught.value.lines())


@given_any(st.text(max_size=40))
def test_any_text_is_a_setting_or_an_error(text: str) -> None:
    with contextlib.suppress(ToolkitError):
        given(text)
