"""``python -m remaster`` and the command ``remaster``; ``--version`` alone needs no parser."""

import sys

from tcz import __version__


def main() -> None:
    """Run ``remaster``."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"remaster {__version__}\n")
        return
    from remaster.cli import main as run  # noqa: PLC0415 - takes five times as long as the rest

    run()


if __name__ == "__main__":
    main()
