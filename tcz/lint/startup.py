"""Checks of scripts: the start-up script in usr/local/tce.installed, and all others."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from tcz.lint.finding import Fault, check
from tcz.lint.folders import facts, told
from tcz.lint.relations import neighbours
from tcz.lint.subject import STARTUP
from tcz.stage import STAFF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.lint.context import Context
    from tcz.lint.subject import Subject

_FOLDER = (0o775, 0, STAFF)
_USER = 1001
_SHELLS = re.compile(r"(?:/usr)?/bin/(?:env\s+)?(?:sh|ash|busybox\s+(?:sh|ash))\b")
_PROGRAMS = re.compile(r"(?:usr/local/|usr/)?s?bin/[^/]+\Z")


def _repair_folder(subject: Subject, _context: Context) -> Subject:
    node = subject.tree[STARTUP]
    fixed = replace(node, mode=stat.S_IFDIR | _FOLDER[0], uid=_FOLDER[1], gid=_FOLDER[2])
    return subject.with_tree([*subject.tree.items(), (STARTUP, fixed)])


@check(
    "startup-folder",
    "error",
    """usr/local/tce.installed is 0775 and root:staff (0:50), the owner and mode that every package has given
    it. Loading a package with another one changes the folder on the live system, and the user tc can no
    longer load packages, for the loader writes its marks there without root's rights.""",
    repair=_repair_folder,
)
def startup_folder(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    node = subject.tree.get(STARTUP)
    if node is not None and facts(node) not in (_FOLDER, (0o2775, 0, STAFF)):
        yield Fault(message=f"{told(*facts(node))}, not {told(*_FOLDER)}", paths=(STARTUP,))


def _repair_mode(subject: Subject, _context: Context) -> Subject:
    return subject.with_tree(
        (path, replace(node, mode=stat.S_IFREG | 0o775, uid=0, gid=STAFF))
        if path in subject.startup and node.is_file
        else (path, node)
        for path, node in subject.tree.items()
    )


@check(
    "startup-script",
    "error",
    """A start-up script is a file that may be executed (0775 or 0755), owned by root:staff or tc:staff. The
    loader runs it as root once the package is loaded; one that is not executable is passed over in
    silence.""",
    repair=_repair_mode,
)
def startup_script(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in subject.startup:
        node = subject.tree[path]
        if not node.is_file:
            continue
        mode, uid, gid = facts(node)
        if not mode & 0o001:
            yield Fault(message=f"not executable ({mode:04o})", paths=(path,))
        elif mode not in (0o775, 0o755):
            yield Fault(message=f"of mode {mode:04o}, not 0775", paths=(path,), level="warning")
        if (uid, gid) not in ((0, STAFF), (_USER, STAFF)):
            yield Fault(message=f"owned by {uid}:{gid}, not by 0:{STAFF}", paths=(path,), level="warning")


def _misnamed(subject: Subject) -> tuple[str, ...]:
    """Return what lies in the start-up folder under a name that the loader does not look for."""
    return tuple(path for path in subject.startup if path != f"{STARTUP}/{subject.name}")


def _repair_name(subject: Subject, _context: Context) -> Subject:
    scripts = [path for path in subject.startup if subject.tree[path].is_file]
    if len(scripts) != 1 or len(subject.startup) != 1:
        return subject
    nodes = dict(subject.tree.items())
    nodes[f"{STARTUP}/{subject.name}"] = nodes.pop(scripts[0])
    return subject.with_tree(nodes.items())


@check(
    "startup-name",
    "error",
    """The start-up script has the package's own name and is alone in usr/local/tce.installed. The loader runs
    that one and no other; a file with another package's name there makes that package look loaded.""",
    repair=_repair_name,
)
def startup_name(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    for path in _misnamed(subject):
        wanted = f"{STARTUP}/{subject.name}"
        yield Fault(message=f"is never run: the loader looks for {wanted}", paths=(path,))


@check(
    "startup-shebang",
    "error",
    """A start-up script begins with #!/bin/sh. Without such a line it depends on who starts it whether it
    runs at all, and the base has no other shell than BusyBox's.""",
)
def startup_shebang(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    interpreters = dict(subject.scripts)
    for path in subject.startup:
        if not subject.tree[path].is_file or not subject.tree[path].size:
            continue
        line = interpreters.get(path)
        if line is None:
            yield Fault(message="does not begin with #!/bin/sh", paths=(path,))
        elif not _SHELLS.match(line.strip()):
            yield Fault(message=f"runs with {line.strip()}, not /bin/sh", paths=(path,), level="warning")


def _repair_lines(subject: Subject, _context: Context) -> Subject:
    bad = {path for path, data in _scripts(subject) if b"\r\n" in data}
    return subject.with_tree(
        (path, replace(node, data=node.read().replace(b"\r\n", b"\n"))) if path in bad else (path, node)
        for path, node in subject.tree.items()
    )


def _scripts(subject: Subject) -> Iterator[tuple[str, bytes]]:
    texts = dict(subject.texts)
    for path, _ in subject.scripts:
        if path in texts:
            yield path, texts[path]


@check(
    "script-line-ends",
    "error",
    """A script with line ends as Windows writes them does not run: the kernel looks for an interpreter whose
    name ends with a carriage return.""",
    repair=_repair_lines,
)
def script_line_ends(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = tuple(path for path, data in _scripts(subject) if b"\r\n" in data)
    if paths:
        yield Fault(message="lines end with CR LF", paths=paths)


@check(
    "script-syntax",
    "error",
    """A shell script that the shell cannot parse stops halfway, with some of its work done. Scripts for
    /bin/sh are parsed (never run) with BusyBox's ash where this machine has it, else with its own sh.""",
)
def script_syntax(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    if context.shell is None:
        return
    interpreters = dict(subject.scripts)
    for path, data in _scripts(subject):
        if _SHELLS.match(interpreters[path].strip()) and b"\r\n" not in data:
            complaint = context.shell(data)
            if complaint is not None:
                yield Fault(message=f"the shell says: {complaint}", paths=(path,))


def interpreter_of(line: str) -> tuple[str, str | None]:
    """Return the program of a ``#!`` line, and for env the name that it is to look up."""
    words = line.split()
    program = words[0] if words else ""
    if program.rpartition("/")[2] != "env":
        return program, None
    names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return program, names[0] if names else None


@check(
    "script-interpreter",
    "warning",
    """The interpreter of a script must be in the package, in the base or in a package that it needs. A base
    has no bash, perl or python; theirs lie below /usr/local. Where all that the package needs is known, a
    missing interpreter of a program is an error.""",
)
def script_interpreter(subject: Subject, context: Context) -> Iterator[Fault]:
    """See the text above."""
    around = neighbours(subject, context)
    missing: dict[str, list[str]] = {}
    for path, line in subject.scripts:
        program, name = interpreter_of(line)
        if not program.startswith("/"):
            missing.setdefault(program or "nothing", []).append(path)
        elif not around.has(program.strip("/")):
            missing.setdefault(program, []).append(path)
        elif name is not None and not around.has_program(name):
            missing.setdefault(f"{name} (by {program})", []).append(path)
    for program, paths in sorted(missing.items()):
        run = [path for path in paths if _PROGRAMS.match(path) or path.startswith(STARTUP)]
        certain = around.complete and bool(run)
        hint = None if around.complete else "it may be in a package that is not known here (--against)"
        yield Fault(
            message=f"the interpreter {program} is not there",
            paths=tuple(paths),
            hint=hint,
            level="error" if certain else "warning" if run else "note",
        )


def _not_executable(subject: Subject) -> tuple[str, ...]:
    """Return programs that nobody can start: in a folder of programs, and a script or an ELF file."""
    scripts = {path for path, _ in subject.scripts}
    programs = {path for path, elf in subject.elves if elf.kind == "executable" and not elf.is_kernel_module}
    return tuple(
        path
        for path, node in subject.files
        if _PROGRAMS.match(path) and path in scripts | programs and not node.mode & 0o001
    )


def _repair_executable(subject: Subject, _context: Context) -> Subject:
    paths = _not_executable(subject)
    return subject.with_tree(
        (path, replace(node, mode=node.mode | 0o111)) if path in paths else (path, node)
        for path, node in subject.tree.items()
    )


@check(
    "not-executable",
    "error",
    """A program in a folder of programs (bin, sbin) that not everybody may execute cannot be started by the
    user tc.""",
    repair=_repair_executable,
)
def not_executable(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _not_executable(subject)
    if paths:
        yield Fault(message="a program that not everybody may execute", paths=paths)


_NO_PROGRAMS = re.compile(
    r".*\.(?:h|hpp|a|la|pc|conf|desktop|png|svg|xpm|html?|txt|md|mo|gz|xml|json|toml|cmake|m4)\Z|.*/man/man[^/]+/.*"
)


def _needlessly_executable(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path
        for path, node in subject.files
        if node.mode & 0o111 and _NO_PROGRAMS.match(path) and not subject.head(path).startswith(b"#!")
    )


def _repair_needless(subject: Subject, _context: Context) -> Subject:
    paths = _needlessly_executable(subject)
    return subject.with_tree(
        (path, replace(node, mode=node.mode & ~0o111)) if path in paths else (path, node)
        for path, node in subject.tree.items()
    )


@check(
    "needless-executable",
    "note",
    """Headers, libraries for the linker, manual pages, pictures and configuration are no programs and need no
    executable bit.""",
    repair=_repair_needless,
)
def needless_executable(subject: Subject, _context: Context) -> Iterator[Fault]:
    """See the text above."""
    paths = _needlessly_executable(subject)
    if paths:
        yield Fault(message="executable, though it is no program", paths=paths)


CHECKS = (
    startup_folder,
    startup_script,
    startup_name,
    startup_shebang,
    script_line_ends,
    script_syntax,
    script_interpreter,
    not_executable,
    needless_executable,
)
