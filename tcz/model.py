"""The nouns of ``tcz``: frozen values, no behaviour beyond what follows from their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

# -- where source bytes come from -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An upstream release file (tar.*, zip or a single file), pinned by its sha256.

    ``url`` has ``{version}`` filled in already. ``debian`` names a Debian source package whose
    files hold the same bytes, a mirror of last resort found by hash. It is unpacked below the
    source folder at ``dest`` without its leading ``strip`` path parts; with ``unpack`` false the
    file itself is put there.
    """

    url: str
    sha256: str
    debian: str | None = None
    strip: int = 1
    dest: str = ""
    unpack: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A Go module by path and version; ``sum`` is its ``h1:`` hash as in go.sum.

    Its own go.sum (or ``modfile`` with its .sum twin, such as vendor.mod) lists and pins all
    that it needs in turn. ``packages`` and ``tags`` name what of it is built (patterns and build
    tags of the go command), so that only the modules these need are fetched; empty means all.
    """

    module: str
    version: str
    sum: str
    modfile: str = "go.mod"
    dest: str = ""
    packages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoToolchain:
    """The exact Go distribution a recipe is built with, as the module golang.org/toolchain."""

    version: str
    sum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A Rust crate by name and version, pinned by the sha256 of its file.

    Its own Cargo.lock lists and pins all that it needs in turn. It is unpacked below the source folder
    at ``dest``.
    """

    name: str
    version: str
    sha256: str
    dest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoLock:
    """A Cargo.lock that another source brings, as the list of crates that a build needs.

    ``path`` is the file's place below the source folder; a Cargo.toml lies beside it.
    """

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """A commit of a git repository, pinned by its id: that is a hash of all files, submodules included.

    ``ref`` is a branch or tag that leads to it, for servers that do not give a commit by its id. With
    ``submodules`` they are fetched too. It is unpacked below the source folder at ``dest``.
    """

    url: str
    commit: str
    ref: str | None = None
    submodules: bool = False
    dest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSource:
    """A Debian source package with its patches applied, trusted through apt's signed index.

    ``version`` in full, or ``None`` for the newest that apt offers; which it was goes into the manifest.
    It is unpacked below the source folder at ``dest`` as ``dpkg-source -x`` would.
    """

    package: str
    version: str | None = None
    dest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianBinary:
    """A Debian binary package, trusted through apt's signed index rather than pinned here.

    The newest that apt offers unless a lock says otherwise; exact version and sha256 go into the
    lock and the manifest. With ``via`` the package is the first direct dependency of that
    (meta-)package which matches ``package`` as a glob. It is unpacked below the source folder at
    ``dest`` as ``dpkg-deb -x`` would.
    """

    package: str
    via: str | None = None
    dest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A folder of the recipe itself, copied below the source folder at ``dest``."""

    path: str
    dest: str = ""


Source = Archive | GoModule | GoToolchain | Crate | CargoLock | Git | DebianSource | DebianBinary | Local


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSource:
    """What a source turned out to be: the lines that go into build ids, locks and manifests.

    ``hash`` is ``sha256:<hex>``, ``h1:<base64>`` or, for a git commit, ``sha1:<hex>``; ``origin`` is
    the URL, module path or package name it came from.
    """

    kind: str
    name: str
    version: str
    hash: str
    origin: str


# -- recipes --------------------------------------------------------------------------------------

Form = Literal["extension", "layer", "files"]

#: Marks fields that decide no byte of a build: they do not count in its ids.
NOT_IN_IDS: Final = MappingProxyType({"in ids": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRule:
    """Owner and mode for the paths of a package that match ``path`` (a glob, no leading slash).

    ``None`` leaves a field as it is. Rules are applied in order, the last match wins.
    """

    path: str
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node that a layer carries: nothing in a build can make one."""

    path: str
    kind: Literal["c", "b"]
    major: int
    minor: int
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """A check of ``tcz lint`` that a package may fail, and why."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """One product of a recipe.

    ``form``: ``extension`` is a .tcz; ``layer`` is a tar with owners, to be unpacked into a base's
    root; ``files`` are plain files (a kernel image, a boot loader). ``files`` are globs relative to
    the staged tree (``**`` crosses folders); a folder stands for all below it. With ``rest`` it holds
    what no other package names, and what ``tcz.split`` takes off it goes into packages of its own.
    ``needs`` names packages without ``.tcz``; ``-KERNEL`` is allowed and follows the kernel;
    ``auto_needs`` adds those whose shared libraries its files ask for. ``startup`` is a file of the
    recipe that runs when the extension is loaded. ``allow`` is for lint only.
    """

    name: str
    files: tuple[str, ...]
    form: Form = "extension"
    needs: tuple[str, ...] = ()
    summary: str | None = None
    tags: tuple[str, ...] = ()
    owners: tuple[OwnerRule, ...] = ()
    devices: tuple[Device, ...] = ()
    rest: bool = False
    auto_needs: bool = True
    startup: str | None = None
    allow: tuple[Allow, ...] = field(default=(), metadata=NOT_IN_IDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """How a recipe is built: its root, what must be installed in it, recipes it builds upon.

    ``split`` takes headers, manuals and translations off the package that holds the rest.
    ``tinycore`` names extensions that a root of the release ``tinycore_release`` has loaded, ``tools``
    programs of the toolkit that the script runs (see ``tcz.buildtools``).
    """

    root: Literal["debian", "host", "tinycore"] = "debian"
    debian: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    strip: bool = True
    split: bool = True
    tinycore: tuple[str, ...] = ()
    tinycore_release: str | None = None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe as loaded and checked; ``folder`` holds recipe.toml, build.sh, files/ and patches/.

    ``version`` may be ``"debian"``: the upstream part of the first Debian package's version.
    ``irreproducible`` says why two builds differ, where they do; ``on_request`` why it is built only for
    who names it.
    """

    name: str
    version: str
    summary: str
    license: str
    homepage: str
    folder: Path
    release: int = 1
    build: BuildSpec = field(default_factory=BuildSpec)
    sources: tuple[Source, ...] = ()
    packages: tuple[PackageSpec, ...] = ()
    irreproducible: str | None = None
    on_request: str | None = field(default=None, metadata=NOT_IN_IDS)


# -- what a build leaves --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPackage:
    """One finished product.

    ``path`` is the .tcz (companions lie beside it), the layer's .tar or, for ``files``, a folder.
    ``name`` has no suffix; ``KERNEL`` in it is already the kernel's release. ``sha256`` of a
    ``files`` folder is that of its ``sha256sum``-style listing. ``installed`` counts bytes unpacked.
    ``needs`` holds the recipe's and, behind them, those found in its files. ``provides`` are the shared
    libraries that others find in it (see ``tcz.provides``).
    """

    name: str
    form: Form
    path: Path
    sha256: str
    size: int
    installed: int
    needs: tuple[str, ...]
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build: its ids (see ``tcz.buildid``), its products, and every input by version and hash.

    ``libraries`` are what its sources' own locks name: crates.
    """

    recipe: str
    version: str
    build_id: str
    content_id: str
    folder: Path
    packages: tuple[BuiltPackage, ...]
    sources: tuple[ResolvedSource, ...]
    root: tuple[ResolvedSource, ...]
    license: str = ""
    homepage: str = ""
    summary: str = ""
    libraries: tuple[ResolvedSource, ...] = ()
