"""Packages made up for the tests of lint, and for each check one that fails it and one that passes."""

from __future__ import annotations

import hashlib
import lzma
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcz import bases, metadata, zsync
from tcz.lint.catalogue import Catalogue, Known
from tcz.lint.context import Context
from tcz.lint.image import ImageFacts
from tcz.lint.shell import shell_syntax
from tcz.lint.subject import Companion, Subject
from tcz.model import Allow
from tcz.run import HostRunner
from tcz.tree import Node, Tree, directory, regular, symlink

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = "usr/local/bin/thing"
SCRIPT = "usr/local/tce.installed/thing"
MD5 = hashlib.md5(bytes(4096), usedforsecurity=False).hexdigest()
SHA1 = hashlib.sha1(bytes(4096), usedforsecurity=False).hexdigest()
IMAGE = ImageFacts(compressor="gzip", block=4096, xattrs=False, used=4000, size=4096, md5=MD5, sha1=SHA1)
INFO = metadata.Info(
    title="thing.tcz",
    description="A thing",
    version="1.2",
    author="Somebody",
    original_site="https://thing.example",
    copying_policy="MIT",
    size="4K",
    extension_by="us",
    tags="thing",
    comments="none",
    change_log="2025/01/01 first version",
    current="2025/01/01 first version",
)


@cache
def control(name: str) -> bytes:
    """Return the .zsync of the made-up image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name.replace("/", "_")
        path.write_bytes(bytes(4096))
        return zsync.control(path, epoch=0)


ZSYNC = control("thing.tcz")


def context(base: str = "floe", *, others: Catalogue | None = None, **options: Any) -> Context:
    return Context(
        base=bases.load(base),
        others=others or Catalogue(),
        shell=shell_syntax(HostRunner()),
        **options,
    )


def package(
    nodes: dict[str, Node] | None = None,
    *,
    name: str = "thing",
    image: ImageFacts = IMAGE,
    allowed: tuple[Allow, ...] = (),
    damage: str | None = None,
    plain: bool = True,
    **companions: bytes | None,
) -> Subject:
    """Return a package that passes every check, with ``nodes`` beside it; ``dep=b"..."`` and so on.

    Without ``plain`` it holds ``nodes`` alone.
    """
    own = {
        BIN: regular(b"#!/bin/sh\necho thing\n", 0o755),
        "usr/local/share/doc/thing/COPYING": regular(b"Do as you like.\n"),
    }
    tree = Tree({**(own if plain else {}), **(nodes or {})})
    texts: dict[str, bytes | None] = {
        ".info": metadata.info_text(replace(INFO, title=f"{name}.tcz")).encode(),
        ".list": metadata.list_text(p for p, n in tree.items() if not n.is_dir).encode(
            errors="surrogateescape"
        ),
        ".md5.txt": f"{MD5}  {name}.tcz\n".encode(),
        ".zsync": control(f"{name}.tcz"),
        ".build-dep": b"compiletc.tcz\n",
    }
    texts |= {f".{key.replace('md5', 'md5.txt').replace('_', '-')}": data for key, data in companions.items()}
    return Subject(
        name=name,
        tree=tree,
        image=image,
        companions=tuple(Companion(suffix=key, data=data) for key, data in texts.items() if data is not None),
        allowed=allowed,
        damage=damage,
    )


def info(**changes: str) -> bytes:
    return metadata.info_text(replace(INFO, **changes)).encode()


def others(*known: Known, complete: bool = True) -> Catalogue:
    return Catalogue(packages=known, complete=complete)


def known(name: str, *files: str, needs: tuple[str, ...] = ()) -> Known:
    return Known(name=name, files=files, needs=needs)


@cache
def program(*flags: str, source: str = "int main(void){return 0;}", library: str = "") -> bytes:
    """Return what the compiler makes; ``library`` is linked to, by the soname of that name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "x.c").write_text(source)
        more: list[str] = []
        if library:
            (folder / "y.c").write_text("int other(void){return 1;}")
            made = ["gcc", "-shared", "-o", library, "y.c", f"-Wl,-soname,{library}"]
            subprocess.run(made, cwd=folder, check=True)
            more = ["-Wl,--no-as-needed", library]
        subprocess.run(["gcc", "-o", "x", "x.c", *flags, *more], cwd=folder, check=True)
        return (folder / "x").read_bytes()


