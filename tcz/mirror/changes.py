"""Changes that a user makes: packages added and removed, indexes made anew, a mirror begun."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tcz.errors import CheckError, ConfigError, Problem, ToolkitError
from tcz.mirror import config as configs
from tcz.mirror.entries import Entries, differing
from tcz.mirror.examine import examine
from tcz.mirror.model import EMPTY, listed
from tcz.mirror.objects import Objects
from tcz.mirror.publish import planned, publish, unsigned
from tcz.mirror.repository import CONFIG, Mirror
from tcz.mirror.verify import Measuring
from tcz.names import KERNEL, file_name, follows_kernel, package_name
from tcz.threads import Threads
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tcz.mirror.config import Config
    from tcz.mirror.examine import Examined
    from tcz.mirror.model import Branch, Catalogue, Entry
    from tcz.mirror.publish import Sign
    from tcz.reporting import Reporter

    Change = Literal["new", "replaced", "companions", "unchanged", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What became of a package. ``size`` is that of its .tcz, ``notes`` tell what was put right."""

    name: str
    change: Change
    version: str = ""
    size: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change of a mirror did; ``serial`` is that of the state shown afterwards."""

    branch: str
    serial: int
    published: bool
    packages: tuple[Changed, ...] = ()
    warnings: tuple[str, ...] = ()


def init(root: Path, config: Config, reporter: Reporter, sign: Sign = unsigned) -> Mirror:
    """Begin a mirror in a folder, made if need be, and publish it with nothing in it.

    Raises ``ConfigError`` for a folder that holds something else, or a mirror.
    """
    if (root / CONFIG).exists():
        raise ConfigError(
            f"there is a mirror in {root} already", hint=f"its configuration is {root / CONFIG}"
        )
    # What an earlier try left that ended early is no matter.
    if root.is_dir() and any(not path.name.startswith(f".{CONFIG}.") for path in root.iterdir()):
        raise ConfigError(f"{root} is not empty", hint="name a folder that is empty or does not exist")
    root.mkdir(parents=True, exist_ok=True)
    configs.write(root, config)
    mirror = Mirror.open(root)
    with mirror.writing(reporter) as writer:
        begun = replace(EMPTY, branches={branch: {} for branch in config.branches})
        publish(writer, config, begun, old=EMPTY, sign=sign)
    return mirror


def add(
    mirror: Mirror,
    files: Sequence[Path],
    branch: Branch,
    reporter: Reporter,
    *,
    replacing: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    sign: Sign = unsigned,
) -> Outcome:
    """Publish packages in a branch, all or none of them.

    Raises ``ConfigError`` or ``VerifyError`` for those that cannot be published; ``CheckError`` for a name
    that has other bytes already (unless ``replacing``), or (``strict``) one that needs what nobody provides.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        if dry_run:
            with tempfile.TemporaryDirectory() as folder:
                found = _examined(files, Objects(Path(folder)), reporter)
        else:
            found = _examined(files, mirror.objects, reporter)
        before = old.entries(branch)
        if not replacing:
            _refuse_others(found, before)
        entries = Entries.of(before).changed(_joined(one.entry, before) for one in found)
        warnings = _missing([one.entry for one in found], entries)
        if warnings and strict:
            raise CheckError("nobody provides what some packages need", why="\n".join(warnings))
        packages = tuple(_told(one, before) for one in found)
        if dry_run:
            return Outcome(
                branch=str(branch), serial=old.serial, published=False, packages=packages, warnings=warnings
            )
        made = publish(
            writer, config, _complete(config, old.with_branch(branch, entries)), old=old, sign=sign
        )
    return _outcome(branch, old, made, packages, warnings)


def _examined(files: Sequence[Path], objects: Objects, reporter: Reporter) -> tuple[Examined, ...]:
    """Examine packages; raises one error for all that cannot be published."""
    found: dict[str, Examined] = {}
    errors: list[ToolkitError] = []
    with (
        reporter.step("examine packages", total=len(files)) as step,
        Threads(len(os.sched_getaffinity(0))) as pool,
    ):
        for count, (path, one) in enumerate(zip(files, pool.map(_tried(objects), files), strict=True)):
            step.progress(count, len(files))
            step.detail(path.name)
            if isinstance(one, ToolkitError):
                errors.append(one)
                continue
            other = found.setdefault(one.entry.name, one)
            if other.entry != one.entry:
                errors.append(ConfigError(f"{file_name(one.entry.name)} was named twice, with other bytes"))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [
            Problem(where=error.where or "", message=" ".join(filter(None, (error.what, error.why))))
            for error in errors
        ]
        told = ConfigError("some packages cannot be published; nothing was added", problems)
        told.exit_code = max(error.exit_code for error in errors)
        raise told
    return tuple(found.values())


def _tried(objects: Objects) -> Callable[[Path], Examined | ToolkitError]:
    def tried(path: Path) -> Examined | ToolkitError:
        try:
            return examine(path, objects)
        except ToolkitError as error:
            return error

    return tried


def _refuse_others(found: Sequence[Examined], before: Mapping[str, Entry]) -> None:
    problems = [
        f"{file_name(one.entry.name)} is there with other bytes (sha256 {was.sha256[:12]}, {was.size} bytes)"
        for one in found
        if (was := before.get(one.entry.name)) is not None and was.sha256 != one.entry.sha256
    ]
    if problems:
        raise CheckError(
            "names are not used again for other bytes",
            why="\n".join(problems),
            hint="--replace publishes the new ones; the old stay in older states and in snapshots",
        )


