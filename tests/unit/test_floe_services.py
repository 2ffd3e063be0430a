"""The base's services under BusyBox: their order, how they are started again, their logs, their table."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INIT = Path(__file__).parents[2] / "recipes/floe-base/files/etc/init.d"
BUSYBOX = shutil.which("busybox")
PATIENCE = 20.0

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")

#: What a service's file begins with.
HEAD = """#!/bin/sh
{header}NAME={name} PROGRAM={name}-daemon
PIDFILE=$FLOE_RUN/{name}.pid LOG=$FLOE_RUN/{name}.log
"""
DAEMON = "#!{busybox} sh\ntrap 'echo bye; exit 0' TERM\necho up\nwhile :; do sleep 0.1; done\n"


@dataclass(frozen=True)
class Machine:
    """A folder that stands for a machine's services."""

    root: Path

    def add(self, name: str, header: str = "", body: str | None = None, daemon: str = DAEMON) -> None:
        """Ship a service: one file, and its daemon."""
        program = self.root / f"{name}-daemon"
        program.write_text(daemon.format(busybox=BUSYBOX, run=self.root / "run"))
        program.chmod(0o755)
        script = self.root / "scripts" / name
        body = f"COMMAND={program}\n" if body is None else body
        lib = f". {self.root}/init.d/service-functions\n"
        script.write_text(f'{HEAD.format(name=name, header=header)}{lib}{body}service "$@"\n')
        script.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "SERVICE_PATH": f"{self.root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "FLOE_RUN": str(self.root / "run"),
            "SERVICES_LIST": str(self.root / "list"),
            "SERVICE_SCRIPTS": str(self.root / "scripts"),
            "SERVICE_SUPERVISOR": str(self.root / "init.d/service-supervisor"),
            "SERVICES_ANYBODY": "1",
            # Nothing here may end the machine that runs the tests.
            "SBIN": str(self.root / "bin"),
            "SYSRQ": str(self.root / "run/sysrq"),
            "DISKSTATS": str(self.root / "run/diskstats"),
            **more,
        }

    def run(self, *words: str, status: int | None = 0, **env: str) -> str:
        done = subprocess.run(
            [str(BUSYBOX), "sh", *words],
            env=self.environment(**env),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert status is None or done.returncode == status, done.stdout
        return done.stdout

    def service(self, name: str, action: str, status: int | None = 0) -> str:
        return self.run(str(self.root / "scripts" / name), action, status=status)

    def services(self, *words: str, status: int | None = 0, **env: str) -> str:
        return self.run(str(self.root / "init.d/services"), *words, status=status, **env)

    def order(self, *listed: str) -> list[str]:
        (self.root / "list").write_text("".join(f"{name}\n" for name in listed))
        return self.services("order").splitlines()

    def table(self) -> dict[str, dict[str, object]]:
        return {one["name"]: one for one in json.loads(self.services("status", "--json"))}

    def until(self, what: str, where: str) -> str:
        """Wait for a text in a file of the machine's run folder, which may go meanwhile."""
        return self.wait(where, lambda text: what in text)

    def wait(self, where: str, wanted: Callable[[str], bool]) -> str:
        """Wait until a file of the machine's run folder is as wanted."""
        file = self.root / "run" / where
        end = time.monotonic() + PATIENCE
        while True:
            try:
                text = file.read_text()
            except FileNotFoundError:
                text = ""
            if wanted(text):
                return text
            assert time.monotonic() < end, text or f"nothing in {file}"
            time.sleep(0.05)

    def gone(self, where: str) -> None:
        """Wait for a file of the machine's run folder to go."""
        end = time.monotonic() + PATIENCE
        while (self.root / "run" / where).exists():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    for name in ("run", "scripts", "init.d"):
        (tmp_path / name).mkdir()
    for name in ("services", "service-functions", "service-supervisor"):
        # What is tested is BusyBox; its sh is this one here, and no test has time to wait.
        text = (INIT / name).read_text().replace("#!/bin/sh", f"#!{BUSYBOX} sh")
        text = text.replace("FIRST=1\nLONGEST=60", "FIRST=0.1\nLONGEST=1").replace(
            "delay=$((delay * 2))", "delay=1"
        )
        # What a supervisor starts has nothing of the environment.
        for path in ("PATH=/usr/local", "PATH=${SERVICE_PATH:-/usr/local"):
            text = text.replace(path, path.replace("/usr/local", f"{tmp_path}/bin:/usr/local"))
        (tmp_path / "init.d" / name).write_text(text)
        (tmp_path / "init.d" / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    for applet in ("setsid", "usleep", "stat", "realpath", "awk", "sed", "grep", "cmp", "tail", "sleep"):
        (tmp_path / "bin" / applet).symlink_to(str(BUSYBOX))
    made = Machine(tmp_path)
    (tmp_path / "list").touch()
    yield made
    (tmp_path / "run/stopping").touch()
    for script in (tmp_path / "scripts").iterdir():
        made.service(script.name, "stop", status=None)


# -- order -----------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdef")


def test_needs_are_pulled_in_and_come_first(machine: Machine) -> None:
    machine.add("docker", "# needs: containerd\n# after: net\n")
    for name in ("containerd", "net", "sshd"):
        machine.add(name)
    machine.add("disk", "# boot: always\n# before: *\n")
    assert machine.order("sshd", "docker") == ["disk", "sshd", "containerd", "docker containerd"]
    assert machine.order("docker", "net") == ["disk", "containerd", "net", "docker containerd"]


def test_what_is_missing_and_what_goes_round_is_told(machine: Machine) -> None:
    machine.add("a", "# needs: b\n")
    machine.add("b", "# needs: c gone\n")
    machine.add("c", "# after: a\n")
    order = machine.order("a", "absent")
    assert "! absent: there is no such service" in order
    assert "! gone: there is no such service, and b needs it" in order
    assert any("services need each other: a -> b -> c -> a" in line for line in order)
    assert [line.split()[0] for line in order if line[0] != "!"] == ["c", "b", "a"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    needs=st.dictionaries(NAMES, st.lists(NAMES, max_size=3)), listed=st.lists(NAMES, max_size=4, unique=True)
)
def test_every_order_keeps_what_was_declared(
    machine: Machine, needs: dict[str, list[str]], listed: list[str]
) -> None:
    for script in (machine.root / "scripts").iterdir():
        script.unlink()
    # Only what comes earlier in the alphabet: no circles.
    kept = {name: [need for need in needs.get(name, ()) if need < name] for name in "abcdef"}
    for name, those in kept.items():
        script = machine.root / "scripts" / name
        script.write_text(f"#!/bin/sh\n# needs: {' '.join(those)}\n")
        script.chmod(0o755)
    order = [line.split()[0] for line in machine.order(*listed)]
    assert len(order) == len(set(order))
    assert set(listed) <= set(order)
    for name in order:
        assert all(order.index(need) < order.index(name) for need in kept[name])
    wanted = set(listed)
    for _ in order:
        wanted |= {need for name in wanted for need in kept[name]}
    assert set(order) == wanted


# -- one service -----------------------------------------------------------------------------------


def test_start_status_reload_stop(machine: Machine) -> None:
    machine.add(
        "web",
        body=f"COMMAND={machine.root}/web-daemon RELOAD=USR1\n",
        daemon=DAEMON.replace("echo up", "trap 'echo again' USR1; echo up"),
    )
    assert machine.service("web", "status", status=3) == "web: stopped\n"
    assert machine.service("web", "start") == "web: started\n"
    assert machine.service("web", "start") == "web: runs already\n"
    assert machine.service("web", "status").startswith("web: running, pid ")
    machine.service("web", "reload")
    machine.until("again", "web.log")
    assert machine.service("web", "stop") == "web: stopped\n"
    # It was asked to end and had the time to say so.
    assert (machine.root / "run/web.log").read_text().splitlines()[-1] == "bye"
    assert not (machine.root / "run/web.pid").exists()
    assert machine.service("web", "stop") == "web: does not run\n"


def test_a_daemon_that_ends_is_started_again_after_what_prepares_it(machine: Machine) -> None:
    machine.add(
        "web",
        body=f"COMMAND={machine.root}/web-daemon\n"
        "prepare() { echo prepared; }\nstarted() { echo ready; }\n",
    )
    machine.service("web", "start")
    pid = (machine.root / "run/web.pid").read_text()
    os.kill(int(pid), 9)
    log = machine.until("ready", "web.log")
    assert "supervisor: the daemon ended: signal 9" in log
    assert log.index("prepared") < log.rindex("up") < log.index("ready")
    assert (machine.root / "run/web.pid").read_text() != pid
    assert machine.service("web", "status").startswith("web: running")
    told = machine.table()["web"]
    assert told["restarts"] == 1
    assert str(told["note"]).startswith("signal 9 after ")
    machine.service("web", "stop")


def test_a_daemon_that_cannot_start_is_told_and_tried_again(machine: Machine) -> None:
    machine.add("bad", daemon="#!{busybox} sh\necho no memory\nexit 7\n")
    said = machine.service("bad", "start", status=1)
    assert "it ended at once (status 7 after 0 s); the last lines of" in said
    assert "no memory" in said
    machine.until("waiting", "services/bad/state")
    assert "failing: status 7" in machine.service("bad", "status", status=1)
    # Restarting it in the meantime is no second supervisor.
    machine.service("bad", "restart", status=1)
    machine.service("bad", "stop")
    assert machine.service("bad", "status", status=3) == "bad: stopped\n"


def test_a_daemon_that_will_not_end_is_told_and_left_alone(machine: Machine) -> None:
    machine.add(
        "deaf",
        body=f"COMMAND={machine.root}/deaf-daemon STOP_WAIT=1\n",
        daemon="#!{busybox} sh\ntrap '' TERM\nwhile [ ! -e {run}/end ]; do sleep 0.1; done\n",
    )
    machine.service("deaf", "start")
    assert "did not stop within 1 s" in machine.service("deaf", "stop", status=1)
    assert machine.service("deaf", "status").startswith("deaf: running")
    (machine.root / "run/end").touch()
    # Its supervisor knows that it was to stop: it is not started again.
    machine.gone("services/deaf/supervisor")
    assert machine.service("deaf", "stop") in {"deaf: stopped\n", "deaf: does not run\n"}
    assert machine.service("deaf", "status", status=3) == "deaf: stopped\n"


def test_one_that_may_end(machine: Machine) -> None:
    machine.add(
        "job",
        body=f"COMMAND={machine.root}/job-daemon RESTART=failure\n",
        daemon="#!{busybox} sh\nsleep 0.6\nexit 0\n",
    )
    machine.service("job", "start")
    machine.until("ended", "services/job/state")
    assert machine.service("job", "status", status=3) == "job: ended\n"


def supervisor_of(machine: Machine, name: str) -> int:
    return int((machine.root / f"run/services/{name}/supervisor").read_text())


def kill(pid: int) -> None:
    os.kill(pid, 9)
    end = time.monotonic() + PATIENCE
    # Whoever its parent is now may not ask for it.
    with suppress(FileNotFoundError, ProcessLookupError):
        while ") Z" not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_command_is_split_at_blanks_and_nothing_else(machine: Machine) -> None:
    machine.add(
        "web",
        body=f"COMMAND='{machine.root}/web-daemon {machine.root}/* $HOME'\n",
        daemon=DAEMON.replace("echo up", 'for word; do echo "<$word>"; done'),
    )
    machine.service("web", "start")
    assert (machine.root / "run/web.log").read_text() == f"<{machine.root}/*>\n<$HOME>\n"


@pytest.mark.parametrize("how", ["watched", "start"])
def test_a_supervisor_that_dies_is_told_and_gets_a_successor(machine: Machine, how: str) -> None:
    """The daemon goes on meanwhile, and is started again when it ends."""
    machine.add(
        "web",
        body=f"""start() {{ launch 20 {machine.root}/web-daemon "it's" '$(two  "words)' ""; }}\n""",
        daemon=DAEMON.replace("echo up", 'for word; do echo "<$word>"; done'),
    )
    machine.service("web", "start")
    pid, first = (machine.root / "run/web.pid").read_text(), supervisor_of(machine, "web")
    kill(first)
    told = machine.table()["web"]
    assert (told["state"], told["pid"], told["note"]) == ("failed", int(pid), "its supervisor has ended")
    assert machine.services("problems").startswith("Service web: failed (its supervisor has ended): <>\n")
    assert "its supervisor has ended" in machine.service("web", "status", status=1)
    if how == "watched":
        (machine.root / "list").write_text("")
        machine.services("start", LOG_PAUSE="0.1")
    else:
        assert (
            machine.service("web", "start")
            == "web: its supervisor had ended; it has another one now\nweb: runs already\n"
        )
    machine.until("takes the place", "web.log")
    assert (machine.root / "run/web.pid").read_text() == pid
    assert machine.table()["web"]["state"] == "running"
    assert supervisor_of(machine, "web") != first
    kill(int(pid))
    machine.until("it is not known how", "web.log")
    # It got the same words.
    words = "<it's>\n<$(two  \"words)>\n<>\n"
    end = time.monotonic() + PATIENCE
    while (machine.root / "run/web.log").read_text().count(words) != 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert machine.service("web", "stop") == "web: stopped\n"
    assert machine.service("web", "status", status=3) == "web: stopped\n"


def test_a_daemon_that_died_without_a_supervisor_never_counts_as_running(machine: Machine) -> None:
    machine.add("web")
    machine.service("web", "start")
    pid = int((machine.root / "run/web.pid").read_text())
    kill(supervisor_of(machine, "web"))
    kill(pid)
    told = machine.table()["web"]
    assert (told["state"], told["pid"]) == ("failed", None)
    assert machine.service("web", "status", status=1).startswith(
        "web: failed: its supervisor has ended; see "
    )
    assert "Service web: failed" in machine.services("problems")
    # Nothing else is said, and it is whole again.
    assert machine.service("web", "mend") == "web: its supervisor had ended; it has another one now\n"
    machine.until("running", "services/web/state")
    end = time.monotonic() + PATIENCE
    while machine.table()["web"]["pid"] in (None, pid):
        assert time.monotonic() < end
        time.sleep(0.05)
    kill(supervisor_of(machine, "web"))
    assert machine.service("web", "restart").endswith("web: started\n")
    assert machine.table()["web"]["state"] == "running"


def test_a_supervisor_that_is_told_to_end_takes_the_daemon_along(machine: Machine) -> None:
    machine.add("web")
    machine.service("web", "start")
    os.kill(supervisor_of(machine, "web"), 15)
    machine.gone("services/web/supervisor")
    assert machine.table()["web"]["state"] == "stopped"
    assert machine.service("web", "mend") == ""
    assert machine.table()["web"]["state"] == "stopped"


# -- all of them -----------------------------------------------------------------------------------


def test_all_are_started_shown_and_stopped_in_order(machine: Machine) -> None:
    machine.add("net")
    machine.add("eng", "# needs: net\n")
    machine.add("bad", daemon="#!{busybox} sh\nexit 1\n")
    machine.add("top", "# needs: bad\n")
    (machine.root / "list").write_text("eng # the engine\n\ntop\n")
    once = "KIND=once\nstart() { touch $FLOE_RUN/mounted; }\nstop() { rm $FLOE_RUN/mounted; }\n"
    machine.add("disk", "# boot: always\n# before: *\n", body=once)
    machine.add("hand")
    said = machine.services("start", LOG_PAUSE="0.1")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("Starting ")] == [
        *("disk", "net", "eng", "bad"),
    ]
    assert "Service top: not started, for it needs bad, which was not" in said
    machine.service("hand", "start")
    found = machine.table()
    assert {name: one["state"] for name, one in found.items() if name != "bad"} == {
        "disk": "done",
        "net": "running",
        "eng": "running",
        "top": "blocked",
        "hand": "running",
    }
    assert found["bad"]["state"] in {"waiting", "starting"}
    assert found["eng"]["pid"] == int((machine.root / "run/eng.pid").read_text())
    assert str(found["bad"]["note"]).startswith("status 1 after")
    rows = [line.split() for line in machine.services("status").splitlines()]
    assert ["net", "running", str(found["net"]["pid"])] in [row[:3] for row in rows]
    problems = (machine.root / "run/problems").read_text()
    assert "Service bad: did not start (status 1 after 0 s)" in problems
    stopped = [line.split()[1] for line in machine.services("stop").splitlines() if "Stopping" in line]
    # What was not started is asked, too; where it stands does not matter.
    assert [name for name in stopped if name != "top"] == ["hand", "bad", "eng", "net", "disk"]
    assert not (machine.root / "run/mounted").exists()
    assert {one["state"] for one in machine.table().values()} <= {"stopped", "blocked"}


def test_one_that_hangs_at_its_start_does_not_keep_the_others_waiting(machine: Machine) -> None:
    body = "KIND=once\nstart() { until [ -e $FLOE_RUN/go ]; do sleep 0.1; done; }\nstop() { :; }\n"
    machine.add("slow", "# before: *\n", body=body)
    machine.add("user", "# needs: slow\n", body="KIND=once\nstart() { :; }\nstop() { :; }\n")
    machine.add("other")
    (machine.root / "list").write_text("slow\nuser\nother\n")
    # What hangs keeps the console that it was given; here that is a file.
    with (machine.root / "said").open("w") as said:
        subprocess.run(
            [str(machine.root / "init.d/services"), "start"],
            env=machine.environment(START_LIMIT="3"), stdout=said, stderr=said, check=True,
        )  # fmt: skip
    text = (machine.root / "said").read_text()
    assert "Service slow: still starts after 3 s; the others do not wait for it any longer" in text
    assert "Service user: not started, for it needs slow, which was not" in text
    assert "other: started" in text
    assert (machine.root / "run/services/slow.late").exists()
    (machine.root / "run/go").touch()
    machine.until("done", "services/slow/state")


def test_what_leaves_a_process_is_well_for_as_long_as_that_runs(machine: Machine) -> None:
    """The process that looks after the network is such a one; who looks after services starts it again."""
    net = machine.root / "run/net"
    net.mkdir()
    machine.add("net", body=f"KIND=once\nstart() {{ echo {net}/pid >$STATE/pidfile; }}\nstop() {{ :; }}\n")
    worker = machine.root / "init.d/network"
    worker.write_text(f"#!{BUSYBOX} sh\nsetsid sleep 60 >/dev/null 2>&1 &\necho $! >{net}/pid\n")
    worker.chmod(0o755)
    machine.run(str(worker))
    machine.service("net", "start")
    pid = int((net / "pid").read_text())
    assert (machine.table()["net"]["state"], machine.table()["net"]["pid"]) == ("done", pid)
    kill(pid)
    assert (machine.table()["net"]["state"], machine.table()["net"]["pid"]) == ("failed", None)
    assert machine.services("problems") == "Service net: failed (its process has ended)\n"
    machine.services("start", LOG_PAUSE="0.1", NETWORK_SELF=str(worker))
    end = time.monotonic() + PATIENCE
    while machine.table()["net"]["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(int((net / "pid").read_text()), 9)


def test_what_was_stopped_is_started_again(machine: Machine) -> None:
    machine.add("web")
    machine.add(
        "disk", body="KIND=once\nstart() { touch $FLOE_RUN/mounted; }\nstop() { rm $FLOE_RUN/mounted; }\n"
    )
    (machine.root / "list").write_text("disk\nweb\n")
    for _ in range(2):
        machine.services("start", LOG_PAUSE="0.1")
        assert {one["state"] for one in machine.table().values()} == {"running", "done"}
        assert (machine.root / "run/services.done").exists()
        machine.services("stop")
        assert {one["state"] for one in machine.table().values()} == {"stopped"}
        assert machine.services("problems") == ""
    # A machine that goes down starts nothing, and says so.
    (machine.root / "run/stopping").touch()
    assert "they are being stopped; nothing is started" in machine.services("start", status=1)


def test_what_failed_is_told_with_its_reason_until_it_is_well(machine: Machine) -> None:
    """Of what runs once its last words, and those of its shell where it has a mistake in it."""
    once = "KIND=once\nstop() { :; }\n"
    machine.add("key", body=once + 'start() { say "there is no key"; [ -e $FLOE_RUN/key ]; }\n')
    machine.add("sum", body=once + "start() { echo $((08 + 1)); }\n")
    machine.add("hook", body=once + "start() { [ -e $FLOE_RUN/key ] || trouble it is not executable; }\n")
    machine.add("bad", daemon="#!{busybox} sh\necho no memory\nexit 7\n")
    machine.add("top", "# needs: key\n")
    (machine.root / "list").write_text("key\nsum\nhook\nbad\ntop\n")
    said = machine.services("start", LOG_PAUSE="0.1")
    told = (machine.root / "run/problems").read_text().splitlines()
    assert told[0] == "Service key: did not start (status 1): there is no key"
    assert re.fullmatch("Service sum: did not start .*: .*arithmetic .*", told[1])
    assert told[2:] == [
        "hook: it is not executable",
        "Service bad: did not start (status 7 after 0 s): no memory",
        "Service top: not started, for it needs key, which was not",
    ]
    assert all(line in said for line in told)
    assert (machine.root / "run/key.log").read_text().endswith(" key: there is no key\n")
    now = machine.services("problems").splitlines()
    assert "Service key: failed (status 1): there is no key" in now
    assert "Service bad: waiting to be started again (status 7 after 0 s): no memory" in now or len(now) == 2
    (machine.root / "run/key").touch()
    for name in ("sum", "bad"):
        machine.service(name, "stop")
    (machine.root / "list").write_text("key\n")
    machine.services("start")
    machine.service("hook", "restart")
    left = (machine.root / "run/problems").read_text()
    assert "Service key" not in left
    assert "hook:" not in left
    assert machine.services("problems") == ""


# -- the end ---------------------------------------------------------------------------------------


def test_a_script_that_hangs_does_not_keep_the_others_from_being_stopped(machine: Machine) -> None:
    once = "KIND=once\nstart() { :; }\n"
    machine.add("last", body=once + "stop() { touch $FLOE_RUN/last.stopped; }\n")
    # It goes on after the machine gave it up, so it must not hold what its output is read from.
    long = "stop() { exec >/dev/null 2>&1; for n in 1 2 3 4 5 6 7 8 9; do sleep 1; done; }\n"
    machine.add("stuck", "# stop-limit: 1\n", body=once + long)
    for name in ("last", "stuck"):
        machine.service(name, "start")
    said = machine.services("stop")
    assert said.index("Stopping stuck") < said.index("Service stuck did not stop in time")
    assert (machine.root / "run/last.stopped").exists()
    # The next one had its two minutes, and thirty seconds besides.
    left = int((machine.root / "run/shutdown.deadline").read_text())
    assert left - float(Path("/proc/uptime").read_text().split()[0]) > 60


@pytest.mark.parametrize(
    ("asked", "ends"), [("", "reboot -n -f"), ("reboot", "reboot -n -f"), ("poweroff", "poweroff -n -f")]
)
def test_a_shutdown_that_hangs_is_ended_as_was_asked_for(machine: Machine, asked: str, ends: str) -> None:
    """The watcher goes on when all that it watches hangs; nothing it does waits for a disk."""
    run = machine.root / "run"
    (run / "services").mkdir(exist_ok=True)
    if asked:
        (run / "going").write_text(f"{asked}\n")
    for name in ("reboot", "poweroff"):
        tool = machine.root / "bin" / name
        tool.write_text(f"#!{BUSYBOX} sh\necho {name} $* >>{run}/forced\n")
        tool.chmod(0o755)
    (run / "diskstats").write_text(" 1 0 vda 9 9 9 9 5 0 0 0 0 0 0\n")
    script = machine.root / "init.d/services"
    text = script.read_text().replace("sleep 10\n", "sleep 0.1\n").replace("sleep 3\n", "sleep 0.1\n")
    text = text.replace("    grace 600\n", "    grace 0\n").replace("grace 20\n", "grace 0\n")
    script.write_text(text)
    machine.services("shutdown")
    # Written one by one, so that the last is what is left.
    machine.until("b", "sysrq")
    assert (run / "forced").read_text() == f"{ends}\n"


def test_logs_are_put_away_while_the_daemon_writes(machine: Machine) -> None:
    machine.add(
        "chatty",
        daemon="#!{busybox} sh\nn=0\nwhile :; do n=$((n+1)); echo line $n of many; sleep 0.01; done\n",
    )
    (machine.root / "list").write_text("chatty\n")
    machine.services("start", LOG_PAUSE="0.1", LOG_LIMIT="500")
    # They take one another's places all the time.
    for number in (3, 2, 1):
        machine.wait(f"chatty.log.{number}", lambda text: len(text) > 500)
    assert not (machine.root / "run/chatty.log.4").exists()
    # No holes: the daemon goes on at the beginning of the file that was emptied.
    machine.until("line", "chatty.log")
    assert b"\0" not in (machine.root / "run/chatty.log").read_bytes()
    machine.services("stop")


def test_logs_of_what_ran_once_are_put_away_and_nothing_is_lost_on_a_full_disk(machine: Machine) -> None:
    logs, run = machine.root / "logs", machine.root / "run"
    logs.mkdir()
    text = "".join(f"line {number}\n" for number in range(100))
    (logs / "bootlocal.log").write_text(text)
    (logs / "small.log").write_text("small\n")
    machine.services("start", LOG_PAUSE="0.1", LOG_LIMIT="500", SERVICE_LOGS=str(logs))
    end = time.monotonic() + PATIENCE
    while (logs / "bootlocal.log").stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (logs / "bootlocal.log.1").read_text() == text
    assert (logs / "small.log").read_text() == "small\n"
    # A cp that has no room leaves a part, and says so by its status.
    (run / "stopping").touch()
    cp = machine.root / "bin/cp"
    cp.unlink(missing_ok=True)
    cp.write_text(f'#!{BUSYBOX} sh\nhead -c 10 "$1" >"$2"\nexit 1\n')
    cp.chmod(0o755)
    (logs / "bootlocal.log").write_text(text)
    script = (machine.root / "init.d/services").read_text().replace(' cp "$1"', f' {cp} "$1"')
    script = script.replace('mkdir -p "$FLOE_RUN" 2>/dev/null\ncase', 'put_away "$1"; exit\ncase')
    (machine.root / "init.d/full").write_text(script)
    machine.run(str(machine.root / "init.d/full"), str(logs / "bootlocal.log"))
    assert (logs / "bootlocal.log").read_text() == text
    assert (logs / "bootlocal.log.1").read_text() == text
    assert {file.name for file in logs.iterdir()} == {"bootlocal.log", "bootlocal.log.1", "small.log"}


def test_names_that_end_up_in_json(machine: Machine) -> None:
    machine.add("a.b-c")
    (machine.root / "list").write_text("a.b-c\n")
    machine.service("a.b-c", "start")
    state = machine.root / "run/services/a.b-c/state"
    state.write_text(f'{state.read_text().strip()} a "quoted\\ note\n')
    assert machine.table()["a.b-c"]["note"] == 'a "quoted\\ note'
