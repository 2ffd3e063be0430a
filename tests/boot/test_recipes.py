"""What recipes make, tried on a booted machine: each recipe's boot-test.sh, as root, after tce-load.

All run on one machine, in the order of their names. One alone, with only what it needs built:
``pytest tests/boot/test_recipes.py -k bash``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remaster import base as bases
from remaster.serial import ConsoleError
from tcz import commands
from tcz.build import Settings
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
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
MEMORY_MIB = 512
ON_TARGET = "/usr/share/boot-tests"
#: Packages that are no part of what a recipe does.
SIDE = re.compile(r".*-(dev|doc|locale|terminfo)\Z")


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    """The workshop as remaster has it for floe: what is built is told by how it is packed, too."""
    settings = Settings(options=bases.load("floe", "kernel").squashfs)
    return commands.open_workshop(Dirs.from_env(), HostRunner(), SilentReporter(), (), settings=settings)


def packages(workshop: Workshop, name: str) -> list[str]:
    """Return what is loaded for a recipe: its extensions, and what a line `# load: NAME...` asks for."""
    specs = workshop.recipes.get(name).packages
    own = [spec.name for spec in specs if spec.form == "extension" and not SIDE.match(spec.name)]
    line = re.search(r"^# load: (.+)$", SCRIPTS[name].read_text(), re.MULTILINE)
    return [*(line[1].split() if line else ()), *own]


def is_built(workshop: Workshop, name: str) -> bool:
    return all(planned.cached for planned in workshop.plan([name]))


@pytest.fixture(scope="module")
def machine(
    request: pytest.FixtureRequest,
    workshop: Workshop,
    boot: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Machine:
    """A machine with the packages of all tests that were asked for on its CD, none of them loaded."""
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
    given = disks.words(folder) if "container-host" in names else ()
    machine = boot(memory_mib=MEMORY_MIB, cpus=2, cdrom=folder / "recipes.iso", words=given)
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    return machine


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_works_on_a_booted_machine(name: str, workshop: Workshop, request: pytest.FixtureRequest) -> None:
    if name in LONG and not is_built(workshop, name):
        pytest.skip(f"it takes minutes to compile; `tcz build {name}` has it tried from then on")
    machine: Machine = request.getfixturevalue("machine")
    console = machine.console
    loaded = f"cd $(cat /etc/sysconfig/cde) && tce-load -is {' '.join(packages(workshop, name))} && cd"
    try:
        status, output = console.run(f"{loaded} && sudo sh -eux {ON_TARGET}/{name}", LIMIT)
    except ConsoleError as error:
        # Whatever hangs must not take the next test with it.
        console.send("\x03", end="")
        console.expect(PROMPT, BOOT_TIMEOUT)
        pytest.fail(str(error))
    assert status == 0, f"ended with {status}:\n{output}\n\nthe console before it:\n{console.tail(60)}"
