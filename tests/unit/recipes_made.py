"""Recipes made up by hypothesis, shared by tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from tcz.model import (
    Allow,
    Archive,
    BuildSpec,
    CargoLock,
    Crate,
    DebianBinary,
    DebianSource,
    Device,
    Git,
    GoModule,
    GoToolchain,
    Local,
    OwnerRule,
    PackageSpec,
    Recipe,
)

FOLDER = "sample"

_word = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}", fullmatch=True)
_package = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,8}(-KERNEL)?", fullmatch=True).filter(
    lambda name: not name.endswith(".tcz") and "KERNEL" not in name.removesuffix("-KERNEL")
)
_line = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text and text.isprintable()
)
_part = st.text("abcXYZ09._+- \"'é", min_size=1, max_size=6).filter(
    lambda part: part not in (".", "..") and part.isprintable()
)
_path = st.lists(_part, min_size=1, max_size=3).map("/".join)
_glob = st.lists(_part | st.sampled_from(["**", "*.so", "[a-z]?"]), min_size=1, max_size=3).map("/".join)
_dest = st.just("") | _path
_sha256 = st.text("0123456789abcdef", min_size=64, max_size=64)
_h1 = st.text("abcXYZ019+/", min_size=43, max_size=43).map(lambda text: f"h1:{text}=")
_version = st.from_regex(r"[0-9][0-9a-z.+~_-]{0,7}", fullmatch=True)
_module_version = st.from_regex(r"v[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}(-[0-9a-z.]{1,5})?", fullmatch=True)
_license = st.sampled_from(["MIT", "GPL-2.0-only OR MIT", "(Apache-2.0 AND BSD-3-Clause) OR LGPL-2.1+"])
_url = st.builds("https://{}.example/{}.tar.gz".format, st.from_regex(r"[a-z]{1,5}", fullmatch=True), _word)


def _some(items: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, max_size=3, unique=True).map(tuple)


_archives = st.builds(
    Archive,
    url=_url,
    sha256=_sha256,
    debian=st.none() | _word,
    strip=st.integers(0, 5),
    dest=_dest,
    unpack=st.booleans(),
)
_modules = st.builds(
    GoModule,
    module=st.builds("example.org/{}".format, _word),
    version=_module_version,
    sum=_h1,
    modfile=st.sampled_from(["go.mod", "vendor.mod"]),
    dest=_dest,
    packages=_some(st.sampled_from(["./...", "./cmd/a", "example.org/x"])),
    tags=_some(st.sampled_from(["seccomp", "no_btrfs"])),
)
_toolchains = st.builds(GoToolchain, version=st.from_regex(r"1\.[0-9]{2}\.[0-9]", fullmatch=True), sum=_h1)
_binaries = st.builds(DebianBinary, package=_word, via=st.none(), dest=_dest) | st.builds(
    DebianBinary, package=st.just("linux-image-*-amd64"), via=_word, dest=_dest
)
_crates = st.builds(
    Crate,
    name=st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True),
    version=st.from_regex(r"[0-9]{1,2}\.[0-9]\.[0-9](-rc\.1)?(\+b2)?", fullmatch=True),
    sha256=_sha256,
    dest=_dest,
)
_cargo_locks = st.builds(CargoLock, path=_path, sha256=_sha256)
_commits = st.builds(
    Git,
    url=_url | st.just("git://host.example/r.git"),
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    ref=st.none() | st.sampled_from(["main", "refs/tags/v1.0", "v2"]),
    submodules=st.booleans(),
    dest=_dest,
)
_debian_sources = st.builds(
    DebianSource,
    package=_word,
    version=st.none() | st.sampled_from(["1.0-1", "2:1.0~rc1+dfsg-0.1"]),
    dest=_dest,
)
_locals = st.builds(Local, path=st.just("files"), dest=_dest)
_allow = st.builds(Allow, check=st.sampled_from(["set-id", "path-prefix", "owner"]), reason=_line)
_plain = st.one_of(_archives, _binaries, _locals, _crates, _cargo_locks, _commits, _debian_sources)
_owners = st.builds(
    OwnerRule,
    path=_glob,
    uid=st.integers(0, 70000),
    gid=st.none() | st.integers(0, 70000),
    mode=st.none() | st.integers(0, 0o7777),
)
_devices = st.builds(
    Device,
    path=_path,
    kind=st.sampled_from(["c", "b"]),
    major=st.integers(0, 4095),
    minor=st.integers(0, 255),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 9),
    gid=st.integers(0, 9),
)


_roots = st.sampled_from([{"root": "debian"}, {"root": "host"}]) | st.builds(
    dict, root=st.just("tinycore"), tinycore_release=st.sampled_from(["9.x", "17.x"]), tinycore=_some(_word)
)


@st.composite
def _packages(draw: st.DrawFn) -> PackageSpec:
    name = draw(_package)
    form = draw(st.sampled_from(["extension", "layer", "files"]))
    return PackageSpec(
        name=name,
        files=tuple(draw(st.lists(_glob, min_size=1, max_size=3, unique=True))),
        form=form,
        needs=tuple(need for need in draw(_some(_package)) if need != name),
        summary=draw(st.none() | _line),
        tags=draw(_some(st.sampled_from(["container", "net"]))),
        owners=tuple(draw(st.lists(_owners, max_size=2))),
        devices=() if form == "files" else tuple(draw(st.lists(_devices, max_size=2))),
        allow=tuple(draw(st.lists(_allow, max_size=2, unique_by=lambda one: one.check))),
        auto_needs=draw(st.booleans()),
        startup=draw(st.none() | st.just("files/start.sh")) if form == "extension" else None,
    )


@st.composite
def _some_packages(draw: st.DrawFn) -> tuple[PackageSpec, ...]:
    first, *others = draw(st.lists(_packages(), min_size=1, max_size=3, unique_by=lambda p: p.name))
    if draw(st.booleans()):
        first = replace(first, files=(), rest=True)
    return tuple(draw(st.permutations([first, *others])))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Draw a right recipe; its folder must hold build.sh and files/."""
    sources = draw(st.lists(_plain, max_size=3))
    modules = draw(st.lists(_modules, max_size=2))
    if modules:
        modules.append(draw(_toolchains))
    return Recipe(
        name=FOLDER,
        version=draw(_version),
        summary=draw(_line),
        license=draw(_license),
        homepage=draw(_url),
        folder=Path(FOLDER),
        release=draw(st.integers(1, 99)),
        irreproducible=draw(st.none() | _line),
        on_request=draw(st.none() | _line),
        build=BuildSpec(
            **draw(_roots),
            debian=draw(_some(_word)),
            recipes=tuple(name for name in draw(_some(_word)) if name != FOLDER),
            strip=draw(st.booleans()),
            split=draw(st.booleans()),
            tools=draw(st.sampled_from([(), ("kconfig",)])),
        ),
        sources=(*sources, *modules),
        packages=draw(_some_packages()),
    )


