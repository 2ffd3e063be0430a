"""Fetch files by HTTP: few retries, interrupted downloads resumed, every file checked by its sha256."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from tcz.errors import FetchError, VerifyError
from tcz.paths import need_space
from tcz.websession import refuse_stranger, session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tcz.reporting import Reporter, Step
    from tcz.store import Store

_BLOCK = 1 << 18
_PARTIAL = 206
_RANGE_REFUSED = 416
_TOO_MANY = 429
_FAILURE = 400
_ABSENT = (404, 410)
_SERVER_FAILURE = 500
#: A server that wants to be left alone for longer is asked again by whoever runs the command again.
LONGEST_WAIT = 60.0


class _TryAgainError(Exception):
    """An attempt failed in a way that another may not; ``after`` are the seconds that the server asks for."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class AbsentError(FetchError):
    """The server says that there is no such file."""


class Fetcher:
    """Brings files into the store. A host that could not be reached is not asked again."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        *,
        attempts: int = 3,
        pause: float = 1.0,
        timeout: tuple[float, float] = (5.0, 60.0),
    ) -> None:
        """``pause`` is the first wait between attempts and doubles; ``timeout`` is for connect and read."""
        self._store = store
        self._reporter = reporter
        self._downloads = Downloads(store.root, attempts=attempts, pause=pause, timeout=timeout)

    def fetch(self, url: str, sha256: str, *, what: str) -> Path:
        """Return the path in the store of the file at ``url``.

        What arrived before an interruption stays in the store's ``partial`` folder and is used by
        the next attempt, from whatever place. Raises ``FetchError`` with the cause when it cannot
        be had, ``VerifyError`` when it has another hash.
        """
        if self._store.has(sha256):
            return self._store.path(sha256)
        self._downloads.refuse_dead(url, what)
        with self._reporter.step(f"downloading {what}") as step, self._part(sha256) as part:
            if self._store.has(sha256):
                return self._store.path(sha256)
            resumed = part.tell() > 0
            self._downloads.complete(url, part, step, what)
            try:
                return self._take(part, sha256, what)
            except VerifyError:
                if not resumed:
                    raise
            # What lay there may have been another file's beginning: once more, from the start.
            with self._part(sha256) as fresh:
                self._downloads.complete(url, fresh, step, what)
                return self._take(fresh, sha256, what)

    def learn(self, url: str, *, what: str) -> Path:
        """Return the path in the store of whatever is at ``url`` now: its name is its sha256.

        For hashes that are not known yet; asks anew each time. Raises ``FetchError``.
        """
        with self._reporter.step(f"downloading {what}") as step, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            with file.open("ab") as part:
                self._downloads.complete(url, part, step, what)
            return self._store.take(file, None, what=what)

    def _take(self, part: IO[bytes], sha256: str, what: str) -> Path:
        part.flush()
        try:
            return self._store.take(self._part_path(sha256), sha256, what=what)
        finally:
            self._part_path(sha256).unlink(missing_ok=True)

    def _part_path(self, sha256: str) -> Path:
        return self._store.root / "partial" / f"{sha256}.part"

    @contextmanager
    def _part(self, sha256: str) -> Iterator[IO[bytes]]:
        """Open the partial file at its end, alone; another process that fetches the same waits."""
        path = self._part_path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        if path.exists() and path.stat().st_size == 0:
            path.unlink()


class Downloads:
    """Downloads into open files, with back-off between attempts; one may serve several threads."""

    def __init__(
        self,
        space: Path,
        *,
        attempts: int,
        pause: float,
        timeout: tuple[float, float],
        authorities: str = "",
    ) -> None:
        """``space`` is the folder whose disk must have room, ``authorities`` is for ``tcz.websession``.

        For the others see ``Fetcher``.
        """
        self._authorities = authorities
        self._space = space
        self._attempts = attempts
        self._pause = pause
        self._timeout = timeout
        self._session: requests.Session | None = None
        self._dead: dict[str, str] = {}
        self._alive: set[str] = set()

    def answers(self, url: str) -> None:
        """Know that this host answers: one that resets a connection now and then is not given up."""
        self._alive.add(urlsplit(url).netloc)

    def refuse_dead(self, url: str, what: str) -> None:
        """Raise ``FetchError`` where the host is known not to answer."""
        host = urlsplit(url).netloc
        if host in self._dead:
            raise FetchError(f"{what} could not be fetched", where=url, why=self._dead[host])

    def complete(self, url: str, part: IO[bytes], step: Step, what: str, limit: int | None = None) -> None:
        """Bring ``part`` to its full length, in several attempts if need be.

        Raises ``AbsentError`` where the server has no such file, ``VerifyError`` for one of more than
        ``limit`` bytes, ``FetchError`` for all else.
        """
        # A third of the time of a run that fetches nothing would go into this import.
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        host = urlsplit(url).netloc
        pause = self._pause
        reached = host in self._alive
        for attempt in range(1, self._attempts + 1):
            after = 0.0
            try:
                self._attempt(url, part, step, limit)
            except (requests.ConnectionError, requests.Timeout) as error:
                refuse_stranger(error, url)
                why = _cause(error)
                reached = reached or part.tell() > 0
            except (_TryAgainError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                why = _cause(error)
                after = getattr(error, "after", 0.0)
                reached = True
            else:
                self._alive.add(host)
                return
            # A host that does not answer at all is given a second chance, not a third.
            if attempt == self._attempts or (not reached and attempt > 1):
                break
            wait = max(pause, after)
            step.detail(f"{why}; trying again in {wait:.0f} s")
            time.sleep(wait)
            pause *= 2
        if not reached:
            self._dead[host] = f"{host}: {why}"
        raise FetchError(f"{what} could not be fetched", where=url, why=why)

    def _attempt(self, url: str, part: IO[bytes], step: Step, limit: int | None) -> None:
        have = part.tell()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        if self._session is None:
            self._session = session(self._authorities)
        with self._session.get(url, headers=headers, stream=True, timeout=self._timeout) as answer:
            if answer.status_code == _RANGE_REFUSED and have:
                _restart(part)
                raise _TryAgainError("the server refused to resume")
            if answer.status_code >= _SERVER_FAILURE or answer.status_code == _TOO_MANY:
                told = answer.headers.get("Retry-After", "")
                raise _TryAgainError(f"HTTP status {answer.status_code} {answer.reason}", retry_after(told))
            if answer.status_code >= _FAILURE:
                kind = AbsentError if answer.status_code in _ABSENT else FetchError
                raise kind(
                    "the server refused", where=url, why=f"HTTP status {answer.status_code} {answer.reason}"
                )
            start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if answer.status_code != _PARTIAL or start != str(have):
                if answer.status_code == _PARTIAL:
                    _restart(part)
                    raise _TryAgainError("the server resumed at another place")
                _restart(part)
            self._receive(answer, part, step, limit)

    def _receive(self, answer: requests.Response, part: IO[bytes], step: Step, limit: int | None) -> None:
        length = answer.headers.get("Content-Length", "")
        total = part.tell() + int(length) if length.isdigit() else None
        if total is not None:
            need_space(self._space, total - part.tell(), "a download")
        answer.raw.enforce_content_length = False  # it is looked at below, and told in our words
        for block in answer.raw.stream(_BLOCK, decode_content=False):
            part.write(block)
            if limit is not None and part.tell() > limit:
                raise VerifyError(f"larger than it should be: more than {limit} bytes", where=answer.url)
            step.progress(part.tell(), total, "B")
        if total is not None and part.tell() != total:
            raise _TryAgainError(f"the connection ended after {part.tell()} of {total} bytes")


def retry_after(told: str, now: float | None = None) -> float:
    """Return the seconds to wait that a server asks for, ``0`` for none; never more than ``LONGEST_WAIT``.

    ``Retry-After`` (RFC 9110, 10.2.3) holds seconds or a date.
    """
    if told.strip().isdecimal() and told.isascii():
        return min(float(told[:9]), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(told).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(when - (time.time() if now is None else now), 0.0), LONGEST_WAIT)


def _restart(part: IO[bytes]) -> None:
    part.seek(0)
    part.truncate()


def _cause(error: Exception) -> str:
    """Return the innermost reason of a chain of exceptions, in words."""
    inner: BaseException = error
    while True:
        nested = getattr(inner, "reason", None)
        following = nested if isinstance(nested, BaseException) else inner.__cause__ or inner.__context__
        if following is None or isinstance(following, RecursionError):
            break
        inner = following
    if isinstance(inner, OSError) and inner.errno and inner.errno > 0:
        return os.strerror(inner.errno)
    return str(inner) or type(inner).__name__
