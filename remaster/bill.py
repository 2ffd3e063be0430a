"""The bill of materials of what a user names: an image, or a variant with the options of a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from remaster import bom, image, recorded, suppliers, wish
from tcz.errors import ConfigError
from tcz.paths import Dirs
from tcz.run import HostRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remaster.image import Job
    from tcz.reporting import Reporter
    from tcz.sbom.bill import Bill


def of(what: str, options: Mapping[str, Any], reporter: Reporter) -> Bill:
    """Return the bill of an image at a path, else of a variant by name or file, built where need be.

    Raises what reading an image, or preparing one, does.
    """
    path = Path(what)
    if path.exists() and path.suffix != ".toml":
        return bom.of_image(path, reporter)
    if path.suffix != ".toml" and ("/" in what or "." in what):
        raise ConfigError(
            f"there is no image {what}, and no variant has such a name",
            hint="sbom takes the path of an image, or a variant: its name, or a .toml file",
        )
    dirs, runner = Dirs.from_env(), HostRunner()
    wanted = wish.Wish(variant=what, **options)
    asked = wish.request(wanted, dirs, reporter)
    return of_job(image.prepare(asked, suppliers.supplier(wanted, asked, dirs, runner, reporter)), reporter)


def of_job(job: Job, reporter: Reporter) -> Bill:
    """Return the bill of an image that could be written now."""
    told = recorded.loads(job.document.decode(), "the manifest")
    return bom.of_parts(told, {one.name: one.path for one in job.extensions}, reporter)