#: Every kind of source and every key, to be mutated.
FULL = Recipe(
    name=FOLDER,
    version="1.2",
    summary="A thing",
    license="MIT",
    homepage="https://example.org/thing",
    folder=Path(FOLDER),
    release=2,
    irreproducible="its tool writes a random number",
    on_request="it takes a day",
    build=BuildSpec(
        root="tinycore",
        tinycore_release="17.x",
        tinycore=("compiletc", "zlib_base-dev"),
        debian=("gcc", "make"),
        recipes=("zlib",),
        strip=False,
        split=False,
        tools=("kconfig",),
    ),
    sources=(
        Archive(
            url="https://example.org/a.tar.gz", sha256="a" * 64, debian="a1", strip=0, dest="d", unpack=False
        ),
        GoModule(
            module="example.org/thing",
            version="v1.2.3",
            sum=f"h1:{'a' * 43}=",
            modfile="vendor.mod",
            dest="m",
            packages=("./cmd/a",),
            tags=("netgo",),
        ),
        GoToolchain(version="1.25.3", sum=f"h1:{'b' * 43}="),
        DebianBinary(package="linux-image-*-amd64", via="linux-image-amd64", dest="k"),
        Local(path="files", dest="f"),
    ),
    packages=(
        PackageSpec(
            name="thing",
            form="layer",
            files=("usr/local/bin/*", "**/x"),
            needs=("libthing", "mod-KERNEL"),
            summary="Its programs",
            tags=("net",),
            owners=(OwnerRule(path="bin/su", mode=0o4755, uid=0, gid=0),),
            devices=(Device(path="dev/console", kind="c", major=5, minor=1, uid=1, gid=2),),
            allow=(Allow(check="set-id", reason="it asks for a password"),),
        ),
        PackageSpec(name="thing-files", form="files", files=("boot/x",)),
        PackageSpec(name="thing-rest", files=(), rest=True, auto_needs=False, startup="files/start.sh"),
    ),
)
