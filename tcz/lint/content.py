"""Checks of what a package holds: paths, what belongs into other packages, what belongs nowhere."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check
from tcz.lint.subject import STARTUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

_LICENCE = re.compile(
    r"(?i)(copying|licen[cs]e|copyright|notice)|\A(?:[al]?gpl|bsd|mit|apache|mpl|isc|zlib|cc0|artistic|psf)\b"
)
_LICENCE_FOLDER = re.compile(r"usr/(?:local/)?share/(?:doc|licen[cs]es)/")
#: Each begins with plain bytes, which makes the search through a large program quick.
_BUILD_PATH = re.compile(rb"/build/(?:src|dest|tmp|recipe|needs|reproducible-path)/[\w./+-]+")
_HOME_PATH = re.compile(rb"/home/[a-z][a-z0-9_-]*/[\w./+-]+")
_ROOT_PATH = re.compile(rb"/root/[\w./+-]+")
_WITHIN_A_PATH = re.compile(rb"[\w/.@-]")
#: The user of every Tiny Core: what is named below its home is meant.
_KNOWN_HOMES = (b"/home/tc/", b"/home/user/", b"/home/you/")
_TEMPORARY = re.compile(rb"/tmp/[\w+-]+/[\w./+-]+")
_USED_BY_BUILDS = re.compile(r".*\.(?:pc|la|cmake|prl|pri|m4)\Z|.*-config\Z")
_DEV = re.compile(
    r"usr/local/(?:include/|lib/(?:[^/]+\.a\Z|pkgconfig/|cmake/)|share/(?:aclocal|pkgconfig|cmake)/)"
)
_DOC = re.compile(r"usr/local/(?:share/)?(?:man|info|doc|gtk-doc)/")
_LOCALE = re.compile(r"usr/local/share/(?:locale|i18n)/")
_PYTHON = re.compile(r"(?:.*/)?__pycache__(?:/.*)?\Z|.*\.py[co]\Z")
_LEFTOVER = re.compile(
    r"(?:.*/)?(?:[^/]*~|[^/]*\.(?:orig|rej|swp|bak|old)|\.DS_Store|Thumbs\.db|\.git(?:/.*)?|\.svn(?:/.*)?|\.gitignore|\.nfs[^/]*)\Z"
)
_SHARED_INDEX = re.compile(
    r"usr/local/(?:share/info/dir|info/dir|share/mime/(?!packages/).+|share/applications/mimeinfo\.cache"
    r"|share/icons/[^/]+/icon-theme\.cache|share/glib-2\.0/schemas/gschemas\.compiled|lib/gio/modules/giomodule\.cache"
    r"|.*/perllocal\.pod|.*/fonts\.(?:dir|scale)|etc/ld\.so\.cache)\Z|etc/ld\.so\.cache\Z"
)
_HOME_OF_PACKAGES = ("usr/local", "lib/firmware", "usr/share/fonts", "etc/skel")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]|\s\Z|\A\s|//")
_SMALLEST_DUPLICATE = 4096
#: As the loader counts, with find -mindepth 1 -maxdepth 2: an image with no more is taken for an empty one.
_EMPTY_AT_MOST = 1


@check(
    "empty-package",
    "warning",
    """The loader counts the entries in the two topmost levels of a package; with one or none it takes it for
    a package that only names others in its .dep, unmounts it, and nothing of it is ever linked. A package
    without files and without a .dep does nothing.""",
)
def empty_package(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.damage is not None:
        return
    shallow = [path for path in subject.tree if path and path.count("/") <= 1]
    if subject.paths and len(shallow) <= _EMPTY_AT_MOST:
        yield Fault(
            message="the loader takes it for empty: its files are never linked",
            paths=subject.paths,
            level="error",
        )
    elif not subject.paths and not subject.needs:
        yield Fault(message="it holds no files and needs no packages")


@check(
    "path-name",
    "error",
    """Names of files hold no line breaks or other control characters, no backslashes, and neither begin nor
    end with a blank: scripts that go through a package's .list line by line trip over them, and tricks are
    played with them. A name that is not UTF-8 is only a warning.""",
)
def path_name(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in subject.tree:
        if any(_CONTROL.search(part) for part in path.split("/") if part):
            yield Fault(message=f"a name with characters that do harm: {path!r}", paths=(ascii(path)[1:-1],))
        elif any("\udc80" <= char <= "\udcff" for char in path):
            yield Fault(message="a name that is not UTF-8", paths=(ascii(path)[1:-1],), level="warning")


@check(
    "path-prefix",
    "warning",
    """Packages live below /usr/local, where nothing of the base's is. What lies elsewhere depends on whose
    file is there first. Configuration below /etc and services that must be found by the base may be a
    reason.""",
    submission="warning",
)
def path_prefix(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    tops: dict[str, list[str]] = {}
    for path in subject.paths:
        if not path.startswith(tuple(f"{folder}/" for folder in _HOME_OF_PACKAGES)):
            tops.setdefault(
                "/".join(path.split("/")[:2]) if path.startswith("usr/") else path.split("/")[0], []
            ).append(path)
    for top, paths in sorted(tops.items()):
        yield Fault(message=f"below /{top}, not below /usr/local", paths=tuple(paths))


@check(
    "licence-missing",
    "note",
    """Most licences ask that their text goes with the program: below usr/local/share/doc/NAME/, as COPYING,
    LICENSE or copyright. submitqc looks for it there. Packages of headers, manuals and translations have
    that of the package they belong to.""",
    submission="warning",
)
def licence_missing(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    if subject.role != "main" or not subject.paths:
        return
    if not any(
        _LICENCE_FOLDER.match(path) and _LICENCE.search(path.rpartition("/")[2]) for path in subject.paths
    ):
        yield Fault(message=f"no licence text below usr/local/share/doc/{subject.name}/")


@check(
    "libtool-archive",
    "warning",
    """.la files of libtool name the folders of the machine that the library was built on, and make programs
    link with more than they need. Tiny Core does not ship them any more.""",
    repair=lambda subject, _context: subject.without(_archives(subject)),
    submission="error",
)
def libtool_archive(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _archives(subject)
    if paths:
        yield Fault(message="a .la file", paths=paths)


def _archives(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path for path, node in subject.files if path.endswith(".la") and b"libtool" in node.read()[:512]
    )


def _misplaced(subject: Subject, role: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    if subject.role != "main" or subject.name == "compiletc":
        return ()
    return tuple(
        path for path in subject.paths if pattern.match(path) and not (role == "doc" and _is_licence(path))
    )


def _is_licence(path: str) -> bool:
    return _LICENCE_FOLDER.match(path) is not None and _LICENCE.search(path.rpartition("/")[2]) is not None


@check(
    "split-dev",
    "note",
    """Headers, static libraries, .pc and cmake files are for who builds programs and belong into
    NAME-dev.tcz.""",
    submission="warning",
)
def split_dev(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _misplaced(subject, "dev", _DEV)
    if paths:
        yield Fault(message=f"belongs into {subject.name}-dev", paths=paths)


@check(
    "split-doc",
    "note",
    "Manual pages and other documents belong into NAME-doc.tcz; the licence text stays with the program.",
    submission="warning",
)
def split_doc(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _misplaced(subject, "doc", _DOC)
    if paths:
        yield Fault(message=f"belongs into {subject.name}-doc", paths=paths)


@check(
    "split-locale",
    "note",
    "Translations belong into NAME-locale.tcz, which the loader takes by itself where LANG is not C.",
    submission="warning",
)
def split_locale(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _misplaced(subject, "locale", _LOCALE)
    if paths:
        yield Fault(message=f"belongs into {subject.name}-locale", paths=paths)


@check(
    "build-path",
    "warning",
    """A path of the machine that the package was built on (/build/..., /home/..., /root/...) stands in a
    file. The folder is on no other machine; whoever can make it there may have a program read what he
    likes, and two builds in different folders differ. In files that builds read (.pc, cmake, NAME-config)
    a path below /tmp counts as well. In programs only /build counts, and is a note: most of it are names
    of sources in messages.""",
)
def build_path(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    programs = {path for path, _ in subject.elves}
    for path, node in subject.files:
        if node.size == 0:
            continue
        text = path not in programs and b"\0" not in subject.head(path)
        patterns = [_BUILD_PATH, _HOME_PATH, _ROOT_PATH] if text else [_BUILD_PATH]
        if _USED_BY_BUILDS.match(path):
            patterns.append(_TEMPORARY)
        found = _paths_in(node.read(), patterns)
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            message = f"names {found[0].decode(errors='replace')}{more}"
            yield Fault(message=message, paths=(path,), level=None if text else "note")


def _paths_in(data: bytes, patterns: Iterable[re.Pattern[bytes]]) -> tuple[bytes, ...]:
    """Return the paths that patterns find, each once, where they begin one and are not in a longer one."""
    found: dict[bytes, None] = {}
    for pattern in patterns:
        for match in pattern.finditer(data):
            before = data[max(0, match.start() - 1) : match.start()]
            if not _WITHIN_A_PATH.match(before) and not match[0].startswith(_KNOWN_HOMES):
                found[match[0]] = None
    return tuple(found)


def _python_caches(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.paths if _PYTHON.match(path))


@check(
    "python-cache",
    "note",
    """Compiled Python files (.pyc) are made from the .py beside them, are no use to another version of
    Python, and hold the time of the build. They make a package larger by half.""",
    repair=lambda subject, _context: subject.without(_python_caches(subject)),
    submission="warning",
)
def python_cache(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _python_caches(subject)
    if paths:
        yield Fault(message="a compiled Python file", paths=paths)


def _leftovers(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.paths if _LEFTOVER.match(path))


@check(
    "leftover",
    "warning",
    "Backups of editors, rejected patches and files of version control got into the package by mistake.",
    repair=lambda subject, _context: subject.without(_leftovers(subject)),
)
def leftover(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _leftovers(subject)
    if paths:
        yield Fault(message="left over", paths=paths)


def _shared_indexes(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.paths if _SHARED_INDEX.match(path))


@check(
    "shared-index",
    "warning",
    """An index over files of many packages (info/dir, icon-theme.cache, mimeinfo.cache, gschemas.compiled and
    such) that comes with one of them names that one's files only, and the first that is loaded wins. It is
    made on the machine by a start-up script.""",
    repair=lambda subject, _context: subject.without(_shared_indexes(subject)),
)
def shared_index(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _shared_indexes(subject)
    if paths:
        yield Fault(message="an index over files of many packages", paths=paths)


@check(
    "duplicate-file",
    "note",
    """Files of the same content take their room once in the image, but each of them in memory where the
    package is copied into the system. A link says the same.""",
)
def duplicate_file(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    by_size: dict[int, list[str]] = {}
    for path, node in subject.files:
        if node.size >= _SMALLEST_DUPLICATE:
            by_size.setdefault(node.size, []).append(path)
    by_content: dict[bytes, list[str]] = {}
    for paths in by_size.values():
        for path in paths if len(paths) > 1 else ():
            by_content.setdefault(hashlib.sha256(subject.tree[path].read()).digest(), []).append(path)
    for paths in by_content.values():
        if len(paths) > 1:
            yield Fault(message="of the same content", paths=tuple(paths))


def _empty_folders(subject: Subject) -> tuple[str, ...]:
    parents = {path.rpartition("/")[0] for path in subject.tree if path}
    return tuple(path for path, node in subject.tree.items() if path and node.is_dir and path not in parents)


@check(
    "empty-folder",
    "note",
    """A folder with nothing in it is linked into the system as a folder and does little else. A package that
    only names others in its .dep holds one, and nothing more.""",
    repair=lambda subject, _context: subject.without(_empty_folders(subject)) if subject.paths else subject,
)
def empty_folder(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path in _empty_folders(subject) if path != STARTUP)
    if paths and subject.paths:
        yield Fault(message="an empty folder", paths=paths)


@check(
    "desktop-file",
    "warning",
    """A package's menu entry is usr/local/share/applications/NAME.desktop with Name= and Exec=, and
    X-FullPathIcon= names a picture that is there: tce-run and the desktop look for exactly these.""",
)
def desktop_file(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path, data in subject.texts:
        if not (path.startswith("usr/local/share/applications/") and path.endswith(".desktop")):
            continue
        lines = data.decode(errors="replace").splitlines()
        keys = {
            line.partition("=")[0].strip(): line.partition("=")[2].strip() for line in lines if "=" in line
        }
        for key in ("Name", "Exec"):
            if not keys.get(key):
                yield Fault(message=f"without {key}=", paths=(path,))
        icon = keys.get("X-FullPathIcon", "")
        if icon and icon.strip("/") not in subject.tree:
            yield Fault(message=f"its picture {icon} is not there", paths=(path,))


CHECKS = (
    empty_package,
    path_name,
    path_prefix,
    licence_missing,
    libtool_archive,
    split_dev,
    split_doc,
    split_locale,
    build_path,
    python_cache,
    leftover,
    shared_index,
    duplicate_file,
    empty_folder,
    desktop_file,
)
