"""The command status of container-host under BusyBox, with files for a machine's facts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

STATUS = Path(__file__).parents[2] / "recipes/container-host/files/usr/local/bin/status"
BUSYBOX = shutil.which("busybox")
HASH = "a" * 64

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")


def run(root: Path, *words: str, status: int = 0, script: Path = STATUS) -> str:
    done = subprocess.run(
        [str(BUSYBOX), "sh", str(script), *words],
        env={
            "FLOE_RUN": str(root / "run"),
            "STATUS_MANIFEST": str(root / "manifest.json"),
            "STATUS_INSTALLED": str(root / "installed"),
            "STATUS_RELEASE": str(root / "os-release"),
            "STATUS_LOOPS": str(root / "block"),
            "STATUS_MOUNTS": str(root / "mounts"),
            "STATUS_SERVICES": str(root / "services"),
            "STATUS_CLASS": str(root / "class"),
            "STATUS_FAULTS": str(root / "ext4"),
            "STATUS_LIB": str(STATUS.parents[1] / "lib/container-host"),
            "STATUS_CHECKS": str(root / "checks"),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("run", "installed", "block"):
        (tmp_path / folder).mkdir()
    packages = [
        {
            "name": "floe-base",
            "role": "layer",
            "version": "17.0",
            "sha256": HASH,
            "size": 1,
            "installed": 2049,
            "needs": [],
        },
        {"name": "web", "role": "package", "version": "1 of 2", "sha256": HASH, "size": 1, "needs": ["x"]},
        {"name": "later", "role": "package", "version": "2", "sha256": HASH, "size": 1, "needs": []},
    ]
    rooted = {"name": "rooted", "role": "package", "place": "root", "version": "", "sha256": HASH}
    packages.append({**rooted, "installed": 10240})
    packages[1]["installed"] = 65536
    manifest = {"schema": 1, "variant": "test", "version": "1.0", "packages": packages, "recipes": packages}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (tmp_path / "os-release").write_text('NAME=floe\nPRETTY_NAME="floe 17.0"\n')
    image = tmp_path / "ram/web.tcz"
    image.parent.mkdir()
    image.write_bytes(bytes(8192))
    (tmp_path / "mounts").write_text(
        f"/dev/vda / ext4 rw 0 0\ntmpfs {tmp_path}/ram tmpfs rw 0 0\n/dev/vda /mnt/data ext4 ro,noatime 0 0\n"
    )
    loop = tmp_path / "block/loop0/loop"
    loop.mkdir(parents=True)
    (loop / "backing_file").write_text(f"{image}\n")
    for name in ("web", "by-hand", "rooted"):
        (tmp_path / "installed" / name).touch()
    services = tmp_path / "services"
    services.write_text(
        '#!/bin/sh\n[ "$2" ] && echo \'[{"name": "sshd", "state": "running"}]\' && exit\n'
        '[ "$1" = problems ] && { cat "$0.more" 2>/dev/null; exit; }\n'
        "echo SERVICE STATE\necho sshd running\n"
    )
    services.chmod(0o755)
    return tmp_path


def test_packages_are_told_with_what_they_take(root: Path) -> None:
    told = json.loads(run(root, "--json"))
    assert (told["base"], told["variant"], told["version"]) == ("floe 17.0", "test", "1.0")
    assert [tuple(one.values()) for one in told["packages"]] == [
        ("by-hand", "-", "-", "loaded", 0),
        ("floe-base", "17.0", f"sha256:{HASH}", "layer", 3),
        ("later", "2", f"sha256:{HASH}", "not-loaded", 0),
        ("rooted", "-", f"sha256:{HASH}", "loaded", 10),
        ("web", "1_of_2", f"sha256:{HASH}", "loaded", 8),
    ]
    assert told["services"] == [{"name": "sshd", "state": "running"}]
    assert told["problems"] == []
    assert told["memory"]["total"] > 0
    assert told["uptime"] >= 0


def test_what_is_wrong_is_told_once_and_is_the_status(root: Path) -> None:
    (root / "run/problems").write_text('Service web: "did" not\\start\nService web: "did" not\\start\n')
    (root / "run/self-test").write_text("/ is rootfs\n")
    (root / "run/data-disk").write_text("state mounted\ndevice /dev/vda\nmount /mnt/data\n")
    (root / "services.more").write_text("Service web: waiting to be started again (signal 9): oh\n")
    (root / "ext4/vda").mkdir(parents=True)
    (root / "ext4/vda/errors_count").write_text("3\n")
    expected = [
        'Service web: "did" not\\start',
        "self-test: / is rootfs",
        "data-disk: /dev/vda is gone: what is written now is lost",
        "data-disk: /dev/vda has become read-only after a fault",
        "data-disk: /dev/vda has 3 faults noted; reboot to have it checked",
        "Service web: waiting to be started again (signal 9): oh",
    ]
    assert json.loads(run(root, "--json", status=1))["problems"] == expected
    shown = run(root, status=1)
    assert shown.endswith("WRONG\n" + "".join(f"  {line}\n" for line in expected))


def test_without_anything_to_tell(tmp_path: Path) -> None:
    """A base of others, before anything ran."""
    told = json.loads(run(tmp_path, "--json"))
    assert told["packages"] == told["problems"] == told["services"] == []
    assert told["data-disk"]["state"] == ""


def test_a_login_sees_the_essentials(root: Path) -> None:
    (root / "run/services/sshd").mkdir(parents=True)
    (root / "run/services/sshd/state").write_text("running 1 0\n")
    (root / "run/self-test").write_text("ok\n")
    lines = run(root, "--short").splitlines()
    assert lines[0].startswith(" test 1.0 on floe 17.0, Linux ")
    assert " Services   sshd running" in lines
    assert not any("WRONG" in line for line in lines)
    (root / "run/problems").write_text("one\ntwo\n")
    assert run(root, "--short").splitlines()[-1] == " WRONG      2 problems; the command status tells which"
    # What failed at boot and is failing now is one thing.
    (root / "run/problems").write_text("Service web: did not start: no memory\n")
    (root / "services.more").write_text("Service web: failed: no memory\n")
    assert run(root, "--short").splitlines()[-1] == " WRONG      Service web: failed: no memory"
    (root / "services.more").unlink()
    assert run(root, "--short").splitlines()[-1] == " WRONG      Service web: did not start: no memory"


@pytest.mark.parametrize(
    ("facts", "state", "told"),
    [
        ("", "", "not looked for yet"),
        ("", "failed 1 0\n", "none: its service did not get to the end; see /var/log/data-disk.log"),
        ("state none\n", "done 1 0\n", "none: what is kept is in memory"),
    ],
)
def test_before_the_data_disk_was_looked_for_nothing_is_said_of_it(
    root: Path, facts: str, state: str, told: str
) -> None:
    (root / "run/services/data-disk").mkdir(parents=True)
    (root / "run/data-disk").write_text(facts)
    (root / "run/services/data-disk/state").write_text(state)
    assert f" Data disk  {told}" in run(root, "--short").splitlines()


def test_a_disk_that_became_full_is_told(root: Path) -> None:
    (root / "run/data-disk").write_text(f"state mounted\ndevice /dev/vda\nmount {root}\n")
    (root / "class/vda").mkdir(parents=True)
    script = root / "status.sh"
    df = "df() { echo Filesystem; echo /dev/vda 100000 99000 1000 99% /mnt/data; }\n"
    script.write_text(df + STATUS.read_text())
    assert "data-disk: /dev/vda is full: 1000 KiB are free" in run(root, "--json", status=1, script=script)


def test_packages_tell_what_is_wrong_now(root: Path) -> None:
    check = root / "checks/mine"
    check.parent.mkdir()
    check.write_text("#!/bin/sh\ncat\necho mine: it ends soon\n")
    # What cannot be run is none.
    assert json.loads(run(root, "--json"))["problems"] == []
    check.chmod(0o755)
    assert "mine: it ends soon" in json.loads(run(root, "--json", status=1))["problems"]
    assert run(root, "--short").splitlines()[-1] == " WRONG      mine: it ends soon"


def test_wrong_words(root: Path) -> None:
    run(root, "--xml", status=2)
