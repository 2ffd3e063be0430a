"""The process that ``bench.closure`` starts: how many packages one needs, out of a folder of .dep files."""

from __future__ import annotations

import sys

from tcz.resolve import closure


def resolve(folder: str, name: str) -> int:
    """Return the number of packages that ``name`` leads to; only their own .dep files are read."""

    def needs(package: str) -> list[str]:
        try:
            with open(f"{folder}/{package}.tcz.dep", encoding="utf-8") as file:  # noqa: PTH123 - see below
                return file.read().split()
        except FileNotFoundError:
            return []

    return len(closure([name], needs).order)


if __name__ == "__main__":
    # without pathlib, whose import takes longer than the answer
    print(resolve(sys.argv[1], sys.argv[2]))
