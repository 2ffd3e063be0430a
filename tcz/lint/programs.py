"""Checks of ELF files: whether they start on the base, and what they should not carry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check
from tcz.lint.relations import neighbours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.elf import Elf
    from tcz.lint.context import Context
    from tcz.lint.finding import Level
    from tcz.lint.subject import Subject

_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)\Z")
#: Folders that exist on the machine a package was built on, and on no other.
_BUILD_FOLDERS = ("/build/", "/home/", "/root/", "/tmp/", "/var/tmp/", "/mnt/")  # noqa: S108 - no use of it
_OUR_FOLDERS = ("/usr/local/lib", "/usr/lib", "/lib")
#: Parts of a package for whom other machines' programs are data (firmware, boot loaders, tests).
_DATA = re.compile(r"(?:usr/local/|usr/)?(?:lib/firmware|share)/")


def _live(subject: Subject, context: Context) -> Iterator[tuple[str, Elf]]:
    """Return what the dynamic loader or the kernel starts on the machine."""
    return (
        (path, elf)
        for path, elf in subject.elves
        if elf.kind in ("executable", "shared")
        and elf.machine == context.base.machine
        and not _DATA.match(path)
    )


_LIB64 = re.compile(r"/lib64/([^/]+)\Z")
_MAKES_LIB64 = re.compile(rb"\bln -s\w* /?lib /lib64(?![\w/])")


@check(
    "elf-damaged",
    "error",
    "A file that begins as an ELF file and makes no sense beyond its first bytes is truncated or damaged.",
)
def elf_damaged(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path, why in subject.broken_elves:
        yield Fault(message=why, paths=(path,))


@check(
    "elf-interpreter",
    "error",
    """The dynamic loader that a program names must be in the base. CorePure64 has /lib/ld-linux-x86-64.so.2
    and no /lib64: programs from other distributions end with "not found" there. Build them static, or link
    them with -Wl,--dynamic-linker=/lib/ld-linux-x86-64.so.2, or make the link in the start-up script:
    [ -e /lib64 ] || ln -s lib /lib64.""",
)
def elf_interpreter(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    around = neighbours(subject, context)
    wanted: dict[str, list[str]] = {}
    for path, elf in _live(subject, context):
        if elf.interpreter is not None:
            there = around.has(elf.interpreter.strip("/"))
            if not there and (name := _LIB64.match(elf.interpreter)) is not None:
                there = around.has(f"lib/{name[1]}") and _links_lib64(subject)
            if not there or (context.submission and _LIB64.match(elf.interpreter)):
                wanted.setdefault(elf.interpreter, []).append(path)
    for interpreter, paths in sorted(wanted.items()):
        yield Fault(
            message=f"started by {interpreter}, which {context.base.name} has not", paths=tuple(paths)
        )


def _links_lib64(subject: Subject) -> bool:
    scripts = (subject.tree[path] for path in subject.startup)
    return any(_MAKES_LIB64.search(script.read()) for script in scripts if script.is_file)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


@check(
    "elf-libc-version",
    "error",
    """A program that was linked with a newer libc than the base's does not start: version GLIBC_2.38 not
    found. The highest version that it asks for must not be above the base's; build it on the older base, or
    static.""",
)
def elf_libc_version(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    wanted: dict[str, list[str]] = {}
    for path, elf in _live(subject, context):
        versions = [
            match[1] for _, names in elf.versions_needed for name in names if (match := _GLIBC.match(name))
        ]
        newest = max(versions, key=_version, default="0")
        if _version(newest) > context.base.glibc:
            wanted.setdefault(newest, []).append(path)
    has = ".".join(map(str, context.base.glibc))
    for newest, paths in sorted(wanted.items()):
        yield Fault(message=f"needs glibc {newest}, {context.base.name} has {has}", paths=tuple(paths))


@check(
    "elf-library",
    "error",
    """Every shared library that a program asks for is in the package, in the base or in a package that the
    .dep names, directly or by way of others. Where a known package has it, the .dep must name that one;
    where not all packages are known it is only a warning.""",
)
def elf_library(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    around = neighbours(subject, context)
    own = {path.rpartition("/")[2] for path in subject.paths if ".so" in path}
    own |= {elf.soname for _, elf in subject.elves if elf.soname is not None}
    users: dict[str, list[str]] = {}
    for path, elf in _live(subject, context):
        for soname in elf.needed:
            bare = soname.rpartition("/")[2]
            if bare not in own and bare not in context.base.sonames:
                users.setdefault(soname, []).append(path)
    for soname, paths in sorted(users.items()):
        owners = context.others.with_library(soname, context.base.libraries)
        if not set(owners) & set(around.packages):
            yield _missing_library(soname, owners, tuple(paths), certain=around.complete)


def _missing_library(soname: str, owners: tuple[str, ...], paths: tuple[str, ...], *, certain: bool) -> Fault:
    level: Level = "error" if owners or certain else "warning"
    if owners:
        hint = f"it is in {' and '.join(owners)}: name it in the .dep"
    elif certain:
        hint = None
    else:
        hint = "it may be in a package that is not known here (--against)"
    return Fault(message=f"needs the library {soname}", paths=paths, hint=hint, level=level)


@check(
    "elf-unstripped",
    "warning",
    """Symbol tables and debugging information are of use to who builds a program, and take room on every
    machine. strip --strip-unneeded takes them away; what must keep them (few programs) says so in its
    recipe.""",
    submission="error",
)
def elf_unstripped(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path, elf in _live(subject, context) if not elf.stripped)
    debug = tuple(path for path, elf in _live(subject, context) if elf.debug)
    if debug:
        yield Fault(message="with debugging information", paths=debug)
    if set(paths) - set(debug):
        yield Fault(message="not stripped", paths=tuple(path for path in paths if path not in debug))


@check(
    "elf-rpath",
    "warning",
    """An RPATH or RUNPATH makes the loader look for libraries in folders of the program's own choice. One
    that names a folder of the machine it was built on, or no absolute folder at all, lets whoever can
    make that folder have the program load what he likes: that is an error. /usr/local/lib is looked in
    anyway. Build with --disable-rpath, or take it away with patchelf --remove-rpath.""",
)
def elf_rpath(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    found: dict[str, list[str]] = {}
    for path, elf in _live(subject, context):
        for folder in (*elf.rpath, *elf.runpath):
            found.setdefault(folder, []).append(path)
    for folder, paths in sorted(found.items()):
        inside = folder.startswith(("$ORIGIN", "${ORIGIN}"))
        dangerous = not inside and (not folder.startswith("/") or f"{folder}/".startswith(_BUILD_FOLDERS))
        level: Level | None = "error" if dangerous else None
        if folder.rstrip("/") in _OUR_FOLDERS or inside:
            level = "note"
        yield Fault(message=f"looks for libraries in {folder}", paths=tuple(paths), level=level)


@check(
    "elf-machine",
    "error",
    """A program for another processor does not start. Firmware and boot loaders below lib/firmware and share
    are data.""",
)
def elf_machine(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    found: dict[str, list[str]] = {}
    for path, elf in subject.elves:
        if (
            elf.machine != context.base.machine
            and not _DATA.match(path)
            and (elf.dynamic or elf.kind == "executable")
        ):
            found.setdefault(elf.machine, []).append(path)
    for machine, paths in sorted(found.items()):
        yield Fault(message=f"for {machine}, not for {context.base.machine}", paths=tuple(paths))


@check(
    "elf-executable-stack",
    "warning",
    """A program that asks for an executable stack makes every overflow of a buffer a way in. Mostly it comes
    from an assembler file without a .note.GNU-stack section.""",
)
def elf_executable_stack(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path, elf in _live(subject, context) if elf.executable_stack)
    if paths:
        yield Fault(message="asks for an executable stack", paths=paths)


CHECKS = (
    elf_damaged,
    elf_interpreter,
    elf_libc_version,
    elf_library,
    elf_unstripped,
    elf_rpath,
    elf_machine,
    elf_executable_stack,
)
