from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import toml
from tcz.errors import ConfigError
from tcz.toml_lines import line_of_each_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcz.toml_lines import Place

TEXT = '''\
# a comment = 1
title = "a # b"  # c

[owner]
name.first = "x"
"dotted.key" = """
[no.table]
not_a_key = 1
\\""" still in
"""
literal = \'\'\'
x = "'
\'\'\'

[[item]]
list = [
  1,  # [no]
  "]", [3],
]
[[item]]
inline = { a = 1, b = { c = [ { d = 2 } ] } }
[[item.sub]]
when = 1979-05-27 07:32:00
[item.sub.deep]
k = 1
'''


def test_lines() -> None:
    lines = line_of_each_key(TEXT)
    expected = {
        ("title",): 2,
        ("owner",): 4,
        ("owner", "name"): 5,
        ("owner", "name", "first"): 5,
        ("owner", "dotted.key"): 6,
        ("owner", "literal"): 11,
        ("item", 0): 15,
        ("item", 0, "list"): 16,
        ("item", 0, "list", 0): 17,
        ("item", 0, "list", 1): 18,
        ("item", 0, "list", 2, 0): 18,
        ("item", 1): 20,
        ("item", 1, "inline", "b", "c", 0, "d"): 21,
        ("item", 1, "sub", 0): 22,
        ("item", 1, "sub", 0, "when"): 23,
        ("item", 1, "sub", 0, "deep"): 24,
        ("item", 1, "sub", 0, "deep", "k"): 25,
    }
    assert {place: lines[place] for place in expected} == expected
    assert ("owner", "not_a_key") not in lines


def places(value: object, place: Place = ()) -> Iterator[Place]:
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*place, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from places(inner, (*place, n))


keys = st.text("ab.-_ \"'=[]#é\n", max_size=5)
scalars = (
    st.text("ab\n\r\t\"'\\#[]{}=,é", max_size=12)
    | st.integers(-(2**62), 2**62)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.datetimes()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(keys, values, max_size=4))
def test_every_place_of_a_written_document_has_a_line(data: dict[str, object]) -> None:
    text = tomlkit.dumps(data)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # the writer is not under test
        return
    lines = line_of_each_key(text)
    assert set(places(parsed)) <= set(lines)
    assert max(lines.values()) <= text.count("\n") + 1


@given(
    rows=st.lists(
        st.sampled_from(
            ["", "# c", "[t]", "[[u]]", "[[t.v]]", "[t.w.x]", "'q' = '''\na\n'''", 'b = """\\""""""',
             "c.d = {e = [1,\n2]}", "f = [ # ]\n]", "g = 1979-05-27 07:32:00", '"h\\u0041" = 1']
        ),
        max_size=8,
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
@settings(max_examples=300)
def test_every_place_of_a_handwritten_document_has_a_line(rows: list[str], ending: str) -> None:
    text = "\n".join(rows).replace("\n", ending)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ConfigError):
            toml.parse(text, "x")
        return
    assert set(places(parsed)) <= set(line_of_each_key(text))


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a = 1\nb =\n", "x:2", "Invalid value (column 4)"),
        ("a = 1\n\nb", "x:3", "Expected '=' after a key in a key/value pair at the end"),
        ("a = 1\na = 2\n", "x:2", "the key 'a' is there twice, first in line 1"),
    ],
)
def test_syntax_errors_have_a_line(text: str, where: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        toml.parse(text, "x")
    assert [(p.where, p.message) for p in caught.value.problems] == [(where, message)]


def test_all_kinds_of_values_and_mistakes() -> None:
    document = toml.parse('s = 1\ni = "1"\nb = 0\nl = "x"\nt = 3\nc = "tow"\nn = 5\nextra = 1\n[e]\n', "x")
    root = document.root
    assert (root.string("s"), root.integer("i"), root.boolean("b"), root.strings("l")) == ("", 0, False, ())
    assert root.table("t").string("k", "default") == "default"
    assert root.choice("c", ("one", "two")) == "one"
    assert root.integer("n", high=4) == 0
    assert root.tables("e") == ()
    assert root.maybe_string("absent") is None
    assert root.string("needed") == ""
    with pytest.raises(ConfigError) as caught:
        document.finish("the file")
    assert caught.value.lines() == [
        "the file has 10 mistakes",
        "  x:1: s: expected a string, found 1",
        "  x:1: the key 'needed' is missing",
        "  x:2: i: expected an integer, found the string '1'",
        "  x:3: b: expected true or false, found 0",
        "  x:4: l: expected a list of strings, found the string 'x'",
        "  x:5: t: expected a table, found 3",
        "  x:6: c: 'tow' is not one of 'one', 'two' (did you mean 'two'?)",
        "  x:7: n: 5 is not between 0 and 4",
        "  x:8: extra: unknown key",
        "  x:9: e: expected a list of tables, found a table (write [[e]])",
    ]


def test_a_right_document_raises_nothing() -> None:
    document = toml.parse('s = "a"\n[t]\nx = 1\n[own]\nany = "b"\n', "x")
    assert document.root.string("s") == "a"
    assert document.root.table("t").integer("x") == 1
    own = document.root.table("own")
    assert [(key, own.string(key)) for key in own.names()] == [("any", "b")]
    document.finish("x")


def test_ignored_tables_report_no_unknown_keys() -> None:
    document = toml.parse("[t]\nx = 1\n", "x")
    document.root.table("t").ignore_rest()
    document.finish("x")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("lisence", ["license", "release"], "did you mean 'license'?"),
        ("Docker", ["docker", "linux"], "did you mean 'docker'?"),
        ("sudo", ["runc", "tini"], None),
    ],
)
def test_guess(name: str, known: list[str], expected: str | None) -> None:
    assert toml.guess(name, known) == expected


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("b = [\n1,\n2]\nb = [\n1,\n2]\n", 4, "'b' is there twice, first in line 1"),
        ("[x]\na.b=1\n[y]\na.b=1\na.b = 2\n", 5, "'a.b' is there twice, first in line 4"),
        ('a = """\nc = 1\n"""\na = """\nc = 1\n"""\n', 4, "'a' is there twice, first in line 1"),
        ("a=1\n[a.b]\nc=1\n", 2, "[a.b] is there already"),
        ('a=1\n"a"=2', 2, "'\"a\"' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_named(text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        toml.parse(text, "x")
    (problem,) = caught.value.problems
    assert problem.where == f"x:{line}"
    assert part in problem.message
