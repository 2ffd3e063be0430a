"""Variants looked at: checked, shown, and begun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tcz
from remaster import base as bases
from remaster import bootcode, fitting, plan, preloading, variant
from remaster.variant import schema, settings
from remaster.variant.applying import applied
from remaster.variant.checks import NAME
from remaster.variant.preload import PACKAGE as PRELOADED
from tcz import commands
from tcz.errors import ConfigError, Problem
from tcz.layout import read_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remaster.variant import Variant
    from tcz.model import Recipe
    from tcz.paths import Dirs
    from tcz.recipe import Recipes


def linted(wanted: str) -> Variant:
    """Return a variant by name or path, its settings applied, after every check that needs nothing else."""
    codes = bootcode.BootCodes.load()
    return variant.extended(variant.load(wanted, codes), codes)


def lint(wanted: str, recipe_folders: tuple[Path, ...], dirs: Dirs) -> None:
    """Raise ``ConfigError`` with all that is wrong with a variant, as far as it shows without a build."""
    codes = bootcode.BootCodes.load()
    read, problems = variant.examined(wanted, codes)
    asked, refused = applied(read, bases.DEFAULT)
    recipes = commands.open_recipes(recipe_folders)
    found = [*problems, *refused, *_packages(asked, recipes), *_named(asked, recipes)]
    found += fitting.volume(asked, _version(asked, recipes))
    told = {one.where for one in found}
    found += (one for one in _laid(asked, recipes) if one.where not in told)
    try:
        check_images(asked, dirs)
    except ConfigError as error:
        found += error.problems or (Problem(where=wanted, message=error.what, hint=error.hint),)
    if found:
        raise variant.mistakes(f"variant {asked.name or Path(wanted).stem}", found)


def check_images(asked: Variant, dirs: Dirs) -> None:
    """Raise ``ConfigError`` for what is wrong with the container images of a variant."""
    if asked.settings.preload:
        preloading.check(asked, dirs)


def _packages(asked: Variant, recipes: Recipes) -> Iterator[Problem]:
    """Yield every package of a variant that no recipe makes."""
    names = dict.fromkeys((*bases.load(bases.DEFAULT, asked.kernel).packages(), *asked.packages()))
    names.pop(PRELOADED, None)
    for name in names:
        if recipes.find_package(name) is not None:
            continue
        unknown = commands.unknown(recipes, name)
        # What is made of the kernel's name is wrong because that is.
        if name != f"{asked.kernel}-base":
            where = fitting.said_of(asked, name) or str(asked.origin)
            yield Problem(where=where, message=f"{name}: {unknown.message}", hint=unknown.hint)
    for name, _ in asked.places:
        if name != variant.ALL and recipes.find_package(name) is None:
            unknown = commands.unknown(recipes, name)
            message = f"{name}: {unknown.message}"
            yield Problem(where=asked.where("packages.place", name), message=message, hint=unknown.hint)


def _version(asked: Variant, recipes: Recipes) -> str:
    """Return the version that an image would have, empty where a build alone can tell."""
    if not asked.version_of:
        return tcz.__version__
    recipe = recipes.find_package(asked.version_of)
    return "" if recipe is None or recipe.version == "debian" else recipe.version


def _laid(asked: Variant, recipes: Recipes) -> tuple[Problem, ...]:
    """Return what cannot be laid over the base, as far as its recipe has it: users, groups, owners, maps."""
    name = bases.load(bases.DEFAULT, asked.kernel).skeleton
    if name not in recipes.names():
        return ()
    root = read_back(recipes.folder(name) / "files")
    content = plan.Content(
        services=asked.services,
        files=asked.files,
        keys=(),
        manifest=b"",
        epoch=plan.EPOCH,
        users=asked.settings.users,
        needed=asked.needed,
    )
    return plan.conflicts(root, content)


def _named(asked: Variant, recipes: Recipes) -> Iterator[Problem]:
    """Yield every service and CNI plugin that no recipe of the variant's packages tells of.

    What an upstream's own build installs shows only in the build.
    """
    wanted = (*bases.load(bases.DEFAULT, asked.kernel).packages(), *asked.packages())
    whole = True
    makers: dict[str, Recipe] = {}
    todo = list(dict.fromkeys(wanted))
    seen = set(todo)
    while todo:
        name = todo.pop()
        recipe = recipes.find_package(name)
        if recipe is None:
            whole = whole and name == PRELOADED
            continue
        makers[recipe.name] = recipe
        needs = {need for spec in recipe.packages if spec.name == name for need in spec.needs} - seen
        seen |= needs
        todo += needs
    told = "\n".join(text for recipe in makers.values() for text in _texts(recipe.folder))
    services, plugins = fitting.services_in(told), fitting.plugins_in(told)
    found = (*fitting.services(asked, services), *fitting.plugins(asked, plugins))
    for problem in found:
        # A package that is not known may have any service.
        if whole or (problem.hint or "").startswith("did you mean"):
            yield problem


def _texts(folder: Path) -> Iterator[str]:
    """Yield the paths of a recipe's files, and what it is built by."""
    yield from (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    texts = (folder / name for name in ("recipe.toml", "build.sh"))
    yield from (text.read_text(errors="replace") for text in texts if text.is_file())


def begin(name: str, extends: str, output: Path | None) -> Path:
    """Write a file to begin a variant with; return where it is.

    Raises ``ConfigError`` for a name that is none, a variant that is not there, a file that is.
    """
    complaint = NAME.complaint(name)
    if complaint:
        raise ConfigError(complaint)
    path = output or Path(f"{name}.toml")
    # Found from where the new file is, as the new file will look for it.
    beside = path.parent / extends
    if not (extends.endswith(".toml") and beside.is_file()):
        variant.find(extends)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(schema.starter(name, extends))
    except FileExistsError:
        raise ConfigError(f"{path} is there already", hint="give another one with --output") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A key of the configuration, and what is said in short."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A variant as it is shown: what files hold is left out."""

    name: str
    summary: str
    extends: str
    kernel: str
    onboot: tuple[str, ...]
    optional: tuple[str, ...]
    boot_codes: tuple[str, ...]
    services: tuple[str, ...]
    files: tuple[str, ...]
    settings: tuple[Said, ...]
    volume_id: str
    title: str
    timeout: int
    data_label: str
    data_mib: int
    ondemand: tuple[str, ...]
    copy2fs: tuple[str, ...]
    places: tuple[Said, ...]
    entries: tuple[str, ...]
    default_entry: str
    max_iso_mb: int
    max_ram_mb: int


def shown(asked: Variant) -> Shown:
    """Return what is shown of a variant."""
    return Shown(
        name=asked.name,
        summary=asked.summary,
        extends=asked.extends,
        kernel=asked.kernel,
        onboot=asked.onboot,
        optional=asked.optional,
        boot_codes=asked.boot_codes,
        services=asked.services,
        files=tuple(f"/{file.path}" for file in asked.files),
        settings=tuple(Said(key=key, value=value) for key, value in settings.told(asked.settings)),
        volume_id=asked.volume_id,
        title=asked.title,
        timeout=asked.timeout,
        data_label=asked.data_label,
        data_mib=asked.data_mib,
        ondemand=asked.ondemand,
        copy2fs=asked.copy2fs,
        places=tuple(Said(key=name, value=place) for name, place in asked.places),
        entries=tuple(entry.name for entry in asked.entries),
        default_entry=asked.default_entry,
        max_iso_mb=asked.max_iso_mb,
        max_ram_mb=asked.max_ram_mb,
    )


def _said(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return ((name, value),) if value else ()


def _budget(asked: Variant) -> str:
    told = ((asked.max_iso_mb, "of ISO image"), (asked.max_ram_mb, "of memory"))
    return ", ".join(f"{size} MiB {what}" for size, what in told if size)


def variant_lines(asked: Variant) -> tuple[str, ...]:
    """Return a variant as text for a person."""
    rows = (
        ("extends", asked.extends or "nothing"),
        ("kernel", asked.kernel),
        ("at boot", " ".join(asked.onboot) or "nothing"),
        ("on request", " ".join(asked.optional) or "nothing"),
        *_said("when used", " ".join(asked.ondemand)),
        *_said("copied", " ".join(asked.copy2fs)),
        *_said("places", " ".join(f"{name}={place}" for name, place in asked.places)),
        ("boot codes", " ".join(asked.boot_codes)),
        ("services", " ".join(asked.services) or "none"),
        ("files", " ".join(f"/{file.path}" for file in asked.files) or "none"),
        *settings.told(asked.settings),
        ("volume id", asked.volume_id),
        ("data disk", f"{asked.data_label}, {asked.data_mib} MiB"),
        *_said("menu", " ".join(entry.name for entry in asked.entries)),
        *_said("starts", asked.default_entry),
        *_said("budget", _budget(asked)),
    )
    width = max(12, *(len(name) for name, _ in rows))
    return (f"{asked.name}: {asked.summary}", *(f"  {name:<{width}} {value}" for name, value in rows))
