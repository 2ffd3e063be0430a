"""Maintainer scripts read, never run: effects that are known are translated, everything else is told.

Only what happens when a package is first installed matters: ``postinst configure`` and ``preinst
install``. An extension is not upgraded or removed on a running system, so the rest has no meaning.
See deb-postinst(5) and Debian Policy 6.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tcz.buildroot import alternatives
from tcz.importing.accounts import Account, Group, Member, User, is_account
from tcz.importing.draft import Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How many commands of one script are told before the rest is only counted.
_TOLD = 12
#: Quotes that stay open for longer than this were none.
_LONGEST = 20_000
_BEGIN = re.compile(r"#\s*Automatically added by (\S+?)(?:/\S*)?\s*$")
_END = re.compile(r"#\s*End automatically added section")

#: Sections of debhelper's tools with nothing to do for an extension.
_SECTIONS: Final = frozenset(
    {
        "dh_installsystemd",  # no systemd here
        "dh_installsystemduser",  # no systemd here
        "dh_systemd_enable",  # no systemd here
        "dh_systemd_start",  # no systemd here
        "dh_installinit",  # services are started by the name in /etc/sysconfig/services or bootlocal.sh
        "dh_installdebconf",  # no debconf here
        "dh_ucf",  # configuration files are copied where they are missing
        "dh_installtmpfiles",  # done by the start-up script
        "dh_installsysusers",  # done by the start-up script
        "dh_makeshlibs",  # the loader of extensions runs ldconfig
        "dh_python3",  # byte code is compiled when it is used
        "pybuild",  # byte code is compiled when it is used
        "dh_installdeb",  # only for upgrades
        "dh_installmenu",  # no menu here
        "dh_installman",  # no index of manual pages here
        "dh_installmodules",  # the loader of extensions runs depmod
        "dh_installudev",  # rules are read at boot
        "dh_apparmor",  # no AppArmor profiles are loaded
        "dh_bugfiles",  # nothing to do
        "dh_lisp",  # nothing to do
    }
)
#: Commands without an effect that an extension could miss.
_HARMLESS: Final = frozenset(
    (
        *(
            "set",
            "exit",
            "return",
            "shift",
            "local",
            "true",
            "false",
            ":",
            "echo",
            "printf",
            "cat",
            "test",
            "[",
        ),
        *("trap", "export", "readonly", "unset", "umask", "cd", "break", "continue", "read", "break", "eval"),
        *("ldconfig", "dpkg", "dpkg-maintscript-helper", "dpkg-trigger", "dpkg-query", "deb-systemd-helper"),
        *(
            "deb-systemd-invoke",
            "systemctl",
            "systemd-tmpfiles",
            "systemd-sysusers",
            "systemd-hwdb",
            "update-rc.d",
        ),
        *(
            "invoke-rc.d",
            "service",
            "udevadm",
            "py3compile",
            "py3clean",
            "update-python-modules",
            "ucfr",
            "ucf",
        ),
        *("update-mime", "update-desktop-database", "gtk-update-icon-cache", "install-info", "update-menus"),
        *(
            "apparmor_parser",
            "aa-status",
            "command",
            "which",
            "type",
            "getent",
            "id",
            "grep",
            "sed",
            "awk",
            "cut",
        ),
        *(
            "rm",
            "egrep",
            "fgrep",
            "head",
            "tail",
            "sort",
            "tr",
            "wc",
            "basename",
            "dirname",
            "readlink",
            "realpath",
            "uname",
            "sleep",
        ),
        *("update-alternatives", "glib-compile-schemas", "update-mime-database", "mandb", "restorecon"),
        *("pycompile", "dpkg-vendor", "needrestart", "kill", "pidof", "stat", "find", "xargs", "rmdir"),
    )
)
_KEYWORDS: Final = frozenset(
    (
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "case",
        "esac",
        "for",
        "while",
        "until",
        "do",
        "done",
        "in",
        "{",
        "}",
        "!",
    )
)
_DONE_AS_IT_IS: Final = frozenset(("mkdir", "chown", "chmod", "chgrp", "touch"))
_ACCOUNTS: Final = frozenset(("adduser", "useradd", "addgroup", "groupadd", "usermod"))
_WRITABLE = ("/var/", "/run/", "/etc/")
_UPGRADE = re.compile(r"compare-versions|-n\s+\"?\$\{?2|maintscript-helper|\$\{?2\b.*(?:!=|-n)")
_ARM = re.compile(r"^\s*\(?([\w|*\"'\s.-]+)\)\s*(.*)$")
#: The first words that maintainer scripts are called with, and those of a first installation.
_CALLS: Final = frozenset(
    ("configure", "install", "upgrade", "triggered", "abort-upgrade", "abort-remove", "abort-deconfigure")
)
_CALLS_OF_FIRST: Final = frozenset(("configure", "install"))
_VALUED: Final = frozenset(
    (
        *("--home", "--shell", "--uid", "--gid", "--ingroup", "--gecos", "--comment", "--conf", "--firstuid"),
        *(
            "--lastuid",
            "--firstgid",
            "--lastgid",
            "-d",
            "-s",
            "-u",
            "-g",
            "-c",
            "-G",
            "--groups",
            "-K",
            "--key",
        ),
        *("--home-dir", "--base-dir", "-b"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of the alternatives system; the highest priority of those that are there wins."""

    path: str
    target: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What installing a package would do beside its files; ``commands`` are done as they are written."""

    links: tuple[Link, ...] = ()
    accounts: tuple[Account, ...] = ()
    shells: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class _Found:
    links: list[Link] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    shells: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def take(self, program: str, words: list[str], text: str) -> bool:
        """Take in one command; tell whether nothing of it is lost."""
        if program in _ACCOUNTS:
            made = _accounts(program, words[1:])
            self.accounts += made
            return bool(made)
        if program == "add-shell":
            self.shells += [word for word in words[1:] if word.startswith("/") and "$" not in word]
            return True
        if program == "update-alternatives" and "--install" in words:
            return "$" not in text
        if program == "dpkg-statoverride":
            return "--list" in words
        if program in _DONE_AS_IT_IS and _is_literal(words):
            self.commands.append(shlex.join([program, *_for_busybox(program, words[1:])]))
            return True
        return program in _HARMLESS or program.startswith("db_")


def effects_of(script: str, name: str) -> Effects:
    """Return what a script (``name`` is ``postinst`` or ``preinst``) does at first installation."""
    if script.startswith("#!") and not re.match(r"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:ba|da)?sh\b", script):
        return Effects(
            notes=(Note(verdict="by-hand", where=name, text="not a shell script: not done at all"),)
        )
    found = _Found()
    for path, target, priority in alternatives(script):
        found.links.append(Link(path=path.lstrip("/"), target=target, priority=priority))
    for words, text in _commands(script):
        if not found.take(words[0].rpartition("/")[2], words, text):
            found.untold.append(text)
    told = dict.fromkeys(found.untold)
    notes = [Note(verdict="by-hand", where=name, text=f"not done: {text}") for text in list(told)[:_TOLD]]
    if len(told) > _TOLD:
        notes.append(Note(verdict="by-hand", where=name, text=f"not done: {len(told) - _TOLD} more commands"))
    return Effects(
        links=tuple(found.links),
        accounts=tuple(dict.fromkeys(found.accounts)),
        shells=tuple(dict.fromkeys(found.shells)),
        commands=tuple(dict.fromkeys(found.commands)),
        notes=tuple(notes),
    )


def sections(script: str) -> tuple[str, ...]:
    """Return the debhelper tools that added something to a script."""
    return tuple(
        dict.fromkeys(found[1] for line in script.splitlines() if (found := _BEGIN.match(line.strip())))
    )


# -- shell, as far as it is needed ----------------------------------------------------------------


def _commands(script: str) -> Iterator[tuple[list[str], str]]:
    """Yield the simple commands that a first installation may reach, as words and as text."""
    own = set(re.findall(r"^\s*(?:function\s+)?([\w-]+)\s*\(\s*\)", script, re.MULTILINE))
    for line in _reached(_lines(script)):
        for part in _parts(line):
            text = re.sub(r"^(?:(?:if|then|elif|else|do|while|until|!|\{|\})(?:\s+|\Z))+", "", part.strip())
            text = re.sub(r"\s*(?:\d?>>?\s*(?:&\d|/dev/\S+)|<\s*\S+)", "", text).strip()
            if (
                not text
                or text in _KEYWORDS
                or re.match(r"(?:for|case|function)\b|[\w-]+\s*\(\s*\)|[)(}]", text)
            ):
                continue
            if re.match(r"[A-Za-z_]\w*\+?=", text) or text.startswith((". ", "source ", "$", '"', "'", "#")):
                continue
            try:
                words = shlex.split(text)
            except ValueError:
                words = text.split()
            # What a function of the script does is told where it is defined.
            if words and words[0] not in own:
                yield words, " ".join(text.split())


def _parts(line: str) -> Iterator[str]:
    """Divide a line into simple commands at ``;``, ``&`` and ``|`` outside of quotes and parentheses."""
    start, quote, depth, skip = 0, "", 0, False
    for at, char in enumerate(line):
        if skip:
            skip = False
        elif char == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == "(" and line[:at].endswith("$"):
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif char in ";&|\n" and not depth and not (char == "&" and line[at - 1 : at] in (">", "<")):
            yield line[start:at]
            start = at + 1
    yield line[start:]


def _is_open(line: str) -> bool:
    """Tell a line that ends within quotes."""
    quote, skip = "", False
    for at, char in enumerate(line):
        if skip:
            skip = False
        elif char == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (at == 0 or line[at - 1] in " \t;"):
            return False
    return bool(quote)


def _lines(script: str) -> Iterator[str]:
    """Yield lines without comments, here-documents and sections with nothing to do; continued ones joined."""
    ignored = False
    until: str | None = None
    begun = ""
    for line in re.sub(r"\\\n\s*", " ", script).splitlines():
        if until is not None:
            until = None if line.strip() == until else until
            continue
        begin = None if begun else _BEGIN.match(line.strip())
        if begin is not None:
            ignored = begin[1] in _SECTIONS
        elif not begun and _END.match(line.strip()):
            ignored = False
        elif not ignored and (begun or (line.strip() and not line.lstrip().startswith("#"))):
            whole = f"{begun}{line}"
            if _is_open(whole) and len(whole) < _LONGEST:
                begun = whole + " "
                continue
            begun = ""
            here = re.search(r"<<-?\s*[\"']?(\w+)", whole)
            until = here[1] if here else None
            yield re.sub(r"\s#\s.*$", "", whole)


def _reached(lines: Iterator[str]) -> Iterator[str]:
    """Leave out what only upgrades and other calls of the script reach."""
    conditions: list[bool] = []
    arms: list[bool] = []
    for line in lines:
        text = line.strip()
        if re.match(r"case\b", text):
            # Of a case on the call's kind, nothing is reached before the right arm.
            arms.append(re.match(r"case\b.*\$\{?1\b", text) is None)
            continue
        if re.match(r"esac\b", text):
            arms = arms[:-1]
            continue
        arm = _ARM.match(line) if arms and not text.startswith("(") else None
        if arm is not None:
            arms[-1] = _arm_reached(arm[1], before=arms[-1])
            text = arm[2]
        if re.match(r"if\b", text):
            conditions.append(_UPGRADE.search(text) is None)
        elif re.match(r"else\b|elif\b", text) and conditions:
            conditions[-1] = True
        if text and all(conditions) and all(arms):
            yield text
        if re.search(r"(?:^|;\s*|\s)fi\b", text):
            conditions = conditions[:-1]


def _arm_reached(labels: str, *, before: bool) -> bool:
    words = set(re.split(r"[\s|\"']+", labels))
    return bool(_CALLS_OF_FIRST & words) if _CALLS & words else before


def _for_busybox(program: str, words: Sequence[str]) -> list[str]:
    """Return a command's words without the option for SELinux labels, which BusyBox lacks."""
    if program != "mkdir":
        return list(words)
    plain = [word.replace("Z", "") if re.match("-[A-Za-z]+$", word) else word for word in words]
    return [word for word in plain if word != "-"]


