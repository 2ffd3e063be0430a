"""One Debian package as drafts of extensions: NAME, and NAME-doc and NAME-locale where there is any."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from tcz import deb
from tcz.errors import VerifyError
from tcz.importing import accounts, archive, placing, scripts
from tcz.importing.control import parse_control
from tcz.importing.copyright import licence_of
from tcz.importing.draft import Draft, Note, Origin
from tcz.names import package_name
from tcz.split import LICENCE_FOLDER
from tcz.store import sha256_file
from tcz.tree import Node, Tree, symlink

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.bases import Base
    from tcz.importing.control import Control
    from tcz.importing.placing import Prefix

#: Files without a use on Tiny Core, and why; the rest of the path is whatever it is.
_USELESS: Final = (
    (r"usr/share/lintian(?:/|\Z)|usr/share/bug(?:/|\Z)|usr/share/doc-base(?:/|\Z)", "of use to Debian only"),
    (r"usr/lib/systemd(?:/|\Z)", "systemd's"),
    (r"usr/lib/(?:sysusers|tmpfiles)\.d(?:/|\Z)", "done by the start-up script"),
    (
        r"usr/share/(?:debconf|apport|menu|dh-.*|debhelper|python3/runtime\.d)(?:/|\Z)",
        "of use to Debian only",
    ),
    (r"usr/share/runit(?:/|\Z)|etc/sv(?:/|\Z)", "runit's"),
)
#: What becomes of manuals and translations: packages of their own, part of the package, nothing.
Docs = Literal["split", "keep", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebOptions:
    """How a package is laid out: where its files go, what becomes of manuals and translations."""

    base: Base
    prefix: Prefix = "keep"
    docs: Docs = "split"
    #: Configuration files are put where programs may change them, by the start-up script.
    copy_conffiles: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A Debian package read: its control fields and drafts, the first of which is the package itself.

    ``links`` are alternatives not yet decided on, for there may be others for the same path.
    """

    control: Control
    drafts: tuple[Draft, ...]
    links: tuple[scripts.Link, ...]


@dataclass(slots=True, kw_only=True)
class _Work:
    """What one import collects on the way."""

    name: str
    tree: Tree
    options: DebOptions
    notes: list[Note]
    lines: list[str] = field(default_factory=list)
    links: tuple[scripts.Link, ...] = ()

    def note(self, verdict: str, where: str, text: str) -> None:
        self.notes.append(Note(verdict=verdict, where=where, text=text))  # type: ignore[arg-type]


def read(path: Path, spool: archive.Spool, options: DebOptions, *, title: str | None = None) -> Imported:
    """Read a .deb file. Nothing of it is run, and nothing but ``spool`` is written to.

    ``title`` is what the file is to be called, where it lies under another name.
    Raises ``VerifyError`` for a file that is damaged, hostile or for another architecture.
    """
    files = _control_files(path, spool)
    control = _control(path, files)
    contents = archive.read(deb.member(path, "data.tar"), spool, archive.Owners.of(options.base))
    work = _Work(name=control.package, tree=contents.tree, options=options, notes=list(contents.notes))
    epoch = max((node.mtime for _, node in work.tree.items() if not node.is_dir), default=0)
    licence = licence_of(_text(work.tree, f"usr/share/doc/{control.package}/copyright"))
    declared = _declared(work)
    _drop_useless(work)
    _scripts(work, files, declared)
    conffiles = _conffiles(files)
    _place(work)
    _configuration(work, conffiles)
    origin = Origin(kind="Debian package", name=title or path.name, sha256=sha256_file(path))
    main = Draft(
        name=package_name(control.package),
        version=control.version,
        tree=work.tree,
        origins=(origin,),
        epoch=epoch,
        summary=control.summary,
        license=licence,
        homepage=control.homepage,
        tags=(control.section,) if control.section else (),
        startup=tuple(work.lines),
        notes=tuple(work.notes),
    )
    return Imported(control=control, drafts=_split(main, options.docs), links=work.links)


def read_control(path: Path, spool: archive.Spool) -> Control:
    """Return the control fields of a .deb file. Raises ``VerifyError``."""
    return _control(path, _control_files(path, spool))


