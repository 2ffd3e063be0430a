"""The checks of a booted machine: what its image promises, tried out through the serial console.

What there is to check is told by the machine itself: the manifest in its root names the services, and
whether there is a self-test or a container engine is seen there.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster.hooks import MANIFEST
from remaster.serial import ConsoleError
from tcz.errors import CheckError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remaster.serial import Console
    from remaster.vm import Machine

PROMPT: Final = r"^[\w-]+@[\w.-]+:[^\n]*[$#] "
#: What is never said by a machine that is well.
FATAL: Final = (
    r"Kernel panic[^\n]*\n|grub rescue>|No bootable device|^Shell> |SELF-TEST FAILED|"
    r"Initramfs unpacking failed[^\n]*\n"
)
#: What kernels say of an initrd that they could not unpack; the second is that of kernels with RAM disks.
_CUT_SHORT: Final = re.compile(
    r"Initramfs unpacking failed: ([^\n]+)|rootfs image is not initramfs \(([^\n]+)\); looks like an initrd"
)
_STARVED: Final = re.compile(r"Kernel panic[^\n]*(System is deadlocked on memory|Out of memory)")
_NO_ROOM: Final = "write error"
_ANSWER: Final = 120.0
_POWER_OFF: Final = 120.0
_SHOWN: Final = 30
_SELF_TEST: Final = "/usr/local/sbin/container-host-test"
_LISTS: Final = "/tmp/builtin/onboot.lst /mnt/*/cde/onboot.lst"  # noqa: S108 - of the machine looked at
_NOT_LOADED: Final = (
    f"for list in {_LISTS}; do [ -f $list ] && sed 's/#.*//; s/\\.tcz *$//' $list; done | sort -u | "
    'while read -r name; do name=$(echo "$name" | sed "s/KERNEL$/$(uname -r)/"); '
    '[ -z "$name" ] || [ -e "/usr/local/tce.installed/$name" ] || echo "$name"; done'
)
#: The base's own busybox with what it is linked to makes the smallest image.
_CONTAINER: Final = (
    "d=$(mktemp -d) && mkdir $d/bin && cp /bin/busybox $d/bin/ && "
    "for f in $(ldd /bin/busybox 2>/dev/null | grep -o '/[^ )]*'); do "
    "mkdir -p $d${{f%/*}} && cp -L $f $d$f; done; "
    "tar -C $d -cf $d.tar . && sudo {engine} import $d.tar remaster-check >/dev/null && "
    "sudo {engine} run --rm remaster-check /bin/busybox echo in a container; s=$?; "
    "sudo {engine} rmi remaster-check >/dev/null; rm -rf $d $d.tar; (exit $s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A check that was made: ``why`` is empty when it passed."""

    name: str
    seconds: float
    why: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether all was well."""
        return not self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What the manifest says, as far as it can be tried."""

    variant: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    name: str
    make: Callable[[], None]


