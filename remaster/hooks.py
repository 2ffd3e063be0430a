"""The texts that a base reads at boot: what to load, what to start, who may log in.

An image gives a base data, not scripts; the scripts belong to the base and to the packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remaster.sshkey import PublicKey

#: Names of services to start at boot, in order, one a line; stopped in reverse order.
SERVICES = "etc/sysconfig/services"
#: The label that a data disk is found by before all others, and gets when it is made.
DATA_LABEL = "etc/sysconfig/data-label"
#: Public keys for the boot user; the SSH service installs them.
AUTHORIZED_KEYS = "usr/local/etc/ssh/authorized_keys"
#: What is in the image.
MANIFEST = "usr/share/doc/floe/manifest.json"
#: Configurations of kernels that do not hold their own, packed by gzip: config-RELEASE.gz.
KERNEL_CONFIGS = "usr/share/doc/floe/config-"


def kernel_config(release: str) -> str:
    """Return where the configuration of a kernel is."""
    return f"{KERNEL_CONFIGS}{release}.gz"


def services_text(names: Sequence[str]) -> str:
    """Return the services file."""
    return "".join(f"{name}\n" for name in names)


def authorized_keys_text(keys: Sequence[PublicKey]) -> str:
    """Return an authorized_keys file."""
    return "".join(f"{key.line}\n" for key in keys)
