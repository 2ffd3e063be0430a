"""What reads config disks, compiled on this machine with the compiler's own watchdogs, and held against PyYAML."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SOURCES = Path(__file__).parents[2] / "recipes/config-disk/src"
GCC = shutil.which("gcc")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpB7QdUJX0mJbH1xP8v5nGkqzqYb1mJ6wq9uZ0wD3Yf anna"

pytestmark = pytest.mark.skipif(GCC is None, reason="needs gcc")
FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program; whatever it does to memory that it should not ends it with a status of its own."""
    program = tmp_path_factory.mktemp("plan") / "plan"
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    watch = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([str(GCC), *flags, *watch, "-o", program, *sorted(SOURCES.glob("*.c"))], check=True)
    return program


def run(plan: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    # What was allocated is given back by the end of the process.
    env = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
    done = subprocess.run([plan, *words], capture_output=True, env=env, check=False)
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    return done


def parsed(plan: Path, folder: Path, text: bytes) -> object:
    """Return what a text is to us; an exception of type ``ValueError`` where it is refused."""
    file = folder / "text"
    file.write_bytes(text)
    done = run(plan, "json", file)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    return json.loads(done.stdout)


def made(plan: Path, folder: Path, kind: str, text: str | bytes) -> dict[str, str]:
    """Return the files of a plan; ``ValueError`` with what was said where there is none."""
    file, out = folder / kind, folder / "out"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    shutil.rmtree(out, ignore_errors=True)
    done = run(plan, kind, file, out)
    if done.returncode:
        assert not out.exists()
        raise ValueError(done.stderr.decode())
    return {path.name: path.read_text() for path in out.iterdir()}


def complaints(plan: Path, folder: Path, kind: str, text: str) -> list[str]:
    with pytest.raises(ValueError, match="line") as caught:
        made(plan, folder, kind, text)
    return str(caught.value).splitlines()


# -- YAML ------------------------------------------------------------------------------------------

#: Characters that are text to PyYAML and no line breaks to it.
CHARS = st.characters(
    codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\x85\u2028\u2029\ufeff"
)
STRINGS = st.one_of(
    st.text(CHARS, max_size=12),
    st.sampled_from(
        [
            "a: b",
            "- x",
            "#",
            "it's",
            'say "x"',
            "x # y",
            "line\nline\n",
            "a\n\n  b\nc",
            " lead",
            "trail ",
            "\n",
        ]
    ),
    st.text(st.sampled_from("ab \n:#-'\"{}[],|>"), max_size=14),
)
TREES = st.recursive(
    STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=10,
)


@FEW
@given(
    tree=TREES,
    flow=st.sampled_from([None, True, False]),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    width=st.integers(10, 100),
    indent=st.integers(2, 6),
)
def test_what_pyyaml_writes_is_read_as_it_was(
    plan: Path, tmp_path: Path, tree: object, flow: bool | None, style: str | None, width: int, indent: int
) -> None:
    text = yaml.safe_dump(
        tree, default_flow_style=flow, default_style=style, width=width, indent=indent, allow_unicode=True
    )
    # Tags and long keys are written for what is no plain text; neither is read here.
    if "!!" in text or "? " in text or "&" in text:
        return
    expected = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but strings
    assert parsed(plan, tmp_path, text.encode()) == ("" if expected is None else expected)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "key",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "|",
        ">",
        "|-",
        ">+",
        "|2",
        "'",
        '"',
        "# x",
    ]
    + [
        "[",
        "]",
        "{",
        "}",
        ",",
        ", ",
        "---",
        "\n---\n",
        "\n...\n",
        "\\",
        "''",
        "x: y",
        "\n- ",
        "\n\n",
        "?",
        "\\n",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=14))
@example(pieces=["a: |2\n   b\n", "c: d"])
@example(pieces=["a:\n- b\n- c\nd: e"])
@example(pieces=["- - a\n  - b\n- c: d\n  e: >\n   f\n   g\n\n    h\n   i\n"])
@example(pieces=["a: 'b\n  c\n\n  d'\ne: \"f\\\n  g\"\n"])
@example(pieces=["{a: [b, {c: d}], 'e': f, g}\n"])
def test_what_is_read_is_what_pyyaml_reads(plan: Path, tmp_path: Path, pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = parsed(plan, tmp_path, text.encode())
    except ValueError:
        return
    expected = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    assert found == ("" if expected is None else expected), text
