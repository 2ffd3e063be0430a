from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz import scaffold
from tcz.recipe_checks import license_expression


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("hello-2.10.tar.gz", ("hello", "2.10")),
        ("bzip2-1.0.8.tar.bz2", ("bzip2", "1.0.8")),
        ("util-linux-2.41.tar.xz", ("util-linux", "2.41")),
        ("runc_1.3.0.orig.tar.gz", ("runc", "1.3.0")),
        ("openssh-9.9p2.tar.gz", ("openssh", "9.9p2")),
        ("tool-v1.2.zip", ("tool", "1.2")),
        ("latest.tar.gz", None),
        ("x.txt", None),
    ],
)
def test_names(file: str, wanted: tuple[str, str] | None) -> None:
    assert scaffold.name_and_version(file) == wanted


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_not(text: str) -> None:
    found = scaffold.name_and_version(text)
    assert found is None or (found[0] and found[1][:1].isdigit())


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["configure", "configure.ac", "Makefile.in"], "autotools"),
        (["configure.ac", "Makefile.am"], "autoreconf"),
        (["meson.build", "Makefile"], "meson"),
        (["CMakeLists.txt"], "cmake"),
        (["Cargo.toml", "Makefile"], "cargo"),
        (["go.mod", "Makefile"], "go"),
        (["Makefile"], "make"),
        (["README"], "unknown"),
    ],
)
def test_systems(names: list[str], wanted: scaffold.System) -> None:
    assert scaffold.system_of(names) == wanted


@pytest.mark.parametrize("system", scaffold.NEEDS)
def test_scripts_are_shell(system: scaffold.System) -> None:
    for text in (scaffold.build_script(system), scaffold.test_script()):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_licences() -> None:
    gpl = "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007\n"
    mit = "Permission is hereby granted, free of charge, to any person obtaining a copy"
    assert scaffold.licence_of([gpl]) == "GPL-3.0-or-later"
    assert scaffold.licence_of([gpl, mit, gpl]) == "GPL-3.0-or-later AND MIT"
    assert scaffold.licence_of(["all rights reserved"]) == scaffold.UNKNOWN_LICENCE
    names = ["COPYING", "COPYING.LESSER", "LICENSE.md", "Licence", "licenses", "src", "README"]
    assert scaffold.licence_files(names) == ("COPYING", "COPYING.LESSER", "LICENSE.md", "Licence")


def test_licence_of_debian() -> None:
    text = "Format: x\n\nFiles: *\nCopyright: a\nLicense: {}\n text\n\nFiles: debian/*\nLicense: GPL-3+\n"
    for name, wanted in (
        ("GPL-2+", "GPL-2.0-or-later"),
        ("Expat or Apache-2.0", "MIT OR Apache-2.0"),
        ("ISC and BSD-3-clause", "ISC AND BSD-3-Clause"),
        ("custom", scaffold.UNKNOWN_LICENCE),
    ):
        assert scaffold.licence_of_debian(text.format(name)) == wanted


@given(st.text(max_size=200))
def test_any_text_gives_a_proper_expression(text: str) -> None:
    for found in (
        scaffold.licence_of([text]),
        scaffold.licence_of_debian(text),
        scaffold.licence_of_debian(f"Files: *\nLicense: {text}"),
    ):
        assert license_expression(found) is None


def test_needs_of_debian() -> None:
    text = """debhelper-compat (= 13), dh-python, libfoo-dev (>= 1) | libold-dev, bison,
 libsel-dev [linux-any], libkvm-dev [kfreebsd-any], libx-dev [!amd64], liby-dev [!hurd-any],
 expect <!nocheck>, python3:any, libz-dev <!stage1>"""
    assert scaffold.needs_of_debian(text) == (
        "libfoo-dev", "bison", "libsel-dev", "liby-dev", "python3", "libz-dev",
    )  # fmt: skip


@given(st.text(max_size=100))
def test_any_text_gives_names_of_packages(text: str) -> None:
    assert all(name[:1].isalnum() for name in scaffold.needs_of_debian(text))


@given(st.text(max_size=200))
def test_a_summary_is_one_line(text: str) -> None:
    found = scaffold.summary_of(text, "name")
    assert found == "name" or (found.isprintable() and found == found.strip())


def test_summary() -> None:
    assert (
        scaffold.summary_of("# x\n\n[![b](u)](v)\n\nA *small* tool for [you](http://h).\n", "x")
        == "A small tool for you"
    )
