"""A mirror of Tiny Core: which files make a root with some extensions loaded, and their bytes.

A mirror has ``N.x/x86_64/release/distribution_files/`` with the initrds and ``N.x/x86_64/tcz/`` with the
extensions, and the ISO images of versions in ``release/`` or ``archive/N.M/``; beside each file lies its
``.md5.txt``, the only hash that mirrors offer. What was once resolved stays as it is (a file below
``pins``) until an update is asked for, and the sha256 of what was fetched for it is kept with it. Of a
mirror that is verified, files have the sha256 that its catalogue names.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tcz.errors import ConfigError, FetchError, Problem, ToolkitError, VerifyError
from tcz.metadata import decode, parse_dep, parse_md5
from tcz.names import file_name, follows_kernel
from tcz.resolve import closure
from tcz.store import replacing
from tcz.websession import refuse_stranger, session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from tcz.paths import Dirs
    from tcz.reporting import Reporter
    from tcz.store import Store

#: The root file system alone where it can be had, else the initrd that holds it and the kernel's modules.
_INITRDS = ("rootfs64.gz", "corepure64.gz")
#: What is needed to boot: in one file, or in two.
_DISTRIBUTIONS = (("vmlinuz64", "corepure64.gz"), ("vmlinuz64", "rootfs64.gz", "modules64.gz"))
_DISTRIBUTION_PINS = ("/distribution",)
_ARCH = "x86_64"
_ABSENT = (404, 410)
_TIMEOUT = (5.0, 60.0)
_TEXT_MAX = 1 << 20
_BLOCK = 1 << 18
_AGAIN = "run again, for it may just have changed; else tell who runs the mirror"
_HINT = (
    "name a mirror with --tinycore-mirror, in TCZ_MIRROR or in config.toml: the folder that holds 17.x, "
    "http or https"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A mirror by its address. One that is verified has ``keys``, the ids of keys of which one signed it.

    ``sums`` then returns what tells the sha256 of each file that it may show, by path below the address.
    ``authorities`` is for ``tcz.websession``.
    """

    address: str
    keys: tuple[str, ...] = ()
    sums: Callable[[], Callable[[str], str | None]] | None = None
    authorities: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TczFile:
    """One file of a mirror: ``path`` below the release's folder; ``sha256`` once it has been fetched."""

    name: str
    path: str
    md5: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What makes a root: the initrd, and extensions in load order."""

    initrd: TczFile
    extensions: tuple[TczFile, ...]

    @property
    def files(self) -> tuple[TczFile, ...]:
        """All of them, the initrd first."""
        return (self.initrd, *self.extensions)


class Mirror:
    """See the module. Nothing is asked before something is missing."""

    def __init__(
        self, dirs: Dirs, store: Store, reporter: Reporter, *, remotes: Sequence[Remote], update: bool = False
    ) -> None:
        """Take each file from the first of ``remotes`` that has it; none are needed for what is cached."""
        self._dirs = dirs
        self._store = store
        self._reporter = reporter
        self._remotes = tuple(remotes)
        self._sums: dict[Remote, Callable[[str], str | None]] = {}
        self._update = update
        self._sessions: dict[str, requests.Session] = {}
        self._known: dict[Path, Chosen] = {}

    def resolve(self, release: str, names: Sequence[str]) -> Chosen:
        """Say what makes a root of a release with ``names`` and all they need loaded.

        Extensions that follow the kernel are left out: a build has none. Raises ``FetchError`` when the
        mirror cannot be asked, ``ConfigError`` for extensions that it does not have.
        """
        file = self._pins(release, names)
        if file not in self._known:
            chosen = None if self._update else _read(file)
            if chosen is None:
                with self._reporter.step(
                    f"asking the mirror for {len(names)} extensions of Tiny Core {release}"
                ):
                    chosen = self._ask(release, names)
                self._keep(file, chosen)
            self._known[file] = chosen
        return self._known[file]

    def fetch(self, release: str, names: Sequence[str]) -> tuple[Chosen, tuple[Path, ...]]:
        """Return what ``resolve`` does, with every file's sha256, and the files.

        Raises ``VerifyError`` where bytes are not what .md5.txt, or an earlier run, says.
        """
        pins = self._pins(release, names)
        chosen = self.resolve(release, names)
        paths = []
        files = []
        with self._reporter.step("fetching Tiny Core's files", total=len(chosen.files)) as step:
            for count, file in enumerate(chosen.files):
                step.progress(count, len(chosen.files))
                step.detail(file.name)
                path = self._store.sound(file.sha256) if file.sha256 else None
                path = path or self._download(release, file)
                paths.append(path)
                files.append(replace(file, sha256=path.name))
        chosen = Chosen(initrd=files[0], extensions=tuple(files[1:]))
        self._keep(pins, chosen)
        self._known[pins] = chosen
        return chosen, tuple(paths)

    def distribution(self, release: str) -> dict[str, TczFile]:
        """Fetch what a release boots: its kernel and its initrd, or the two that make it; by name.

        ``Store`` has the files by their sha256. Which they were is kept as in ``fetch``. Raises
        ``FetchError`` for a mirror without them, ``VerifyError`` where bytes are not what .md5.txt, or an
        earlier run, says.
        """
        return self._kept(release, _DISTRIBUTION_PINS, lambda: self._distribution_files(release))

    def image(self, release: str, version: str, name: str) -> dict[str, TczFile]:
        """Fetch the ISO image of one version, from where the newest or older ones lie; by its name.

        ``Store`` has it by its sha256. Kept, and raises, as ``distribution`` does.
        """
        places = tuple(f"{folder}/{name}" for folder in ("release", f"archive/{version}"))

        def ask() -> tuple[TczFile, ...]:
            for place in places:
                there = self._file(release, name, place)
                if there is not None:
                    return (there[0],)
            raise FetchError(
                f"the mirror has no {name}",
                where=" or ".join(self._url(self._known_remotes()[0], release, place) for place in places),
                hint=_HINT,
            )

        return self._kept(release, (f"/image/{name}",), ask)

    def _kept(
        self, release: str, key: Sequence[str], ask: Callable[[], tuple[TczFile, ...]]
    ) -> dict[str, TczFile]:
        pins = self._pins(release, key)
        files = None if self._update else _read_files(pins)
        files = files or ask()
        found = {}
        with self._reporter.step(f"fetching Tiny Core {release}", total=len(files)) as step:
            for count, file in enumerate(files):
                step.progress(count, len(files))
                step.detail(file.name)
                path = self._store.sound(file.sha256) if file.sha256 else None
                path = path or self._download(release, file)
                found[file.name] = replace(file, sha256=path.name)
        with replacing(pins) as temporary:
            temporary.write_text(json.dumps([asdict(file) for file in found.values()], indent=1) + "\n")
        return found

    def _distribution_files(self, release: str) -> tuple[TczFile, ...]:
        folder = "release/distribution_files"
        for names in _DISTRIBUTIONS:
            files = [self._file(release, name, f"{folder}/{name}") for name in names]
            there = tuple(file[0] for file in files if file is not None)
            if len(there) == len(names):
                return there
        raise FetchError(
            f"the mirror has no kernel and initrd of Tiny Core {release} for {_ARCH}",
            where=self._url(self._known_remotes()[0], release, f"{folder}/"),
            hint=_HINT,
        )

    # -- resolving ------------------------------------------------------------------------------

    def _pins(self, release: str, names: Sequence[str]) -> Path:
        keys = sorted({f"key {key}" for remote in self._remotes for key in remote.keys})
        key = "\n".join(("tinycore", release, *sorted(set(names)), *keys))
        return self._dirs.cache_folder("pins") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def _keep(self, file: Path, chosen: Chosen) -> None:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(asdict(chosen), indent=1) + "\n")

    def _ask(self, release: str, names: Sequence[str]) -> Chosen:
        initrd = None
        for name in _INITRDS:
            initrd = initrd or self._file(release, name, f"release/distribution_files/{name}")
        if initrd is None:
            raise FetchError(
                f"the mirror has no Tiny Core {release} for {_ARCH}",
                where=self._url(self._known_remotes()[0], release, "release/distribution_files/"),
                hint=_HINT,
            )
        files: dict[str, TczFile] = {}

        def needs(name: str) -> Sequence[str] | None:
            there = self._file(release, name, f"tcz/{file_name(name)}")
            if there is None:
                return None
            files[name], remote = there
            text = self._text(remote, release, f"tcz/{file_name(name)}.dep")
            found = parse_dep(text) if text else ()
            return [need for need in found if not follows_kernel(need)]

        result = closure(names, needs)
        if result.missing:
            problems = [
                Problem(where=" -> ".join(missing.chain), message="is not on the mirror")
                for missing in result.missing
            ]
            raise ConfigError(f"extensions of Tiny Core {release} are missing", problems)
        return Chosen(initrd=initrd[0], extensions=tuple(files[name] for name in result.order))

    def _file(self, release: str, name: str, path: str) -> tuple[TczFile, Remote] | None:
        """Return a file, and the first mirror that has it."""
        for remote in self._known_remotes():
            text = self._text(remote, release, f"{path}.md5.txt")
            if text is None:
                continue
            sha256 = self._sum(remote, release, path)
            if sha256 is None:
                continue
            try:
                return TczFile(name=name, path=path, md5=parse_md5(text).md5, sha256=sha256), remote
            except VerifyError as error:
                error.where = self._url(remote, release, f"{path}.md5.txt")
                raise
        return None

    def _known_remotes(self) -> tuple[Remote, ...]:
        if not self._remotes:
            raise ConfigError("no mirror of Tiny Core is known", hint=_HINT)
        return self._remotes

    def _sum(self, remote: Remote, release: str, path: str) -> str | None:
        """Return the sha256 of a file of a mirror that is verified, ``None`` for none; else ``""``."""
        if remote.sums is None:
            return ""
        if remote not in self._sums:
            self._sums[remote] = remote.sums()
        return self._sums[remote](f"{release}/{_ARCH}/{path}")

    # -- fetching -------------------------------------------------------------------------------

    def _url(self, remote: Remote, release: str, path: str) -> str:
        return f"{remote.address.rstrip('/')}/{release}/{_ARCH}/{quote(path)}"

    def _get(self, remote: Remote, url: str) -> requests.Response | None:
        import requests  # noqa: PLC0415 - takes long, and few builds need it

        if remote.authorities not in self._sessions:
            self._sessions[remote.authorities] = session(remote.authorities)
        try:
            answer = self._sessions[remote.authorities].get(url, stream=True, timeout=_TIMEOUT)
        except (requests.RequestException, ValueError) as error:
            refuse_stranger(error, url)
            raise FetchError(
                "the mirror of Tiny Core cannot be asked", where=url, why=str(error), hint=_HINT
            ) from error
        if answer.status_code in _ABSENT:
            answer.close()
            return None
        if not answer.ok:
            raise FetchError(
                "the mirror refused", where=url, why=f"HTTP status {answer.status_code} {answer.reason}"
            )
        return answer

    def _text(self, remote: Remote, release: str, path: str) -> str | None:
        sha256 = self._sum(remote, release, path)
        url = self._url(remote, release, path)
        answer = None if sha256 is None else self._get(remote, url)
        if answer is None:
            return None
        with answer:
            data = answer.raw.read(_TEXT_MAX, decode_content=True)
        found = hashlib.sha256(data).hexdigest()
        if sha256 not in ("", found):
            why = f"expected sha256 {sha256}\nfound           {found}"
            raise VerifyError("not the file that the catalogue names", where=url, why=why, hint=_AGAIN)
        return decode(data)

    def _download(self, release: str, file: TczFile) -> Path:
        url = ""
        for remote in self._known_remotes():
            # A file whose sha256 is not known yet is none of those that were verified.
            if remote.sums is not None and not file.sha256:
                continue
            url = self._url(remote, release, file.path)
            answer = self._get(remote, url)
            if answer is not None:
                return self._received(answer, url, file)
        raise FetchError(f"{file.name} is not on the mirror, though its .md5.txt is", where=url)

    def _received(self, answer: requests.Response, url: str, file: TczFile) -> Path:
        folder = self._store.root / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        md5 = hashlib.md5(usedforsecurity=False)
        with answer, tempfile.NamedTemporaryFile(dir=folder, prefix="tinycore-", delete=False) as sink:
            try:
                for block in answer.iter_content(_BLOCK):
                    md5.update(block)
                    sink.write(block)
                sink.flush()
                if md5.hexdigest() != file.md5:
                    why = f"expected md5 {file.md5}\nfound        {md5.hexdigest()}"
                    hint = "the mirror is being updated, or bytes were lost: try again, or with --update"
                    raise VerifyError(
                        f"{file.name} is not what its .md5.txt says", where=url, why=why, hint=hint
                    )
                return self._store.take(Path(sink.name), file.sha256 or None, what=file.name)
            except OSError as error:
                raise FetchError(f"{file.name} could not be fetched", where=url, why=str(error)) from error
            finally:
                Path(sink.name).unlink(missing_ok=True)


def _read_files(file: Path) -> tuple[TczFile, ...] | None:
    """Return the files of an earlier run; a damaged record counts as none."""
    try:
        files = tuple(TczFile(**one) for one in json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    texts = (text for one in files for text in (one.name, one.path, one.md5, one.sha256))
    return files if files and all(isinstance(text, str) for text in texts) else None


def _read(file: Path) -> Chosen | None:
    """Return what was resolved before; a damaged file counts as none."""
    try:
        data = json.loads(file.read_bytes())
        chosen = Chosen(
            initrd=TczFile(**data["initrd"]), extensions=tuple(TczFile(**one) for one in data["extensions"])
        )
    except (OSError, ValueError, TypeError, KeyError, ToolkitError):
        return None
    texts = (text for one in chosen.files for text in (one.name, one.path, one.md5, one.sha256))
    return chosen if all(isinstance(text, str) for text in texts) else None
