"""Every command of the README runs: its shell blocks are taken out and run, in order, in a fresh folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What other tests run (CI is `make test`, boot tests build the image), or what goes on until it is ended.
ELSEWHERE = re.compile(r"^(make (iso|test)\b|\.venv/bin/remaster run |\.venv/bin/tcz mirror serve )")


def blocks() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def script(key: Path) -> str:
    lines = [line for block in blocks() for line in block.splitlines() if not ELSEWHERE.match(line)]
    return "\n".join(lines).replace("~/.ssh/id_ed25519.pub", str(key)) + "\n"


@pytest.mark.build
def test_every_line_runs(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key], check=True)
    folder = tmp_path / "checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("tcz", "remaster"):
        command = folder / ".venv/bin" / name
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m {name} "$@"\n')
        command.chmod(0o755)
    text = script(key.with_suffix(".pub"))
    assert "remaster --variant" in text
    own = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    said = subprocess.run(
        ["bash", "-eu"],
        input=text,
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    for image in ("host", "hello", "mine"):
        assert (folder / f"out/{image}.iso").stat().st_size > 1 << 20


def test_every_document_that_is_named_is_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
