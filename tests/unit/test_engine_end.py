"""How engines' services start their containers and end what is left running: BusyBox, and processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPES = Path(__file__).parents[2] / "recipes"
FUNCTIONS = RECIPES / "floe-base/files/etc/init.d/service-functions"
DOCKER = RECIPES / "docker/files/init.d-docker"
PODMAN = RECIPES / "podman/files/init.d-podman"
BUSYBOX = shutil.which("busybox")
#: What the control group of any process has in it, in the place of a container's name.
ID = "0::"
SIGNALLED = 3
KILLED = 137

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")


@dataclass(frozen=True)
class Place:
    """A folder that stands for a machine's state."""

    root: Path
    containers: list[subprocess.Popen[str]]

    def container(self, body: str) -> int:
        """Start what stands for the first process of a container; return when it listens."""
        script = f"{body}\necho up\nwhile :; do sleep 0.05; done"
        process = subprocess.Popen([str(BUSYBOX), "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        self.containers.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process.pid

    def note(self, pid: int, config: dict[str, object], *, exit_code: int = 0) -> None:
        """Write what dockerd keeps of a container."""
        folder = self.root / "docker/containers" / ID
        folder.mkdir(parents=True, exist_ok=True)
        labels = {"Labels": {"a": '"Pid":1,"ExitCode":9'}}
        state = {"Running": True, "Paused": False, "Pid": pid, "ExitCode": exit_code}
        value = {"State": state, "ID": ID, "Config": {**labels, **config}, "Name": "/db"}
        (folder / "config.v2.json").write_text(json.dumps(value, separators=(",", ":")))

    def run(self, script: Path, call: str, status: int = 0) -> str:
        """Read in a service's script but for its last lines, and call one of its functions."""
        text = script.read_text().replace("/etc/init.d/service-functions", str(FUNCTIONS))
        # What dockerd is started with has no part in its end.
        lines = [line for line in text.splitlines() if not line.startswith(". /usr/local/lib/")]
        end = max(number for number, line in enumerate(lines) if line == "}") + 1
        body = "\n".join(lines[:end])
        done = subprocess.run(
            [str(BUSYBOX), "sh", "-c", f"{body}\n{call}"],
            env={
                "PATH": os.environ["PATH"],
                "SERVICE_PATH": os.environ["PATH"],
                "FLOE_RUN": str(self.root / "run"),
                "DOCKER_ROOT": str(self.root / "docker"),
                "PODMAN_RUN": str(self.root / "podman"),
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    def stopping(self) -> None:
        (self.root / "run/stopping").touch()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "run").mkdir()
    made = Place(tmp_path, [])
    yield made
    for process in made.containers:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ended(place: Place, script: Path) -> tuple[str, int]:
    """End what is left while the container is waited for, as a shim does; return its end, too."""
    process = place.containers[-1]
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(process.wait, 20)
        return place.run(script, "leftover"), waits.result()


def test_docker_waits_as_long_as_containers_have(place: Place) -> None:
    assert place.run(DOCKER, "stop_wait") == "30\n"
    pid = place.container("")
    for own, expected in ((None, 30), (5, 30), (120, 135), (-1, 615), (90000, 615)):
        place.note(pid, {} if own is None else {"StopTimeout": own})
        assert place.run(DOCKER, "stop_wait") == f"{expected}\n"
    place.note(0, {"StopTimeout": 120})
    assert place.run(DOCKER, "stop_wait") == "30\n"


@pytest.mark.parametrize(("config", "signal"), [({"StopSignal": "SIGUSR1"}, "USR1"), ({}, "TERM")])
def test_what_a_dead_docker_left_is_told_to_end_by_its_own_signal(
    place: Place, config: dict[str, object], signal: str
) -> None:
    others = "trap '' TERM" if signal == "USR1" else ":"
    place.note(place.container(f"{others}; trap 'exit {SIGNALLED}' {signal}"), config)
    # While the machine runs on, containers may outlive the daemon.
    assert place.run(DOCKER, "leftover") == ""
    place.stopping()
    said, status = ended(place, DOCKER)
    assert "/db still runs; it is told to end without the daemon" in said
    assert status == SIGNALLED


def test_what_had_to_be_killed_is_told(place: Place) -> None:
    place.note(0, {}, exit_code=KILLED)
    note = place.root / "docker/containers" / ID / "config.v2.json"
    assert place.run(DOCKER, f"killed {note} /nowhere") == (
        "docker: /db did not end when it was told to, and was killed\n"
    )
    place.note(0, {})
    assert place.run(DOCKER, f"killed {note}") == ""


def test_what_podman_left_is_told_to_end(place: Place) -> None:
    folder = place.root / "podman/containers/storage/overlay-containers" / ID / "userdata"
    folder.mkdir(parents=True)
    pid = place.container(f"trap 'exit {SIGNALLED}' TERM")
    (folder / "pidfile").write_text(f"{pid}")
    assert place.run(PODMAN, "left").split() == [str(pid), ID]
    assert place.run(PODMAN, "leftover") == ""
    place.stopping()
    said, status = ended(place, PODMAN)
    assert f"the container {ID} still runs; it is told to end without podman" in said
    assert status == SIGNALLED


def test_podman_has_stopped_when_what_clears_up_has_ended(place: Place) -> None:
    clearer = place.root / "conmon"
    clearer.write_text(f"#!{BUSYBOX} sh\nsleep 1\n: >{place.root}/cleared\n")
    clearer.chmod(0o755)
    call = f"uid={os.getuid()}; {clearer} & usleep 200000; leftover; ls {place.root}/cleared; wait"
    assert place.run(PODMAN, call) == f"{place.root}/cleared\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_podman_does_not_wait_for_containers_of_others(place: Place, tmp_path_factory: Any) -> None:
    theirs = tmp_path_factory.mktemp("theirs") / "conmon"
    theirs.write_text(f"#!{BUSYBOX} sh\nsleep 3\n")
    theirs.chmod(0o755)
    with subprocess.Popen([str(BUSYBOX), "sh", str(theirs)], user=65534) as process:
        call = "uid=1001; clearing && echo waits; true"
        assert place.run(PODMAN, f"pidof() {{ echo {process.pid}; }}; {call}") == ""
        assert place.run(PODMAN, f"uid=65534; pidof() {{ echo {process.pid}; }}; clearing && echo waits") == (
            "waits\n"
        )
        process.kill()
