"""The sandbox, with the machine's own programs bound into an almost empty root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tcz.errors import ToolkitError
from tcz.run import CommandError, HostRunner
from tcz.sandbox import Bind, Sandbox

USR = Bind(host=Path("/usr"), inside="/usr")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("build", "dev", "etc", "proc", "tmp", "usr"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    return root


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(HostRunner())


def said(sandbox: Sandbox, root: Path, script: str, *binds: Bind, **more: object) -> str:
    argv = ["sh", "-c", script]
    result = sandbox.run(root, argv, binds=(USR, *binds), cwd="/", **more)  # type: ignore[arg-type]
    return result.stdout.decode()


def test_same_everywhere(sandbox: Sandbox, root: Path) -> None:
    assert said(sandbox, root, "id -u; uname -n; cat /proc/self/status | grep CapEff").split() == [
        "0", "build", "CapEff:", "0000000000000000",
    ]  # fmt: skip
    assert set(said(sandbox, root, "env", env={"PATH": "/bin", "A": "b"}).split()) == {
        "PATH=/bin",
        "A=b",
        "PWD=/",
    }


def test_umask_is_ours(sandbox: Sandbox, root: Path) -> None:
    before = os.umask(0o077)
    try:
        assert said(sandbox, root, "umask") == "0022\n"
    finally:
        os.umask(before)


def test_root_is_read_only(sandbox: Sandbox, root: Path) -> None:
    assert (
        said(sandbox, root, "touch /etc/x 2>/dev/null || echo no; touch /tmp/x /build/x && echo yes")
        == "no\nyes\n"
    )
    assert not (root / "tmp/x").exists()


def test_binds(sandbox: Sandbox, root: Path, tmp_path: Path) -> None:
    for name in ("src", "dest"):
        (tmp_path / name).mkdir()
    (tmp_path / "src/f").write_text("text")
    binds = (
        Bind(host=tmp_path / "src", inside="/build/src"),
        Bind(host=tmp_path / "dest", inside="/build/dest", writable=True),
    )
    script = "cp /build/src/f /build/dest/g; touch /build/src/x 2>/dev/null || echo no"
    assert said(sandbox, root, script, *binds) == "no\n"
    assert (tmp_path / "dest/g").read_text() == "text"


def test_no_network_unless_asked(sandbox: Sandbox, root: Path) -> None:
    assert said(sandbox, root, "tail -n +3 /proc/net/dev | cut -d: -f1").split() == ["lo"]
    machine = Path("/proc/net/dev").read_text().count(":")
    for name in ("resolv.conf", "hosts"):
        (root / "etc" / name).touch()
    assert len(said(sandbox, root, "tail -n +3 /proc/net/dev", network=True).splitlines()) == machine


def test_failure_and_log(sandbox: Sandbox, root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(CommandError) as caught:
        said(sandbox, root, "echo before; exit 3", log=log)
    assert caught.value.result.returncode == 3
    assert log.read_text() == "before\n"


def test_no_namespaces_is_explained(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that says what the real one says where AppArmor forbids namespaces."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ToolkitError) as caught:
        Sandbox(HostRunner()).run(root, ["true"])
    assert "uid map" in str(caught.value.why)
    assert "apparmor" in str(caught.value.hint)
