"""Entries as lines: the same as those that are read at once, and no less strict."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror.entries import Entries, differing
from tcz.mirror.model import Blob, Branch, Catalogue, Entry
from tcz.mirror.verify import verify
from tests.unit.mirror_made import QUIET, added, begun, package, quick_folder
from tests.unit.test_mirror_catalogue import entries, list_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcz.mirror.repository import Mirror

BRANCH = Branch.parse("17.x/x86_64")
some = st.lists(entries, max_size=5).map(lambda found: {one.name: one for one in found})


@given(value=some)
@settings(max_examples=50)
def test_they_are_what_was_written(value: dict[str, Entry]) -> None:
    read = Entries.read(BytesIO(list_bytes(value)))
    assert read == Entries.of(value) == value
    assert dict(read) == dict(read.items()) == {one.name: one for one in read.values()} == value
    assert list(read) == sorted(value)
    assert dict(read.graph()) == {name: entry.needs for name, entry in value.items()}
    assert read.blob() == Entries.of(value).blob()
    assert read.needs("no-such-package") is None


@given(before=some, after=some)
@settings(max_examples=50)
def test_what_differs(before: dict[str, Entry], after: dict[str, Entry]) -> None:
    old, new = Entries.of(before), Entries.of(after)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    for a in (new, Entries.read(BytesIO(list_bytes(after)))):
        for b in (old, Entries.read(BytesIO(list_bytes(before)))):
            assert [name for name, *_ in a.differences(b)] == sorted(changed)
            assert [(name, one, two) for name, two, one in b.differences(a)] == list(a.differences(b))
            made = b.changed(after.values(), gone=before.keys() - after.keys())
            assert (made, len(made), list(made)) == (a, len(after), sorted(after))
            assert made.blob() == a.blob()
    files = [
        dict(Catalogue(serial=1, branches={BRANCH: found}, extra={"x": extra}).files())
        for found, extra in ((old, Blob(sha256="0" * 64, size=1)), (new, Blob(sha256="1" * 64, size=1)))
    ]
    told = dict(
        differing(
            Catalogue(serial=2, branches={BRANCH: new}, extra={"x": files[1]["x"]}),
            Catalogue(serial=1, branches={BRANCH: old}, extra={"x": files[0]["x"]}),
        )
    )
    assert told == {
        path: files[1].get(path)
        for path in {**files[0], **files[1]}
        if files[0].get(path) != files[1].get(path)
    }


@pytest.mark.parametrize(
    "data", [b"{}\n", b'{"name":"a b",\n', b'{"name":"a;b"}\n', b'{"name": "a"}\n', b"\n"]
)
def test_a_line_without_a_name_is_no_list(data: bytes) -> None:
    with pytest.raises(ValueError, match="without a package's name"):
        Entries.read(BytesIO(data))


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"}",
        b'"md5":"x"}',
        b'"md5":"00000000000000000000000000000000","files":{"":["x",1]},"installed":0}',
        b'"md5":"00000000000000000000000000000000","files":{"":[null,1]},"installed":0}',
    ],
)
def test_a_damaged_line_is_told_when_it_is_asked_for(end: bytes) -> None:
    found = Entries.read(BytesIO(b'{"name":"a",' + end + b"\n"))
    with pytest.raises(VerifyError):
        found["a"]


@pytest.mark.parametrize("needs", [["a; reboot"], ["$(x)"], ["ok", ""], [1], ["x,y"]])
def test_hostile_needs_are_refused(needs: list[object]) -> None:
    value = {"name": "a", "md5": "0" * 32, "files": {"": ["0" * 64, 1]}, "installed": 0, "needs": needs}
    for separators in ((",", ":"), (",", ": ")):
        line = json.dumps(value, separators=separators).encode().replace(b'"name": ', b'"name":')
        with pytest.raises(VerifyError):
            Entries.read(BytesIO(line + b"\n")).needs("a")


def test_needs_are_not_looked_for_in_texts() -> None:
    entry = Entry(name="a", md5="0" * 32, files={"": Blob(sha256="0" * 64, size=1)}, needs=("b",))
    for text in ('","needs":["x"]', ',"needs":["x"]', '\\",\\"needs\\":[\\"x\\"]'):
        for one in (replace(entry, tags=text), replace(entry, summary=text, needs=())):
            assert Entries.of({"a": one}).needs("a") == one.needs


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with quick_folder() as folder:
        made = begun(folder / "m")
        added(made, package(folder / "in", "one"), package(folder / "in", "two"))
        yield made


def rewritten(state: Path, change: tuple[bytes, bytes]) -> None:
    """Change the list of a state, and say so in its catalogue: all hashes are right."""
    lines, root = state / catalogues.list_path(BRANCH), state / catalogues.ROOT
    data = lines.read_bytes().replace(*change)
    value = json.loads(root.read_bytes())
    value["branches"][str(BRANCH)] |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    for path, content in ((lines, data), (root, json.dumps(value).encode())):
        path.unlink()
        path.write_bytes(content)


def test_verify_reads_every_entry(mirror: Mirror) -> None:
    state = mirror.shown()
    assert state is not None
    rewritten(state, (b'"name":"two","md5":"', b'"name":"two","md5":"x'))
    damage = verify(mirror, QUIET).damage
    assert ("state", f"states/{state.name}") in {(one.kind, one.path) for one in damage}
    assert any("malformed" in one.message for one in damage)