def _is_literal(words: Sequence[str]) -> bool:
    if any(re.search(r"[$`*?~]", word) for word in words):
        return False
    paths = [word for word in words[1:] if word.startswith("/")]
    safe = all(f"{path}/".startswith(_WRITABLE) and "/../" not in f"{path}/" for path in paths)
    return bool(paths) and safe and all(path.count("/") > 1 for path in paths)


def _accounts(program: str, words: Sequence[str]) -> tuple[Account, ...]:
    """Return the accounts that a command makes; none where it cannot be told."""
    options, names = _options(words)
    if any("$" in word or "`" in word for word in (*names, *options.values())) or not all(
        map(is_account, names)
    ):
        return ()
    number = options.get("--uid") or options.get("-u") or options.get("--gid") or options.get("-g") or ""
    if program in ("addgroup", "groupadd") or (
        program == "adduser" and "--group" in options and not _system(options)
    ):
        return tuple(Group(name=name, gid=int(number) if number.isdigit() else None) for name in names[:1])
    if program == "usermod":
        groups = (options.get("-G") or options.get("--groups") or "").split(",")
        return tuple(Member(user=names[0], group=group) for group in groups if names and is_account(group))
    if program == "adduser" and len(names) == 2:  # noqa: PLR2004 - a user and a group
        return (Member(user=names[0], group=names[1]),)
    if len(names) != 1:
        return ()
    group = options.get("--ingroup") or (options.get("--gid") or options.get("-g") or "")
    uid = options.get("--uid") or options.get("-u") or ""
    home = options.get("--home") or options.get("-d") or options.get("--home-dir") or "/nonexistent"
    shell = options.get("--shell") or options.get("-s") or "/bin/false"
    return (
        User(
            name=names[0],
            uid=int(uid) if uid.isdigit() else None,
            # Debian's system users without a group of their own belong to nogroup.
            group=group
            if is_account(group)
            else ""
            if "--group" in options or program == "useradd"
            else "nogroup",
            home=home,
            shell="/bin/false" if shell.endswith("nologin") else shell,
            make_home=home != "/nonexistent" and "--no-create-home" not in options and program == "adduser",
        ),
    )


def _system(options: dict[str, str]) -> bool:
    return "--system" in options or "-r" in options


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    names: list[str] = []
    waiting = ""
    for word in words:
        if waiting:
            options[waiting] = word
            waiting = ""
        elif word.startswith("-") and "=" in word:
            key, _, value = word.partition("=")
            options[key] = value
        elif word in _VALUED:
            waiting = word
        elif word.startswith("-"):
            options[word] = ""
        else:
            names.append(word)
    return options, names