def with_links(draft: Draft, links: tuple[scripts.Link, ...], base: Base, prefix: Prefix) -> Draft:
    """Return the draft with those links of the alternatives system that lead to files of its own.

    A link that the base has a program for stays the base's, which is told.
    """
    nodes: dict[str, Node] = {}
    notes = []
    for link in links:
        path = placing.new_place(link.path, prefix)
        target = placing.new_place(link.target.lstrip("/"), prefix)
        if target not in draft.tree or path in draft.tree:
            continue
        if base.has(path) or (posixpath.basename(path) in base.programs and "bin/" in path):
            notes.append(
                Note(verdict="left-out", where=path, text=f"link to /{target}: the base has its own")
            )
            continue
        nodes[path] = symlink(f"/{target}", mtime=draft.epoch)
        notes.append(
            Note(verdict="done", where=path, text=f"link to /{target}, as update-alternatives would")
        )
    if not nodes and not notes:
        return draft
    tree = placing.on_base(Tree({**dict(draft.tree.items()), **nodes}), base)
    return replace(draft, tree=tree, notes=(*draft.notes, *notes))


def _control_files(path: Path, spool: archive.Spool) -> dict[str, bytes]:
    nobody = archive.Owners(users={}, groups={})
    tree = archive.read(deb.member(path, "control.tar"), spool, nobody).tree
    return {name: node.read() for name, node in tree.items() if node.is_file}


def _control(path: Path, files: dict[str, bytes]) -> Control:
    try:
        control = parse_control(files.get("control", b""))
    except VerifyError as error:
        raise VerifyError(error.what, where=str(path), why=error.why) from error
    if control.architecture not in ("amd64", "all"):
        raise VerifyError(
            f"a package for {control.architecture or 'no machine'}, not for amd64", where=str(path)
        )
    return control


def _text(tree: Tree, path: str) -> str:
    node = tree.get(path)
    return node.read().decode(errors="replace") if node is not None and node.is_file else ""


def _conffiles(files: dict[str, bytes]) -> tuple[str, ...]:
    lines = (line.split() for line in files.get("conffiles", b"").decode(errors="replace").splitlines())
    return tuple(words[-1].lstrip("/") for words in lines if words and words[0] != "remove-on-upgrade")


def _declared(work: _Work) -> tuple[tuple[accounts.Account, ...], tuple[accounts.Place, ...]]:
    """Return what files of sysusers.d and tmpfiles.d ask for."""
    users: list[accounts.Account] = []
    places: list[accounts.Place] = []
    for path in work.tree:
        if re.fullmatch(r"usr/lib/sysusers\.d/[^/]+\.conf", path):
            found, notes = accounts.parse_sysusers(_text(work.tree, path), path)
            users += found
            work.notes += notes
        elif re.fullmatch(r"usr/lib/tmpfiles\.d/[^/]+\.conf", path):
            wanted, notes = accounts.parse_tmpfiles(_text(work.tree, path), path)
            places += wanted
            work.notes += notes
    return tuple(users), tuple(places)


def _drop_useless(work: _Work) -> None:
    lost: set[str] = set()
    for pattern, why in _USELESS:
        hits = [path for path in work.tree if re.match(pattern, placing.usr_merged(path))]
        files = [path for path in hits if not work.tree[path].is_dir]
        lost.update(hits)
        if files:
            more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
            work.note("left-out", files[0], why + more)
    work.tree = placing.without(work.tree, lost)


def _scripts(
    work: _Work,
    files: dict[str, bytes],
    declared: tuple[tuple[accounts.Account, ...], tuple[accounts.Place, ...]],
) -> None:
    users, places = list(declared[0]), declared[1]
    shells: list[str] = []
    commands: list[str] = []
    for name in ("preinst", "postinst"):
        found = scripts.effects_of(files.get(name, b"").decode(errors="replace"), name)
        users += found.accounts
        shells += found.shells
        commands += found.commands
        work.links += found.links
        work.notes += found.notes
    if "config" in files:
        work.note("left-out", "config", "questions that debconf would ask: the defaults apply")
    for account in dict.fromkeys(users):
        work.note("done", "start-up script", f"makes {_account(account)} where missing")
    for place in dict.fromkeys(places):
        work.note("done", "start-up script", f"makes the {place.kind} {place.path} where missing")
    for shell in shells:
        work.note("done", "start-up script", f"enters {shell} into /etc/shells")
    for command in commands:
        work.note("done", "start-up script", f"runs: {command}")
    work.lines += accounts.account_lines(tuple(users))
    work.lines += accounts.place_lines(places)
    work.lines += commands
    work.lines += [
        f"grep -qx {quoted} /etc/shells 2>/dev/null || echo {quoted} >>/etc/shells"
        for quoted in map(shlex.quote, dict.fromkeys(shells))
    ]
    work.tree = _with_shells(work.tree, shells)


