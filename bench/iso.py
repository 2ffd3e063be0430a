"""Writing a hybrid ISO of 64 MiB in 100 files (goal G8).

Peers: ``cp`` of the finished ISO, and ``genisoimage`` and ``xorrisofs``, which make one from a folder; they
leave the hybrid MBR out.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from bench.data import EPOCH, program
from bench.harness import Case, Side, shell
from bench.shelf import LOADERS, need_loaders
from remaster.iso import IsoPlan, write_iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FILES: Final = 100
_FILE: Final = (64 << 20) // _FILES
_OPTIONS: Final = (
    "-quiet -R -V bench -b boot/isolinux/isolinux.bin -c boot/isolinux/boot.cat"
    " -no-emul-boot -boot-load-size 4 -boot-info-table"
)


def cases(place: Path) -> tuple[Case, ...]:
    need_loaders()
    tree = place / "medium"
    (tree / "boot/isolinux").mkdir(parents=True)
    (tree / "cde/optional").mkdir(parents=True)
    shutil.copyfile(LOADERS["isolinux.bin"], tree / "boot/isolinux/isolinux.bin")
    content = program(_FILE + _FILES, 4)
    for number in range(_FILES):
        (tree / f"cde/optional/p{number}.tcz").write_bytes(content[number : number + _FILE])
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    plan = IsoPlan(
        volume_id="bench",
        files=tuple((path.relative_to(tree).as_posix(), path) for path in files),
        efi_image=None,
        mbr_code=LOADERS["isohdpfx.bin"].read_bytes(),
        epoch=EPOCH,
        identity=b"bench",
    )
    output, master, copied = place / "x.iso", place / "master.iso", place / "copy.iso"
    write_iso(plan, master)

    def ours() -> int:
        write_iso(plan, output)
        return output.stat().st_size

    def peer(command: str) -> Callable[[], int]:
        def run() -> int:
            # xorrisofs writes the boot information into the file of the tree itself
            shutil.copyfile(LOADERS["isolinux.bin"], tree / "boot/isolinux/isolinux.bin")
            shell(f'{command} {_OPTIONS} -o "$2" "$1"', tree, copied)
            return copied.stat().st_size

        return run

    def remove() -> None:
        for path in (output, copied):
            path.unlink(missing_ok=True)

    def cp() -> None:
        shell('cp "$1" "$2"', master, copied)

    peers = (
        Side(name="cp of the ISO", run=cp, before=remove, goal="<= 3.0"),
        Side(
            name="genisoimage", run=peer("genisoimage"), needs=("genisoimage",), before=remove, goal="<= 1.0"
        ),
        Side(name="xorrisofs", run=peer("xorrisofs"), needs=("xorrisofs",), before=remove),
    )
    return (Case(name="iso", ours=Side(name="remaster.iso.write_iso", run=ours, before=remove), peers=peers),)
