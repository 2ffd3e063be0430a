"""``python3 -m tcz.kconfig``: hold a .config against the fragments that it was made from.

For build scripts; see docs/reference/kernel.md. The exit code is 9 where a value did not stick.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tcz.errors import CheckError, ToolkitError, VerifyError
from tcz.kconfig import dotconfig, explain, tree


def main(arguments: list[str]) -> None:
    """Do what the command line asks for; raises ``CheckError``, and ``VerifyError`` for unreadable files."""
    parser = argparse.ArgumentParser(prog="kconfig", description=__doc__)
    parser.add_argument("--tree", type=Path, default=Path(), help="the kernel's sources")
    parser.add_argument("--srcarch", default="x86", help="the folder below arch/")
    parser.add_argument("--config", type=Path, default=Path(".config"), help="what was made")
    parser.add_argument("fragments", type=Path, nargs="+", help="what was asked for")
    given = parser.parse_args(arguments)
    wanted = tuple(
        explain.Wanted(setting=one, fragment=path.name)
        for path in given.fragments
        for one in dotconfig.fragment(_text(path), path.name)
    )
    against = explain.conflicts(wanted)
    if against:
        raise CheckError("fragments want different things", why="\n".join(against))
    variables = {"SRCARCH": given.srcarch, "HEADER_ARCH": given.srcarch}
    found = explain.lost(tree.read(given.tree, variables), dotconfig.values(_text(given.config)), wanted)
    if found:
        why = "\n".join(line for one in found for line in one.lines())
        raise CheckError(f"{len(found)} of {len(wanted)} settings did not stick", why=why)
    print(f"all {len(wanted)} settings are in {given.config}")  # noqa: T201 - a build's log


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise VerifyError(f"{path} cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ToolkitError as failed:
        sys.stderr.write("\n".join(failed.lines()) + "\n")
        sys.exit(failed.exit_code)
