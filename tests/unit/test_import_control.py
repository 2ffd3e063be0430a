import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.importing import control
from tcz.importing.control import Alternative, depends_text, parse_control, parse_depends, parse_stanzas
from tcz.importing.copyright import licence_of, spdx

_NAME = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,10}", fullmatch=True)
_VERSION = st.from_regex(r"([0-9]:)?[0-9][0-9A-Za-z.+~]{0,6}(-[0-9a-z.]{1,4})?", fullmatch=True)
_CHOICE = st.one_of(
    st.builds(Alternative, name=_NAME),
    st.builds(Alternative, name=_NAME, how=st.sampled_from(["<<", "<=", "=", ">=", ">>"]), version=_VERSION),
)


@given(st.lists(st.lists(_CHOICE, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple))
def test_depends_round_trip(depends: tuple[tuple[Alternative, ...], ...]) -> None:
    assert parse_depends(depends_text(depends)) == depends


def test_depends_in_every_spelling() -> None:
    text = "libc6 (>=2.38) , a:any|b ( << 1:2~rc1 ),\n c [amd64 i386] <!nocheck>, d(=1)"
    assert parse_depends(text) == (
        (Alternative(name="libc6", how=">=", version="2.38"),),
        (Alternative(name="a"), Alternative(name="b", how="<<", version="1:2~rc1")),
        (Alternative(name="c"),),
        (Alternative(name="d", how="=", version="1"),),
    )
    for bad in ("A b", "a (1)", "a (>= )", "a | | b", "$(x)", "a; rm"):
        with pytest.raises(VerifyError, match="not a dependency"):
            parse_depends(bad)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True),
        st.lists(st.from_regex(r"[!-~][ -~]{0,10}[!-~]", fullmatch=True), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    )
)
def test_stanza_round_trip(fields: dict[str, list[str]]) -> None:
    text = "".join(f"{key}: " + "\n ".join(lines) + "\n" for key, lines in fields.items())
    assert list(parse_stanzas(text)) == [{key: "\n".join(lines) for key, lines in fields.items()}]


@given(st.binary(max_size=200))
def test_any_control_file_is_read_or_refused(data: bytes) -> None:
    try:
        found = parse_control(data)
    except VerifyError:
        return
    assert found.package


def test_control() -> None:
    found = parse_control(
        b"Package: tool\nVersion: 2:1.0-1\nArchitecture: amd64\nSource: thing (1.0)\nPre-Depends: a\n"
        b"Depends: b | c\nProvides: x (= 1), y\nSection: non-free/net\nHomepage: javascript:x\n"
        b"Description: does it\n really\n .\n well\n"
    )
    assert (found.package, found.version, found.source) == ("tool", "2:1.0-1", "thing")
    assert [choice.name for any_of in found.depends for choice in any_of] == ["a", "b", "c"]
    assert (found.provides, found.section, found.homepage) == (("x", "y"), "net", "")
    assert found.summary == "does it"
    for bad in (b"", b"Package: a/b\nVersion: 1\n", b"Package: ab\n", b"Package: ab\nVersion: $(x)\n"):
        with pytest.raises(VerifyError, match="not a package's control file"):
            parse_control(bad)
    assert not control.is_debian_name("A b")


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("Apache-2.0", "Apache-2.0"),
        ("MPL-1.1 or GPL-2+ or LGPL-2.1+", "MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later"),
        ("GPL-2+ or Expat, and BSD-2-clause", "(GPL-2.0-or-later OR MIT) AND BSD-2-Clause"),
        ("GPL-2+ with Autoconf exception", "GPL-2.0-or-later WITH Autoconf-exception-2.0"),
        ("GPL-3+ with strange exception", "LicenseRef-GPL-3-with-strange-exception"),
        ("my own words", "LicenseRef-my-own-words"),
        ("public-domain", "LicenseRef-public-domain"),
        ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("CC-BY-SA-3.0", "CC-BY-SA-3.0"),
    ],
)
def test_spdx(name: str, expression: str) -> None:
    assert spdx(name) == expression


@given(st.text(max_size=60))
def test_spdx_of_anything(name: str) -> None:
    assert "\n" not in spdx(name.replace("\n", " "))


def test_licence_of_a_machine_readable_file() -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n\n"
        "Files: *\nCopyright: 2020 A\nLicense: GPL-2+\n\n"
        "Files: lib/*\nCopyright: 2020 B\nLicense: Expat or GPL-2+\n\n"
        "Files: debian/*\nCopyright: 2020 C\nLicense: ISC\n\n"
        "License: GPL-2+\n This program is free software\n"
    )
    assert licence_of(text) == "GPL-2.0-or-later AND (MIT OR GPL-2.0-or-later)"


def test_licence_of_other_files() -> None:
    text = (
        "On Debian systems it is in /usr/share/common-licenses/GPL-3 and /usr/share/common-licenses/LGPL-2.1."
    )
    assert licence_of(text) == "GPL-3.0-only AND LGPL-2.1-only"
    assert licence_of("do what you like") == ""
    assert licence_of("Format: copyright-format\n broken\nno field here") == ""
