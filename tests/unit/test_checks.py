from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remaster import junit, proof
from remaster.checks import Outcome, explained, promised
from tcz.errors import CheckError

GOOD = Outcome(name="boots", seconds=1.25)
BAD = Outcome(name="service sshd", seconds=2, why="status 3\nsshd: stopped")


def test_promises_are_read_from_a_manifest() -> None:
    found = promised('{"variant": "docker", "services": ["sshd", "docker"]}')
    assert (found.variant, found.services) == ("docker", ("sshd", "docker"))
    for text in ("", "[1]", "{", '{"services": 3}'):
        with pytest.raises(CheckError, match="cannot be read"):
            promised(text)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[    0.9] Initramfs unpacking failed: write error\n",
            r"\(write error\).* more memory than there is",
        ),
        ("Initramfs unpacking failed: XZ-compressed data is corrupt\nx", r"data is corrupt\).* is damaged"),
        ("Kernel panic - not syncing: System is deadlocked on memory\n", "too little memory to boot"),
        ("rootfs image is not initramfs (junk within compressed archive); looks like an initrd\n", "damaged"),
    ],
)
def test_what_kernels_say_of_initrds(said: str, told: str) -> None:
    error = explained(f"Linux version 6\n{said}Run /init as init process\n")
    assert error is not None
    assert re.search(told, str(error))
    assert explained("Unpacking initramfs...\nFreeing initrd memory: 5428K\n") is None


def test_lines_tell_what_went_wrong() -> None:
    assert proof.line(GOOD) == "ok    boots (1.2 s)"
    assert proof.line(BAD).splitlines() == [
        "FAIL  service sshd (2.0 s)",
        "      status 3",
        "      sshd: stopped",
    ]


def test_a_failure_ends_with_its_code() -> None:
    def proved(*outcomes: Outcome) -> proof.Proved:
        report = proof.Report(
            image="x.iso", firmware="bios", passed=all(one.passed for one in outcomes), outcomes=outcomes
        )
        return proof.Proved(report=report, log="")

    proof.require(proved(GOOD))
    with pytest.raises(CheckError, match="does not keep") as error:
        proof.require(proved(GOOD, BAD))
    assert error.value.exit_code == 9
    assert error.value.why == "service sshd: status 3"


@given(st.lists(st.tuples(st.text(), st.text())), st.text())
def test_junit_is_xml_whatever_the_console_said(said: list[tuple[str, str]], log: str) -> None:
    outcomes = [Outcome(name=name, seconds=0.5, why=why.strip()) for name, why in said]
    top = ET.fromstring(junit.document("suite", outcomes, log))  # noqa: S314 - our own
    suite = top[0]
    assert suite.attrib["tests"] == str(len(outcomes))
    assert len(suite.findall("testcase/failure")) == sum(bool(one.why) for one in outcomes)
    assert suite.attrib["failures"] == top.attrib["failures"]
