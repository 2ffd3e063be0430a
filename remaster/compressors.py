"""How an initrd is packed: what the kernel that is to read it can unpack.

A kernel that holds its own configuration (CONFIG_IKCONFIG) says so itself; of another one it is known that
it reads what the initrds are packed with that it starts from. Every kernel of Tiny Core reads gzip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remaster import kconfig
from tcz.errors import ConfigError, VerifyError

if TYPE_CHECKING:
    from collections.abc import Collection

    from remaster.foreign import Foreign
    from remaster.kconfig import KernelConfig
    from tcz.compress import Compression

#: Those that pack smallest first, each with the symbol of the kernel's configuration.
_SMALLEST: Final[tuple[tuple[Compression, str], ...]] = (
    ("xz", "RD_XZ"),
    ("zstd", "RD_ZSTD"),
    ("gzip", "RD_GZIP"),
    ("lz4", "RD_LZ4"),
)
#: Our own kernels read all of them: a little larger than xz, and unpacked in a tenth of its time.
OWN: Final = "zstd"
#: Every kernel of Tiny Core reads it.
USUAL: Final = "gzip"


def compressor_for(foreign: Foreign, kernel: str, asked: Compression | None) -> Compression:
    """Return what packs an initrd upon a base: what was asked for, else the smallest that can be read.

    ``kernel`` names the package whose kernel takes the place of the base's, empty where that stays. Raises
    ``ConfigError`` where the kernel is known not to read what was asked for.
    """
    if kernel:
        return asked or OWN
    said = _said(foreign)
    if asked is not None:
        if said is not None and asked not in said:
            listed = ", ".join(name for name in said if name != "none")
            raise ConfigError(
                f"the base's kernel {foreign.kernel} cannot read initrds that are packed by {asked}",
                hint=f"leave --initrd-compressor out, or use one of: {listed or 'none'}",
            )
        return asked
    proved = {member.compressor for file in foreign.examined.survey.initrds for member in file.members}
    if said is not None:
        return _smallest_of(proved | set(said))
    # That its initrds are plain says nothing of what else it reads.
    return _smallest_of(proved - {"none"} or {USUAL})


def smallest(config: KernelConfig) -> Compression:
    """Return the compressor that packs smallest of those that a kernel so configured unpacks."""
    return _smallest_of(_read_by(config))


def _smallest_of(readable: Collection[str]) -> Compression:
    usual: Compression = "none" if set(readable) == {"none"} else USUAL
    return next((name for name, _ in _SMALLEST if name in readable), usual)


def _read_by(config: KernelConfig) -> tuple[Compression, ...]:
    return (*(name for name, symbol in _SMALLEST if config.value(symbol) == "y"), "none")


def _said(foreign: Foreign) -> tuple[Compression, ...] | None:
    """Return what the base's kernel says that it can unpack; ``None`` where it does not hold that."""
    node = foreign.examined.medium.files.get(foreign.examined.kernel)
    if node is None or not node.is_file:
        return None
    try:
        return _read_by(kconfig.find(node.read()))
    except VerifyError:
        return None
