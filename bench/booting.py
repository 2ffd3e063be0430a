"""From the kernel's start until an engine answers, and the memory in use then, in one emulated machine.

Ours: floe with docker or podman, its extensions on the CD as they ship. Peers: the same kernel with nothing
but a shell, and a plain Debian (systemd, the cloud kernel, ext4 on a disk) with the very same programs of the
engine.

The machine's clock counts its instructions, so that what else this host does changes no result: seconds are
those of a processor of 500 million instructions a second, and waiting takes the time that it takes. Each side
runs once a round; the processor time is QEMU's, and with it of what stands before the kernel, too.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pycdlib

from bench.harness import Case, Side, Skipped, Told, shell
from remaster.vm import MachineSpec, Wiring, qemu_argv
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MEMORY_MIB: Final = 1024
_PATIENCE: Final = 3600
_PROGRAM: Final = "usr/local/sbin/probe"
_SOCKETS: Final = {"docker": "/var/run/docker.sock", "podman": "/run/podman/podman.sock"}
#: The recipes whose packages make up an engine.
_RECIPES: Final = {
    "docker": ("docker-engine", "docker-cli", "containerd", "runc"),
    "podman": ("podman-engine", "conmon", "crun", "netavark", "containers-common"),
}
_FLOE: Final = "loglevel=3 cde noembed console=ttyS0,115200"
_DEBIAN: Final = "root=/dev/vda rw quiet console=ttyS0,115200"
_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/usr/local/sbin/probe
exec /bin/busybox sh </dev/ttyS0 >/dev/ttyS0 2>&1
"""
#: What a plain server has, and what engines call.
_PACKAGES: Final = (
    *(
        "systemd-sysv",
        "systemd-resolved",
        "systemd-timesyncd",
        "udev",
        "dbus",
        "kmod",
        "iproute2",
        "iptables",
    ),
    *("ca-certificates", "openssh-server", "cron", "linux-image-cloud-amd64", "initramfs-tools", "zstd"),
)
_UNITS: Final = {
    "containerd.service": """\
[Unit]
After=network.target
[Service]
Type=notify
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/containerd
Delegate=yes
KillMode=process
LimitNOFILE=1048576
[Install]
WantedBy=multi-user.target
""",
    "docker.service": """\
[Unit]
After=network-online.target containerd.service
Wants=network-online.target containerd.service
[Service]
Type=notify
ExecStart=/usr/local/bin/dockerd --containerd=/run/containerd/containerd.sock
Delegate=yes
KillMode=process
LimitNOFILE=1048576
[Install]
WantedBy=multi-user.target
""",
    "podman.service": """\
[Unit]
After=network.target
[Service]
RuntimeDirectory=podman
ExecStart=/usr/local/bin/podman system service --time 0 unix:///run/podman/podman.sock
Delegate=yes
KillMode=process
LimitNOFILE=1048576
[Install]
WantedBy=multi-user.target
""",
}
_PROBE_UNIT: Final = """\
[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
ExecStart=/usr/local/sbin/probe {socket}
[Install]
WantedBy=sysinit.target
"""
_NETWORK: Final = "[Match]\nName=e*\n[Network]\nDHCP=yes\n"
#: $1 is the root of Debian, $2 has what is put into it and gets what comes out.
_FINISH: Final = """\
cp "$1"/boot/vmlinuz-* "$2/vmlinuz"
cp "$1"/boot/initrd.img-* "$2/initrd"
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
for engine in docker podman; do
    tree=$2/$engine.tree
    mkdir "$tree" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/run"
    for entry in "$1"/*; do
        case ${entry##*/} in
            # Mounts, while this runs.
            proc | sys | dev | run) ;;
            *) cp -a "$entry" "$tree/" ;;
        esac
    done
    cp -a --no-preserve=ownership "$2/$engine/." "$tree/"
    systemctl -q --root "$tree" enable probe systemd-networkd $(cat "$2/$engine.units")
    truncate -s 3G "$2/$engine.img"
    mke2fs -q -F -t ext4 -d "$tree" "$2/$engine.img"
    rm -rf "$tree"
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Medium:
    """What a machine starts from."""

    kernel: Path
    initrd: Path
    append: str
    cdrom: Path | None = None
    disk: Path | None = None


def _argv(medium: _Medium, serial: Path) -> list[str]:
    """Return QEMU's command line as ``remaster`` has it, with a clock that counts instructions."""
    spec = MachineSpec(
        memory_mib=_MEMORY_MIB,
        kernel=medium.kernel,
        initrd=medium.initrd,
        append=medium.append,
        cdrom=medium.cdrom,
        disk=medium.disk,
    )
    argv = qemu_argv(spec, Wiring(accel="tcg"))
    argv[argv.index("mon:stdio")] = f"file:{serial}"
    return [*argv, "-icount", "shift=1"]


def _boot(medium: _Medium, place: Path) -> Callable[[], Told]:
    def run() -> Told:
        serial, log = place / "serial", place / "log"
        serial.unlink(missing_ok=True)
        process = HostRunner().spawn(_argv(medium, serial), log=log)
        end = time.monotonic() + _PATIENCE
        try:
            while process.poll() is None and time.monotonic() < end:
                said = serial.read_text(errors="replace") if serial.exists() else ""
                found = re.search(r"^PROBE ([\d.]+) (\d+)\r?$", said, re.MULTILINE)
                if found:
                    return Told(seconds=float(found[1]), size=int(found[2]) << 10)
                time.sleep(0.2)
        finally:
            process.stop()
        raise AssertionError(f"the machine did not come up:\n{said[-2000:]}{log.read_text()[-2000:]}")

    return run


