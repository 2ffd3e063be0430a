"""The packages of the recipes that ship, as far as they are built, against lint."""

from __future__ import annotations

import pytest

from tcz import commands, record
from tcz.lint import report, work
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tcz.run import HostRunner


@pytest.mark.build
def test_built_packages_have_no_errors() -> None:
    dirs = Dirs.from_env()
    workshop = commands.open_workshop(dirs, HostRunner(), SilentReporter(), ())
    planned = [one for one in workshop.plan(workshop.recipes.names()) if one.cached]
    builds = [record.read(dirs.cache / "builds" / one.build_id) for one in planned]
    images = [
        str(package.path)
        for built in builds
        if built is not None
        for package in built.packages
        if package.form == "extension"
    ]
    if not images:
        pytest.skip("no recipe is built")
    found = commands.lint_packages(images, work.Wish(level="error"), (), SilentReporter())
    assert not found.failed, "\n".join(report.lines(found))
    assert found.summary.packages == len(images)
