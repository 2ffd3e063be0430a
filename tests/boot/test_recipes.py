"""What recipes make, tried on a booted machine: each recipe's boot-test.sh, as root, after tce-load.

All run on one machine, in the order of their names. One alone, with only what it needs built:
``pytest tests/boot/test_recipes.py -k bash``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remaster.serial import ConsoleError
from tests import floe
from tests.boot import disks
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT, remaster

if TYPE_CHECKING:
    from collections.abc import Callable

    from remaster.vm import Machine
    from tcz.workshop import Workshop

pytestmark = pytest.mark.boot

RECIPES = Path(__file__).parents[2] / "recipes"
SCRIPTS = {script.parent.name: script for script in sorted(RECIPES.glob("*/boot-test.sh"))}
#: Compiling these takes too long to do it for a test: they are tried where `tcz build` made them before.
LONG = frozenset(
    {"aardvark-dns", "buildah", "cni-plugins", "go", "netavark", "podman", "podman-engine", "skopeo"}
)
#: Seconds for one recipe: loading its packages and running the script.
LIMIT = 420
#: Seconds after which a machine that was interrupted and shows no prompt is given up, and another booted.
DEAD = 60
MEMORY_MIB = 512
ON_TARGET = "/usr/share/boot-tests"
#: Packages that are no part of what a recipe does.
SIDE = re.compile(r".*-(dev|doc|locale|terminfo)\Z")


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return floe.workshop()


def packages(workshop: Workshop, name: str) -> list[str]:
    """Return what is loaded for a recipe: its extensions, and what a line `# load: NAME...` asks for."""
    specs = workshop.recipes.get(name).packages
    own = [spec.name for spec in specs if spec.form == "extension" and not SIDE.match(spec.name)]
    line = re.search(r"^# load: (.+)$", SCRIPTS[name].read_text(), re.MULTILINE)
    return [*(line[1].split() if line else ()), *own]


def is_built(workshop: Workshop, name: str) -> bool:
    return all(planned.cached for planned in workshop.plan([name]))


@dataclass
class Bench:
    """Where recipes are tried: a machine, and the next one after a script that hung it."""

    boot: Callable[[], Machine]
    machines: list[Machine] = field(default_factory=list)

    def machine(self) -> Machine:
        """Return the machine, booted."""
        if not self.machines:
            self.machines.append(self.boot())
            self.machines[-1].console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
        return self.machines[-1]

    def interrupt(self) -> None:
        """End what runs; where that brings no prompt, the next test gets a new machine."""
        console = self.machines[-1].console
        console.send("\x03", end="")
        try:
            console.expect(PROMPT, DEAD)
        except ConsoleError:
            self.machines.pop().stop()


@pytest.fixture(scope="module")
def bench(
    request: pytest.FixtureRequest,
    workshop: Workshop,
    boot: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bench:
    """Machines with the packages of all tests that were asked for on their CD, none of them loaded."""
    items = [item for item in request.session.items if item.path == request.path]
    asked = dict.fromkeys(str(item.callspec.params["name"]) for item in items if hasattr(item, "callspec"))
    names = [name for name in asked if name not in LONG or is_built(workshop, name)]
    folder = tmp_path_factory.mktemp("recipes")
    wanted = dict.fromkeys(package for name in names for package in packages(workshop, name))
    variant = folder / "recipes.toml"
    variant.write_text(
        'schema = 1\nname = "recipes"\nsummary = "Packages to be tried"\nextends = "linux"\n'
        f'boot-codes = ["noembed"]\npackages.optional = {list(wanted)}\n'
    )
    files = [f"--file={SCRIPTS[name]}:{ON_TARGET}/{name}:755" for name in names]
    remaster("--variant", str(variant), "--output", str(folder / "recipes.iso"), *files)
    # Others leave them alone: their labels are none that a data disk has.
    given = disks.words(folder) if {"container-host", "config-disk"} & {*names} else ()
    return Bench(lambda: boot(memory_mib=MEMORY_MIB, cpus=2, cdrom=folder / "recipes.iso", words=given))


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_works_on_a_booted_machine(name: str, workshop: Workshop, request: pytest.FixtureRequest) -> None:
    if name in LONG and not is_built(workshop, name):
        pytest.skip(f"it takes minutes to compile; `tcz build {name}` has it tried from then on")
    bench: Bench = request.getfixturevalue("bench")
    console = bench.machine().console
    loaded = f"cd $(cat /etc/sysconfig/cde) && tce-load -is {' '.join(packages(workshop, name))} && cd"
    try:
        status, output = console.run(f"{loaded} && sudo sh -eux {ON_TARGET}/{name}", LIMIT)
    except ConsoleError as error:
        # Whatever hangs must not take the next test with it.
        bench.interrupt()
        pytest.fail(str(error))
    assert "was not given the disks" not in output
    assert status == 0, f"ended with {status}:\n{output}\n\nthe console before it:\n{console.tail(60)}"