def promised(text: str) -> Promised:
    """Read a manifest; raise ``CheckError`` for what is none."""
    try:
        value = json.loads(text)
        return Promised(
            variant=str(value.get("variant", "")),
            services=tuple(str(name) for name in value.get("services", ())),
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise CheckError("the manifest in the image cannot be read", why=str(error)) from error


def examine(machine: Machine, patience: float, told: Callable[[Outcome], None]) -> tuple[Outcome, ...]:
    """Make all checks of a machine that was just started; it is off at the end.

    ``told`` hears of each as it is made. Nothing is raised for what fails.
    """
    outcomes: list[Outcome] = []

    def make(check: _Check) -> bool:
        outcome = _made(check)
        outcomes.append(outcome)
        told(outcome)
        return outcome.passed

    if make(_Check(name="boots to a prompt", make=lambda: _boot(machine.console, patience))):
        found: list[Promised] = []
        make(_Check(name="manifest", make=lambda: found.append(_manifest(machine.console))))
        for check in _checks(machine.console, found[0] if found else None):
            make(check)
        make(_Check(name="powers off", make=lambda: _power_off(machine)))
    return tuple(outcomes)


def _made(check: _Check) -> Outcome:
    begin = time.monotonic()
    why = ""
    try:
        check.make()
    except ToolkitError as error:
        why = "\n".join(part for part in (str(error), error.why) if part)
    return Outcome(name=check.name, seconds=time.monotonic() - begin, why=why)


def explained(said: str) -> CheckError | None:
    """Return what is wrong where a kernel's messages tell of too little memory, or of a broken initrd.

    After an initrd that was not unpacked whole the boot may go on, with files missing anywhere; no other
    message tells of it.
    """
    cut_short, starved = _CUT_SHORT.search(said), _STARVED.search(said)
    if cut_short is not None:
        reason = (cut_short[1] or cut_short[2]).strip()
        cause = (
            "it takes more memory than there is; --memory gives more"
            if reason == _NO_ROOM
            else "it is damaged, or this kernel cannot read it, or memory is short (--memory gives more)"
        )
        return CheckError(
            f"the kernel did not unpack the whole initrd ({reason}), files are missing: {cause}"
        )
    if starved is not None:
        return CheckError(f"the machine has too little memory to boot ({starved[1]}); --memory gives more")
    return None


def _boot(console: Console, patience: float) -> None:
    try:
        found = console.expect(f"{PROMPT}|login: $", patience, never=FATAL)
        if found.group().endswith("login: "):
            console.send("tc")
            console.expect(PROMPT, _ANSWER, never=FATAL)
    except ConsoleError as error:
        raise explained(console.transcript) or error from error
    # A kernel that is told to be quiet says it to its own log alone.
    log = console.run("dmesg 2>/dev/null || sudo -n dmesg 2>/dev/null", _ANSWER, kernel_messages=True)[1]
    wrong = explained(log)
    if wrong is not None:
        raise wrong


def _sh(console: Console, command: str, patience: float = _ANSWER) -> str:
    """Run a command; raise ``CheckError`` with what it said unless it succeeds."""
    status, said = console.run(command, patience)
    if status:
        last = "\n".join(said.strip().splitlines()[-_SHOWN:])
        raise CheckError(f"status {status}", why=last or None)
    return said


def _has(console: Console, test: str) -> bool:
    try:
        return console.run(test, _ANSWER)[0] == 0
    except ConsoleError:
        return False


def _manifest(console: Console) -> Promised:
    return promised(_sh(console, f"cat /{MANIFEST}"))


def _checks(console: Console, found: Promised | None) -> Iterator[_Check]:
    yield _Check(name="root file system", make=lambda: _root(console))
    yield _Check(name="extensions", make=lambda: _extensions(console))
    if _has(console, f"test -x {_SELF_TEST}"):
        yield _Check(name="self-test", make=lambda: _discard(_sh(console, f"sudo {_SELF_TEST}")))
    for service in () if found is None else found.services:
        script = f"/usr/local/etc/init.d/{shlex.quote(service)}"
        yield _Check(
            name=f"service {service}",
            make=lambda script=script: _discard(_sh(console, f"sudo {script} status")),  # type: ignore[misc]
        )
    for engine in ("docker", "podman"):
        if _has(console, f"command -v {engine} >/dev/null"):
            yield _Check(
                name=f"a container of {engine}",
                make=lambda engine=engine: _container(console, engine),  # type: ignore[misc]
            )


def _discard(_: str) -> None:
    pass


def _root(console: Console) -> None:
    if not _has(console, "grep -qw noembed /proc/cmdline"):
        return
    said = _sh(console, "awk '$2 == \"/\" { t = $3 } END { print t }' /proc/mounts").strip()
    if said != "tmpfs":
        raise CheckError(f"noembed is given, and yet / is of the type {said}")


def _extensions(console: Console) -> None:
    missing = _sh(console, _NOT_LOADED).split()
    if missing:
        raise CheckError(f"not loaded: {' '.join(missing)}")


def _container(console: Console, engine: str) -> None:
    said = _sh(console, _CONTAINER.format(engine=engine), 2 * _ANSWER)
    if "in a container" not in said:
        raise CheckError("the container did not say what it was told to", why=said.strip() or None)


def _power_off(machine: Machine) -> None:
    machine.powerdown()
    machine.wait(_POWER_OFF)
