from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError, VerifyError
from tcz.mirror import catalogue as c
from tcz.mirror.entries import Entries
from tcz.mirror.model import ARCHITECTURES, SUFFIXES, Blob, Branch, Catalogue, Entry, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,20}", fullmatch=True).filter(
    lambda name: not name.endswith(".tcz")
)
blobs = st.builds(Blob, sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True), size=st.integers(0, 2**50))
texts = st.text(max_size=30)
branches = st.builds(
    Branch, release=st.integers(1, 9999).map(lambda n: f"{n}.x"), arch=st.sampled_from(ARCHITECTURES)
)
entries = st.builds(
    Entry,
    name=names,
    md5=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    files=st.dictionaries(st.sampled_from(SUFFIXES[1:]), blobs).flatmap(
        lambda beside: blobs.map(lambda blob: {"": blob, **beside})
    ),
    needs=st.lists(names, max_size=3).map(tuple),
    tags=texts,
    version=texts,
    summary=texts,
    license=texts,
    installed=st.integers(0, 2**50),
    origin=texts,
)
paths = st.from_regex(
    r"[A-Za-z0-9_][A-Za-z0-9+_-]{0,8}(/[A-Za-z0-9_][A-Za-z0-9+_-]{0,8}){0,2}", fullmatch=True
)
catalogues = st.builds(
    Catalogue,
    serial=st.integers(0, 2**40),
    branches=st.dictionaries(
        branches,
        st.lists(entries, max_size=4).map(lambda found: {one.name: one for one in found}),
        max_size=2,
    ),
    extra=st.dictionaries(paths, blobs, max_size=2),
    indexes=st.dictionaries(paths, blobs, max_size=2),
)


def written(value: Catalogue) -> tuple[bytes, dict[str, bytes]]:
    lists = {branch: list_bytes(found) for branch, found in value.branches.items()}
    blobs = {branch: Entries.of(found).blob() for branch, found in value.branches.items()}
    return c.root_bytes(value, blobs), {c.list_path(branch): data for branch, data in lists.items()}


def list_bytes(found: Mapping[str, Entry]) -> bytes:
    return b"".join(line + b"\n" for line in Entries.of(found).lines())


@given(value=catalogues)
@settings(max_examples=50)
def test_round_trip(value: Catalogue) -> None:
    root, lists = written(value)
    assert c.parse(root, lambda path: BytesIO(lists[path])) == value


@given(value=catalogues, data=st.data())
@settings(max_examples=100)
def test_mutations_are_refused_or_read(value: Catalogue, data: st.DataObject) -> None:
    root, lists = written(value)
    at = data.draw(st.integers(0, len(root) - 1))
    changed = root[:at] + data.draw(st.binary(max_size=4)) + root[at + data.draw(st.integers(0, 4)) :]
    try:
        c.parse(changed, lambda path: BytesIO(lists[path]))
    except VerifyError:
        return
    except KeyError:  # a branch was renamed: its list is not there
        return


ENTRY = Entry(name="a", md5="0" * 32, files={"": Blob(sha256="0" * 64, size=1)})


def test_a_list_that_was_changed_is_refused() -> None:
    value = Catalogue(serial=1, branches={Branch.parse("17.x/x86"): {"a": ENTRY}})
    root, _ = written(value)
    with pytest.raises(VerifyError, match="not the list"):
        c.parse(root, lambda _path: BytesIO(b"{}"))


@pytest.mark.parametrize(
    "line",
    [
        {"name": "a; reboot"},
        {"needs": ["$(reboot)"]},
        {"md5": "x"},
        {"files": {}},
        {"files": {"": ["0" * 64, -1]}},
        {"files": {"": ["0" * 64, 1], ".exe": ["0" * 64, 1]}},
        {"installed": "1"},
        {"tags": 3},
    ],
)
def test_hostile_lines_are_refused(line: dict[str, object]) -> None:
    good = {"name": "a", "md5": "0" * 32, "files": {"": ["0" * 64, 1]}, "installed": 0}
    data = json.dumps(good | line, separators=(",", ":")).encode() + b"\n"
    digest = hashlib.sha256(data).hexdigest()
    root = {
        "format": 1,
        "serial": 1,
        "branches": {"17.x/x86": {"sha256": digest, "size": len(data)}},
        "extra": {},
        "indexes": {},
    }
    with pytest.raises(VerifyError, match="catalogue"):
        dict(
            c.parse(json.dumps(root).encode(), lambda _path: BytesIO(data)).entries(Branch.parse("17.x/x86"))
        )


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "a/./b", ""])
def test_paths_that_leave_the_mirror_are_refused(path: str) -> None:
    root = {"format": 1, "serial": 1, "branches": {}, "extra": {path: ["0" * 64, 1]}, "indexes": {}}
    with pytest.raises(VerifyError):
        c.parse(json.dumps(root).encode(), lambda _path: BytesIO())


def test_names_are_listed_without_regard_to_case() -> None:
    assert listed(["b", "B", "a", "C"]) == ["a", "B", "b", "C"]


def test_punctuation_does_not_count_in_the_order_of_names() -> None:
    # As they follow each other in the public repository.
    names = ["acl-dev", "acl", "alsa-config", "alsamixergui", "alsa-plugins", "alsa", "fdk-aac", "fdkaac"]
    names += ["gtk2-gir", "gtk2mm-dev", "gtk2mm", "gtk2"]
    assert listed(reversed(names)) == names


@pytest.mark.parametrize("text", ["17/x86", "17.x/sparc", "17.x", "x", "0.x/x86", "17.x/x86/tcz"])
def test_what_is_no_branch_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Branch.parse(text)
