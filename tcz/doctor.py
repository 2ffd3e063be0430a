"""Is this machine able to do the work? Every check is a value with what was found and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tcz.run import PACKAGE_OF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcz.paths import Dirs
    from tcz.run import Runner

#: What a cold build of everything leaves in the cache, with room to work in.
SPACE_NEEDED = 8_000_000_000
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
FIRMWARES = tuple(
    Path("/usr/share") / name
    for name in (
        "OVMF/OVMF_CODE_4M.fd",
        "OVMF/OVMF_CODE.fd",
        "ovmf/OVMF.fd",
        "qemu/OVMF.fd",
        "edk2/x64/OVMF_CODE.4m.fd",
        "edk2/ovmf/OVMF_CODE.fd",
        "edk2-ovmf/x64/OVMF_CODE.fd",
    )
)
KVM = Path("/dev/kvm")
_PATIENCE = 10

#: A boot sector that goes to 64-bit mode with paging on, counts to fifty million, tells QEMU's
#: isa-debug-exit device (port 0xf4) the value 0x2a and halts. Real mode alone proves little: a
#: hypervisor may get through the firmware and hang in the first loop of a 64-bit guest.
_BOOT_SECTOR = (
    "fa 31c0 8ed8 8ec0 8ed0 bc007c fc"  # cli; ds = es = ss = 0; sp = 0x7c00; cld
    "bf0010 b90018 f3ab"  # clear 12 KiB from 0x1000
    "c70600100320 c70600200330 c70600308300"  # PML4 -> PDPT -> PD -> the first 2 MiB
    "0f0116887c"  # lgdt [0x7c88]
    "0f20e0 0c20 0f22e0"  # cr4.PAE
    "66b800100000 0f22d8"  # cr3 = 0x1000
    "66b9800000c0 0f32 660d00010000 0f30"  # EFER.LME
    "0f20c0 660d01000080 0f22c0"  # cr0.PG and cr0.PE
    "ea5e7c0800"  # far jump to the 64-bit segment, next byte
    "b980f0fa02 ffc9 75fc"  # ecx = 50,000,000; dec ecx; jnz
    "b02a 66baf400 ee f4 ebfd"  # out 0xf4, 0x2a; hlt; jmp to hlt
    "0f1f8000000000"  # filler up to the tables
    "0000000000000000 00000000009a2000"  # descriptors: none, 64-bit code
    "0f00 787c0000"  # limit and address of the descriptors
)
_ANSWER = (0x2A << 1) | 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. ``needed``: without it, images cannot be built."""

    name: str
    ok: bool
    detail: str
    hint: str | None = None
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """What a way to run a virtual machine is worth here."""

    state: Literal["works", "absent", "broken"]
    detail: str


def examine(dirs: Dirs, runner: Runner) -> tuple[Check, ...]:
    """Look at everything; takes some seconds, for virtual machines are started to see if they run."""
    checks = [
        _architecture(),
        *(_program(runner, name) for name in ("apt-get", "apt-cache", "dpkg-deb")),
        _file("Debian archive keyring", KEYRINGS, "debian-archive-keyring", needed=True),
        _program(runner, "bwrap"),
        _namespaces(runner),
        _space(dirs.cache),
        _compressors(),
        _program(runner, "qemu-system-x86_64", needed=False),
        _file("UEFI firmware", FIRMWARES, "ovmf", needed=False),
    ]
    if runner.which("qemu-system-x86_64"):
        checks += _machines(runner)
    return tuple(checks)


def healthy(checks: Sequence[Check]) -> bool:
    """Tell whether everything that is needed is there."""
    return all(check.ok for check in checks if check.needed)


