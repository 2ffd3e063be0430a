"""Real images, built by the command that users type, and machines that run them."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from remaster.vm import Machine, MachineSpec, free_port
from tests import loopback
from tests.boot import configured, serial_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

#: Emulation is slow and CI machines are shared: what takes 30 s here may take minutes there.
BOOT_TIMEOUT = 420.0
PROMPT = r"^tc@[\w.-]+:~\$ "


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure tell where the machines' serial logs are."""
    report = yield
    if report.failed and serial_logs.made:
        report.sections.append(("serial logs", "\n".join(map(str, serial_logs.made[-3:]))))
    return report


def remaster(*words: str) -> None:
    """Run the command as a user would; its progress is shown when the test fails."""
    subprocess.run([sys.executable, "-m", "remaster", *words], check=True)


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key], check=True)
    return key


@pytest.fixture(scope="session")
def linux_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    iso = tmp_path_factory.mktemp("linux") / "floe-linux.iso"
    remaster("--variant", "linux", "--output", str(iso))
    return iso


@pytest.fixture(scope="session")
def docker_iso(tmp_path_factory: pytest.TempPathFactory, ssh_key: Path) -> Path:
    iso = tmp_path_factory.mktemp("docker") / "floe-docker.iso"
    variant = configured.variant(iso.parent, "docker", ssh_key.with_suffix(".pub"))
    remaster("--variant", str(variant), "--output", str(iso), "--ssh-key", f"{ssh_key}.pub")
    return iso


@dataclass
class HostServer:
    """An HTTP server on the host's loopback, which a guest reaches as 10.0.2.2."""

    port: int
    seen: list[tuple[float, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://10.0.2.2:{self.port}"

    def asked_for(self, path: str) -> float | None:
        """Return when a path was first asked for."""
        return next((when for when, what in self.seen if what == path), None)


@pytest.fixture(scope="session")
def host_server() -> Iterator[HostServer]:
    log: list[tuple[float, str]] = []

    class Handler(loopback.Quiet):
        def do_GET(self) -> None:
            log.append((time.monotonic(), self.path))
            body = b"hello from the host\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with loopback.serving(Handler) as port:
        yield HostServer(port=port, seen=log)


def media(mode: str, iso: Path) -> dict[str, object]:
    """Return the parts of a machine's description that belong to a way of booting."""
    firmware = "uefi" if mode.startswith("uefi") else "bios"
    if mode.endswith("cd"):
        return {"firmware": firmware, "cdrom": iso}
    return {"firmware": firmware, "disk": iso, "usb": mode.endswith("usb")}


@pytest.fixture(scope="module")
def boot() -> Iterator[Callable[..., Machine]]:
    """Start machines; they are ended with the module."""
    running: list[Machine] = []

    def start(**parts: object) -> Machine:
        machine = serial_logs.machine(MachineSpec(accel="tcg", **parts))  # type: ignore[arg-type]
        machine.start()
        running.append(machine)
        return machine

    yield start
    for machine in running:
        machine.stop()


__all__ = ["BOOT_TIMEOUT", "PROMPT", "HostServer", "free_port", "media", "remaster"]
