"""A base and a set of .tcz kept as files, to an ISO that boots from BIOS and UEFI (goals G1 and G4).

Peers: ``cat`` of the same inputs into one file, the least that any way must write; and the wiki's procedure:
``zcat | cpio -i``, ``unsquashfs`` of every extension into the root, ``find | cpio -o | gzip -9``,
``genisoimage``. Measured with the initrd in the cache, and with an empty cache, when it is packed by zstd 19
and by libdeflate 6. Ours runs in this process: what starting costs is another benchmark.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from bench.harness import Case, Side, Skipped, shell
from bench.shelf import EXTENSIONS, LOADERS, Stock, stock
from remaster import image
from remaster.variant import Variant
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner

if TYPE_CHECKING:
    from pathlib import Path

    from tcz.compress import Compression

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
genisoimage -quiet -l -J -R -V bench -no-emul-boot -boot-load-size 4 -boot-info-table \
    -b boot/isolinux/isolinux.bin -c boot/isolinux/boot.cat -o x.iso medium
"""


def _ours(place: Path, made: Stock, compressor: Compression, level: int | None, *, warm: bool) -> Side:
    dirs = Dirs(cache=place / "cache", config=place / "config", state=place / "state")
    output = place / "out/x.iso"
    request = image.Request(variant=_VARIANT, base="floe", output=output, compressor=compressor, level=level)

    def forget() -> None:
        shutil.rmtree(output.parent, ignore_errors=True)
        if not warm:
            shutil.rmtree(dirs.cache / "initrds", ignore_errors=True)

    def run() -> int:
        return image.make(image.prepare(request, made.shelf), dirs, SilentReporter()).size

    packed = "from the cache" if warm else f"packed by {compressor} {level}"
    return Side(name=f"remaster, initrd {packed}", run=run, before=forget)


def _cat(place: Path, made: Stock) -> Side:
    output = place / "cat.out"

    def run() -> int:
        shell('out=$1; shift; cat "$@" >"$out"', output, made.kernel, made.base, *made.extensions)
        return output.stat().st_size

    return Side(
        name="cat of the inputs", run=run, before=lambda: output.unlink(missing_ok=True), goal="<= 2.5"
    )


def _wiki(place: Path, made: Stock, goal: str) -> Side:
    scratch = place / "wiki"

    def run() -> int:
        words = (scratch, made.base, made.kernel, LOADERS["isolinux.bin"], *made.extensions)
        shell(_WIKI, *words)
        return (scratch / "x.iso").stat().st_size

    needs = ("zcat", "cpio", "unsquashfs", "gzip", "genisoimage")
    return Side(name="the wiki's procedure, gzip -9", run=run, needs=needs, goal=goal)


def cases(place: Path) -> tuple[Case, ...]:
    if HostRunner().which("mksquashfs") is None:
        raise Skipped("mksquashfs not installed")
    made = stock(place / "shelf")
    return (
        Case(
            name="image-cached",
            ours=_ours(place / "cached", made, "zstd", 19, warm=True),
            peers=(_cat(place, made), _wiki(place, made, "<= 1/60")),
        ),
        Case(
            name="image-zstd",
            ours=_ours(place / "zstd", made, "zstd", 19, warm=False),
            peers=(_wiki(place, made, ""),),
        ),
        Case(
            name="image-gzip",
            ours=_ours(place / "gzip", made, "gzip", 6, warm=False),
            peers=(_wiki(place, made, "<= 1/12"),),
        ),
    )
