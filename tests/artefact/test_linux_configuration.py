"""The recipe linux up to its configuration, on the kernel's own sources: nothing is compiled but conf."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from remaster import engine, kconfig
from tcz import buildtools, commands
from tcz.model import DebianSource
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner
from tcz.sandbox import Bind, Sandbox
from tcz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcz.workshop import Workshop

pytestmark = pytest.mark.build
#: All that makes a configuration.
PARTS = ("scripts", "arch/x86/configs", "tools/scripts", "tools/build", "include")
NAMES = ("Kconfig*", "Makefile*", "Kbuild*")


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return commands.open_workshop(Dirs.from_env(), HostRunner(), SilentReporter(), ())


@pytest.fixture(scope="module")
def sources(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack what a configuration needs of the kernel's sources, which are fetched where they are not."""
    subprocess.run([sys.executable, "-m", "tcz", "fetch", "linux"], check=True)
    (source,) = workshop.recipes.get("linux").sources
    assert isinstance(source, DebianSource)
    found = workshop.builder.sources.teachers.debian.candidate(source.package, source.version)
    upstream = next(file for file in found.files if ".orig.tar" in file.name)
    archive = Store(Dirs.from_env().cache / "store").path(upstream.sha256)
    folder = tmp_path_factory.mktemp("linux")
    parts = ("--no-wildcards-match-slash", *(f"*/{part}" for part in PARTS))
    names = ("--wildcards-match-slash", *(f"*/{name}" for name in NAMES))
    argv = ["tar", "-xJf", archive, "-C", folder, "--strip-components=1", "--wildcards", *parts, *names]
    subprocess.run(argv, check=True)
    return folder


@pytest.fixture(scope="module")
def configured(workshop: Workshop, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run build.sh in the recipe's own root, until the configuration is there; return what it says."""
    recipe = workshop.recipes.get("linux")
    ready, _ = workshop.prepared("linux")
    scratch = tmp_path_factory.mktemp("tmp")
    binds = [
        Bind(host=sources, inside="/build/src", writable=True),
        Bind(host=scratch, inside="/build/tmp", writable=True),
        Bind(host=recipe.folder, inside="/build/recipe"),
        *(Bind(host=host, inside=inside) for host, inside in buildtools.places(recipe.build.tools)),
    ]
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "RECIPE": "/build/recipe",
        "PYTHONPATH": buildtools.INSIDE,
        "SOURCE_DATE_EPOCH": "1735689600",
        "JOBS": "1",
        "KCONFIG_ONLY": "1",
    }
    argv = ["sh", "-eu", "/build/recipe/build.sh"]
    done = Sandbox(HostRunner()).run(ready.root.path, argv, binds=binds, env=env)
    return done.stdout.decode()


@pytest.fixture
def check(configured: str, sources: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Hold the finished configuration against one more fragment."""
    assert configured

    def run(text: str) -> subprocess.CompletedProcess[str]:
        fragment = sources / "one-more.config"
        fragment.write_text(text)
        argv = [sys.executable, "-m", "tcz.kconfig", "--tree", str(sources)]
        argv += ["--config", str(sources / ".config"), str(fragment)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    return run


def test_every_setting_of_the_fragments_is_there(configured: str, sources: Path) -> None:
    assert configured.splitlines()[-1].startswith("all ")
    found = kconfig.read(sources / ".config")
    assert found.release.startswith("6.")
    assert found.value("LOCALVERSION") == '"-container"'
    for name in engine.ENGINES:
        verdict = engine.check(found, name)
        assert verdict.fit
        assert {one.symbol for one in verdict.missing("optional")} <= {"SECURITY_SELINUX"}


def test_why_a_symbol_is_not_there(check: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    told = check("CONFIG_IMA_APPRAISE=y\nCONFIG_PCMCIA_RAYCS=m\nCONFIG_SND_HDA_INTEL=m\nCONFIG_VXLAM=m\n")
    assert told.returncode == 9
    lines = [line.strip() for line in told.stderr.splitlines()]
    assert "depends on IMA, which is n" in lines
    assert "nothing keeps it from being m: ask for CONFIG_SOUND=m too" in lines
    assert any(line.startswith("this kernel has no symbol VXLAM; near: VXLAN") for line in lines)


def test_what_a_choice_and_a_selection_decide(
    check: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    told = check("CONFIG_KERNEL_GZIP=y\n# CONFIG_CRC32 is not set\nCONFIG_NET_UDP_TUNNEL=y\n").stderr
    assert "one of the choice 'Kernel compression mode'" in told
    assert "KERNEL_ZSTD was chosen instead" in told
    assert "turns it on" in told
    assert "nobody is asked for NET_UDP_TUNNEL: it is turned on by " in told
