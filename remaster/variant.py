"""Variants: what kind of image is made. A TOML file each, checked whole before anything is built.

The format (schema 1)::

    schema = 1
    name = "docker"
    summary = "..."
    extends = "linux"                  # another variant's name, or the path of its file
    kernel = "kernel"                  # the package that brings the kernel
    boot-codes = ["noembed", "cde"]
    services = ["docker"]              # started at boot in this order
    packages.onboot = ["docker"]       # loaded at boot
    packages.optional = []             # on the medium, loaded on request
    [image]
    volume-id = "floe-{name}-v{version}"
    title = "floe {name} {version}"
    version-of = "docker"              # the package whose version is the image's
    timeout = 3                        # seconds that the boot menu waits
    data-label = "floe-data"           # of the partition for data on disks
    data-mib = 256                     # its size; it is made to grow
    [[file]]
    path = "/etc/motd"
    mode = "644"
    owner = "root:root"                # names of the base's passwd and group, or numbers
    content = "..."                    # or: source = "motd", beside the variant's file

Lists of an extended variant come first; single values and files of the same path are replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcz import toml
from tcz.errors import ConfigError, Problem, VerifyError
from tcz.tree import safe_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remaster.bootcode import BootCodes

SHIPPED: Final = Path(__file__).parent / "variants"
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_MODE = re.compile(r"[0-7]{3,4}")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(:[A-Za-z0-9_][A-Za-z0-9_-]*)?")
_LONGEST_WAIT: Final = 3600
_VOLUME_ID: Final = "floe-{name}-v{version}"
_TITLE: Final = "floe {name} {version}"
DATA_LABEL: Final = "floe-data"
DATA_MIB: Final = 256
_DATA_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_DATA_MIB_LOW: Final = 16
_DATA_MIB_HIGH: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A file that goes into the root: ``path`` without leading slash, ``owner`` as ``user:group``."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root:root"
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant with all that it extends already in it. Package names have no suffix."""

    name: str
    summary: str = ""
    kernel: str = "kernel"
    onboot: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    boot_codes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    volume_id: str = _VOLUME_ID
    title: str = _TITLE
    version_of: str = ""
    timeout: int = 3
    data_label: str = DATA_LABEL
    data_mib: int = DATA_MIB
    extends: str = ""
    origin: Path | None = None


