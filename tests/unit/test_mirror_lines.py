"""What keeps memory flat: sorted lines in files, tables of them, sorting in runs, packages as numbers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.mirror import lines as work
from tcz.mirror import spool
from tcz.mirror.edits import Change, Edits, StaleError
from tcz.mirror.entries import Entries
from tcz.mirror.graph import Graph
from tcz.mirror.hashed import hashed, promise
from tcz.mirror.lines import ENTRY, TABLE, Form, Lines
from tcz.mirror.model import Blob, Entry, listed
from tcz.mirror.objects import Objects
from tcz.mirror.table import Table
from tcz.reporting import SilentReporter
from tests.unit.test_mirror_catalogue import entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

names = st.from_regex(r"[ab][ab+._-]{0,4}", fullmatch=True)
values = st.dictionaries(names, st.binary(max_size=40).map(lambda data: data.hex().encode()), max_size=30)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of lines fill several blocks, and several runs."""
    monkeypatch.setattr(work, "_BLOCK", 50)
    monkeypatch.setattr(spool, "_RUN", 3)


def written(form: Form, found: dict[str, bytes]) -> list[bytes]:
    return [form.before + name.encode() + form.after + found[name] for name in sorted(found)]


@pytest.mark.parametrize("form", [ENTRY, TABLE])
@given(found=values, asked=st.lists(names, max_size=20), start=names)
@settings(max_examples=60)
def test_lines_are_found(form: Form, found: dict[str, bytes], asked: list[str], start: str) -> None:
    told = written(form, found)
    lines = Lines(BytesIO(b"".join(line + b"\n" for line in told)), form)
    assert (list(lines), lines.count, [form.name(line) for line in lines]) == (told, len(told), sorted(found))
    by_name = dict(zip(sorted(found), told, strict=True))
    for name in (*asked, *sorted(asked), *found, *sorted(found)):
        assert lines.find(name) == by_name.get(name)
    assert list(lines.starting(start)) == [by_name[name] for name in sorted(found) if name.startswith(start)]


@pytest.mark.parametrize("name", ['a","x":"', "a\t", "", "é", "\udcff", "a\n"])
def test_what_is_no_name_is_not_found(name: str) -> None:
    for form in (ENTRY, TABLE):
        assert Lines(BytesIO(written(form, {"a": b'"x":""}'})[0] + b"\n"), form).find(name) is None


@pytest.mark.parametrize("data", [b"b\t\na\t\n", b"a\t\na\t\n", b"a\t\nb", b"a\n", b"\n", b"a b\t\n"])
def test_what_is_not_sorted_or_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"sorted|name|cut off"):
        Lines(BytesIO(data), TABLE)


def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_LINE_MAX", 1000)
    with pytest.raises(ValueError, match="without an end"):
        Lines(BytesIO(b"a" * 5000), TABLE)


def test_a_file_that_is_removed_or_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"a\t1\nb\t2\n")
    with path.open("rb") as file:
        lines = Lines(file, TABLE)
    path.unlink()
    path.write_bytes(b"c\t3\n")
    assert (lines.find("b"), lines.find("c")) == (b"b\t2", None)


@given(value=entries)
@settings(max_examples=60)
def test_facts_are_those_of_the_entry(value: Entry) -> None:
    for found in (Entries.of({value.name: value}).facts(value.name), Entries.of({}).facts(value.name)):
        assert found is None or found == (value.md5, value.sha256, value.needs, value.tags)
    assert Entries.of({value.name: value}).facts(value.name) is not None


@given(pairs=st.lists(st.tuples(names, st.text(max_size=4).map(lambda text: text.replace("\n", "")))))
@settings(max_examples=60)
def test_a_table_is_a_dictionary(pairs: list[tuple[str, str]]) -> None:
    last, first = Table(pairs, str), Table(pairs, str, lambda texts: texts[0])
    assert dict(last) == dict(last.pairs()) == dict(pairs)
    assert dict(first) == dict(reversed(pairs))
    assert (list(last), len(last)) == (sorted(dict(pairs)), len(dict(pairs)))
    assert all(name in last for name, _ in pairs)
    assert last.get("c") is None


@given(one=st.lists(st.integers(0, 30)), other=st.lists(st.integers(0, 30)))
@settings(max_examples=60)
def test_sorting_in_runs(one: list[int], other: list[int]) -> None:
    def lines(numbers: list[int]) -> Iterator[bytes]:
        return (f"{number}\n".encode() for number in numbers)

    assert list(spool.sorted_lines(lines(one))) == sorted(lines(one))
    left = spool.without(spool.sorted_lines(lines(one)), spool.sorted_lines(lines(other)))
    assert list(left) == sorted(lines([number for number in one if number not in other]))


@given(graph=st.dictionaries(names, st.lists(names, max_size=4, unique=True), max_size=12))
@settings(max_examples=60)
def test_packages_as_numbers(graph: dict[str, Sequence[str]]) -> None:
    found = Graph(lambda: [(name, graph[name]) for name in sorted(graph)])
    every = {name for needs in graph.values() for name in needs} | graph.keys()
    assert {found.name(number) for number in range(len(found))} == every
    assert all(found.number(name) == found.added(name) for name in every)
    above = found.above()
    for name in every:
        number = found.added(name)
        assert [found.name(need) for need in found.needs(number)] == list(graph.get(name, ()))
        assert {found.name(one) for one in above(number)} == {
            one for one, needs in graph.items() if name in needs
        }
    assert (found.count, found.number("c")) == (len(graph), None)


def test_objects_beside_what_is_said_of_them(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    good, short, other, leftover = (
        objects.add_bytes(data) for data in (b"good", b"short", b"other", b"left")
    )
    gone = Blob(sha256="0" * 64, size=1)
    md5, another = (hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (b"good", b"other"))
    objects.path(leftover.sha256).write_bytes(b"whatever")
    told = [promise(good), promise(good, md5), promise(short), promise(replace(short, size=7)), promise(gone)]
    told += [promise(other, "0" * 32), promise(good)]
    count, size, wrong = hashed(objects, iter(sorted(told)), SilentReporter())
    assert (count, size) == (4, 4 + 5 + 5 + 8)
    assert dict(wrong) == {
        gone.sha256: "is missing or cannot be read",
        short.sha256: "has 5 bytes, a catalogue says 7",
        other.sha256: f"has the md5 {another}, a catalogue says {'0' * 32}",
    }
    assert [name for name, _ in wrong] == sorted(dict(wrong))


@given(old=st.dictionaries(names, st.integers(0, 2)), new=st.dictionaries(names, st.integers(0, 2)))
@settings(max_examples=60)
def test_edits(old: dict[str, int], new: dict[str, int]) -> None:
    changed = [
        Change(name, name in old, name in new) for name in {**old, **new} if old.get(name) != new.get(name)
    ]
    edits = Edits(listed(old), changed)
    records = (f"{name} {old[name]}".encode() for name in listed(old))
    done = list(edits.done(records, lambda name: f"{name} {new[name]}".encode()))
    assert [record.decode() for record, _ in done] == [f"{name} {new[name]}" for name in listed(new)]
    assert [record.decode().split()[0] for record, fresh in done if fresh] == listed(
        one.name for one in changed if one.now
    )


def test_edits_of_too_few_records() -> None:
    edits = Edits(["a", "b"], [Change("c", was=False, now=True)])
    with pytest.raises(StaleError):
        list(edits.done(iter([b"a"]), str.encode))


def test_edits_of_what_is_not_there() -> None:
    with pytest.raises(StaleError):
        Edits(["a", "c"], [Change("b", was=True, now=False)])
