"""The real tools/setup.sh: what it says and with which status, and what the programs say of a machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cases.commandline import TOP, Home, path_without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cases.commandline import Finished

NOBODY = 65534
ORDINARY = os.geteuid() != 0


def as_ordinary_user(*argv: str | Path, path: str) -> Finished:
    """Run a command as a user who may not become root."""
    become = [] if ORDINARY else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    env = {"PATH": path, "HOME": "/nonexistent", "LC_ALL": "C"}
    return subprocess.run(
        [*become, *argv], cwd="/", env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What setup.sh and make look at, where any user may read it."""
    if not ORDINARY and shutil.which("setpriv") is None:
        pytest.skip("no setpriv here to become another user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tools").mkdir()
        shutil.copy(TOP / "tools/setup.sh", folder / "tools")
        shutil.copy(TOP / "pyproject.toml", folder)
        shutil.copy(TOP / "Makefile", folder)
        yield folder


def lacking(said: Finished) -> set[str]:
    """Return the packages of the line to type; the message is checked to the letter."""
    first, second = said.stderr.splitlines()[:2]
    assert first == "This needs packages that are not installed. Type:"
    start = "    sudo apt-get install --no-install-recommends "
    assert second.startswith(start)
    return set(second.removeprefix(start).split(" "))


@pytest.mark.parametrize(
    ("purpose", "hidden", "packages"),
    [
        ("iso", ["bwrap"], {"bubblewrap"}),
        ("boot", ["bwrap", "qemu-system-x86_64"], {"bubblewrap", "qemu-system-x86"}),
        ("test", ["unsquashfs", "shellcheck"], {"squashfs-tools", "shellcheck"}),
    ],
)
def test_an_ordinary_user_is_told_the_line_to_type(
    checkout: Path, purpose: str, hidden: list[str], packages: set[str]
) -> None:
    with path_without("sudo", *hidden) as path:
        said = as_ordinary_user(checkout / "tools/setup.sh", purpose, path=path)
    assert said.returncode == 6
    assert said.stdout == ""
    assert len(said.stderr.splitlines()) == 2
    assert packages <= lacking(said)
    assert not (checkout / ".venv").exists()


def test_make_iso_stops_with_that_line(checkout: Path) -> None:
    with path_without("sudo", "bwrap") as path:
        said = as_ordinary_user("make", "-C", checkout, "iso", path=path)
    assert said.returncode == 2
    assert "bubblewrap" in lacking(said)
    assert "Error 6" in said.stderr


@pytest.mark.parametrize("purpose", ["isos", "", "iso boot"])
def test_an_unknown_purpose(checkout: Path, purpose: str) -> None:
    said = as_ordinary_user(checkout / "tools/setup.sh", purpose or "''", path=os.defpath)
    assert said.returncode == 2
    assert said.stdout == ""
    assert "unknown purpose" in said.stderr
    assert "iso, boot, test or bench" in said.stderr


def root_without(program: str, checkout: Path, apt: str | None) -> Finished:
    """Run setup.sh as root, who lacks a program that apt, a stand-in or none at all, does not bring."""
    become = ["unshare", "--user", "--map-root-user"] if ORDINARY else []
    if become and subprocess.run([*become, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    with path_without(program, "apt-get") as path:
        if apt is not None:
            Path(path, "apt-get").write_text(apt)
            Path(path, "apt-get").chmod(0o755)
        return subprocess.run(
            [*become, "./setup.sh", "iso"],
            cwd=checkout / "tools",
            env={"PATH": path, "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def test_what_apt_does_not_bring_is_not_asked_for_without_end(checkout: Path) -> None:
    said = root_without("bwrap", checkout, '#!/bin/sh\necho "apt-get $*"\n')
    assert said.returncode == 6
    assert said.stdout.count("apt-get install") == 1
    assert "Still not found after apt installed it: " in said.stderr
    assert "bubblewrap" in said.stderr


def test_a_machine_without_apt(checkout: Path) -> None:
    said = root_without("bwrap", checkout, None)
    assert said.returncode == 6
    assert "Debian or Ubuntu" in said.stderr
    assert "bubblewrap" in said.stderr


def test_nothing_is_said_when_nothing_is_to_do(checkout: Path) -> None:
    script = checkout / "tools/setup.sh"
    with path_without("sudo") as path:
        with (checkout / "pyproject.toml").open() as file:
            sums = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True)
        (checkout / ".venv").mkdir()
        (checkout / ".venv/ready-iso").write_text(f"{sums.stdout.strip()} python3\n")
        said = as_ordinary_user(script, "iso", path=path)
    if said.returncode == 6:
        pytest.skip(f"this machine lacks packages: {said.stderr.splitlines()[-1]}")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_make_help_lists_every_target() -> None:
    said = subprocess.run(["make", "-C", TOP, "help"], capture_output=True, text=True, check=True).stdout
    text = (TOP / "Makefile").read_text()
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:"))
    for target in phony.split()[1:]:
        assert f"make {target} " in said


@pytest.mark.parametrize("program", ["tcz", "remaster"])
def test_doctor_names_the_packages_to_install(program: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with path_without("bwrap", "qemu-system-x86_64") as path:
        said = home.run(program, "doctor", env={"PATH": path})
        listed = home.run(program, "doctor", "--json", env={"PATH": path})
    assert said.returncode == listed.returncode == 6
    assert "bubblewrap" in said.stdout
    assert "qemu-system-x86" in said.stdout
    assert "something that is needed is missing" in said.stdout
    found = {check["name"]: check for check in json.loads(listed.stdout)}
    assert not found["bwrap"]["ok"]
    assert "bubblewrap" in found["bwrap"]["hint"]
    assert said.stderr == listed.stderr == ""


@pytest.mark.build
def test_an_installed_package_finds_its_data(tmp_path: Path) -> None:
    argv = ["python3", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, TOP]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no wheel can be made here: {done.stderr.splitlines()[-1:]}")
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    home = Home(tmp_path / "home")
    env = {"PYTHONPATH": str(tmp_path / "installed")}
    home.recipe("mine", script="true\n")
    listed = home.tcz("recipe", "list", "--json", "--recipes", "recipes", env=env)
    names = {recipe["name"]: recipe["folder"] for recipe in json.loads(listed.stdout)}
    assert {"mine", "docker-engine", "floe-base"} <= set(names)
    assert "noembed" in home.remaster("boot-codes", env=env).stdout
    assert "docker" in home.remaster("variant", "list", env=env).stdout