def names() -> tuple[str, ...]:
    """Return the names of the variants that ship with the program."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def find(wanted: str) -> Path:
    """Return the file of a variant given by name or by path; ``ConfigError`` with a guess if none."""
    if wanted.endswith(".toml") or "/" in wanted:
        path = Path(wanted)
        if not path.is_file():
            raise ConfigError(f"there is no file {wanted}", hint="a variant's path was expected")
        return path
    path = SHIPPED / f"{wanted}.toml"
    if wanted not in names():
        near = toml.guess(wanted, names())
        listed = f"variants: {', '.join(names())}; or give the path of your own, such as ./mine.toml"
        raise ConfigError(f"there is no variant {wanted!r}", hint=f"{near}\n{listed}" if near else listed)
    return path


def load(wanted: str, codes: BootCodes, *, base: str = "floe") -> Variant:
    """Return a variant by name or path, what it extends merged in, its boot codes checked.

    Raises ``ConfigError`` with all mistakes of a file.
    """
    variant = _load(find(wanted), codes, base, ())
    words = codes.parse(" ".join(variant.boot_codes), where=str(variant.origin), base=base)
    return replace(variant, boot_codes=tuple(str(word) for word in words))


def _load(path: Path, codes: BootCodes, base: str, chain: tuple[Path, ...]) -> Variant:
    if path.resolve() in chain:
        raise ConfigError(f"{path} extends itself", hint=" -> ".join(p.stem for p in (*chain, path)))
    document = toml.read(path)
    own, extends = _read(document, path, codes, base)
    document.finish(f"variant {own.name or path.stem}")
    if not extends:
        return own
    beside = path.parent / extends
    parent_path = beside if extends.endswith(".toml") and beside.is_file() else find(extends)
    return _merged(_load(parent_path, codes, base, (*chain, path.resolve())), own, document.root)


def _merged(parent: Variant, own: Variant, table: toml.Table) -> Variant:
    image = table.table("image")

    def pick(holder: toml.Table, key: str, value: str, inherited: str) -> str:
        return value if holder.has(key) else inherited

    return replace(
        own,
        kernel=pick(table, "kernel", own.kernel, parent.kernel),
        onboot=joined(parent.onboot, own.onboot),
        optional=joined(parent.optional, own.optional),
        boot_codes=override(parent.boot_codes, own.boot_codes),
        services=joined(parent.services, own.services),
        files=merge_files(parent.files, own.files),
        volume_id=pick(image, "volume-id", own.volume_id, parent.volume_id),
        title=pick(image, "title", own.title, parent.title),
        version_of=pick(image, "version-of", own.version_of, parent.version_of),
        timeout=own.timeout if image.has("timeout") else parent.timeout,
        data_label=pick(image, "data-label", own.data_label, parent.data_label),
        data_mib=own.data_mib if image.has("data-mib") else parent.data_mib,
    )


def joined(first: Sequence[str], then: Sequence[str]) -> tuple[str, ...]:
    """Return both lists, each item once."""
    return tuple(dict.fromkeys((*first, *then)))


def override(first: Sequence[str], then: Sequence[str]) -> tuple[str, ...]:
    """Return both command lines; a word of ``then`` replaces those of ``first`` with its key."""
    keys = {word.partition("=")[0] for word in then}
    return (*(word for word in first if word.partition("=")[0] not in keys), *then)


def merge_files(first: Iterable[FileSpec], then: Iterable[FileSpec]) -> tuple[FileSpec, ...]:
    """Return both, sorted by path; a file of ``then`` replaces one of ``first`` at its path."""
    files = {spec.path: spec for spec in first} | {spec.path: spec for spec in then}
    return tuple(files[path] for path in sorted(files))


def _read(document: toml.Document, path: Path, codes: BootCodes, base: str) -> tuple[Variant, str]:
    table = document.root
    table.integer("schema", low=1, high=1)
    packages, image = table.table("packages"), table.table("image")
    variant = Variant(
        name=table.string("name", check=_matching(_NAME, "a lower-case name such as docker")),
        summary=table.string("summary"),
        kernel=table.string("kernel", "kernel", check=package_complaint),
        onboot=packages.strings("onboot", (), check=package_complaint),
        optional=packages.strings("optional", (), check=package_complaint),
        boot_codes=_boot_codes(table, codes, base),
        services=table.strings("services", (), check=_matching(_SERVICE, "the name of a service")),
        files=_files(table, path),
        volume_id=image.string("volume-id", _VOLUME_ID, check=_template),
        title=image.string("title", _TITLE, check=_template),
        version_of=image.string("version-of", "", check=package_complaint, empty=True),
        timeout=image.integer("timeout", 3, high=_LONGEST_WAIT),
        data_label=image.string(
            "data-label", DATA_LABEL, check=_matching(_DATA_LABEL, "a label of 1 to 16 characters")
        ),
        data_mib=image.integer("data-mib", DATA_MIB, low=_DATA_MIB_LOW, high=_DATA_MIB_HIGH),
        extends=table.string("extends", ""),
        origin=path,
    )
    if variant.name and path.parent == SHIPPED and variant.name != path.stem:
        table.fail("name", f"the file of {variant.name!r} must be named {variant.name}.toml")
    return variant, variant.extends


def _matching(pattern: re.Pattern[str], what: str) -> toml.Check:
    return lambda text: None if pattern.fullmatch(text) else f"{text!r} is not {what}"


def package_complaint(name: str) -> str | None:
    """Return what is wrong with a package's name, or ``None``."""
    if name.endswith(".tcz"):
        return f"write {name.removesuffix('.tcz')!r}, without .tcz"
    return None if _PACKAGE.fullmatch(name) else f"{name!r} is not the name of a package"


def _template(text: str) -> str | None:
    rest = text.replace("{name}", "").replace("{version}", "")
    if "{" in rest or "}" in rest:
        return "only {name} and {version} can stand in braces"
    return None if text.isprintable() else "must be one line of printable characters"


def _boot_codes(table: toml.Table, codes: BootCodes, base: str) -> tuple[str, ...]:
    # Not Table.strings: console= may well be there twice in different forms, so only checks of our own.
    texts = table.strings("boot-codes", ())
    for index, text in enumerate(texts):
        try:
            codes.parse(text, base=base)
        except ConfigError as error:
            for problem in error.problems:
                table.fail_item("boot-codes", index, f"{text}: {problem.message}", problem.hint)
    return texts


