"""The services that apply what an image was made with, run under BusyBox with engines that write down."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remaster.variant.containers import Container, words
from tests.unit.certificates_made import certificates

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPES = Path(__file__).parents[2] / "recipes"
FUNCTIONS = RECIPES / "floe-base/files/etc/init.d/service-functions"
SETTINGS = RECIPES / "host-settings/files/usr/local/etc/init.d/settings"
PRELOAD = RECIPES / "container-host/files/usr/local/etc/init.d/preload"
CONTAINERS = RECIPES / "container-host/files/usr/local/etc/init.d/containers"
BUSYBOX = shutil.which("busybox")

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")

#: An engine: keeps containers as files that hold their label and whether they run, and writes all it is told.
ENGINE = """#!/bin/sh
# Its name tells whom it stands for; one word a line, an empty line behind each call.
state=$(dirname "$0")/../state
{ echo "${0##*/}"; for word; do echo "<$word>"; done; echo; } >>"$state/calls"
case "$1 $2" in
    "load "*) [ ! -e "$state/broken" ] ;;
    "container inspect")
        [ -f "$state/c.$5" ] || exit 1
        read -r label runs <"$state/c.$5"
        echo "$runs $label"
        ;;
    "start "*) read -r label _ <"$state/c.$2" && echo "$label true" >"$state/c.$2" ;;
    "rm "*) rm -f "$state/c.$3" ;;
    "run "*)
        [ ! -e "$state/broken" ] || exit 1
        while [ "$1" != --name ]; do shift; done
        name=$2
        while [ "$1" != --label ]; do shift; done
        echo "${2#*=} true" >"$state/c.$name"
        ;;
