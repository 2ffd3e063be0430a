"""``tcz deps NAME... --mirror FOLDER`` asked again: the answer without what the other commands import.

A line a package, ``name dep dep...``, sorted, below a first line that tells of which state of the mirror it
speaks. ``tcz deps`` writes it when it has read a mirror; here only those lines of it are read that the
search for the packages of one closure comes by, however many there are. Whatever is out of the ordinary is
left to ``tcz deps``: nothing here tells of an error.
"""

from __future__ import annotations

import os
from mmap import ACCESS_READ, mmap

from tcz.walk import Walk, plain_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # see tcz.walk
    from collections.abc import Iterable, Sequence

_FIRST = "tcz-needs 2 "
_NAME_MAX = 240
#: Files that change whenever what a mirror says of dependencies does.
_TELLING = ("dep.db.gz", "dep.db", "info.lst.gz", "info.lst", "md5.db.gz", "md5.db")
_CATALOGUE = "public/catalogue/catalogue.json"


def cache_file(mirror: str, branch: str) -> str | None:
    """Return where the lines of a mirror's branch (empty: its only one) are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.environ.get("HOME") or "", ".cache")  # noqa: PTH118 - see the module
    name = f"{os.path.abspath(mirror)}@{branch}".replace("%", "%25").replace("/", "%2F")  # noqa: PTH100
    return f"{base}/tcz/needs/{name}" if base.startswith("/") and len(name) <= _NAME_MAX else None


def signature(mirror: str, branch: str) -> str | None:
    """Return what differs whenever the mirror does; ``None`` for what cannot be told apart so.

    The user's configuration is part of it: a key may have become known that the mirror is verified with.
    """
    keys = _stat(_configuration())
    seen = _stat(f"{mirror}/{_CATALOGUE}")
    if seen:
        return f"{seen},{keys}"
    folder = f"{mirror}/{branch}/tcz" if branch else mirror
    told = [_stat(f"{folder}/{name}") for name in _TELLING]
    if not (told[0] or told[1]):
        return None
    return ",".join((*told, keys))


def _configuration() -> str:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.environ.get("HOME") or "", ".config")  # noqa: PTH118 - see the module
    return f"{base}/tcz/config.toml"


def _stat(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 - see the module
    except OSError:
        return ""
    return f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"


def keep(mirror: str, branch: str, told: str, graph: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Write the lines of a graph that is sorted by name; ``told`` is the signature from before that."""
    path = cache_file(mirror, branch)
    if path is None:
        return
    new = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(new, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(f"{_FIRST}{told}\n")
            file.writelines(f"{' '.join((name, *needs))}\n" for name, needs in graph)
        os.replace(new, path)  # noqa: PTH105
    except OSError:
        pass  # a cache that cannot be written is no fault of the answer
    finally:
        try:  # noqa: SIM105 - contextlib takes longer to import
            os.unlink(new)  # noqa: PTH108
        except OSError:
            pass


def order(names: Sequence[str], mirror: str, branch: str, kernel: str | None) -> list[str] | None:
    """Return the load order, or ``None`` where it takes more than this to tell it."""
    path = cache_file(mirror, branch)
    told = signature(mirror, branch)
    if path is None or told is None:
        return None
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            lines = mmap(file.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError):
        return None
    first = f"{_FIRST}{told}\n".encode()
    if lines[: len(first)] != first:
        return None
    walk = Walk(lambda name: _needs(lines, len(first), name.encode(errors="surrogateescape")), kernel)
    for name in names:
        walk.visit(plain_name(name, kernel))
    return None if walk.missing or walk.cycles else walk.order


def _needs(lines: mmap, low: int, name: bytes) -> list[str] | None:
    """Return the words behind a name; the lines from ``low`` on are halved until its own is found."""
    high = len(lines)
    while low < high:
        middle = (low + high) // 2
        start = max(low, lines.rfind(b"\n", low, middle) + 1)
        end = lines.find(b"\n", middle)
        words = lines[start:end].split(b" ")
        if words[0] == name:
            return [word.decode() for word in words[1:]]
        # No character of a name sorts before the blank: lines are in the order of their names.
        if words[0] < name:
            low = end + 1
        else:
            high = start
    return None


def answer(argv: Sequence[str]) -> list[str] | None:
    """Return what a plain ``deps`` command line asks for, ``None`` for any other."""
    if argv[:1] != ["deps"]:
        return None
    options = {"--mirror": "", "--branch": "", "--kernel": ""}
    names = []
    words = iter(argv[1:])
    for word in words:
        option = "--mirror" if word == "-m" else word
        if option in options:
            if options[option]:
                return None
            options[option] = next(words, "")
        elif word.startswith("-"):
            return None
        else:
            names.append(word)
    mirror = options["--mirror"]
    if not names or not mirror or "://" in mirror:
        return None
    return order(names, mirror, options["--branch"], options["--kernel"] or None)