def _files(table: toml.Table, path: Path) -> tuple[FileSpec, ...]:
    found: dict[str, FileSpec] = {}
    for entry in table.tables("file"):
        target = entry.string("path", check=path_complaint)
        mode = entry.string("mode", "644", check=_matching(_MODE, "an octal mode such as 644"))
        owner = entry.string("owner", "root:root", check=_matching(_OWNER, "user:group"))
        content = _content(entry, path)
        if not target or path_complaint(target):
            continue
        inside = safe_path(target)
        if inside in found:
            entry.fail("path", f"{target} is there twice")
        found[inside] = FileSpec(
            path=inside,
            content=content,
            mode=int(mode, 8) if _MODE.fullmatch(mode) else 0o644,
            owner=owner,
            where=entry.where("path"),
        )
    return tuple(found[path] for path in sorted(found))


def _content(entry: toml.Table, path: Path) -> bytes:
    if entry.has("content") == entry.has("source"):
        entry.fail(None, "give either content or source")
        return b""
    if entry.has("content"):
        return entry.string("content", empty=True).encode()
    source = path.parent / entry.string("source")
    try:
        return source.read_bytes()
    except OSError as error:
        entry.fail("source", f"{source} cannot be read: {error.strerror}")
        return b""


def path_complaint(text: str) -> str | None:
    """Return what is wrong with a path in the image, or ``None``."""
    if not text.startswith("/"):
        return f"{text!r} does not begin with /"
    try:
        inside = safe_path(text)
    except VerifyError:
        return f"{text!r} must not have .. in it"
    if not inside or text.endswith("/"):
        return f"{text!r} names no file"
    if not text.isprintable():
        return f"{text!r} has control characters"
    if inside == "tmp" or inside.startswith(("tmp/", "proc/", "sys/", "dev/")):
        return f"{text!r} would be hidden on the running machine"
    return None


def file_option(text: str) -> FileSpec:
    """Return the file of an option ``HOST:PATH[:MODE[:OWNER]]``; raise ``ConfigError``.

    Without a mode it is 755 for a program, 644 for anything else, whatever the umask was.
    """
    where = f"--file {text}"
    host, _, rest = text.partition(":")
    path, _, rest = rest.partition(":")
    mode, _, owner = rest.partition(":")
    problems = []
    if not host or not path:
        raise ConfigError(f"{where} is not HOST:PATH[:MODE[:OWNER]]", hint="--file ./motd:/etc/motd")
    complaint = path_complaint(path)
    if complaint:
        problems.append(Problem(where=where, message=complaint))
    if mode and not _MODE.fullmatch(mode):
        problems.append(Problem(where=where, message=f"{mode!r} is not an octal mode such as 644"))
    if owner and not _OWNER.fullmatch(owner):
        problems.append(Problem(where=where, message=f"{owner!r} is not user:group"))
    file = Path(host)
    content = b""
    try:
        content = file.read_bytes()
    except OSError as error:
        problems.append(Problem(where=where, message=f"{host} cannot be read: {error.strerror}"))
    if problems:
        raise ConfigError("a file cannot be put into the image", problems)
    usual = 0o755 if file.stat().st_mode & 0o100 else 0o644
    return FileSpec(
        path=safe_path(path),
        content=content,
        mode=int(mode, 8) if mode else usual,
        owner=owner or "root:root",
        where=where,
    )


def extended(
    variant: Variant,
    codes: BootCodes,
    *,
    packages: Sequence[str] = (),
    files: Sequence[FileSpec] = (),
    boot_codes: Sequence[str] = (),
    base: str = "floe",
) -> Variant:
    """Return the variant with what was asked for on the command line; raise ``ConfigError``.

    A boot code given here replaces those of the same name in the variant.
    """
    problems = [
        Problem(where=f"--package {name}", message=complaint)
        for name in packages
        if (complaint := package_complaint(name))
    ]
    if problems:
        raise ConfigError("a package cannot be added", problems)
    words = codes.parse(" ".join(boot_codes), where="--boot-code", base=base)
    together = override(variant.boot_codes, [str(word) for word in words])
    codes.parse(" ".join(together), where="--boot-code", base=base)
    return replace(
        variant,
        onboot=joined(variant.onboot, packages),
        files=merge_files(variant.files, files),
        boot_codes=together,
    )
