"""``python -m tcz`` and the command ``tcz``; ``--version``, and ``deps`` asked again, need no parser."""

import sys

from tcz import __version__


def main() -> None:
    """Run ``tcz``."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"tcz {__version__}\n")
        return
    if sys.argv[1:2] == ["deps"]:
        from tcz import quick  # noqa: PLC0415 - for this command alone

        order = quick.answer(sys.argv[1:])
        if order is not None:
            sys.stdout.write("".join(f"{name}\n" for name in order))
            return
    from tcz.cli import main as run  # noqa: PLC0415 - takes five times as long as the rest

    run()


if __name__ == "__main__":
    main()
