"""An image's files on disk: written all or none, and recognised when nothing has changed.

The record of what was written lies in the user's cache, a JSON file per output path: the key of the
inputs, and size, time and sha256 of every file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from tcz.store import replacing, sha256_file, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where an image and its companions go. ``images`` are all files of all formats it is written in."""

    images: tuple[Path, ...]
    lock: Path
    manifest: Path
    sums: Path
    sizes: Path

    @property
    def image(self) -> Path:
        """The first of the images."""
        return self.images[0]

    @classmethod
    def at(cls, image: Path, images: tuple[Path, ...] = (), *, stem: str = "") -> Outputs:
        """Name the companions after the image: X.iso, X.lock, X.manifest.json, X.sha256, X.sizes.txt.

        ``images`` are the files that are written where that is not just ``image``; ``stem`` is what
        companions are named after where that is not its name without ``.iso``.
        """
        stem = stem or image.name.removesuffix(".iso")
        return cls(
            images=images or (image,),
            lock=image.with_name(f"{stem}.lock"),
            manifest=image.with_name(f"{stem}.manifest.json"),
            sums=image.with_name(f"{stem}.sha256"),
            sizes=image.with_name(f"{stem}.sizes.txt"),
        )

    def all(self) -> tuple[Path, ...]:
        """Return every path, the images first."""
        return (*self.images, self.lock, self.manifest, self.sums, self.sizes)

    @contextmanager
    def replacing(self) -> Iterator[Outputs]:
        """Give temporary paths; all of them are renamed into place at the end, or all removed.

        Several that write the same files at a time each have their own; the last to end wins, as a whole.
        What killed ones left is removed.
        """
        for path in self.all():
            sweep(path.parent, path.name)
        with _Turn(self.lock.parent) as turn, ExitStack() as stack:
            for folder in _to_be_made(self.all()):
                stack.callback(_remove_empty, folder)
            # The images are entered first, so renamed last: who sees them sees their companions too.
            *images, lock, manifest, sums, sizes = (stack.enter_context(replacing(p)) for p in self.all())
            yield Outputs(images=tuple(images), lock=lock, manifest=manifest, sums=sums, sizes=sizes)
            turn.take()


class _Turn:
    """A folder's lock, taken for the moment in which files get their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def __enter__(self) -> Self:
        return self

    def take(self) -> None:
        """Wait for those whose turn it is."""
        self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _to_be_made(paths: tuple[Path, ...]) -> list[Path]:
    """Return the folders that are missing above ``paths``, each after those that it lies in."""
    return sorted({folder for path in paths for folder in path.parents if not folder.exists()})


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a file was like when it was written."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


class Records:
    """The records of outputs written, below a folder of the cache."""

    def __init__(self, folder: Path) -> None:
        """``folder`` exists already."""
        self._folder = folder

    def _file(self, outputs: Outputs) -> Path:
        name = hashlib.sha256(str(outputs.image.resolve()).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def remember(self, outputs: Outputs, key: str, sha256: str) -> None:
        """Note that ``outputs`` were made from the inputs of ``key``; ``sha256`` is the first image's."""
        image, *others = outputs.all()
        files = [_look(image, sha256), *(_look(path, sha256_file(path)) for path in others)]
        seen = [asdict(file) for file in files]
        with replacing(self._file(outputs)) as temporary:
            temporary.write_text(json.dumps({"key": key, "files": seen}))

    def unchanged(self, outputs: Outputs, key: str) -> str | None:
        """Return the first image's sha256 if all files are there, as written from ``key``; else ``None``.

        The image itself is hashed, for it may have been damaged without a change of its time.
        """
        try:
            record = json.loads(self._file(outputs).read_text())
            if record["key"] != key:
                return None
            seen = [_Seen(**fields) for fields in record["files"]]
            current = [_look(path, old.sha256) for path, old in zip(outputs.all(), seen, strict=True)]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if current != seen or any(
            sha256_file(p) != old.sha256 for p, old in zip(outputs.all(), seen, strict=True)
        ):
            return None
        return seen[0].sha256


def _look(path: Path, sha256: str) -> _Seen:
    status = path.stat()
    return _Seen(name=path.name, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)


def sums_text(files: tuple[tuple[str, str], ...]) -> str:
    """Return lines that ``sha256sum -c`` reads, of (sha256, name) pairs."""
    return "".join(f"{sha256}  {name}\n" for sha256, name in files)