esac
"""


class Place:
    """A machine's folders, its tools, and what the engines were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.state = folder / "state"
        for made in (self.tools, self.state, folder / "containers", folder / "images"):
            made.mkdir()
        self.functions = folder / "service-functions"
        # Some builds of BusyBox run their own before any other program.
        own = "".join(f'{name}() {{ "{self.tools}/{name}" "$@"; }}\n' for name in ("sysctl", "modprobe"))
        self.functions.write_text(f"{FUNCTIONS.read_text()}\nneed_root() {{ :; }}\n{own}")
        for name in ("podman", "docker"):
            self.tool(name, ENGINE)

    def tool(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def run(self, script: Path, action: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "SERVICE_PATH": f"{self.tools}:{os.environ['PATH']}",
            "FLOE_RUN": str(self.folder / "run-floe"),
            "SERVICE_FUNCTIONS": str(self.functions),
            "SETTINGS_ROOT": str(self.folder),
            "PRELOADED": str(self.folder / "images"),
            "PRELOAD_LOG": str(self.folder / "preload.log"),
            "ENGINE_ROOT": str(self.folder),
            "CONTAINERS": str(self.folder / "containers"),
            "CONTAINERS_LOG": str(self.folder / "containers.log"),
            "CONTAINERS_PAUSE": "0",
        }
        command = [str(BUSYBOX), "ash", str(script), action]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        """Return what engines were told since the last question, a call a string."""
        path = self.state / "calls"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return [call.replace("\n", " ") for call in text.split("\n\n") if call]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- settings --------------------------------------------------------------------------------------

SYSCTL = """#!/bin/sh
state=$(dirname "$0")/../state
case "$*" in
    "-q -w deaf="*) exit 1 ;;
    "-q -w "*) printf '%s' "${3#*=}" | tr ' ' '\\t' >"$state/s.${3%%=*}" ;;
    "-n "*) cat "$state/s.$2" ;;
esac
"""


def test_settings_are_applied_and_what_is_refused_is_told(place: Place) -> None:
    place.tool("sysctl", SYSCTL)
    place.tool("modprobe", '#!/bin/sh\necho "$2" >>"$(dirname "$0")/../state/modules"\n[ "$2" != nosuch ]\n')
    for folder in ("modules-load.d", "sysctl.d"):
        (place.folder / "usr/local/etc" / folder).mkdir(parents=True)
    modules = place.folder / "usr/local/etc/modules-load.d/50-image.conf"
    values = place.folder / "usr/local/etc/sysctl.d/50-image.conf"
    assert place.run(SETTINGS, "status").returncode == 3
    modules.write_text("dummy\nwireguard\n")
    values.write_text("vm.swappiness = 10\nnet.ipv4.tcp_rmem = 4096 87380 6291456\n")
    done = place.run(SETTINGS, "start")
    assert (done.returncode, done.stderr) == (0, "")
    assert (place.state / "modules").read_text() == "dummy\nwireguard\n"
    assert (place.state / "s.net.ipv4.tcp_rmem").read_text() == "4096\t87380\t6291456"
    assert place.run(SETTINGS, "status").returncode == 0
    (place.state / "s.vm.swappiness").write_text("60\n")
    told = place.run(SETTINGS, "status")
    assert (told.returncode, "vm.swappiness" in told.stdout) == (1, True)
    place.run(SETTINGS, "stop")
    modules.write_text("nosuch\n")
    values.write_text("deaf = 1\nvm.swappiness = 20\n")
    done = place.run(SETTINGS, "start")
    assert done.returncode == 1
    assert "the module nosuch cannot be loaded" in done.stderr
    assert "the kernel refuses deaf" in done.stderr
    assert (place.state / "s.vm.swappiness").read_text() == "20"


# -- preloaded images ------------------------------------------------------------------------------


def test_images_are_loaded_once(place: Place) -> None:
    rows = ("podman 1.tar aa localhost/a:1", "docker 2.tar bb localhost/b:1")
    (place.folder / "images/list").write_text("".join(f"{row}\n" for row in rows))
    assert place.run(PRELOAD, "status").returncode == 3
    done = place.run(PRELOAD, "start")
    assert (done.returncode, done.stderr) == (0, "")
    images = place.folder / "images"
    assert place.calls() == [
        f"podman <load> <-q> <-i> <{images}/1.tar>",
        f"docker <load> <-q> <-i> <{images}/2.tar>",
    ]
    assert place.run(PRELOAD, "start").returncode == 0
    assert place.calls() == []
    assert place.run(PRELOAD, "status").returncode == 0
    # The engine lost its data: a machine without a disk for it starts again.
    shutil.rmtree(place.folder / "var/lib/containers")
    place.run(PRELOAD, "start")
    assert place.calls() == [f"podman <load> <-q> <-i> <{images}/1.tar>"]


def test_an_image_that_is_refused_is_told_and_tried_again(place: Place) -> None:
    (place.folder / "images/list").write_text("podman 1.tar aa localhost/a:1\n")
    (place.state / "broken").touch()
    done = place.run(PRELOAD, "start")
    assert done.returncode == 1
    assert "podman did not take localhost/a:1" in done.stderr
    (place.state / "broken").unlink()
    assert place.run(PRELOAD, "start").returncode == 0


# -- containers ------------------------------------------------------------------------------------


def describe(place: Place, container: Container) -> tuple[str, ...]:
    told = words(container)
    text = "".join(f"{word}\n" for word in ("podman", *told))
    (place.folder / "containers" / container.name).write_text(text)
    return told


def test_a_container_is_run_started_and_replaced(place: Place) -> None:
    one = Container(name="web", image="localhost/web:1", args=("sh", "-c", "a  $B 'c' \\ *", "", "d"))
    told = describe(place, one)
    assert place.run(CONTAINERS, "status").returncode == 3
    place.calls()
    done = place.run(CONTAINERS, "start")
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = [call for call in place.calls() if "<run>" in call]
    assert run == " ".join(("podman", "<run>", *(f"<{word}>" for word in told)))
    assert place.run(CONTAINERS, "start").stdout == "containers: all is done already\n"
    place.calls()
    label, _ = (place.state / "c.web").read_text().split()
    (place.state / "c.web").write_text(f"{label} false\n")
    assert place.run(CONTAINERS, "start").returncode == 0
    assert [call for call in place.calls() if "inspect" not in call] == ["podman <start> <web>"]
    describe(place, Container(name="web", image="localhost/web:2"))
    (place.state / "c.web").write_text(f"{label} false\n")
    assert place.run(CONTAINERS, "start").returncode == 0
    changed = [call.split()[1] for call in place.calls() if "inspect" not in call]
    assert changed == ["<rm>", "<run>"]
    assert place.run(CONTAINERS, "status").returncode == 0


def test_one_that_was_described_otherwise_is_replaced_while_it_runs(place: Place) -> None:
    describe(place, Container(name="web", image="localhost/web:2"))
    (place.state / "c.web").write_text("0000000000000000 true\n")
    assert place.run(CONTAINERS, "start").returncode == 0
    assert "<run>" in "".join(place.calls())


def test_a_container_that_does_not_start_is_told(place: Place) -> None:
    describe(place, Container(name="web", image="localhost/web:2"))
    (place.state / "broken").touch()
    done = place.run(CONTAINERS, "start")
    assert done.returncode == 1
    assert "web was not started" in done.stderr
    assert sum("<run>" in call for call in place.calls()) == 6


# -- the rest --------------------------------------------------------------------------------------


def test_proxies_reach_what_services_start(place: Place) -> None:
    text = place.functions.read_text()
    assert "[ ! -r /etc/profile.d/proxy.sh ] || . /etc/profile.d/proxy.sh" in text
    describe(place, Container(name="web", image="localhost/web:1"))
    (place.folder / "proxy.sh").write_text("https_proxy='http://p:1'\nexport https_proxy\n")
    place.functions.write_text(text.replace("/etc/profile.d", str(place.folder)))
    place.tool("podman", '#!/bin/sh\necho "$https_proxy" >>"$(dirname "$0")/../state/seen"\nexit 1\n')
    place.run(CONTAINERS, "start")
    assert set((place.state / "seen").read_text().split("\n")) == {"http://p:1", ""}


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[], str]:
    """Run the start-up script of ca-certificates; return the bundle that it leaves."""
    target = tmp_path / "certs/ca-certificates.crt"
    target.parent.mkdir()
    (tmp_path / "mounted.crt").write_text("public\n")
    target.symlink_to("../mounted.crt")
    (tmp_path / "more").mkdir()

    def run() -> str:
        script = (RECIPES / "ca-certificates/files/tce.installed").read_text()
        env = {"PATH": os.environ["PATH"], "BUNDLE": str(target), "MORE": str(tmp_path / "more")}
        # The link is the machine's business, not this one's.
        text = "\n".join(line for line in script.splitlines() if "/etc/ssl ]" not in line)
        subprocess.run([str(BUSYBOX), "ash", "-c", text], env=env, check=True)
        return target.read_text()

    return run


def test_authorities_are_added_to_the_bundle_once(tmp_path: Path, bundle: Callable[[], str]) -> None:
    assert bundle() == "public\n"
    one, two = (certificates()[0].decode() for _ in range(2))
    (tmp_path / "more/a.crt").write_text(one)
    assert bundle() == f"public\n{one}"
    (tmp_path / "more/b.crt").write_text(two)
    assert bundle() == f"public\n{one}{two}"
    assert bundle() == f"public\n{one}{two}"
    assert (tmp_path / "mounted.crt").read_text() == "public\n"