def lines(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the findings as text for a person."""
    width = max((len(check.name) for check in checks), default=0)
    out = []
    for check in checks:
        mark = "ok" if check.ok else "MISSING" if check.needed else "no"
        out.append(f"{mark:<8}{check.name:<{width}}  {check.detail}")
        if check.hint and not check.ok:
            out += [f"{'':8}  -> {line}" for line in check.hint.splitlines()]
    verdict = "all that is needed is here" if healthy(checks) else "something that is needed is missing"
    return (*out, verdict)


def _architecture() -> Check:
    machine = platform.machine()
    return Check(
        name="processor",
        ok=machine in ("x86_64", "AMD64"),
        detail=machine,
        hint="recipes are built for x86_64 on x86_64",
    )


def _program(runner: Runner, name: str, *, needed: bool = True) -> Check:
    found = runner.which(name)
    return Check(
        name=name,
        ok=found is not None,
        detail=str(found) if found else "not installed",
        hint=f"sudo apt-get install {PACKAGE_OF.get(name, name)}",
        needed=needed,
    )


def _file(name: str, places: Sequence[Path], package: str, *, needed: bool) -> Check:
    found = next((place for place in places if place.is_file()), None)
    return Check(
        name=name,
        ok=found is not None,
        detail=str(found) if found else "not installed",
        hint=f"sudo apt-get install {package}",
        needed=needed,
    )


def _namespaces(runner: Runner) -> Check:
    name = "sandbox without root"
    if runner.which("bwrap") is None:
        return Check(name=name, ok=False, detail="cannot be tried without bwrap")
    result = runner.run(
        ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        check=False,
    )
    said = result.stderr.decode(errors="replace").strip().splitlines()
    return Check(
        name=name,
        ok=result.returncode == 0,
        detail="works" if result.returncode == 0 else said[-1] if said else f"status {result.returncode}",
        hint="allow unprivileged user namespaces, by one of:\n"
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu 23.10 and later)\n"
        "sudo sysctl kernel.unprivileged_userns_clone=1   (older Debian)\n"
        "in a container: run it with its seccomp filter allowing user namespaces",
    )


def _space(folder: Path) -> Check:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return Check(
        name="free space",
        ok=free >= SPACE_NEEDED and os.access(place, os.W_OK),
        detail=f"{free / 1e9:.1f} GB at {place}, {SPACE_NEEDED / 1e9:.0f} GB needed for a cold build",
        hint="free some space, or point XDG_CACHE_HOME to a larger disk that you can write to",
    )


def _compressors() -> Check:
    # Loads every compressor: only where it is asked for.
    from tcz.squashfs.known import different  # noqa: PLC0415

    found = different()
    return Check(
        name="compressors",
        ok=not found,
        detail=f"other bytes than elsewhere with {', '.join(found)}"
        if found
        else "the same bytes as elsewhere",
        hint="packages built here are sound, but not byte for byte those of other machines:\n"
        "install the versions of pyproject.toml; xz is the machine's own liblzma, elsewhere 5.4.1",
        needed=False,
    )


def _machines(runner: Runner) -> tuple[Check, Check]:
    emulation = probe_emulation(runner)
    kvm = probe_kvm(runner)
    return (
        Check(
            name="QEMU, emulating",
            ok=emulation.state == "works",
            detail=emulation.detail,
            hint="QEMU cannot boot a disk of 512 bytes: reinstall qemu-system-x86 and seabios",
            needed=False,
        ),
        Check(
            name="KVM",
            ok=kvm.state == "works",
            detail=kvm.detail,
            hint="virtual machines are emulated instead: it works, some ten times slower",
            needed=False,
        ),
    )


def probe_emulation(runner: Runner) -> Acceleration:
    """Boot the tiny disk under emulation (TCG)."""
    return _probe(runner, "tcg")


def probe_kvm(runner: Runner, device: Path = KVM) -> Acceleration:
    """Boot the tiny disk under KVM: that ``/dev/kvm`` exists says nothing about its use."""
    if not device.exists():
        return Acceleration(state="absent", detail=f"absent: there is no {device}")
    if not os.access(device, os.R_OK | os.W_OK):
        return Acceleration(
            state="broken",
            detail=f"present but does not work (you may not open {device}: join the group kvm)",
        )
    return _probe(runner, "kvm")


def _probe(runner: Runner, accelerator: str) -> Acceleration:
    with tempfile.TemporaryDirectory(prefix="tcz-") as folder:
        disk = Path(folder, "disk")
        disk.write_bytes(boot_sector())
        argv = [
            *("timeout", "--kill-after=2", str(_PATIENCE)),
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config"),
            *("-machine", "pc"),
            *("-accel", accelerator),
            *("-m", "16"),
            *("-display", "none"),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
            # IDE disks cannot be read-only: writes go to a snapshot
            *("-drive", f"file={disk},format=raw,if=ide,snapshot=on"),
        ]
        started = time.monotonic()
        result = runner.run(argv, check=False)
        seconds = time.monotonic() - started
    if result.returncode == _ANSWER:
        return Acceleration(state="works", detail=f"works (booted a test disk in {seconds:.1f} s)")
    timed_out = result.returncode in (124, 137)
    said = [line for line in result.stderr.decode(errors="replace").splitlines() if "warning:" not in line]
    why = f"a test disk did not run within {_PATIENCE} s" if timed_out else (said or ["QEMU ended early"])[-1]
    return Acceleration(state="broken", detail=f"present but does not work ({why.strip()})")


def boot_sector() -> bytes:
    """Return the 512 bytes of the test disk."""
    code = bytes.fromhex(_BOOT_SECTOR)
    return code.ljust(510, b"\0") + b"\x55\xaa"
