from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from remaster import wish
from remaster.cli import cli
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.tree import Tree, regular
from tests.unit import standins
from tests.unit.container_images import docker_archive, layer

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from remaster import image

VARIANT_OPTIONS = ["--variant", "docker"]


def run(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in argv], prog_name="remaster")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.mark.parametrize("command", [(), ("build",)])
def test_both_spellings_mean_the_same(command: tuple[str, ...]) -> None:
    result = run(*command, "--variant", "dokcer")
    assert result.exit_code == 2
    assert "did you mean 'docker'?" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base", "flow"], "did you mean 'floe'?"),
        (["--base", "./CorePure64.iso"], "there is no base at ./CorePure64.iso"),
        (["--base", "corepure64"], "did you mean 'corepure64-17.x'?"),
        (["--boot-code", "noembd"], "did you mean 'noembed'"),
        (["--boot-code", "isolcpus=2"], "would work as iso=2"),
        (["--file", "nothing:/etc/x"], "cannot be read"),
        (["--package", "htop.tcz"], "without .tcz"),
        (["--ssh-key", "nothing.pub"], "No such file"),
        (["--set", "hostnam=x"], "did you mean 'hostname'?"),
        (["--set", 'user=[{name="root"}]'], "root has no log-in"),
        (["--set", 'preload=[{archive="nothing.tar"}]'], "there is no nothing.tar"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_built(options: list[str], said: str) -> None:
    result = run(*VARIANT_OPTIONS, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_configured_base_is_named(tmp_path: Path) -> None:
    (tmp_path / "config/tcz").mkdir(parents=True)
    (tmp_path / "config/tcz/config.toml").write_text('base = "corepure64"\n')
    result = run(*VARIANT_OPTIONS)
    assert result.exit_code == 2
    assert "config.toml says" in result.stderr


def test_options_before_a_command() -> None:
    result = run(*VARIANT_OPTIONS, "build")
    assert result.exit_code == 2
    assert "write --variant after build" in result.stderr


def test_no_variant() -> None:
    result = run("build")
    assert result.exit_code == 2
    assert "docker, docker-machine, linux" in result.stderr


def test_help_without_arguments() -> None:
    assert run().output == run("--help").output


def test_boot_codes() -> None:
    assert "pivot_root" in run("boot-codes", "noembed").output
    assert "pivot_root" in run("boot-codes", "noembed=").output
    found = json.loads(run("boot-codes", "--json").stdout)
    assert {"noembed", "console", "tce"} <= {code["name"] for code in found}
    result = run("boot-codes", "noembd")
    assert result.exit_code == 2
    assert "did you mean 'noembed'" in result.stderr


def test_a_variant_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("variant", "new", "mine", "--extends", "podman")
    assert (made.exit_code, made.stdout) == (0, "mine.toml\n")
    before = (tmp_path / "mine.toml").read_bytes()
    linted = run("variant", "lint", "./mine.toml")
    assert (linted.exit_code, linted.stdout) == (0, "./mine.toml: nothing to complain about\n")
    again = run("variant", "new", "mine")
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert (tmp_path / "mine.toml").read_bytes() == before
    assert run("variant", "new", "Mine").exit_code == 2
    assert "cannot be written" in run("variant", "new", "x", "--output", "no/x.toml").stderr
    assert run("variant", "new", "more", "--extends", "mine.toml").exit_code == 0
    assert json.loads(run("variant", "schema").stdout)["required"] == ["schema", "name", "summary"]


def test_what_a_variant_says_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = 'schema = 1\nname = "mine"\nsummary = "x"\nextends = "docker"\n'
    path.write_text(f'{head}hostname = "node1"\nsysctl.vm.swappiness = 1\n')
    shown = run("variant", "show", path).stdout.splitlines()
    assert "  hostname     node1" in shown
    assert "  sysctl       vm.swappiness=1" in shown
    told = json.loads(run("variant", "show", path, "--json").stdout)
    assert {"key": "hostname", "value": "node1"} in told["settings"]
    assert "/usr/local/etc/sysctl.d/50-image.conf" in told["files"]


def test_lint_looks_into_container_images(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema = 1\nname = "mine"\nsummary = "x"\nextends = "docker"\n[[preload]]\narchive = "web.tar"\n'
    )
    docker_archive(tmp_path / "web.tar", "localhost/web:1", layer())
    assert run("variant", "lint", path).exit_code == 0
    data = (tmp_path / "web.tar").read_bytes()
    (tmp_path / "web.tar").write_bytes(data.replace(b"hello", b"hallo"))
    linted = run("variant", "lint", path)
    assert linted.exit_code == 2
    assert "layer 1 is not what the configuration names" in linted.stderr


def test_variants() -> None:
    listed = json.loads(run("variant", "list", "--json").stdout)
    names = ["docker", "docker-machine", "linux", "podman", "podman-machine"]
    assert [one["name"] for one in listed] == names
    assert "/etc/docker/daemon.json" in run("variant", "show", "docker").output


def test_an_image_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_bytes(b"x" * 100_000)
    result = run("inspect", tmp_path / "x.iso")
    assert result.exit_code == 5
    assert "nothing that can be read" in result.stderr
    assert run("inspect", tmp_path / "absent.iso").exit_code == 2


@pytest.mark.parametrize("forward", ["80", "a:b", "0:80", "80:70000"])
def test_bad_forwards(tmp_path: Path, forward: str) -> None:
    (tmp_path / "x.iso").write_bytes(b"x")
    result = run("run", tmp_path / "x.iso", "--forward", forward)
    assert result.exit_code == 2
    assert "two ports" in result.stderr


def test_quick_commands_import_little() -> None:
    slow = ("pycdlib", "requests", "rich")
    code = f"import sys, remaster.cli; print([m for m in sys.modules if m.startswith({slow})])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "[]"


# -- bases that others made -----------------------------------------------------------------------


@standins.needs_tools
def test_what_is_asked_for_upon_an_official_image(tmp_path: Path) -> None:
    def asked(**options: Any) -> image.Request:
        wanted = wish.Wish(base=str(tmp_path / "cde.iso"), **options)
        return wish.request(wanted, Dirs.from_env(), SilentReporter())

    standins.official_iso(tmp_path, "cde")
    docker = asked(variant="docker")
    assert docker.spec is not None
    assert docker.spec.packages() == ("kernel-base", "kernel", "syslinux", "grub-efi")
    assert (docker.base, docker.compressor, docker.mode) == ("tinycore-16.1", "zstd", "layers")
    assert docker.variant.volume_id == "tinycore-16-{name}-v{version}"
    linux = asked(variant="linux", initrd_mode="append")
    assert linux.spec is not None
    assert linux.spec.packages() == ("syslinux", "grub-efi")
    assert (linux.compressor, linux.mode, linux.output.name) == ("gzip", "append", "core-linux.iso")
    swapped = asked(variant="linux", kernel="kernel-lts")
    assert swapped.spec is not None
    assert "kernel-lts-base" in swapped.spec.packages()


@standins.needs_tools
def test_a_base_whose_scripts_are_others(tmp_path: Path) -> None:
    made = standins.medium(tmp_path / "m", "corepure64")
    nodes = dict(standins.root_tree(modules=True).items())
    nodes["etc/inittab"] = regular(b"::sysinit:/etc/init.d/rcS\n")
    (made / "boot/corepure64.gz").write_bytes(standins.packed(Tree(nodes)))
    result = run("--variant", "linux", "--base", made, "--dry-run")
    assert result.exit_code == 2
    assert "/etc/inittab of release 16.1: has the line 'tty1::respawn" in result.stderr
    assert "0 times, not once (edit serial-login)" in result.stderr


@standins.needs_tools
def test_the_way_that_inspect_tells(tmp_path: Path) -> None:
    iso = standins.official_iso(tmp_path, "split")
    result = run("inspect", iso)
    assert result.exit_code == 0
    assert "release       16.1  [etc/os-release]" in result.stdout
    assert json.loads(run("inspect", iso, "--json").stdout)["kernel"]["value"] == "6.12.11-tinycore64"
    none = run("inspect", iso, "--manifest")
    assert none.exit_code == 5
    assert "has no manifest" in none.stderr
