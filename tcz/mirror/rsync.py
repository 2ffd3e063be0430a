"""Files of an rsync server as a place: copied into a folder when they are asked for, by the program rsync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tcz.errors import ConfigError, FetchError
from tcz.mirror.place import Folder
from tcz.run import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from tcz.run import Runner

_SCHEME: Final = "rsync://"
#: A file of the same size and second may be another: what is asked for is compared whole.
_OPTIONS: Final = (
    *("--ignore-times", "--copy-links", "--partial"),
    *("--ignore-missing-args", "--delete-missing-args", "--timeout=60"),
)


class Rsync:
    """A ``Place`` at an address (``rsync://HOST/MODULE/...``); ``folder`` takes the copies.

    Files are named from the module's own folder on: some servers find no others.
    """

    def __init__(self, address: str, folder: Path, runner: Runner) -> None:
        """Nothing is asked yet; what is in the folder already is compared, not copied again.

        Raises ``ConfigError`` for an address that climbs up.
        """
        self.where = address.rstrip("/")
        self._root, self._inside = self.where, ""
        if self.where.startswith(_SCHEME):
            parts = self.where.removeprefix(_SCHEME).split("/")
            self._root, self._inside = _SCHEME + "/".join(parts[:2]), "/".join(parts[2:])
        if ".." in self._inside.split("/"):
            raise ConfigError(f"{address} is no address of a mirror", hint="leave .. out")
        self._top = folder
        self.folder = folder / self._inside
        self._runner = runner
        self._asked: set[str] = set()

    def prepare(self, paths: Sequence[str]) -> None:
        """See ``Place``: copy them all at once. Raises ``FetchError``."""
        if not paths:
            return
        self._top.mkdir(parents=True, exist_ok=True)
        inside = f"{self._inside}/" if self._inside else ""
        words = ("rsync", *_OPTIONS, "--files-from=-", f"{self._root}/", f"{self._top}/")
        try:
            self._runner.run(words, stdin="".join(f"{inside}{path}\n" for path in paths).encode())
        except CommandError as error:
            hint = "check the address, or run again later"
            raise FetchError("rsync failed", where=self.where, why=error.why, hint=hint) from error
        self._asked.update(paths)

    def read(self, path: str) -> bytes | None:
        """See ``Place``."""
        if path not in self._asked:
            self.prepare([path])
        return Folder(self.folder).read(path)

    def open(self, path: str) -> BinaryIO | None:
        """See ``Place``."""
        if path not in self._asked:
            self.prepare([path])
        return Folder(self.folder).open(path)

    def below(self, path: str) -> Rsync:
        """See ``Place``."""
        inside = self.where.startswith(_SCHEME)
        return Rsync(f"{self.where}/{path}", self._top if inside else self._top / path, self._runner)

    def files(self, suffix: str) -> Iterable[str] | None:  # noqa: ARG002 - the protocol's
        """See ``Place``: not asked."""
        return None
