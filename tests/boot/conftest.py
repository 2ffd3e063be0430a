"""What boot tests share: the image under test, given by path until it is built by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def iso() -> Path:
    """Return the image named by TCZ_TEST_ISO; without one there is nothing to boot."""
    name = os.environ.get("TCZ_TEST_ISO")
    if not name:
        pytest.skip("TCZ_TEST_ISO names no image")
    path = Path(name).resolve()
    assert path.is_file(), f"TCZ_TEST_ISO: no such file: {path}"
    return path
