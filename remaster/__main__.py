"""``python -m remaster``: the command ``remaster``."""

from remaster.cli import main

if __name__ == "__main__":
    main()
