"""Where a mirror's files are read from: a folder, or an address that a web server answers at."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol
from urllib.parse import quote

from tcz.errors import FetchError, VerifyError
from tcz.fetch import retry_after
from tcz.store import replacing, sha256_file
from tcz.websession import refuse_stranger, session

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import requests

#: More than any file that is read whole.
READ_MAX: Final = 1 << 28
_ABSENT: Final = (404, 410)
_UNCHANGED: Final = 304
_TOO_MANY: Final = 429
_SERVER_FAILURE: Final = 500
_OK: Final = 200
_TIMEOUT: Final = (5.0, 60.0)
_BLOCK: Final = 1 << 18


class Place(Protocol):
    """Files by relative path."""

    @property
    def where(self) -> str:
        """How messages call it."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, ``None`` where it is not there; raises ``FetchError``, ``VerifyError``."""
        ...

    def open(self, path: str) -> BinaryIO | None:
        """Return a file's bytes as they are now in a file of our own, ``None`` where it is not there.

        Raises ``FetchError``, ``VerifyError``.
        """
        ...

    def below(self, path: str) -> Place:
        """Return the place of a folder here."""
        ...

    def prepare(self, paths: Sequence[str]) -> None:
        """Learn what will be read next, as it is now: some bring it all at once. Raises ``FetchError``."""
        ...

    def files(self, suffix: str) -> Iterable[str] | None:
        """Return the names of files that end in ``suffix``; ``None`` where that cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path

    @property
    def where(self) -> str:
        """See ``Place``."""
        return str(self.path)

    def read(self, path: str) -> bytes | None:
        """See ``Place``."""
        return _whole(self.open(path))

    def open(self, path: str) -> BinaryIO | None:
        """See ``Place``."""
        try:
            with regular(self.path / path) as file:
                return _copied(iter(lambda: file.read(_BLOCK), b""), str(self.path / path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def below(self, path: str) -> Folder:
        """See ``Place``."""
        return Folder(self.path / path)

    def prepare(self, paths: Sequence[str]) -> None:
        """See ``Place``: nothing to do."""

    def files(self, suffix: str) -> Iterable[str] | None:
        """See ``Place``."""
        return sorted(path.name for path in self.path.glob(f"*{suffix}"))


def regular(path: Path) -> io.BufferedReader:
    """Open a file to read; raises ``VerifyError`` for a pipe or a device, which may have no end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(path)
    raise VerifyError("neither a file nor a folder", where=str(path))


def _copied(blocks: Iterable[bytes], where: str) -> BinaryIO:
    """Return a nameless file that holds blocks. Raises ``VerifyError`` for more than any file has here."""
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    size = 0
    for block in blocks:
        size += len(block)
        if size > READ_MAX:
            raise VerifyError("larger than any index file", where=where)
        file.write(block)
    file.seek(0)
    return file


def _whole(file: BinaryIO | None) -> bytes | None:
    if file is None:
        return None
    with file:
        return file.read()


class _BusyError(FetchError):
    """A server that may answer later; ``after`` are the seconds that it asks for."""

    after = 0.0


class Web:
    """Files below an address. What has not changed since it was read last comes out of the cache."""

    def __init__(
        self,
        address: str,
        cache: Path,
        *,
        timeout: tuple[float, float] = _TIMEOUT,
        pause: float = 1.0,
        authorities: str = "",
    ) -> None:
        """``cache`` is a folder for what was read; ``timeout`` is for connect and read, in seconds.

        ``pause`` is the wait before a busy server is asked again, where it names none; ``authorities`` is for
        ``tcz.websession``.
        """
        self.where = address.rstrip("/")
        self._cache = cache
        self._timeout = timeout
        self._pause = pause
        self._authorities = authorities
        self._local = threading.local()

    def below(self, path: str) -> Web:
        """See ``Place``."""
        return Web(
            f"{self.where}/{path}",
            self._cache,
            timeout=self._timeout,
            pause=self._pause,
            authorities=self._authorities,
        )

    def prepare(self, paths: Sequence[str]) -> None:
        """See ``Place``: each file is asked for when its turn comes."""

    def files(self, suffix: str) -> Iterable[str] | None:  # noqa: ARG002 - the protocol's
        """See ``Place``: web servers need not tell."""
        return None

    def address(self, path: str) -> str:
        """Return the address of a file."""
        return f"{self.where}/{quote(path, safe='/+')}"

    def read(self, path: str) -> bytes | None:
        """See ``Place``."""
        return _whole(self.open(path))

    def open(self, path: str) -> BinaryIO | None:
        """See ``Place``; asks whether what the cache has is still right.

        A server that is busy (5xx, 429) is asked once more, after the time that it names.
        """
        try:
            return self._open(path)
        except _BusyError as busy:
            time.sleep(busy.after or self._pause)
            return self._open(path)

    def _open(self, path: str) -> BinaryIO | None:
        import requests  # noqa: PLC0415 - slow to import
        import urllib3  # noqa: PLC0415

        address = self.address(path)
        kept = self._cache / hashlib.sha256(address.encode()).hexdigest()
        tags = _tags(kept)
        asking: requests.Session | None = getattr(self._local, "session", None)
        if asking is None:
            asking = self._local.session = session(self._authorities)
        try:
            with asking.get(address, headers=tags, stream=True, timeout=self._timeout) as answer:
                if answer.status_code == _UNCHANGED and tags:
                    return kept.open("rb")
                if answer.status_code in _ABSENT:
                    return None
                if answer.status_code != _OK:
                    why = f"HTTP status {answer.status_code} {answer.reason}"
                    if answer.status_code >= _SERVER_FAILURE or answer.status_code == _TOO_MANY:
                        busy = _BusyError("the server refused", where=address, why=why)
                        busy.after = retry_after(answer.headers.get("Retry-After", ""))
                        raise busy
                    raise FetchError("the server refused", where=address, why=why)
                data = _received(answer, address)
                _keep(kept, data, answer)
                return data
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            refuse_stranger(error, address)
            hint = "check the address, or run again later"
            raise FetchError("could not be read", where=address, why=cause(error), hint=hint) from error


def cause(error: BaseException) -> str:
    """Return why a request failed, in few words."""
    inner = error
    while (following := inner.__cause__ or inner.__context__) is not None:
        inner = following
    return str(inner) or type(inner).__name__


def _received(answer: requests.Response, address: str) -> BinaryIO:
    length = answer.headers.get("Content-Length", "")
    # Some servers call a .gz an encoding of its content; its bytes are wanted as they are.
    answer.raw.enforce_content_length = False  # it is looked at below, and told in our words
    file = _copied(answer.raw.stream(_BLOCK, decode_content=False), address)
    size = os.fstat(file.fileno()).st_size
    if length.isdecimal() and int(length) != size:
        why = f"the connection ended after {size} of {length} bytes"
        raise FetchError("could not be read", where=address, why=why, hint="run again later")
    return file


def _tags(kept: Path) -> dict[str, str]:
    """Return the headers that ask for a file only if it is another than the one in the cache."""
    try:
        told = json.loads(kept.with_suffix(".json").read_bytes())
        if told["sha256"] == sha256_file(kept):
            return {key: str(value) for key, value in told["ask"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}


def _keep(kept: Path, data: BinaryIO, answer: requests.Response) -> None:
    pairs = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
    ask = {asked: answer.headers[told] for told, asked in pairs if told in answer.headers}
    if not ask:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(data, file)
    told = {"sha256": sha256_file(kept), "ask": ask}
    with replacing(kept.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(told))
    data.seek(0)
