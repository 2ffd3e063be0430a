import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcz import record
from tcz.errors import VerifyError
from tcz.model import Built, BuiltPackage, ResolvedSource
from tcz.store import sha256_file

sources = st.builds(
    ResolvedSource, kind=st.text(), name=st.text(), version=st.text(), hash=st.text(), origin=st.text()
)


def built(folder: Path) -> Built:
    folder.mkdir(exist_ok=True)
    (folder / "a.tcz").write_bytes(b"abc")
    package = BuiltPackage(
        name="a",
        form="extension",
        path=folder / "a.tcz",
        sha256=sha256_file(folder / "a.tcz"),
        size=3,
        installed=10,
        needs=("b", "c-KERNEL"),
    )
    return Built(
        recipe="a",
        version="1",
        build_id="0" * 64,
        content_id="1" * 64,
        folder=folder,
        packages=(package,),
        sources=(),
        root=(),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*(st.lists(sources, max_size=3) for _ in range(3)), st.text())
def test_round_trip(
    tmp_path: Path,
    used: list[ResolvedSource],
    root: list[ResolvedSource],
    crates: list[ResolvedSource],
    text: str,
) -> None:
    value = replace(
        built(tmp_path), sources=tuple(used), root=tuple(root), libraries=tuple(crates), summary=text
    )
    record.write(value)
    assert record.read(tmp_path) == value


def test_moves_with_its_folder(tmp_path: Path) -> None:
    record.write(built(tmp_path / "one"))
    (tmp_path / "one").rename(tmp_path / "two")
    found = record.read(tmp_path / "two")
    assert found is not None
    assert found.packages[0].path == tmp_path / "two/a.tcz"
    record.check(found)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 2}', '"x"', '{"format": 1, "packages": [1]}']
)
def test_damage_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "build.json").write_text(text)
    assert record.read(tmp_path) is None


def test_a_wrong_type_is_nothing(tmp_path: Path) -> None:
    record.write(built(tmp_path))
    data = json.loads((tmp_path / "build.json").read_text())
    data["packages"][0]["form"] = "soup"
    (tmp_path / "build.json").write_text(json.dumps(data))
    assert record.read(tmp_path) is None


def test_wholeness(tmp_path: Path) -> None:
    value = built(tmp_path)
    assert record.is_whole(value, thorough=True)
    (tmp_path / "a.tcz").write_bytes(b"abd")
    assert record.is_whole(value)
    assert not record.is_whole(value, thorough=True)
    with pytest.raises(VerifyError, match="a: not the bytes"):
        record.check(value)
    (tmp_path / "a.tcz").write_bytes(b"ab")
    assert not record.is_whole(value)
    (tmp_path / "a.tcz").unlink()
    assert not record.is_whole(value)
