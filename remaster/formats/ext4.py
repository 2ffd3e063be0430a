"""An empty ext4 file system with nothing in it that a clock or chance decides.

mke2fs makes it, with the features spelled out, so that its configuration file on this machine has no
say. Times come from E2FSPROGS_FAKE_TIME, which every release knows; UUID and hash seed are given.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from tcz.errors import NoSpaceError, ToolkitError
from tcz.run import CommandError

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from tcz.run import Runner

#: What every kernel since 4.14 mounts read-write, and what can grow while it is mounted.
_FEATURES: Final = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
_ITSELF: Final = "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard"


_VERSION: Final = re.compile(r"mke2fs (\S+)")


def version(runner: Runner) -> str:
    """Return the version of mke2fs, which decides bytes. Raises as running it does."""
    made = runner.run(["mke2fs", "-V"])
    said = (made.stderr + made.stdout).decode(errors="replace").strip()
    found = _VERSION.search(said)
    if found is None:
        raise ToolkitError("mke2fs does not tell its version", why=said or None)
    return found[1]


def make(
    file: Path, size: int, *, label: str, guid: uuid.UUID, seed: uuid.UUID, epoch: int, runner: Runner
) -> None:
    """Write the file system to ``file``, ``size`` bytes long with holes.

    Raises ``MissingToolError`` without mke2fs, ``NoSpaceError`` on a full disk, ``ToolkitError`` with what
    mke2fs says where it fails.
    """
    with file.open("wb") as made:
        made.truncate(size)
    config = file.with_name(f"{file.name}.conf")
    config.write_text("[defaults]\n")
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "E2FSPROGS_FAKE_TIME": str(max(epoch, 1)),
        "MKE2FS_CONFIG": str(config),
        "LC_ALL": "C",
        "TZ": "UTC",
    }
    extended = f"hash_seed={seed},{_ITSELF}"
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0"]
    argv += ["-O", _FEATURES, "-E", extended, "-U", str(guid), "-L", label, str(file)]
    try:
        runner.run(argv, env=env)
    except CommandError as error:
        if "No space left on device" not in (error.why or ""):
            raise
        hint = "free some space, or point TMPDIR to a larger disk"
        raise NoSpaceError("the disk is full", where=str(file.parent), hint=hint) from error
    finally:
        config.unlink()