def _with_shells(tree: Tree, shells: list[str]) -> Tree:
    """Add links where a shell is looked for but, on a usr-merged Debian, is not shipped."""
    links = {}
    for shell in shells:
        path = shell.lstrip("/")
        if path not in tree and placing.usr_merged(path) in tree and re.fullmatch(r"s?bin/[^/]+", path):
            links[path] = symlink(f"../usr/{path}")
    return Tree({**dict(tree.items()), **links})


def _account(account: accounts.Account) -> str:
    if isinstance(account, accounts.User):
        return f"the user {account.name}"
    if isinstance(account, accounts.Group):
        return f"the group {account.name}"
    return f"{account.user} a member of {account.group}"


def _place(work: _Work) -> None:
    """Move files where they belong, add the links that lead to them, give folders the base's look."""
    base, prefix = work.options.base, work.options.prefix
    before = work.tree
    initd = [path for path in before if path.startswith("etc/init.d/")]
    for path in initd:
        name = posixpath.basename(path)
        work.note(
            "changed",
            path,
            f"now /usr/local/etc/init.d/{name}; start it with: sudo /usr/local/etc/init.d/{name} start",
        )

    doc = f"usr/share/doc/{work.name}"
    shared = before.get(doc)
    linked = shared.read().decode(errors="surrogateescape") if shared is not None and shared.is_link else None

    def place(path: str) -> str:
        if linked is not None and path == posixpath.normpath(posixpath.join("usr/share/doc", linked)):
            # Another package's folder, whose texts are put there as this one's are.
            return path.replace("usr/share/doc", LICENCE_FOLDER, 1)
        if path == doc or re.fullmatch(rf"{re.escape(doc)}/(?:copyright|NOTICE[^/]*)", path):
            node = before.get(path)
            if path != doc or (node is not None and node.is_link):
                return path.replace("usr/share/doc", LICENCE_FOLDER, 1)
        return placing.new_place(path, prefix)

    nodes = dict(placing.move(before, place).items())
    if prefix == "keep":
        nodes = {**placing.old_programs(before, base), **nodes}
    tree = Tree(nodes)
    tree = Tree({**placing.library_links(tree, base), **nodes})
    taken = [path for path, node in tree.items() if not node.is_dir and base.has(path)]
    if taken:
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        work.note(
            "changed", taken[0], f"the base has this already and keeps its own, unless loaded with -f{more}"
        )
    work.tree = placing.on_base(tree, base)


def _configuration(work: _Work, conffiles: tuple[str, ...]) -> None:
    """Keep configuration files aside and let the start-up script copy those that are missing."""
    if not work.options.copy_conffiles:
        return
    folder = f"usr/local/share/{work.name}/conffiles"
    moved = {}
    for conffile in conffiles:
        path = work.options.base.real(placing.new_place(conffile, work.options.prefix))
        node = work.tree.get(path)
        movable = path.startswith(("etc/", "usr/local/etc/")) and "/init.d/" not in path
        if node is not None and not node.is_dir and movable:
            moved[path] = f"{folder}/{path}"
    if not moved:
        return
    aside = placing.move(work.tree, lambda path: moved.get(path, path))
    work.tree = placing.on_base(aside, work.options.base)
    work.note(
        "changed", next(iter(moved)), f"{len(moved)} configuration files are copied where they are missing"
    )
    work.lines += [
        f"cd /{shlex.quote(folder)} && find . ! -type d | while read -r file; do",
        '    [ -e "/$file" ] || { mkdir -p "/${file%/*}" && cp -p "$file" "/$file"; }',
        "done",
    ]


def _split(draft: Draft, docs: Docs) -> tuple[Draft, ...]:
    parts = placing.divided(draft.tree)
    own = draft.name.endswith(("-doc", "-locale"))
    if docs == "keep" or own:
        return (draft,)
    if docs == "drop":
        return (replace(draft, tree=parts["main"]),)
    drafts = [replace(draft, tree=parts["main"])]
    for kind, what in (("doc", "documentation"), ("locale", "translations")):
        if kind in parts:
            drafts.append(
                replace(
                    draft,
                    name=package_name(f"{draft.name}-{kind}"),
                    tree=parts[kind],
                    summary=f"{draft.summary} ({what})",
                    notes=(),
                    needs=(),
                    startup=(),
                )
            )
    return tuple(drafts)
