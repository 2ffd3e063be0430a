"""Whether what a variant names is in the image: services that it starts, kernel modules that it loads.

A service is the script /usr/local/etc/init.d/NAME of a package that is loaded at boot, of the base or of a
file that is given. A module is a file of the base's or such a package's, built into the kernel, or an alias
of one (modules.builtin, modules.alias: modprobe(8), depmod(8)).
"""

from __future__ import annotations

import fnmatch
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remaster import plan
from remaster.variant import cni
from remaster.variant.checks import SERVICE
from tcz.errors import ConfigError, Problem
from tcz.kmod import modinfo
from tcz.squashfs import image as squashfs
from tcz.toml import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from remaster.placement import Placed
    from remaster.plan import MediumFile
    from remaster.variant import Variant
    from tcz.tree import Tree

SCRIPTS: Final = "usr/local/etc/init.d/"
_BASE_SCRIPTS: Final = "etc/init.d/"
_STARTUP: Final = "usr/local/tce.installed/"
_MODULE: Final = re.compile(r"(?:usr/)?(?:local/)?lib/modules/[^/]+/(.+)")
_PLUGIN: Final = re.compile(r"(?:(?:usr/local/|usr/)?(?:libexec|lib)/cni|opt/cni/bin)/[^/]+")
_TOLD_PLUGIN: Final = re.compile(r"(?:lib(?:exec)?/cni|cni/bin)/([A-Za-z0-9][A-Za-z0-9_.-]*)")
#: How an error over packages begins that names one.
_PACKAGE: Final = re.compile(r"(?:no recipe makes the package |package )?'?([A-Za-z0-9][A-Za-z0-9._+-]*)'?")
#: How a text of a recipe, or the name of one of its files, tells of a service's script.
_TOLD: Final = re.compile(r"init\.d[/-]([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is missing, and what could not be looked at."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def fit(variant: Variant, root: Tree, packages: Sequence[Placed], kept: Sequence[MediumFile]) -> Fit:
    """Look for what a variant names in a base's ``root``, in packages, on what is ``kept`` of a medium."""
    rows = {one.name: [row.path for row in squashfs.Image(one.package.path).rows()] for one in packages}
    at_boot = [one for one in packages if one.at_boot]
    loaded = {one.name for one in at_boot}
    there, later = _services(root, rows, loaded), _later(rows, loaded)
    found = list(services(variant, there, later, lambda name: _writes(at_boot, name)))
    if variant.settings.cni:
        found += plugins(variant, _plugins(root, rows))
    if variant.settings.machine.modules:
        paths = [path for name in loaded for path in rows[name]]
        found += _modules(variant, root, paths, at_boot)
    if any(file.path.endswith(".tcz") for file in kept):
        # Packages of others, which stay as they are and are loaded too, may have it.
        notes = (f"{one.where}: {one.message}, unless what the base loads has" for one in found)
        return Fit(notes=tuple(notes))
    return Fit(problems=tuple(found))


# -- packages --------------------------------------------------------------------------------------

_LISTS: Final = ("onboot", "optional", "ondemand")


def said_of(variant: Variant, package: str) -> str | None:
    """Return where a variant names a package, or ``None`` where it does not."""
    if package in (variant.kernel, f"{variant.kernel}-base"):
        return variant.where("kernel")
    key = next((key for key in _LISTS if package in getattr(variant, key)), None)
    return None if key is None else variant.where(f"packages.{key}", package)


@contextmanager
def naming(variant: Variant) -> Iterator[None]:
    """Let an error over a package that nobody has tell where the variant names it."""
    try:
        yield
    except ConfigError as error:
        problems = error.problems or (Problem(where=error.what, message=error.what, hint=error.hint),)
        located = [_located(one, variant) for one in problems]
        if not any(located):
            raise
        # What is made of the kernel's name is wrong because that is.
        found = [new or old for old, new in zip(problems, located, strict=True)]
        what = error.what if error.problems else "packages are missing"
        kept = {(one.where, one.message): one for one in found if _base_of(variant) not in one.message}
        told = tuple(kept.values()) or tuple(found)
        raise ConfigError(what, told, hint=error.hint if error.problems else None) from error


def _base_of(variant: Variant) -> str:
    return f"{variant.kernel}-base: "


def _located(problem: Problem, variant: Variant) -> Problem | None:
    """Return the problem of a package at the place where the variant names it, if it does."""
    name = _PACKAGE.fullmatch(problem.where)
    where = said_of(variant, name[1]) if name is not None else None
    if name is None or where is None:
        return None
    message = f"{name[1]}: {problem.message.replace(problem.where, 'no recipe makes it')}"
    return Problem(where=where, message=message, hint=problem.hint)


# -- the label ------------------------------------------------------------------------------------


def volume(variant: Variant, version: str) -> Iterator[Problem]:
    """Yield what is wrong with a variant's label, once the version in it is known."""
    try:
        plan.volume_id(variant.volume_id, name=variant.name, version=version)
    except ConfigError as error:
        yield Problem(where=variant.where("volume-id"), message=error.what, hint=error.hint)


# -- services --------------------------------------------------------------------------------------


def services(
    variant: Variant,
    there: Iterable[str],
    later: Mapping[str, str] | None = None,
    written: Callable[[str], bool] = lambda _: False,
) -> Iterator[Problem]:
    """Yield each service of a variant that is not among the scripts that are ``there``.

    ``later`` maps those of packages that are not loaded at boot to the package; ``written`` tells whether
    something writes the script of a service when the machine starts.
    """
    given = {spec.path.removeprefix(SCRIPTS): spec for spec in variant.files if spec.path.startswith(SCRIPTS)}
    known = {*there, *given}
    for name in variant.services:
        where = variant.where("services", name)
        if name in given and not given[name].mode & 0o100:
            message = f"the script of the service {name} cannot be run"
            yield Problem(where=given[name].where, message=message, hint='mode = "755"')
        elif later and name in later and name not in known:
            message = f"the package of the service {name} is not loaded at boot"
            yield Problem(where=where, message=message, hint=f"packages.onboot = ['{later[name]}']")
        elif name not in known and SERVICE.complaint(name) is None and not written(name):
            near = guess(name, known)
            hint = near or f"services: {', '.join(sorted(known)) or 'none'}"
            yield Problem(where=where, message=f"no package of the image has the service {name}", hint=hint)


def _services(root: Tree, rows: Mapping[str, Sequence[str]], loaded: set[str]) -> set[str]:
    paths = [path for path in root if path.startswith(SCRIPTS)]
    paths += [path for name in loaded for path in rows[name] if path.startswith(SCRIPTS)]
    return {path.removeprefix(SCRIPTS) for path in paths}


def _later(rows: Mapping[str, Sequence[str]], loaded: set[str]) -> dict[str, str]:
    others = {name: paths for name, paths in rows.items() if name not in loaded}
    return {
        path.removeprefix(SCRIPTS): name
        for name, paths in others.items()
        for path in paths
        if path.startswith(SCRIPTS)
    }


def _writes(packages: Sequence[Placed], service: str) -> bool:
    """Tell whether the script of a service is written by one that runs when its package is loaded."""
    wanted = f"init.d/{service}".encode()
    for one in packages:
        tree = squashfs.read(one.package.path)
        script = tree.get(f"{_STARTUP}{one.name}")
        if script is not None and script.is_file and wanted in script.read():
            return True
    return False


def services_in(text: str) -> set[str]:
    """Return the services whose scripts a text of a recipe names."""
    return set(_TOLD.findall(text))


# -- CNI plugins ----------------------------------------------------------------------------------


def plugins(variant: Variant, there: Iterable[str]) -> Iterator[Problem]:
    """Yield each CNI plugin of a variant's networks that is not ``there``, and is no file that is given."""
    known = {
        *there,
        *(spec.path.rpartition("/")[2] for spec in variant.files if _PLUGIN.fullmatch(spec.path)),
    }
    for network in variant.settings.cni:
        for name in dict.fromkeys(cni.types(network)):
            if name not in known:
                message = f"[[cni]] {network.name}: no package of the image has the plugin {name}"
                hint = guess(name, known) or f"plugins: {', '.join(sorted(known))}"
                yield Problem(where=network.where, message=message, hint=hint)


def plugins_in(text: str) -> set[str]:
    """Return the plugins of the package cni-plugins, and those that a text of a recipe names."""
    return {*cni.TYPES, *_TOLD_PLUGIN.findall(text)}


def _plugins(root: Tree, rows: Mapping[str, Sequence[str]]) -> set[str]:
    paths = (*root, *(path for some in rows.values() for path in some))
    return {path.rpartition("/")[2] for path in paths if _PLUGIN.fullmatch(path)}


# -- modules ---------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _modules(
    variant: Variant, root: Tree, paths: Sequence[str], packages: Sequence[Placed]
) -> Iterator[Problem]:
    known = {modinfo.name_of(path) for path in (*root, *paths) if _is_module(path)}
    known |= {modinfo.name_of(line) for line in _lines(root, "modules.builtin")}
    absent = [name for name in variant.settings.machine.modules if _plain(name) not in known]
    aliases = _aliases(root, packages) if absent else ()
    for name in absent:
        if not any(fnmatch.fnmatchcase(_plain(name), _plain(alias)) for alias in aliases):
            message = f"the kernel has no module {name}, neither as a file nor built in"
            where = variant.where("modules", name)
            yield Problem(where=where, message=message, hint=guess(_plain(name), known))


def _is_module(path: str) -> bool:
    return modinfo.SUFFIX.search(path) is not None and _MODULE.fullmatch(path) is not None


def _lines(root: Tree, name: str) -> Iterator[str]:
    for path, node in root.items():
        found = _MODULE.fullmatch(path)
        if found is not None and found[1] == name and node.is_file:
            yield from node.read().decode(errors="replace").splitlines()


def _aliases(root: Tree, packages: Sequence[Placed]) -> tuple[str, ...]:
    """Return other names of modules: those of the base's index, and what those of packages say themselves."""
    found = [words[1] for line in _lines(root, "modules.alias") if len(words := line.split()) > 1]
    for path, node in root.items():
        if path.endswith("/modules.builtin.modinfo") and node.is_file:
            facts = node.read().decode(errors="replace").split("\0")
            found += [fact.partition("=")[2] for fact in facts if ".alias=" in fact]
    for one in packages:
        for path, node in squashfs.read(one.package.path).items():
            if node.is_file and _is_module(path):
                found += modinfo.read(path, node.read()).aliases
    return tuple(dict.fromkeys(found))
