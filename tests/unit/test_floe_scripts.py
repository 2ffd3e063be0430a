"""The base's shell scripts, run under BusyBox on this machine and held against models in Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

RECIPES = Path(__file__).parents[2] / "recipes"
BASE = RECIPES / "floe-base" / "files"
FUNCTIONS = BASE / "etc/init.d/tc-functions"
ORDER = BASE / "usr/lib/floe/dep-order.awk"
BUSYBOX = shutil.which("busybox")

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ash(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script under BusyBox ash with the base's functions read in."""
    return subprocess.run(
        [str(BUSYBOX), "ash", "-c", f". {FUNCTIONS}\n{script}"],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )


def scripts() -> list[Path]:
    """Every file that recipes install and that begins as a shell script does."""
    files = (path for path in sorted(RECIPES.glob("*/files/**/*")) if path.is_file())
    return [path for path in files if path.read_bytes()[:9] == b"#!/bin/sh"]


@pytest.mark.parametrize("path", scripts(), ids=lambda path: str(path.relative_to(RECIPES)))
def test_script_parses(path: Path) -> None:
    done = subprocess.run([str(BUSYBOX), "ash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck() -> None:
    done = subprocess.run(
        ["shellcheck", "-s", "sh", *map(str, scripts())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


# -- load order ------------------------------------------------------------------------------------

NAMES = [f"{letter}.tcz" for letter in "abcdefg"]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4))


def load_order(folder: Path, targets: list[str], kernel: str = "6.12.0-floe") -> tuple[list[list[str]], str]:
    """Run the base's walk; return the order of each target and what was said on standard error."""
    done = subprocess.run(
        [str(BUSYBOX), "awk", "-v", f"dir={folder}", "-v", f"kernel={kernel}", "-f", str(ORDER)],
        input="".join(f"{name}\n" for name in targets),
        capture_output=True,
        text=True,
        check=True,
    )
    orders: list[list[str]] = []
    for line in done.stdout.splitlines():
        if line.startswith("@ "):
            orders.append([])
        else:
            orders[-1].append(line)
    return orders, done.stderr


def model_order(graph: dict[str, list[str]], target: str) -> list[str]:
    """Return Tiny Core's order: what was discovered, backwards, and at each name met again all below it."""
    found: list[tuple[bool, str]] = []
    begin: dict[str, int] = {}
    end: dict[str, int] = {}

    def discover(name: str) -> None:
        if name in begin:
            if name in end:
                found.append((True, name))
            return
        begin[name] = len(found)
        found.append((False, name))
        for child in graph.get(name, []):
            discover(child)
        end[name] = len(found)

    printed: dict[tuple[bool, str], None] = {}

    def output(first: int, last: int) -> list[str]:
        out = []
        for again, name in reversed(found[first:last]):
            if (again, name) in printed:
                continue
            printed[again, name] = None
            out += output(begin[name], end[name]) if again else [name]
        return out

    discover(target)
    return output(0, len(found))


def write_graph(folder: Path, graph: dict[str, list[str]]) -> None:
    """Write a graph as .dep files, replacing what is there."""
    for old in folder.glob("*.dep"):
        old.unlink()
    for name, needs in graph.items():
        (folder / f"{name}.dep").write_text("".join(f"{need}\n" for need in needs))


@SLOW
@given(GRAPHS, st.sampled_from(NAMES))
@example({"a.tcz": ["b.tcz", "c.tcz"], "b.tcz": ["d.tcz"], "c.tcz": ["d.tcz", "b.tcz", "a.tcz"]}, "a.tcz")
@example({"a.tcz": ["a.tcz"]}, "a.tcz")
def test_order_is_tiny_cores(tmp_path: Path, graph: dict[str, list[str]], target: str) -> None:
    write_graph(tmp_path, graph)
    (order,), _ = load_order(tmp_path, [target])
    assert order == model_order(graph, target)
    assert len(order) == len(set(order))
    assert order[-1] == target


def test_each_target_has_its_own_order(tmp_path: Path) -> None:
    write_graph(tmp_path, {"a.tcz": ["c.tcz"], "b.tcz": ["c.tcz"]})
    orders, _ = load_order(tmp_path, ["a.tcz", "b.tcz"])
    assert orders == [["c.tcz", "a.tcz"], ["c.tcz", "b.tcz"]]


def test_dirty_dep_files(tmp_path: Path) -> None:
    (tmp_path / "a.tcz.dep").write_bytes(b"  b.tcz \r\n\n\t\nmod-KERNEL.tcz")
    orders, said = load_order(tmp_path, ["a.tcz"], kernel="6.1-x")
    assert orders == [["mod-6.1-x.tcz", "b.tcz", "a.tcz"]]
    assert said == ""


@pytest.mark.parametrize(
    "line",
    [
        "x;touch${IFS}pwned;.tcz",
        "$(touch pwned).tcz",
        "../../etc/x.tcz",
        "-rf.tcz",
        "<html>",
        "#x.tcz",
        "noend",
    ],
)
def test_hostile_dep_lines_are_left_out(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.tcz.dep").write_text(f"{line}\nb.tcz\n")
    orders, said = load_order(tmp_path, ["a.tcz"])
    assert orders == [["b.tcz", "a.tcz"]]
    assert re.sub(r"\s", "", line) in said
    assert not list(tmp_path.glob("pwned*"))


def test_cycle_is_told(tmp_path: Path) -> None:
    write_graph(tmp_path, {"a.tcz": ["b.tcz"], "b.tcz": ["a.tcz"]})
    orders, said = load_order(tmp_path, ["a.tcz"])
    assert orders == [["b.tcz", "a.tcz"]]
    assert "b.tcz and a.tcz depend on each other" in said


# -- boot codes ------------------------------------------------------------------------------------

VALUES = st.text(alphabet="abcXYZ019:/,.=*?$`'\"\\;()-_", max_size=12)
CODES = st.sampled_from(["tce", "user", "host", "lst", "noembed", "waitusb", "base", "users", "hostname"])
WORDS = st.one_of(CODES, st.builds("{}={}".format, CODES, VALUES))


def known_codes() -> list[str]:
    """Return the boot codes that the base looks for."""
    return ash("echo $BOOTCODES").stdout.split()


@SLOW
@given(words=st.lists(WORDS, max_size=8))
def test_boot_codes(tmp_path: Path, words: list[str]) -> None:
    cmdline = tmp_path / "cmdline"
    cmdline.write_text(" ".join(["BOOT_IMAGE=/x", *words]) + "\n")
    model: dict[str, str] = dict.fromkeys(KNOWN, "")
    for word in words:
        name, equals, value = word.partition("=")
        # `read -r` keeps backslashes; a name must match whole: users= is not user=.
        if name in model:
            model[name] = value if equals else "1"
    show = "".join(f'printf "%s=%s\\n" {name} "$BC_{name}"\n' for name in KNOWN)
    done = ash(f"parsebootcodes\n{show}", CMDLINE_FILE=str(cmdline))
    assert done.stdout == "".join(f"{name}={value}\n" for name, value in model.items())
    assert done.stderr == ""


KNOWN = known_codes() if BUSYBOX else []


@pytest.mark.parametrize(
    ("cmdline", "name", "status", "value"),
    [
        ("a tce=sda1/tce b", "tce", 0, "sda1/tce\n"),
        ("tce=one tce=two", "tce", 0, "two\n"),
        ("xtce=one", "tce", 1, ""),
        ("tce", "tce", 1, ""),
        ("lst=", "lst", 0, "\n"),
        ("waitusb=5:LABEL=x", "waitusb", 0, "5:LABEL=x\n"),
        ("tce=* b", "tce", 0, "*\n"),
    ],
)
def test_getbootparam(tmp_path: Path, cmdline: str, name: str, status: int, value: str) -> None:
    (tmp_path / "cmdline").write_text(cmdline)
    done = ash(f"getbootparam {name}", CMDLINE_FILE=str(tmp_path / "cmdline"))
    assert (done.returncode, done.stdout) == (status, value)


@pytest.mark.parametrize(
    ("cmdline", "status"), [("base", 0), ("x base y", 0), ("base=1", 0), ("database", 1), ("", 1)]
)
def test_hasbootcode(tmp_path: Path, cmdline: str, status: int) -> None:
    (tmp_path / "cmdline").write_text(cmdline + "\n")
    assert ash("hasbootcode base", CMDLINE_FILE=str(tmp_path / "cmdline")).returncode == status


# -- mirror ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://repo.example/", "http://repo.example/17.x/x86_64/tcz"),
        ("http://repo.example/tc", "http://repo.example/tc/17.x/x86_64/tcz"),
        ("https://repo.example/\nhttp://second/\n", "https://repo.example/17.x/x86_64/tcz"),
    ],
)
def test_mirror_address(tmp_path: Path, address: str, expected: str) -> None:
    (tmp_path / "tcemirror").write_text(address)
    (tmp_path / "os-release").write_text('NAME=floe\nVERSION_ID=17.0\nPRETTY_NAME="floe"\n')
    done = ash(
        'getMirror x86_64 && echo "$MIRROR"',
        TCEMIRROR=str(tmp_path / "tcemirror"),
        OS_RELEASE=str(tmp_path / "os-release"),
    )
    assert done.stdout == f"{expected}\n"


def test_mirror_must_be_an_address(tmp_path: Path) -> None:
    (tmp_path / "tcemirror").write_text("ftps://x/\n")
    done = ash("getMirror", TCEMIRROR=str(tmp_path / "tcemirror"))
    assert done.returncode != 0
    assert "ftps://x/" in done.stderr


@pytest.mark.parametrize(
    ("name", "good"),
    [
        *((name, True) for name in ("nano.tcz", "gtk+-2.0_x.tcz", "7z.tcz")),
        *((name, False) for name in (".tcz", "-a.tcz", "a b.tcz", "a;b.tcz", "a/b.tcz", "nano", "../x.tcz")),
    ],
)
def test_names_of_extensions(name: str, *, good: bool) -> None:
    assert (ash(f"validextension '{name}'").returncode == 0) is good
