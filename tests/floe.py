"""The workshop that makes floe's packages, with the user's cache: what was built is not built again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remaster import base
from tcz import commands
from tcz.build import Settings
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner

if TYPE_CHECKING:
    from tcz.workshop import Workshop


def workshop() -> Workshop:
    """Return it as remaster has it: how packages are packed is part of what a build is known by."""
    settings = Settings(options=base.load("floe", "kernel").squashfs)
    return commands.open_workshop(Dirs.from_env(), HostRunner(), SilentReporter(), (), settings=settings)
