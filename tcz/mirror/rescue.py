"""Lost files of packages brought back from mirrors elsewhere: whoever has the same bytes will do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tcz.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tcz.mirror.model import Blob, Branch, Catalogue
    from tcz.mirror.repository import Mirror
    from tcz.mirror.upstream import Upstream
    from tcz.reporting import Reporter

    #: Opens an upstream by its address.
    Reach = Callable[[str, Branch], Upstream]


def fetch(
    mirror: Mirror,
    catalogues: Iterable[Catalogue],
    wanted: dict[str, Blob],
    addresses: Sequence[str],
    reach: Reach,
    reporter: Reporter,
) -> int:
    """Bring objects back and take them out of ``wanted``; return how many. Each must have its sha256.

    An upstream that cannot be reached, or lacks a file, is no error: it is told, and the next one is asked.
    """
    before = len(wanted)
    lost = _lost(catalogues, wanted)
    for address in addresses:
        for branch, files in lost.items():
            left = {name: blob for name, blob in files.items() if blob.sha256 in wanted}
            if left:
                try:
                    _from(mirror, reach(address, branch), left, wanted, reporter)
                except ToolkitError as error:
                    reporter.warn(f"{address}: {error.what}{f': {error.why}' if error.why else ''}")
    return before - len(wanted)


def _lost(catalogues: Iterable[Catalogue], wanted: dict[str, Blob]) -> dict[Branch, dict[str, Blob]]:
    found: dict[Branch, dict[str, Blob]] = {}
    for catalogue in catalogues:
        for branch, entries in catalogue.branches.items():
            for entry in entries.values():
                for name, blob in entry.names():
                    if blob.sha256 in wanted:
                        found.setdefault(branch, {})[name] = blob
    return found


def _from(
    mirror: Mirror,
    upstream: Upstream,
    files: dict[str, Blob],
    wanted: dict[str, Blob],
    reporter: Reporter,
) -> None:
    # One file that is asked for first tells whether anybody is there.
    upstream.refresh().read("info.lst.gz")
    upstream.prepare(list(files))
    (mirror.root / "tmp").mkdir(exist_ok=True)
    title = f"bringing {len(files)} files from {upstream.where}"
    with (
        reporter.step(title, total=len(files)) as step,
        tempfile.TemporaryDirectory(dir=mirror.root / "tmp") as folder,
    ):
        for count, (name, blob) in enumerate(files.items()):
            step.progress(count, len(files))
            new = Path(folder) / "file"
            new.unlink(missing_ok=True)
            try:
                if not upstream.bring(name, new, step, blob.size):
                    continue
                mirror.objects.add_file(new, blob)
            except ToolkitError as error:
                reporter.warn(f"{upstream.where}/{name}: {error.what}")
                continue
            wanted.pop(blob.sha256, None)
