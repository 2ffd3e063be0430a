"""Kconfig files and fragments: what is read of them, and why a wanted value did not come about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import buildtools
from tcz.errors import VerifyError
from tcz.kconfig import dotconfig, explain, expression, tree
from tcz.kconfig.dotconfig import Setting
from tcz.kconfig.expression import And, Comparison, Constant, Macro, Not, Or, Symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcz.kconfig.tree import Tree

TOP = """\
# a comment
mainmenu "Linux"
cc-option = $(success,$(CC) -Werror $(1) -c -x c /dev/null)
source "arch/$(SRCARCH)/Kconfig"

config MODULES
\tbool "Modules"
\tmodules
\thelp
\t  config NOT_A_SYMBOL
\t    bool "this is a text"

\t  still the text

menuconfig NET
\tbool "Networking"

if NET

config INET
\tbool "TCP/IP"
\tdefault y

config BRIDGE
\ttristate "Bridge"
\tdepends on INET && \\
\t\t(IPV6 || !IPV6)
\tselect LLC

config LLC
\ttristate

config VXLAN
\ttristate "VXLAN"
\tdepends on BRIDGE # a remark
\tdepends on HAS_OFFLOAD if 64BIT

config IPV6
\ttristate "IPv6"

endif # NET

menu "Security"
\tdepends on SECURE

config LSM_A
\tbool "A"
\tdepends on $(cc-option,-fa) && MODULES

config ORDER
\tstring "Order"
\tdefault "a,b" if LSM_A

config HAS_OFFLOAD
\tdef_bool y if OFFLOAD_A || OFFLOAD_B

endmenu

choice
\tprompt "Clock"
\tdefault HZ_250
config HZ_100
\tbool "100 HZ"
config HZ_250
\tbool "250 HZ"
endchoice

config HZ
\tint
\tdefault 100 if HZ_100
\tdefault 250
\trange 1 1000

