"""Debian source packages as text: what a .dsc and a series file say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz import dsc
from tcz.aptsource import stanzas
from tcz.errors import VerifyError

SHA = "ab" * 32
FILES = st.lists(
    st.builds(
        dsc.SourceFile,
        name=st.from_regex(r"[a-z][a-z0-9+.-]{0,6}_[0-9][0-9a-z.+~-]{0,6}\.tar\.xz", fullmatch=True),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        size=st.integers(0, 10**12),
    ),
    min_size=1,
    max_size=4,
)


def render(files: list[dsc.SourceFile], kind: str = "3.0 (quilt)", version: str = "1:2.0-3") -> str:
    lines = "".join(f" {file.sha256} {file.size} {file.name}\n" for file in files)
    return f"Format: {kind}\nSource: hello\nVersion: {version}\nChecksums-Sha256:\n{lines}Files:\n 1 2 x\n"


@given(FILES, st.booleans(), st.booleans())
def test_read_back(files: list[dsc.SourceFile], signed: bool, returns: bool) -> None:  # noqa: FBT001
    text = render(files)
    if signed:
        head, tail = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n", "-----BEGIN PGP SIGNATURE-----\n"
        text = f"{head}{text}\n{tail}\nx\n"
    found = dsc.parse(text.replace("\n", "\r\n") if returns else text, "w")
    assert (found.name, found.version, found.format) == ("hello", "1:2.0-3", "3.0 (quilt)")
    assert found.files == tuple(files)


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_is_a_dsc_or_an_error(text: str) -> None:
    for candidate in (text, render([]) + text):
        try:
            found = dsc.parse(candidate, "w")
        except VerifyError:
            continue
        assert all("/" not in file.name for file in found.files)


def package(*names: str, kind: str) -> dsc.Layout:
    files = [dsc.SourceFile(name=name, sha256=SHA, size=1) for name in names]
    return dsc.layout(dsc.parse(render(files, kind), "w"), "w")


def test_layouts() -> None:
    quilt = package(
        "h_1.0.orig.tar.gz", "h_1.0.orig-lib-x.tar.xz", "h_1.0.orig.tar.gz.asc", "h_1.0-1.debian.tar.xz",
        kind="3.0 (quilt)",
    )  # fmt: skip
    assert quilt == dsc.Layout(
        main="h_1.0.orig.tar.gz",
        components=(("lib-x", "h_1.0.orig-lib-x.tar.xz"),),
        debian="h_1.0-1.debian.tar.xz",
    )
    assert package("h_1.0.tar.xz", kind="3.0 (native)") == dsc.Layout(main="h_1.0.tar.xz")
    assert package("h_1.0.tar.gz", kind="1.0") == dsc.Layout(main="h_1.0.tar.gz")
    assert package("h_1.0.orig.tar.gz", "h_1.0-1.diff.gz", kind="1.0") == dsc.Layout(
        main="h_1.0.orig.tar.gz", diff="h_1.0-1.diff.gz"
    )


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["h_1.0.orig.tar.gz"], "3.0 (quilt)"),
        (["h_1.0-1.debian.tar.xz"], "3.0 (quilt)"),
        (["h_1.0.orig.tar.gz", "h_1.0-1.diff.gz"], "3.0 (native)"),
        (["h_1.0.tar.gz", "h_1.1.tar.gz"], "1.0"),
        (["h_1.0.orig.tar.gz", "h_1.0.orig.tar.xz", "h_1.0-1.debian.tar.xz"], "3.0 (quilt)"),
    ],
)
def test_files_that_do_not_fit(names: list[str], kind: str) -> None:
    with pytest.raises(VerifyError):
        package(*names, kind=kind)


def test_unknown_format() -> None:
    with pytest.raises(VerifyError, match=r"3\.0 \(git\)"):
        package("h.git", kind="3.0 (git)")


def test_series() -> None:
    text = "# first\n\na.patch\nsub/b.patch -p1\n  c.diff  # why\n"
    assert dsc.series(text, "w") == ("a.patch", "sub/b.patch", "c.diff")
    for bad in ("../x", "/etc/x", "a/../../x", "a.patch -p0"):
        with pytest.raises(VerifyError):
            dsc.series(bad, "w")


@given(st.text(max_size=100))
def test_any_text_is_a_series_or_an_error(text: str) -> None:
    try:
        found = dsc.series(text, "w")
    except VerifyError:
        return
    assert all(name and not name.startswith("/") and ".." not in name.split("/") for name in found)


@given(FILES)
def test_index_read_back(files: list[dsc.SourceFile]) -> None:
    whole = [*files, dsc.SourceFile(name="h_1.dsc", sha256=SHA, size=3)]
    text = render(whole).replace("Source: hello", "Package: hello")
    (found,) = stanzas(f"\n{text}\n\nPackage: other\nVersion: 1\n")
    assert (found.name, found.version) == ("hello", "1:2.0-3")
    assert found.files[0].name == "h_1.dsc"
    assert sorted(found.files, key=repr) == sorted(whole, key=repr)