def _joined(entry: Entry, before: Mapping[str, Entry]) -> Entry:
    """Return an entry with the .tree that it had, so that a package added again is no change."""
    was = before.get(entry.name)
    tree = None if was is None else was.files.get(".tree")
    if tree is None or was is None or was.needs != entry.needs:
        return entry
    return replace(entry, files={**entry.files, ".tree": tree})


def _told(one: Examined, before: Mapping[str, Entry]) -> Changed:
    entry, was = one.entry, before.get(one.entry.name)
    change: Change = "companions"
    if was is None:
        change = "new"
    elif was.sha256 != entry.sha256:
        change = "replaced"
    elif _joined(entry, before) == was:
        change = "unchanged"
    return Changed(name=entry.name, change=change, version=entry.version, size=entry.size, notes=one.notes)


def _missing(of: Sequence[Entry], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Return what packages need that is not in the branch."""
    found = []
    for entry in of:
        gone = [need for need in entry.needs if not provided(need, entries)]
        hints = [
            f"{file_name(need)}{f' ({hint})' if (hint := guess(need, entries)) else ''}" for need in gone
        ]
        if hints:
            found.append(f"{file_name(entry.name)} needs what the branch does not have: {', '.join(hints)}")
    return tuple(found)


def provided(need: str, names: Collection[str]) -> bool:
    """Tell whether a package is among some, or for NAME-KERNEL one of any release."""
    if follows_kernel(need):
        stem = need.removesuffix(KERNEL) + "-"
        some = names.starting(stem) if isinstance(names, Entries) else names
        return any(name.startswith(stem) and name[len(stem) : len(stem) + 1].isdigit() for name in some)
    return need in names


def _complete(config: Config, catalogue: Catalogue) -> Catalogue:
    """Return a catalogue with every branch of the configuration, if only an empty one."""
    nothing: dict[str, Entry] = {}
    return replace(catalogue, branches={**dict.fromkeys(config.branches, nothing), **catalogue.branches})


def _outcome(
    branch: Branch | str,
    old: Catalogue,
    made: Catalogue,
    packages: Sequence[Changed] = (),
    warnings: Sequence[str] = (),
) -> Outcome:
    return Outcome(
        branch=str(branch),
        serial=made.serial,
        published=made.serial != old.serial,
        packages=tuple(packages),
        warnings=tuple(warnings),
    )


def remove(
    mirror: Mirror,
    names: Sequence[str],
    branch: Branch,
    reporter: Reporter,
    *,
    force: bool = False,
    dry_run: bool = False,
    sign: Sign = unsigned,
) -> Outcome:
    """Take packages out of a branch; their bytes stay while an older state or a snapshot has them.

    Raises ``ConfigError`` for unknown names, ``CheckError`` (unless ``force``) while others need them.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer:
        old = mirror.catalogue()
        before = old.entries(branch)
        wanted = [package_name(name) for name in dict.fromkeys(names)]
        unknown = [
            Problem(where=file_name(name), message=f"is not in {branch}", hint=guess(name, before))
            for name in wanted
            if name not in before
        ]
        if unknown:
            raise ConfigError("nothing was removed", unknown)
        entries = Entries.of(before).changed((), gone=wanted)
        warnings = _orphaned(wanted, entries)
        if warnings and not force:
            raise CheckError(
                "other packages need what was to be removed",
                why="\n".join(warnings),
                hint="name them too, or give --force",
            )
        told = [
            Changed(name=name, change="removed", version=before[name].version, size=before[name].size)
            for name in wanted
        ]
        made = old
        if not dry_run:
            new = _complete(config, old.with_branch(branch, entries))
            made = publish(writer, config, new, old=old, sign=sign)
    return _outcome(branch, old, made, told, warnings)


def _orphaned(gone: Sequence[str], entries: Entries) -> tuple[str, ...]:
    """Return the packages that need one of ``gone``, where nothing that is left will do."""
    taken = dict.fromkeys(gone)
    found = {}
    for name, needs in entries.graph():
        lost = [need for need in needs if provided(need, taken) and not provided(need, entries)]
        if lost:
            found[name] = ", ".join(map(file_name, lost))
    return tuple(f"{file_name(name)} needs {found[name]}" for name in listed(found))


def index(mirror: Mirror, reporter: Reporter, *, dry_run: bool = False, sign: Sign = unsigned) -> Outcome:
    """Make every .tree and index file anew, and publish them where they differ from those that are shown.

    With ``dry_run`` the warnings name the files that differ.
    """
    config = configs.read(mirror.root)
    with mirror.writing(reporter) as writer, reporter.step("make indexes"):
        old = mirror.catalogue()
        if dry_run:
            warnings = _stale(mirror, config, old, sign)
            return _outcome(", ".join(map(str, old.branches)), old, old, warnings=warnings)
        made = publish(writer, config, _complete(config, old), old=old, anew=True, sign=sign)
    return _outcome(", ".join(map(str, made.branches)), old, made)


def _stale(mirror: Mirror, config: Config, old: Catalogue, sign: Sign) -> tuple[str, ...]:
    """Return the files that ``index`` would publish otherwise than they are shown."""
    new, objects = _complete(config, old), Measuring(mirror.root)
    made = planned(config, new, old=old, anew=True, sign=sign, objects=objects)
    told = [f"{path} would change" for path in sorted(path for path, _ in differing(made, old))]
    return (*told, *(() if sign.stands(mirror) else ("it would be signed anew",)))