comment "the end"
\tdepends on NET
"""
ARCH = """\
config 64BIT
\tbool "64-bit" if "$(ARCH)" != "i386"
\tdefault y
config SECURE
\tbool "Secure"
"""


def at(name: str) -> str:
    return f"Kconfig:{TOP.splitlines().index(f'config {name}') + 1}"


@pytest.fixture
def small(tmp_path: Path) -> Tree:
    (tmp_path / "arch/x86").mkdir(parents=True)
    (tmp_path / "Kconfig").write_text(TOP)
    (tmp_path / "arch/x86/Kconfig").write_text(ARCH)
    return tree.read(tmp_path, {"SRCARCH": "x86"})


def why(found: Tree, wanted: str, **values: str) -> str:
    name, _, value = wanted.partition("=")
    setting = Setting(symbol=name, value=value, line=3)
    lost = explain.lost(found, values, [explain.Wanted(setting=setting, fragment="net.config")])
    return "\n".join(line for one in lost for line in one.lines())


# -- expressions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("A", Symbol("A")),
        ("64BIT", Symbol("64BIT")),
        ("!A && B", And((Not(Symbol("A")), Symbol("B")))),
        ("A || B && C", Or((Symbol("A"), And((Symbol("B"), Symbol("C")))))),
        ("A=m", Comparison(Symbol("A"), "=", Constant("m"))),
        ('A != "x y"', Comparison(Symbol("A"), "!=", Constant("x y"))),
        ("$(cc-option,-f(x)) && B", And((Macro("$(cc-option,-f(x))"), Symbol("B")))),
        ("GCC_VERSION >= 110500", Comparison(Symbol("GCC_VERSION"), ">=", Constant("110500"))),
    ],
)
def test_an_expression_is_read_and_written(text: str, read: object) -> None:
    assert expression.parse(text) == read
    assert expression.parse(expression.text(expression.parse(text))) == read


@pytest.mark.parametrize("text", ["", "A &&", "(A", "A)", "$(open", "A ~ B", "!" * 999 + "A", "A B"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        expression.parse(text)


TERMS = st.recursive(
    st.sampled_from("ABCD").map(Symbol) | st.sampled_from("nmy").map(Constant),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda of: And(tuple(of))),
        st.lists(inner, min_size=2, max_size=3).map(lambda of: Or(tuple(of))),
    ),
    max_leaves=8,
)
VALUES = st.fixed_dictionaries({name: st.sampled_from("nmy") for name in "ABCD"})


@settings(max_examples=60)
@given(TERMS, VALUES)
def test_writing_and_reading_keeps_the_value(term: expression.Expression, values: dict[str, str]) -> None:
    again = expression.parse(expression.text(term))
    assert expression.value(again, values) == expression.value(term, values)
    # What is not met is told, and only then.
    missing = expression.unmet(term, values, "m")
    assert bool(missing) == (expression.value(term, values) == "n")
    assert all(expression.value(one, values) == "n" for one in missing)


@pytest.mark.parametrize(
    ("text", "value"),
    [("A < 20", "y"), ("A >= 100", "n"), ("B = y", "n"), ("B != n", "y"), ("B > n", "y"), ('C = "x"', "y")],
)
def test_comparisons(text: str, value: str) -> None:
    assert expression.value(expression.parse(text), {"A": "9", "B": "m", "C": '"x"'}) == value


# -- trees ----------------------------------------------------------------------------------------


def test_a_tree_is_read_with_all_that_is_around_a_symbol(small: Tree) -> None:
    (vxlan,) = small.definitions["VXLAN"]
    assert expression.text(vxlan.depends) == "NET && BRIDGE && (HAS_OFFLOAD || !64BIT)"
    assert (vxlan.where, vxlan.type, vxlan.prompt) == (at("VXLAN"), "tristate", "VXLAN")
    assert "NOT_A_SYMBOL" not in small.definitions
    assert [one.by for one in small.selected("LLC")] == ["BRIDGE"]
    (clock,) = small.definitions["HZ_100"]
    assert clock.choice is not None
    assert clock.choice.prompt == "Clock"
    assert clock.choice.members == ["HZ_100", "HZ_250"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("config A\n  bool what\n", "'what' is no prompt"),
        ("if A\nconfig B\n", "left open"),
        ("endif\n", "endif without if"),
        ("menu\nendif\n", "endif without if"),
        ('source "../Kconfig"\n', "not in the source tree"),
        ('source "nowhere/Kconfig"\n', "cannot be read"),
        ('source "Kconfig"\n', "without end"),
        ("depends on A\n", "belongs to nothing"),
        ("config A\n\tdepends on (B\n", "parenthesis"),
        ("config A\n\tfrobnicate\n", "'frobnicate' cannot be read"),
        ("\x00\x01\n", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "Kconfig").write_text(text)
    with pytest.raises(VerifyError) as caught:
        tree.read(tmp_path, {})
    assert told in "\n".join(caught.value.lines())
    assert "Kconfig" in "\n".join(caught.value.lines())


@settings(max_examples=60)
@given(st.text(alphabet='config ABAB\n\t"$()&|!=menuif#\\', max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "Kconfig").write_text(text)
    try:
        tree.read(folder, {})
    except VerifyError as error:
        assert error.where  # noqa: PT017 - either is right


# -- reasons --------------------------------------------------------------------------------------


def test_a_chain_of_dependencies_is_told_to_its_end(small: Tree) -> None:
    told = why(small, "VXLAN=m", NET="y", INET="y", MODULES="y")
    assert told == (
        "net.config:3: CONFIG_VXLAN=m is wanted and it is n\n"
        f"  defined at {at('VXLAN')}\n"
        "  depends on BRIDGE, which is n\n"
        "    nothing keeps it from being m: ask for CONFIG_BRIDGE=m too"
    )
    deeper = why(small, "VXLAN=m", NET="y")
    assert "    depends on INET, which is n\n      nothing keeps it from being y" in deeper


def test_a_menu_that_is_off_is_told_once(small: Tree) -> None:
    told = why(small, "VXLAN=m")
    assert told.count("depends on NET, which is n") == 3  # VXLAN's, BRIDGE's and INET's
    assert told.count("ask for CONFIG_NET=y too") == 1


def test_a_module_that_something_built_in_hangs_on(small: Tree) -> None:
    told = why(small, "VXLAN=y", NET="y", INET="y", BRIDGE="m", VXLAN="m", **{"64BIT": "n"})
    assert "it is m" in told
    assert "depends on BRIDGE, which is m\n    nothing keeps it from being y" in told


def test_what_nobody_is_asked_for(small: Tree) -> None:
    assert "nobody is asked for LLC: it is turned on by BRIDGE" in why(small, "LLC=m", NET="y")
    told = why(small, "VXLAN=m", NET="y", BRIDGE="m", **{"64BIT": "y"})
    assert "depends on HAS_OFFLOAD || !64BIT, with HAS_OFFLOAD=n, 64BIT=y" in told
    assert "HAS_OFFLOAD is y by itself if SECURE && (OFFLOAD_A || OFFLOAD_B)" in why(small, "HAS_OFFLOAD=y")


def test_a_choice_names_what_was_chosen(small: Tree) -> None:
    told = why(small, "HZ_100=y", HZ_250="y")
    assert f"one of the choice 'Clock' ({at('HZ_100')}): HZ_250 was chosen instead" in told


def test_what_is_held_on_names_what_holds_it(small: Tree) -> None:
    assert f"BRIDGE=m turns it on ({at('BRIDGE')})" in why(small, "LLC=n", LLC="m", BRIDGE="m")


def test_other_reasons(small: Tree) -> None:
    assert "this kernel has no symbol BRIDG; near: BRIDGE" in why(small, "BRIDG=m")
    assert f"it cannot be a module ({at('INET')}): ask for y" in why(small, "INET=m", NET="y")
    assert "no value" in why(small, "INET=7", NET="y")
    asked = why(small, "LSM_A=y", SECURE="y", MODULES="y")
    assert f"it depends on $(cc-option,-fa) ({at('LSM_A')}), which the compiler answers" in asked
    assert "depends on SECURE, which is n" in why(small, 'ORDER="x"')


def test_what_stuck_is_not_told(small: Tree) -> None:
    assert why(small, "BRIDGE=m", BRIDGE="m") == ""
    assert why(small, "BRIDGE=m", BRIDGE="y") == ""
    assert why(small, "BRIDGE=n") == ""
    assert why(small, "ORDER=n", ORDER='""') == ""


# -- fragments ------------------------------------------------------------------------------------


def test_a_fragment_that_asks_for_nothing_is_refused() -> None:
    found = dotconfig.fragment("# of the net\nCONFIG_A=y\n\n# CONFIG_B is not set\n", "net.config")
    assert [(one.symbol, one.value, one.line) for one in found] == [("A", "y", 2), ("B", "n", 4)]
    for text in ("A=y\n", "CONFIG_A\n", "# CONFIG_A is off\n", "CONFIG_A=y\nCONFIG_A=m\n"):
        with pytest.raises(VerifyError) as caught:
            dotconfig.fragment(text, "net.config")
        assert "net.config:" in (caught.value.where or "")


def test_fragments_against_each_other() -> None:
    wanted = [
        explain.Wanted(setting=Setting(symbol="A", value=value, line=line), fragment=name)
        for name, value, line in (("one", "y", 1), ("two", "m", 5))
    ]
    assert explain.conflicts(wanted) == ("two:5: CONFIG_A is to be m here and y at one:1",)


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the tool as a sandbox holds it: its own parts and nothing else of the toolkit."""
    for host, inside in buildtools.places(["kconfig"]):
        place = tmp_path / "tools" / Path(inside).relative_to(buildtools.INSIDE)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(host)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "tools"), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, "-S", "-m", "tcz.kconfig", *arguments]
        return subprocess.run(
            argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_the_tool_runs_by_itself(
    small: Tree, tmp_path: Path, tool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert small.definitions
    (tmp_path / ".config").write_text("CONFIG_NET=y\nCONFIG_INET=y\n")
    (tmp_path / "net.config").write_text("CONFIG_NET=y\nCONFIG_BRIDGE=m\n")
    failed = tool("net.config")
    assert failed.returncode == 9
    assert "1 of 2 settings did not stick" in failed.stderr
    assert "net.config:2: CONFIG_BRIDGE=m is wanted and it is n" in failed.stderr
    (tmp_path / ".config").write_text("CONFIG_NET=y\nCONFIG_BRIDGE=m\n")
    assert tool("net.config").stdout == "all 2 settings are in .config\n"
    (tmp_path / "more.config").write_text("# CONFIG_NET is not set\n")
    assert (
        "more.config:1: CONFIG_NET is to be n here and y at net.config:1"
        in tool("net.config", "more.config").stderr
    )
    assert tool("absent.config").returncode == 5
