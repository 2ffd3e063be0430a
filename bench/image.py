"""A base and a set of .tcz to an ISO image that boots (goals G1 to G4): the wiki's way, and ours.

The base is an initrd packed by gzip, as Tiny Core's, with a kernel beside it; the packages hold 80 MiB of
programs of this machine. Peers: the wiki's procedure, which unpacks everything into one
initrd (``zcat | cpio -i``, ``unsquashfs``, ``find | cpio -o | gzip -9``, ``xorrisofs``), and ``cat`` of the
inputs into one file, the least that any way must write. Ours runs in this process, starts each time with
looking at the base, and writes lock, manifest, sizes and sums besides; what starting Python costs is another
benchmark.

Packages are kept as files, or unpacked into the initrd; with nothing in the cache (but what the command line
says otherwise: packed by libdeflate 6, as gzip -9 is what the peer packs by), with one package changed, and
with nothing changed.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.harness import Case, Side, Skipped, shell
from bench.shelf import EXTENSIONS, LOADERS, Stock, stock
from remaster import foreign, image
from remaster.variant import Variant
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remaster.variant import Place

_VARIANT: Final = Variant(
    name="bench",
    summary="To measure with",
    onboot=EXTENSIONS,
    optional=(),
    boot_codes=("noembed", "cde"),
    services=(),
    files=(),
    version_of=EXTENSIONS[0],
)
_WIKI: Final = """
scratch=$1 base=$2 kernel=$3 loader=$4; shift 4
rm -rf "$scratch"; mkdir -p "$scratch/root" "$scratch/medium/boot/isolinux"
cd "$scratch/root"
zcat "$base" | cpio -i -H newc -d --quiet
for package; do unsquashfs -n -f -d . "$package" >/dev/null; done
find . | cpio -o -H newc --quiet | gzip -9 >../medium/boot/core.gz
cp "$kernel" ../medium/boot/vmlinuz64
cp "$loader" ../medium/boot/isolinux/isolinux.bin
cd ..
xorrisofs -quiet -l -J -R -V bench -no-emul-boot -boot-load-size 4 -boot-info-table \
    -b boot/isolinux/isolinux.bin -c boot/isolinux/boot.cat -o x.iso medium
"""


class _Maker:
    """Makes images of a stock in a place of their own."""

    def __init__(self, place: Path, made: Stock, where: Place) -> None:
        self.dirs = Dirs(cache=place / "cache", config=place / "config", state=place / "state")
        self.output = place / "out/x.iso"
        self.made = made
        self.variant = replace(_VARIANT, places=(("*", where),))

    def run(self) -> int:
        """Make the image, from looking at the base on; return its size."""
        given = {"core.gz": self.made.base, "vmlinuz64": self.made.kernel}
        base = foreign.open_foreign("base", given, self.dirs)
        request = image.Request(
            variant=self.variant,
            base=base.name,
            output=self.output,
            compressor="gzip",
            level=6,
            foreign=base,
            spec=foreign.spec_for(base, ""),
            mode="append",
        )
        job = image.prepare(request, self.made.shelf)
        return image.make(job, self.dirs, SilentReporter()).size

    def forget_all(self) -> None:
        """Remove the image and the cache."""
        shutil.rmtree(self.output.parent, ignore_errors=True)
        shutil.rmtree(self.dirs.cache, ignore_errors=True)

    def side(self, name: str, before: Callable[[], object] | None) -> Side:
        """Return one way to make it."""
        return Side(name=f"remaster, {name}", run=self.run, before=before)


def _changed(made: Stock) -> Callable[[], None]:
    """Return what changes one package, to another content each time."""
    turns = itertools.count()

    def change() -> None:
        made.change(next(turns))

    return change


def _cat(place: Path, made: Stock, goal: str) -> Side:
    output = place / "cat.out"

    def run() -> int:
        shell('out=$1; shift; cat "$@" >"$out"', output, made.kernel, made.base, *made.extensions)
        return output.stat().st_size

    return Side(name="cat of the inputs", run=run, before=lambda: output.unlink(missing_ok=True), goal=goal)


def _wiki(place: Path, made: Stock, goal: str) -> Side:
    scratch = place / "wiki"

    def run() -> int:
        words = (scratch, made.base, made.kernel, LOADERS["isolinux.bin"], *made.extensions)
        shell(_WIKI, *words)
        return (scratch / "x.iso").stat().st_size

    needs = ("zcat", "cpio", "unsquashfs", "gzip", "xorrisofs")
    return Side(name="the wiki's procedure, gzip -9", run=run, needs=needs, goal=goal, once=True)


_PEAK: Final = """
import sys
from pathlib import Path
from bench.image import _Maker
from bench.shelf import stocked
_Maker(Path(sys.argv[1]), stocked(Path(sys.argv[2])), sys.argv[3]).run()
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


def _peak(place: Path, shelf: Path, where: Place) -> Side:
    def run() -> int:
        shutil.rmtree(place, ignore_errors=True)
        said = HostRunner().run([sys.executable, "-c", _PEAK, str(place), str(shelf), where]).stderr
        return int(said.split()[-1]) << 10

    return Side(name=f"remaster, packages in {where}", run=run)


def cases(place: Path) -> tuple[Case, ...]:
    if HostRunner().which("mksquashfs") is None:
        raise Skipped("mksquashfs not installed")
    shelf = place / "shelf"
    made = stock(shelf)
    kept, laid = _Maker(place / "kept", made, "cde"), _Maker(place / "laid", made, "root")
    change = _changed(made)
    starting = Side(name="starting Python alone", run=_start)
    return (
        Case(
            name="image-kept",
            ours=kept.side("packages kept, nothing cached", kept.forget_all),
            peers=(_wiki(place, made, "<= 1/60"), _cat(place, made, "<= 2.5")),
        ),
        Case(
            name="image-unpacked",
            ours=laid.side("packages unpacked, nothing cached", laid.forget_all),
            peers=(_wiki(place, made, "<= 1/12"),),
        ),
        Case(
            name="image-changed",
            ours=kept.side("packages kept, one changed", change),
            peers=(_cat(place, made, "<= 2.5"),),
        ),
        Case(
            name="image-unpacked-changed",
            ours=laid.side("packages unpacked, one changed", change),
            peers=(_wiki(place, made, ""), _cat(place, made, "")),
        ),
        Case(
            name="image-again",
            ours=kept.side("nothing changed", None),
            peers=(_cat(place, made, ""), _wiki(place, made, "")),
        ),
        Case(name="image-memory-kept", ours=_peak(place / "peak", shelf, "cde"), peers=(starting,)),
        Case(name="image-memory-unpacked", ours=_peak(place / "peak", shelf, "root"), peers=(starting,)),
    )


def _start() -> int:
    code = "import remaster.image, sys" + _PEAK[_PEAK.index("\nlines") :]
    return int(HostRunner().run([sys.executable, "-c", code]).stderr.split()[-1]) << 10
