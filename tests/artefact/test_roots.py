"""Builds in roots other than Debian's: the machine itself, and Tiny Core from a stand-in of a mirror.

The mirror is made of Debian's static BusyBox (the initrd) and its small compiler tcc (the extension
``compiletc``, with what it needs as extensions of their own), and served over HTTP on the loopback.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tcz import cpio
from tcz.errors import ConfigError, FetchError, VerifyError
from tcz.hostroot import HostRoots, Machine
from tcz.layout import read_back
from tcz.recipe import load
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, directory, regular, symlink

sys.path.append(str(Path(__file__).parents[1] / "cases"))
from tests.cases.commandline import Upstream, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.build

HEAD = """\
schema = 1
name = "{name}"
version = "1.0"
summary = "Made elsewhere"
license = "MIT"
homepage = "https://{name}.example/"
[build]
{build}
[[package]]
name = "{name}"
files = ["usr"]
"""
COMPILE = """\
printf 'int main(void){return 7;}\\n' >seven.c
%s -o seven seven.c
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share"
cp seven "$DEST/usr/local/bin/seven"
id -u >"$DEST/usr/local/share/id"
"""
HOST = HEAD.format(name="here", build='root = "host"')
TINY = HEAD.format(
    name="tiny", build='root = "tinycore"\ntinycore = "17.x"\nneeds.tinycore = ["compiletc"]\nstrip = false'
)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        yield server


def busybox_root(bench: Any) -> bytes:
    """Return an initrd in the manner of rootfs64.gz: two archives in one gzip stream, links, a device."""
    found = bench.workshop.builder.roots.get(("busybox-static",)).path / "usr/bin/busybox"
    applets = ("sh", "cp", "mkdir", "id", "printf", "test", "cat", "ls")
    nodes = {
        "bin/busybox": regular(found.read_bytes(), 0o755),
        **{f"bin/{name}": symlink("busybox") for name in applets},
        "etc/passwd": regular(b"root:x:0:0:root:/root:/bin/sh\n"),
        "etc/kept": regular(b"the base's\n"),
        "lib64": symlink("lib"),
        "lib": directory(),
        "usr/local/tce.installed": directory(0o775, gid=50),
    }
    more = {"etc/second": regular(b"archive\n"), "tmp": directory(0o1777)}
    return gzip.compress(dump(Tree(nodes)) + dump(Tree(more)), mtime=0)


def dump(tree: Tree) -> bytes:
    data = cpio.dumps(tree)
    return data + bytes(-len(data) % 512)


class Shelf:
    """Puts the files of a mirror on a server."""

    def __init__(self, upstream: Upstream, bench: Any, scratch: Path) -> None:
        self.upstream = upstream
        self.builder = bench.workshop.builder
        self.scratch = scratch
        scratch.mkdir()

    def put(self, path: str, data: bytes) -> None:
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.upstream.answers[f"17.x/x86_64/{path}"] = data
        self.upstream.answers[f"17.x/x86_64/{path}.md5.txt"] = f"{md5}  {Path(path).name}\n".encode()

    def extension(self, name: str, tree: Tree, *needs: str) -> None:
        image = self.scratch / f"{name}.tcz"
        writer.write(tree, image, SquashOptions(block=4096), epoch=0)
        self.put(f"tcz/{name}.tcz", image.read_bytes())
        if needs:
            text = "".join(f"{need}.tcz \n" for need in needs) + "\n"
            self.upstream.answers[f"17.x/x86_64/tcz/{name}.tcz.dep"] = text.encode()


def compiler(bench: Any) -> dict[str, Tree]:
    """Return what tcc is made of as trees: the program, the C library with its linker, and headers."""
    whole = read_back(bench.workshop.builder.roots.get(("tcc", "libc6-dev")).path)
    libraries = "usr/lib/x86_64-linux-gnu/"

    def pick(*starts: str) -> Tree:
        nodes = {path: node for path, node in whole.items() if path.startswith(starts) and not node.is_dir}
        return Tree({path: node if node.link is None else whole[node.link] for path, node in nodes.items()})

    libc = pick(
        libraries + "libc.",
        libraries + "libc_non",
        libraries + "libm.",
        libraries + "crt",
        libraries + "ld-linux",
    )
    loader = Tree({"lib/ld-linux-x86-64.so.2": whole[libraries + "ld-linux-x86-64.so.2"]})
    kept = Tree({"etc/kept": regular(b"the extension's\n"), "usr/local/share/from-libc": regular(b"1\n")})
    libs = Tree({path.replace("usr/lib/", "lib/"): node for path, node in libc.items() if not node.is_dir})
    return {
        "compiletc": pick("usr/bin/tcc", "usr/bin/x86_64-tcc", libraries + "tcc/"),
        "glibc_base-dev": libc.overlay(libs).overlay(loader).overlay(kept),
        "headers": pick("usr/include/"),
    }


@pytest.fixture
def shelf(bench: Any, upstream: Upstream, tmp_path: Path) -> Shelf:
    at = bench("maker")
    shelf = Shelf(upstream, at, tmp_path / "shelf")
    shelf.put("release/distribution_files/rootfs64.gz", busybox_root(at))
    trees = compiler(at)
    shelf.extension("compiletc", trees["compiletc"], "glibc_base-dev", "modules-KERNEL")
    shelf.extension("glibc_base-dev", trees["glibc_base-dev"], "headers")
    shelf.extension("headers", trees["headers"])
    return shelf


def test_a_program_compiled_in_tiny_core(bench: Any, write_recipe: Any, shelf: Shelf, tmp_path: Path) -> None:
    script = COMPILE % "tcc" + 'test "$(cat /etc/kept)" = "the base\'s"\ntest -e /etc/second\n'
    folder = write_recipe("tiny", TINY, {"build.sh": script}).parent
    at = bench("one", folder, tinycore_mirror=shelf.upstream.address, apart=True)
    (built,) = at.workshop.build(["tiny"])
    assert [one.name for one in built.root] == ["rootfs64.gz", "headers", "glibc_base-dev", "compiletc"]
    assert {one.kind for one in built.root} == {"tinycore"}
    out = tmp_path / "out"
    subprocess.run(["unsquashfs", "-q", "-n", "-d", out, built.packages[0].path], check=True)
    told = subprocess.run(
        ["file", "-b", out / "usr/local/bin/seven"], capture_output=True, text=True, check=True
    )
    assert "ELF 64-bit" in told.stdout
    assert not any("modules" in path for path, _ in shelf.upstream.asked)

    asked = len(shelf.upstream.asked)
    again = bench("one", folder, tinycore_mirror="http://127.0.0.1:9", apart=True)
    assert again.workshop.build(["tiny"]) == (built,)
    assert len(shelf.upstream.asked) == asked


def test_what_a_mirror_may_get_wrong(bench: Any, write_recipe: Any, shelf: Shelf) -> None:
    folder = write_recipe("tiny", TINY, {"build.sh": COMPILE % "tcc"}).parent
    answers = shelf.upstream.answers
    mirror = shelf.upstream.address
    with pytest.raises(ConfigError, match="no mirror of Tiny Core is known") as known:
        bench("none", folder, apart=True).workshop.build(["tiny"])
    assert "TCZ_MIRROR" in (known.value.hint or "")
    with pytest.raises(FetchError, match="cannot be asked"):
        bench("none", folder, tinycore_mirror="http://127.0.0.1:9", apart=True).workshop.build(["tiny"])

    whole = answers["17.x/x86_64/tcz/headers.tcz"]
    assert isinstance(whole, bytes)
    answers["17.x/x86_64/tcz/headers.tcz"] = whole[:-1] + b"x"
    with pytest.raises(VerifyError, match=r"headers is not what its \.md5\.txt says"):
        bench("bytes", folder, tinycore_mirror=mirror, apart=True).workshop.build(["tiny"])
    answers["17.x/x86_64/tcz/headers.tcz.md5.txt"] = b"<html>not found</html>"
    with pytest.raises(VerifyError, match=r"not an \.md5\.txt file") as said:
        bench("html", folder, tinycore_mirror=mirror, apart=True).workshop.build(["tiny"])
    assert said.value.where == f"{mirror}/17.x/x86_64/tcz/headers.tcz.md5.txt"
    del answers["17.x/x86_64/tcz/headers.tcz.md5.txt"]
    with pytest.raises(ConfigError, match="are missing") as missing:
        bench("missing", folder, tinycore_mirror=mirror, apart=True).workshop.build(["tiny"])
    assert missing.value.problems[0].where == "compiletc -> glibc_base-dev -> headers"
    del answers["17.x/x86_64/release/distribution_files/rootfs64.gz.md5.txt"]
    with pytest.raises(FetchError, match=r"has no Tiny Core 17\.x"):
        bench("empty", folder, tinycore_mirror=mirror, apart=True).workshop.build(["tiny"])


def test_the_initrd_may_hold_modules_too(bench: Any, write_recipe: Any, shelf: Shelf) -> None:
    answers = shelf.upstream.answers
    data = answers.pop("17.x/x86_64/release/distribution_files/rootfs64.gz")
    del answers["17.x/x86_64/release/distribution_files/rootfs64.gz.md5.txt"]
    assert isinstance(data, bytes)
    modules = gzip.compress(dump(Tree({"lib/modules/6.18.2-tinycore64/modules.dep": regular(b"")})), mtime=0)
    shelf.put("release/distribution_files/corepure64.gz", data + modules)
    body = TINY.replace('["compiletc"]', "[]")
    script = (
        'test -e /lib/modules/6.18.2-tinycore64/modules.dep\nmkdir "$DEST/usr"\ncp /etc/second "$DEST/usr"\n'
    )
    folder = write_recipe("tiny", body, {"build.sh": script}).parent
    (built,) = bench("one", folder, tinycore_mirror=shelf.upstream.address, apart=True).workshop.build(
        ["tiny"]
    )
    assert [one.name for one in built.root] == ["corepure64.gz"]


def test_built_on_the_machine_itself(bench: Any, write_recipe: Any) -> None:
    script = (
        'mkdir -p "$DEST/usr/share"\ncp /usr/bin/env "$DEST/usr/share/env"\nls /usr/lib >/dev/null\n'
        "! test -e /root\n! test -e /home\n! test -e /var/lib\n! touch /usr/x 2>/dev/null\n"
    )
    folder = write_recipe("here", HOST, {"build.sh": script}).parent
    at = bench("one", folder, apart=True)
    (built,) = at.workshop.build(["here"])
    assert built.root[0].kind == "host"
    assert bench("one", folder, apart=True).workshop.build(["here"]) == (built,)


def test_the_id_of_a_machine_follows_it(tmp_path: Path, write_recipe: Any, bench: Any) -> None:
    recipe = load(write_recipe("here", HOST, {"build.sh": ":\n"}))
    wants = load(
        write_recipe(
            "wants",
            HOST.replace("here", "wants").replace(
                'root = "host"', 'root = "host"\nneeds.debian = ["gcc", "gone"]'
            ),
            {"build.sh": ":\n"},
        )
    )
    machine = tmp_path / "machine"
    for name in ("usr/bin", "var/lib/dpkg", "etc", "lib"):
        (machine / name).mkdir(parents=True)
    (machine / "bin").symlink_to("usr/bin")
    status = "Package: gcc\nStatus: install ok installed\nVersion: 1\n\n"
    status += "Package: old\nStatus: deinstall ok config-files\n"
    dirs = bench("one", apart=True).dirs

    def root(target: Any = recipe) -> Any:
        return HostRoots(dirs, Machine(machine)).get(target)

    ids = [root().id]
    (machine / "var/lib/dpkg/status").write_text(status)
    ids.append(root().id)
    (machine / "etc/os-release").write_text('ID=tiny\nVERSION_ID="17"\n')
    ids.append(root().id)
    (machine / "usr/bin/gcc").write_text("#!/bin/sh\n")
    (machine / "usr/bin/gcc").chmod(0o755)
    ids.append(root().id)
    assert len(set(ids)) == 4
    assert root().id == ids[-1]
    made = root()
    assert [(one.name, one.version) for one in made.contents] == [("tiny", "17"), ("gcc", "1"), ("gcc", "")]
    assert {bind.inside for bind in made.binds} == {"/usr", "/lib"}
    assert (made.path / "bin").readlink() == Path("usr/bin")
    with pytest.raises(ConfigError, match="lacks gone") as caught:
        root(wants)
    assert caught.value.hint == "sudo apt-get install gone"