def _probe(place: Path) -> Path:
    """Compile the program that waits for the engine."""
    target = place / "probe"
    shell('cc -O2 -static -o "$2" "$1"', Path(__file__).with_name("probe.c"), target)
    return target


def _floe(engine: str, place: Path, probe: Path) -> _Medium:
    """Make an image as it ships, with the probe besides."""
    iso, local = place / f"{engine}.iso", place / f"{engine}.sh"
    local.write_text(f"#!/bin/sh\n/{_PROGRAM} {_SOCKETS[engine]} &\n")
    words = ["--variant", engine, "--output", iso, "--progress", "none"]
    words += ["--file", f"{probe}:/{_PROGRAM}:755", "--file", f"{local}:/opt/bootlocal.sh:755"]
    HostRunner().run([sys.executable, "-m", "remaster", *map(str, words)])
    medium = _Medium(
        kernel=place / f"{engine}.kernel", initrd=place / f"{engine}.initrd", append=_FLOE, cdrom=iso
    )
    reader = pycdlib.PyCdlib()
    reader.open(str(iso))
    reader.get_file_from_iso(str(medium.kernel), rr_path="/boot/vmlinuz64")
    reader.get_file_from_iso(str(medium.initrd), rr_path="/boot/floe.img")
    reader.close()
    return medium


def _bare(like: _Medium, place: Path, probe: Path) -> _Medium:
    """Return the same kernel with BusyBox and the probe, and nothing besides."""
    root, busybox = place / "bare", shutil.which("busybox")
    if busybox is None:
        raise Skipped("busybox not installed")
    for folder in ("proc", "sys", "dev", "bin", "usr/local/sbin"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    shutil.copy(probe, root / _PROGRAM)
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    initrd = place / "bare.initrd"
    shell('cd "$1" && find . | cpio -o -H newc 2>/dev/null | zstd -q -19 >"$2"', root, initrd)
    return _Medium(kernel=like.kernel, initrd=initrd, append="loglevel=3 console=ttyS0,115200")


def _overlay(engine: str, place: Path, probe: Path) -> None:
    """Lay out what is put into Debian: the engine's programs, its units, the probe."""
    root = place / engine
    for recipe in _RECIPES[engine]:
        built = HostRunner().run([sys.executable, "-m", "tcz", "build", recipe, "--progress", "none"])
        for path in built.stdout.decode().split():
            if path.endswith(".tcz") and not path.endswith(("-doc.tcz", "-dev.tcz")):
                shell('unsquashfs -q -n -f -d "$1" "$2" >/dev/null', root, path)
    units = [name for name in _UNITS if (name == "podman.service") == (engine == "podman")]
    files = {f"etc/systemd/system/{name}": text for name, text in _UNITS.items()}
    files["etc/systemd/system/probe.service"] = _PROBE_UNIT.format(socket=_SOCKETS[engine])
    files["etc/systemd/network/lan.network"] = _NETWORK
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / _PROGRAM).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(probe, root / _PROGRAM)
    (place / f"{engine}.units").write_text(" ".join(units))


def _debian(place: Path, probe: Path) -> dict[str, _Medium]:
    """Make two disks of one Debian, by apt and mmdebstrap, without root where need be."""
    for engine in _RECIPES:
        _overlay(engine, place, probe)
    script = place / "finish"
    script.write_text(f"#!/bin/sh\nset -eu\n{_FINISH}")
    script.chmod(0o755)
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    # Without root it is somebody else, by number, who writes there.
    place.parent.chmod(0o755)
    place.chmod(0o777)
    argv = ["mmdebstrap", "--variant=minbase", "--format=null", f"--include={','.join(_PACKAGES)}"]
    argv += [f'--customize-hook={script} "$1" {place}', "bookworm", "/dev/null"]
    HostRunner().run(argv, env={**os.environ, "PATH": path}, log=place / "mmdebstrap.log")
    kernel, initrd = place / "vmlinuz", place / "initrd"
    return {
        engine: _Medium(kernel=kernel, initrd=initrd, append=_DEBIAN, disk=place / f"{engine}.img")
        for engine in _RECIPES
    }


def cases(place: Path) -> Iterator[Case]:
    """Make all images first."""
    programs = ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "systemctl", "unsquashfs", "cc", "cpio", "zstd")
    lacking = [program for program in programs if HostRunner().which(program) is None]
    if lacking:
        raise Skipped(f"{', '.join(lacking)} not installed; tools/setup.sh bench installs what is missing")
    probe = _probe(place)
    floe = {engine: _floe(engine, place, probe) for engine in _RECIPES}
    debian = _debian(place, probe)
    bare = Side(name="the same kernel and a shell", run=_boot(_bare(floe["docker"], place, probe), place))
    for engine in _RECIPES:
        yield Case(
            name=f"booting-{engine}",
            ours=Side(name=f"floe, until {engine} answers", run=_boot(floe[engine], place)),
            peers=(bare, Side(name=f"Debian, the same {engine}", run=_boot(debian[engine], place))),
            warm=False,
        )