def elf(*flags: str, **options: str) -> dict[str, Node]:
    return {"usr/local/bin/prog": regular(program(*flags, **options), 0o755)}


def startup(script: bytes) -> dict[str, Node]:
    return {SCRIPT: replace(MINE, data=b"#!/bin/sh\n" + script), "usr/local/tce.installed": STAFF_FOLDER}


def old_libc(version: tuple[int, ...]) -> Context:
    return replace(context(), base=replace(bases.load("floe"), glibc=version))


def module(
    release: str, place: str, suffix: str = ".ko", pack: Callable[[bytes], bytes] = bytes
) -> dict[str, Node]:
    data = b"\0license=GPL\0vermagic=" + release.encode() + b" SMP mod_unload \0"
    return {f"{place}/x{suffix}": regular(pack(data))}


MODULES = "usr/local/lib/modules/6.1-t/kernel"
FOREIGN = bytearray(program("-s", "-static"))
FOREIGN[18] = 0xB7  # EM_AARCH64


@dataclass(frozen=True, kw_only=True)
class Case:
    """Packages that fail a check, and packages that pass; each with what it is looked at against."""

    bad: list[tuple[Subject, Context]]
    good: list[tuple[Subject, Context]]


def case(bad: list[Subject], good: list[Subject], against: Context | None = None) -> Case:
    return Case(
        bad=[(one, against or context()) for one in bad],
        good=[(one, against or context()) for one in [package(), *good]],
    )


def device(mode: int = stat.S_IFCHR | 0o600) -> Node:
    return Node(mode=mode, rdev=(1, 3))


STAFF_FOLDER = directory(0o775, gid=50)
MINE = regular(b"#!/bin/sh\n:\n", 0o775, gid=50)
BEFORE = Known(name="thing", files=package().paths, needs=(), md5="2" * 32, info=info())
LINK = known("libx", "usr/local/lib/libx.so.1")
STRICT = context(submission=True)
CORE = context("corepure64-16.x")

