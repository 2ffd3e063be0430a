"""Where packages go, what goes with them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster.placement import Present, also_copied, arrange
from remaster.variant import PLACES, Variant, place_option
from tcz.errors import ConfigError
from tcz.model import BuiltPackage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remaster.placement import Arrangement


def package(name: str, *needs: str) -> BuiltPackage:
    return BuiltPackage(
        name=name,
        form="extension",
        path=Path(f"{name}.tcz"),
        sha256="0" * 64,
        size=1,
        installed=1,
        needs=needs,
    )


#: top -> mid -> low; side -> low; mods is a kernel's.
SET = (
    package("low"),
    package("mods-6.1"),
    package("mid", "low", "mods-KERNEL"),
    package("top", "mid"),
    package("side", "low.tcz"),
    package("lone"),
)


def arranged(
    places: Mapping[str, Any] | None = None, *, packages: Sequence[BuiltPackage] = SET, **lists: Any
) -> Arrangement:
    lists = {"onboot": ("top", "side", "lone"), **lists}
    return arrange(packages, Variant(name="x", places=tuple((places or {}).items()), **lists), Present())


def complaints(*args: Any, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        arranged(*args, **more)
    return str(caught.value.why)


def places_of(arrangement: Arrangement) -> dict[str, str]:
    return {one.name: one.place for one in arrangement.packages}


def test_all_on_the_medium_when_nothing_is_said() -> None:
    found = arranged()
    assert set(places_of(found).values()) == {"cde"}
    assert found.cde_boot == ("top", "side", "lone")
    assert found.builtin_boot == ()
    assert [(one.name, one.load) for one in found.packages][:4] == [
        *(("low", "need"), ("mods-6.1", "need"), ("mid", "need"), ("top", "boot"))
    ]


def test_what_is_needed_comes_along() -> None:
    found = arranged({"mid": "builtin"})
    assert places_of(found) == {
        **dict.fromkeys(("low", "mods-6.1", "mid"), "builtin"),
        **dict.fromkeys(("top", "side", "lone"), "cde"),
    }
    # The packages of the medium need them, so the list before theirs loads them.
    assert found.builtin_boot == ("mid", "low")
    assert found.cde_boot == ("top", "side", "lone")


def test_the_root_draws_nearest() -> None:
    found = arranged({"side": "root", "top": "builtin"})
    assert places_of(found)["low"] == "root"
    assert places_of(found)["mid"] == "builtin"
    assert found.builtin_boot == ("top",)
    assert found.boot_list("root") == ()


def test_a_place_for_all_the_others() -> None:
    found = arranged({"*": "root", "lone": "cde"}, optional=("extra",), packages=(*SET, package("extra")))
    assert places_of(found) == {
        **dict.fromkeys(("low", "mods-6.1", "mid", "top", "side"), "root"),
        **dict.fromkeys(("lone", "extra"), "cde"),
    }


def test_a_need_that_is_said_to_be_farther_away() -> None:
    assert "low is placed in cde, and mid in builtin needs it" in complaints({"low": "cde", "mid": "builtin"})


def test_packages_that_are_not_there() -> None:
    told = complaints({"tpo": "root"}, copy2fs=("sied",))
    assert "tpo is not in the image (did you mean 'top'" in told
    assert "sied is not in the image (did you mean 'side'" in told


def test_the_root_is_always_loaded() -> None:
    told = complaints(
        {"lone": "root", "side": "root"}, onboot=("top",), optional=("lone",), copy2fs=("side",)
    )
    assert "lone is unpacked into the root: there is nothing to load later" in told
    assert "side is unpacked into the root: there is nothing to copy" in told


def test_loaded_by_hand_or_by_use() -> None:
    found = arranged(onboot=("top",), optional=("side",), ondemand=("lone",))
    assert {one.name: one.load for one in found.packages} == {
        **dict.fromkeys(("low", "mods-6.1", "mid"), "need"),
        "top": "boot",
        "side": "request",
        "lone": "demand",
    }
    # What one that is loaded by hand needs, and lies elsewhere, is there already.
    found = arranged({"low": "builtin"}, onboot=(), optional=("side",))
    assert found.builtin_boot == ("low",)
    assert next(one for one in found.packages if one.name == "low").at_boot


def test_what_only_the_bases_medium_has() -> None:
    packages = (package("a", "theirs.tcz"),)
    found = Variant(name="x", onboot=("a",), places=(("a", "builtin"),))
    with pytest.raises(ConfigError) as caught:
        arrange(packages, found, Present(medium=frozenset({"theirs"})))
    assert "a in builtin needs theirs" in str(caught.value.why)
    assert arrange(packages, found, Present(installed=frozenset({"theirs"})))
    assert arrange(packages, found, Present(builtin=frozenset({"theirs"})))


def test_names_that_tiny_core_finds_in_others() -> None:
    packages = (package("nano"), package("nano-doc"), package("nanoX"))
    found = arranged(packages=packages, onboot=("nano", "nano-doc", "nanoX"), copy2fs=("nano-doc",))
    assert also_copied(found, "cde") == (("nano", "nano-doc"),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("root", ("*", "root")), ("a=cde", ("a", "cde")), ("g++=builtin", ("g++", "builtin"))],
)
def test_the_option(text: str, wanted: tuple[str, str]) -> None:
    assert place_option(text) == wanted


@pytest.mark.parametrize("text", ["", "a=", "a=rot", "a.tcz=root", "/=cde", "a=b=cde"])
def test_bad_options(text: str) -> None:
    with pytest.raises(ConfigError):
        place_option(text)


@given(st.data())
@settings(max_examples=60)
def test_needs_are_at_least_as_near_and_there_when_wanted(data: Any) -> None:
    """Whatever is said: each need of a package is as near as it, and loaded where it must be."""
    count = data.draw(st.integers(1, 7))
    packages = [
        package(
            f"p{n}",
            *data.draw(st.lists(st.sampled_from([f"p{m}" for m in range(n)]), max_size=3)) if n else (),
        )
        for n in range(count)
    ]
    names = st.lists(st.sampled_from([one.name for one in packages]), unique=True)
    places = data.draw(
        st.dictionaries(st.sampled_from(["*", *(p.name for p in packages)]), st.sampled_from(PLACES))
    )
    onboot, optional = data.draw(names), data.draw(names)
    try:
        found = arranged(places, packages=packages, onboot=tuple(onboot), optional=tuple(optional))
    except ConfigError:
        return
    where = {one.name: one for one in found.packages}
    order = ("root", "builtin", "cde")
    for one in found.packages:
        for need in one.package.needs:
            assert order.index(where[need].place) <= order.index(one.place)
            if where[need].place != one.place:
                assert where[need].at_boot
    assert {one.name for one in found.packages if one.place == "root"} <= {
        one.name for one in found.packages if one.at_boot
    }
    assert set(onboot) <= {one.name for one in found.packages if one.at_boot}
