"""An image's checks in a machine of its own, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remaster import checks, junit
from remaster.vm import Machine
from tcz import doctor
from tcz.errors import CheckError
from tcz.store import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.checks import Outcome
    from remaster.vm import MachineSpec
    from tcz.reporting import Reporter
    from tcz.run import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What ``--json`` shows."""

    image: str
    firmware: str
    passed: bool
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The report and all that the machine's console said."""

    report: Report
    log: str


def prove(
    image: Path,
    spec: MachineSpec,
    runner: Runner,
    reporter: Reporter,
    *,
    patience: float,
    told: Callable[[Outcome], None],
) -> Proved:
    """Boot an image and make its checks; ``told`` hears of each.

    Raises ``MissingToolError`` without QEMU or firmware, ``MachineError`` when QEMU fails.
    """
    works = doctor.probe_kvm(runner).state == "works"
    reporter.note("hardware acceleration" if works else "no working KVM here: everything is emulated")
    with Machine(spec, runner, kvm_works=lambda: works) as machine:
        outcomes = checks.examine(machine, patience, told)
        log = machine.console.transcript
    report = Report(
        image=str(image),
        firmware=spec.firmware,
        passed=all(one.passed for one in outcomes),
        outcomes=outcomes,
    )
    return Proved(report=report, log=log)


def line(one: Outcome) -> str:
    """Return an outcome as a line, with what went wrong below it."""
    head = f"{'ok  ' if one.passed else 'FAIL'}  {one.name} ({one.seconds:.1f} s)"
    return "\n".join((head, *(f"      {text}" for text in one.why.splitlines())))


def write_junit(proved: Proved, path: Path) -> None:
    """Write the outcomes as JUnit XML."""
    report = proved.report
    with replacing(path) as temporary:
        temporary.write_bytes(
            junit.document(f"{report.image} ({report.firmware})", report.outcomes, proved.log)
        )


def require(proved: Proved) -> None:
    """Raise ``CheckError`` unless all checks passed."""
    failed = [one for one in proved.report.outcomes if not one.passed]
    if failed:
        why = "\n".join(f"{one.name}: {one.why.splitlines()[0]}" for one in failed)
        raise CheckError("it does not keep what it promises", where=proved.report.image, why=why)