CASES: dict[str, Case] = {
    # the image
    "image-damaged": case([package(damage="truncated")], []),
    "image-compressor": Case(
        bad=[(package(image=replace(IMAGE, compressor=kind)), CORE) for kind in ("xz", "lzma")],
        good=[(package(), CORE)],
    ),
    "image-block-size": Case(
        bad=[
            (package(image=replace(IMAGE, block=131072)), STRICT),
            (package(image=replace(IMAGE, block=131072)), context("corepure64-10.x")),
        ],
        good=[(package(image=replace(IMAGE, block=131072)), context()), (package(), STRICT)],
    ),
    "image-xattrs": case([package(image=replace(IMAGE, xattrs=True))], []),
    "image-padding": case([package(image=replace(IMAGE, size=4097))], []),
    "image-appended": case([package({"usr_1/x": regular(b"")})], [package({"etc_1/x": regular(b"")})]),
    # folders, owners, modes
    "root-folder": case([package({"": directory(0o711)}), package({"": directory(uid=1001, gid=50)})], []),
    "base-folder": case(
        [package({"opt": directory(), "opt/x": regular(b"")}), package({"etc": directory(gid=50)})],
        [package({"opt": directory(0o2775, gid=50)}), package({"usr/local": STAFF_FOLDER})],
    ),
    "ships-tmp": case([package({"tmp/x": regular(b"")}), package({"dev/x": regular(b"")})], []),
    "folder-mode": case(
        [package({"usr/local/x": directory(0o700)}), package({"usr/local/x": directory(0o777)})],
        [package({"usr/local/x": directory(0o2775)})],
    ),
    "owner": case(
        [
            package({"usr/local/x": regular(b"", uid=1001, gid=50)}),
            package({"usr/local/y": directory(gid=50)}),
        ],
        [package({SCRIPT: MINE, "usr/local/tce.installed": STAFF_FOLDER})],
    ),
    "world-writable": case(
        [package({"usr/local/x": regular(b"", 0o666)}), package({"usr/local/y": directory(0o777)})],
        [package({"usr/local/y": directory(0o1777)})],
    ),
    "set-id": case(
        [package({"usr/local/bin/x": regular(b"", 0o4755)})], [package({"usr/local/y": directory(0o2755)})]
    ),
    "unreadable-file": case([package({"usr/local/x": regular(b"", 0o600)})], []),
    "device-node": case(
        [package({"usr/local/x": device()}), package({"usr/local/p": device(stat.S_IFIFO | 0o644)})], []
    ),
    # scripts
    "startup-folder": case(
        [package({SCRIPT: MINE})], [package({SCRIPT: MINE, "usr/local/tce.installed": STAFF_FOLDER})]
    ),
    "startup-script": case(
        [
            package({SCRIPT: replace(MINE, mode=stat.S_IFREG | 0o644)}),
            package({SCRIPT: replace(MINE, gid=0)}),
        ],
        [package({SCRIPT: MINE})],
    ),
    "startup-name": case([package({"usr/local/tce.installed/other": MINE})], [package({SCRIPT: MINE})]),
    "startup-shebang": case(
        [package({SCRIPT: regular(b"echo\n", 0o775)}), package({SCRIPT: regular(b"#!/bin/bash\n", 0o775)})],
        [package({SCRIPT: MINE}), package({SCRIPT: regular(b"", 0o775)})],
    ),
    "script-line-ends": case([package({SCRIPT: regular(b"#!/bin/sh\r\n:\r\n", 0o775)})], []),
    "script-syntax": case(
        [package({SCRIPT: regular(b"#!/bin/sh\nif true\n", 0o775)})],
        [package({"usr/local/bin/p": regular(b"#!/usr/bin/perl\nif (1) {\n", 0o755)})],
    ),
    "script-interpreter": case(
        [
            package({BIN: regular(b"#!/bin/bash\n", 0o755)}),
            package({BIN: regular(b"#!/usr/bin/env python3\n", 0o755)}),
            package({BIN: regular(b"#!\n", 0o755)}),
        ],
        [
            package(
                {
                    BIN: regular(b"#! /usr/local/bin/bash -e\n", 0o755),
                    "usr/local/bin/bash": symlink("thing"),
                }
            ),
            package({BIN: regular(b"#!/usr/bin/env -S A=1 sh\n", 0o755)}),
        ],
    ),
    "not-executable": case(
        [package({BIN: regular(b"#!/bin/sh\n", 0o644)})],
        [package({"usr/local/bin/list.txt": regular(b"data", 0o644)})],
    ),
    "needless-executable": case([package({"usr/local/include/x.h": regular(b"", 0o755)})], []),
    # programs
    "elf-damaged": case([package({"usr/local/bin/x": regular(b"\x7fELF" + b"\1" * 60, 0o755)})], []),
    "elf-interpreter": Case(
        bad=[
            (package(elf("-s")), CORE),
            (package(elf("-s")), STRICT),
            (package(elf("-s") | startup(b"[ -e /lib64 ] || ln -s lib /lib64x\n")), CORE),
            (package(elf("-s") | startup(b"[ -e /lib64 ] || ln -s lib /lib64\n")), STRICT),
        ],
        good=[
            (package(elf("-s")), context()),
            (package(elf("-s") | startup(b"[ -e /lib64 ] || ln -s lib /lib64\n")), CORE),
            (package(elf("-s", "-static")), CORE),
            (package(elf("-s", "-Wl,--dynamic-linker=/lib/ld-linux-x86-64.so.2")), CORE),
        ],
    ),
    "elf-libc-version": Case(
        bad=[(package(elf("-s")), old_libc((2, 3)))],
        good=[(package(elf("-s")), old_libc((9, 9))), (package(elf("-s", "-static")), old_libc((2, 3)))],
    ),
    "elf-library": Case(
        bad=[
            (package(elf("-s", library="libx.so.1")), context()),
            (package(elf("-s", library="libx.so.1")), context(others=others(LINK))),
        ],
        good=[
            (package(elf("-s")), context()),
            (package(elf("-s", library="libx.so.1"), dep=b"libx.tcz\n"), context(others=others(LINK))),
            (
                package(elf("-s", library="libx.so.1"), dep=b"y.tcz\n"),
                context(others=others(LINK, known("y", needs=("libx",)))),
            ),
            (
                package({**elf("-s", library="libx.so.1"), "usr/local/lib/libx.so.1": regular(b"")}),
                context(),
            ),
        ],
    ),
    "elf-unstripped": case([package(elf()), package(elf("-g"))], [package(elf("-s"))]),
    "elf-rpath": case(
        [package(elf("-s", f"-Wl,-rpath,{place}")) for place in ("/build/x", "lib", "/usr/local/lib")],
        [package(elf("-s"))],
    ),
    "elf-machine": case(
        [package({"usr/local/bin/x": regular(bytes(FOREIGN), 0o755)})],
        [package({"usr/local/lib/firmware/x": regular(bytes(FOREIGN))}), package(elf("-s"))],
    ),
    "elf-executable-stack": case([package(elf("-s", "-z", "execstack"))], [package(elf("-s"))]),
    # modules
    "module-path": case(
        [package(module("6.1-t", "lib/modules/6.1-t/kernel"), name="x-6.1-t")],
        [package(module("6.1-t", MODULES), name="x-6.1-t")],
    ),
    "module-name": case(
        [
            package(module("6.1-t", MODULES)),
            package(
                {**module("6.1-t", MODULES), **module("6.2", MODULES.replace("6.1-t", "6.2"))}, name="x-6.2"
            ),
        ],
        [package(module("6.1-t", MODULES), name="x-6.1-t")],
    ),
    "module-vermagic": case(
        [package(module("6.2", MODULES)), package({f"{MODULES}/x.ko.gz": regular(b"not gzip")})],
        [package(module("6.1-t", MODULES)), package(module("6.1-t", MODULES, ".ko.xz", lzma.compress))],
    ),
    "module-release": Case(
        bad=[(package(module("6.1-t", MODULES)), context(kernel="6.2"))],
        good=[(package(module("6.1-t", MODULES)), context(kernel="6.1-t"))],
    ),
    "module-index": case([package({"usr/local/lib/modules/6.1-t/modules.dep": regular(b"")})], []),
    # content
    "empty-package": case(
        [package({"one": regular(b"x")}, plain=False), package({"lib": directory()}, plain=False)],
        [package({"lib": directory()}, plain=False, dep=b"other.tcz\n")],
    ),
    "path-name": case(
        [package({name: regular(b"")}) for name in ("usr/local/a\nb", "usr/local/ a", "usr/local/\udcff")],
        [package({"usr/local/a b-ä": regular(b"")})],
    ),
    "path-prefix": case(
        [package({"usr/bin/x": regular(b"")}), package({"etc/x": regular(b"")})],
        [package({"etc/skel/.x": regular(b"")}), package({"lib/firmware/x": regular(b"")})],
    ),
    "licence-missing": case(
        [package({BIN: regular(b"")}, plain=False)],
        [package({"usr/local/include/x.h": regular(b"")}, plain=False, name="x-dev")],
    ),
    "libtool-archive": case(
        [package({"usr/local/lib/x.la": regular(b"# x.la - a libtool library file\n")})],
        [package({"usr/local/share/x.la": regular(b"other")})],
    ),
    "split-dev": case(
        [package({"usr/local/include/x.h": regular(b"")}), package({"usr/local/lib/x.a": regular(b"")})],
        [package({"usr/local/include/x.h": regular(b"")}, name="x-dev")],
    ),
    "split-doc": case(
        [package({"usr/local/share/man/man1/x.1": regular(b"")})],
        [package({"usr/local/share/man/man1/x.1": regular(b"")}, name="x-doc")],
    ),
    "split-locale": case([package({"usr/local/share/locale/de/LC_MESSAGES/x.mo": regular(b"")})], []),
    "build-path": case(
        [
            package({BIN: regular(b"#!/bin/sh\nexec /build/src/x\n", 0o755)}),
            package({"usr/local/x": regular(b"prefix=/home/joe/x\n")}),
            package({"usr/local/lib/pkgconfig/x.pc": regular(b"prefix=/tmp/build/x\n")}),
        ],
        [
            package({"usr/local/x": regular(b"see /home/tc/x, /tmp/x/y, a/root/x or build/src/x\n")}),
            package({"usr/local/x": regular(b"\0/home/joe/x\0")}),
        ],
    ),
    "python-cache": case(
        [package({"usr/local/lib/python3/__pycache__/x.cpython-313.pyc": regular(b"")})], []
    ),
    "leftover": case([package({"usr/local/etc/x.conf~": regular(b"")})], []),
    "shared-index": case([package({"usr/local/share/info/dir": regular(b"")})], []),
    "duplicate-file": case(
        [package({f"usr/local/{n}": regular(b"x" * 5000) for n in "ab"})],
        [
            package({"usr/local/a": regular(b"x" * 5000), "usr/local/b": symlink("a")}),
            package({"usr/local/a": regular(b"x" * 5000), "usr/local/b": regular(b"y" * 5000)}),
        ],
    ),
    "empty-folder": case(
        [package({"usr/local/empty": directory()})], [package({"lib": directory()}, plain=False)]
    ),
    "desktop-file": case(
        [
            package({"usr/local/share/applications/thing.desktop": regular(text)})
            for text in (b"Name=x\n", b"Name=x\nExec=x\nX-FullPathIcon=/usr/local/share/x.png\n")
        ],
        [package({"usr/local/share/applications/thing.desktop": regular(b"Name=x\nExec=x\n")})],
    ),
    # links and others
    "dangling-link": case(
        [
            package({"usr/local/x": symlink("gone")}),
            package({"usr/local/a": symlink("b"), "usr/local/b": symlink("a")}),
            package({"usr/local/x": symlink("/tmp/tcloop/thing/usr/local/bin/thing")}),
        ],
        [
            package({"usr/local/x": symlink("bin/thing")}),
            package({"usr/local/x": symlink("/bin/sh"), "usr/local/y": symlink("/proc/1/x")}),
            package({"usr/local/x": symlink("lib/libx.so.1")}, dep=b"libx.tcz\n"),
        ],
        against=context(others=others(LINK)),
    ),
    "link-escapes": case(
        [package({"usr/local/x": symlink("../../../../bin/sh")})],
        [package({"usr/local/x": symlink("../../bin/sh")})],
    ),
    "base-owns-file": case([package({"bin/busybox": regular(b"")})], [package({"bin/other": regular(b"")})]),
    "other-owns-file": Case(
        bad=[(package(), context(others=others(known("rival", BIN))))],
        good=[(package(), context(others=others(known("thing", BIN), known("rival", BIN + "s"))))],
    ),
    "case-clash": case([package(name="Thing")], [], against=context(others=others(known("thing")))),
    # name and .info
    "name": case([package(name="a;b"), package(name="thing-1.2.3")], [package(name="php-8.2")]),
    "info-missing": case([package(info=None)], []),
    "info-keys": case(
        [
            package(info=info().replace(b"Description", b"Descritpion")),
            package(info=b"Version:        1\n" + info().replace(b"Version:        1.2\n", b"")),
        ],
        [package(info=info().replace(b"Description", b"Project:        x\nDescription"))],
    ),
    "info-empty": case([package(info=info(tags=""))], []),
    "info-title": case([package(info=info(title="other.tcz"))], []),
    "info-column": case(
        [package(info=info().replace(b"Version:        ", b"Version: ")), package(info=info() + b"\tx\n")],
        [package(info=info(comments="one\ntwo"))],
    ),
    "info-encoding": case(
        [package(info=info().replace(b"\n", b"\r\n")), package(info=info().replace(b"Somebody", b"Jos\xe9"))],
        [package(info=info(author="José"))],
    ),
    "info-size": case([package(info=info(size="3M")), package(info=info(size="big"))], []),
    "info-current": case([package(info=info(current="yesterday"))], []),
    "info-version": case([package(info=info(version="1.2 beta"))], []),
    # .dep
    "dep-syntax": case(
        [
            package(dep=text)
            for text in (b"a.tcz", b"a.tcz\r\n", b"a.tcz\n\n", b" a.tcz\n", b"a\n", b"# x\n", b"")
        ],
        [package(dep=b"a.tcz\nb-KERNEL.tcz\n")],
    ),
    "dep-self": case([package(dep=b"thing.tcz\n")], [package(dep=b"a.tcz\n")]),
    "dep-duplicate": case([package(dep=b"a.tcz\na.tcz\n")], [package(dep=b"a.tcz\n")]),
    "dep-unknown": Case(
        bad=[(package(dep=b"gone.tcz\n"), context(others=others(known("a"))))],
        good=[
            (package(dep=b"gone.tcz\n"), context()),
            (package(dep=b"a.tcz\nm-KERNEL.tcz\n"), context(others=others(known("a"), known("m-6.1-t")))),
        ],
    ),
    "dep-circle": Case(
        bad=[
            (
                package(dep=b"a.tcz\n"),
                context(others=others(known("a", needs=("thing",)), known("thing", needs=("a",)))),
            )
        ],
        good=[(package(), context(others=others(known("a"), known("thing", needs=("a",)))))],
    ),
    "dep-redundant": case(
        [package(dep=b"a.tcz\nb.tcz\n")],
        [package(dep=b"a.tcz\n")],
        against=context(others=others(known("a", needs=("b",)), known("b"))),
    ),
    "dep-kernel": case(
        [package(dep=b"m-6.12.11-tinycore64.tcz\n"), package(dep=b"m-KERNEL-x.tcz\n")],
        [package(dep=b"m-KERNEL.tcz\n")],
    ),
    # other companions
    "list-missing": case([package(list=None)], []),
    "list-content": case(
        [package(list=b"usr/local/bin/thing\n"), package(list=package().companion(".list") + b"usr/x\n")],  # type: ignore[operator]
        [package(list=b"./usr/local/share/doc/thing/COPYING\n/usr/local/bin/thing\n")],
    ),
    "md5-missing": case([package(md5=None)], []),
    "md5-syntax": case(
        [
            package(md5=text)
            for text in (
                b"<html>",
                b"",
                f"{MD5} thing.tcz\n".encode(),
                f"{MD5}  other.tcz\n".encode(),
                f"{MD5}  thing.tcz\n\n".encode(),
                f"{'A' * 32}  thing.tcz\n".encode(),
            )
        ],
        [package(md5=f"{MD5}  thing.tcz".encode())],
    ),
    "md5-mismatch": case([package(md5=f"{'1' * 32}  thing.tcz\n".encode())], []),
    "zsync-missing": case([package(zsync=None)], []),
    "zsync-stale": case(
        [
            package(zsync=ZSYNC.replace(b"4096", b"4095")),
            package(zsync=control("other.tcz")),
            package(zsync=b"<html>"),
        ],
        [package(zsync=ZSYNC)],
    ),
    "tree-stale": case(
        [package(tree=b"other.tcz\n\n"), package(tree=b"thing.tcz\n   b.tcz\n\n", dep=b"a.tcz\n")],
        [package(tree=b"thing.tcz\n   a.tcz\n      b.tcz\n\n", dep=b"a.tcz\n")],
    ),
    "companion-mode": case(
        [replace(package(), companions=(Companion(suffix=".info", data=info(), mode=0o600),))], []
    ),
    "build-dep-missing": case([package(build_dep=None)], [], against=STRICT),
    # the same package before
    "update-info": Case(
        bad=[(package(), context(published=others(BEFORE)))],
        good=[
            (package(info=info(current="2025/02/02 second")), context(published=others(BEFORE))),
            (package(), context(published=others(replace(BEFORE, md5=MD5)))),
        ],
    ),
    "update-needs": Case(
        bad=[
            (package(dep=b"a.tcz\n"), context(published=others(BEFORE))),
            (package(), context(published=others(replace(BEFORE, needs=("a",))))),
        ],
        good=[(package(), context(published=others(BEFORE)))],
    ),
    "update-files": Case(
        bad=[(package(), context(published=others(replace(BEFORE, files=("usr/local/bin/gone",)))))],
        good=[(package({"usr/local/new": regular(b"")}), context(published=others(BEFORE)))],
    ),
    "allow-unknown": case(
        [package(allowed=(Allow(check="set-di", reason="x"),))],
        [package(allowed=(Allow(check="set-id", reason="x"),))],
    ),
}
