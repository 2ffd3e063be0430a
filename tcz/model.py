"""The nouns of ``tcz``: frozen values, no behaviour beyond what follows from their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

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


Source = Archive | GoModule | GoToolchain | DebianBinary | Local


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSource:
    """What a source turned out to be: the lines that go into build ids, locks and manifests.

    ``hash`` is ``sha256:<hex>`` or ``h1:<base64>``; ``origin`` is the URL, module path or
    package name it came from.
    """

    kind: str
    name: str
    version: str
    hash: str
    origin: str


# -- recipes --------------------------------------------------------------------------------------

Form = Literal["extension", "layer", "files"]


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
class PackageSpec:
    """One product of a recipe.

    ``form``: ``extension`` is a .tcz; ``layer`` is a tar with owners, to be unpacked into a base's
    root; ``files`` are plain files (a kernel image, a boot loader). ``files`` are globs relative to
    the staged tree (``**`` crosses folders); a folder stands for all below it. ``needs`` names
    packages without ``.tcz``; ``-KERNEL`` is allowed and follows the kernel.
    """

    name: str
    files: tuple[str, ...]
    form: Form = "extension"
    needs: tuple[str, ...] = ()
    summary: str | None = None
    tags: tuple[str, ...] = ()
    owners: tuple[OwnerRule, ...] = ()
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """How a recipe is built: its root, what must be installed in it, recipes it builds upon.

    ``tinycore`` names extensions that a root of the release ``tinycore_release`` has loaded.
    """

    root: Literal["debian", "host", "tinycore"] = "debian"
    debian: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    strip: bool = True
    tinycore: tuple[str, ...] = ()
    tinycore_release: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe as loaded and checked; ``folder`` holds recipe.toml, build.sh, files/ and patches/.

    ``version`` may be ``"debian"``: the upstream part of the first Debian binary's version.
    ``irreproducible`` says why two builds differ, where they do.
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


# -- what a build leaves --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPackage:
    """One finished product.

    ``path`` is the .tcz (companions lie beside it), the layer's .tar or, for ``files``, a folder.
    ``name`` has no suffix; ``KERNEL`` in it is already the kernel's release. ``sha256`` of a
    ``files`` folder is that of its ``sha256sum``-style listing. ``installed`` counts bytes unpacked.
    """

    name: str
    form: Form
    path: Path
    sha256: str
    size: int
    installed: int
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build: its ids (see ``tcz.buildid``), its products, and every input by version and hash."""

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
