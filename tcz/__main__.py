"""``python -m tcz`` is the same as the command ``tcz``."""

from tcz.cli import main

if __name__ == "__main__":
    main()
