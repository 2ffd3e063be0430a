"""Manifests read back: whatever is in one, it is read or refused with one error, and leads nowhere else."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster import asked as asking
from remaster import manifest, recorded
from remaster.asked import Asked, FileTold, Options, VariantFile
from remaster.manifest import Facts, Origin, Part
from remaster.variant import FileSpec, Variant
from tcz.errors import ToolkitError, VerifyError
from tcz.model import Built, BuiltPackage, ResolvedSource

SHA = "a" * 64


def facts() -> Facts:
    package = BuiltPackage(
        name="foo", form="extension", path=Path("foo.tcz"), sha256=SHA, size=1, installed=2, needs=("lib",)
    )
    source = ResolvedSource(kind="mirror", name="foo", version="1", hash=f"sha256:{SHA}", origin="folder:x")
    crate = ResolvedSource(
        kind="crate", name="itoa", version="1.0.2", hash=f"sha256:{SHA}", origin="crate:itoa"
    )
    root = ResolvedSource(
        kind="debian-binary", name="gcc", version="4:14", hash=f"sha256:{SHA}", origin="gcc"
    )
    built = Built(
        recipe="foo",
        version="1",
        build_id=SHA,
        content_id=SHA,
        folder=Path(),
        packages=(package,),
        sources=(source,),
        root=(root,),
        license="MIT",
        homepage="https://foo.example",
        summary="Foo",
        libraries=(crate,),
    )
    asked = Asked(
        variant_files=(VariantFile(name="mine.toml", sha256=SHA),),
        options=Options(packages=("foo",), files=("etc/x",), more=(("places", ("foo=root",)),)),
        compressor="zstd",
        level=None,
        mode="repack",
        keys=("ssh-ed25519 AAAA me",),
        files=(FileTold(path="etc/x", mode=0o640, owner="root:staff", hash="scrypt:00", given=True),),
        settings=SHA,
    )
    return Facts(
        variant="mine",
        version="1.0",
        base="tinycore-17.0",
        boot_codes=("cde",),
        services=(),
        parts=(Part(role="package", package=package, built=built),),
        epoch=1735689600,
        origin=Origin(
            release="17.0",
            kernel="6.18",
            libc="glibc 2.42",
            identity=SHA,
            edits=(("serial", ("etc/inittab",)),),
            files=(("x.iso", SHA),),
        ),
        asked=asked,
        early=("kernel/x86/microcode/GenuineIntel.bin",),
    )


TEXT = manifest.document(facts()).decode()
PLAIN: Any = json.loads(TEXT)


def test_what_is_written_is_read_back() -> None:
    found = recorded.loads(TEXT, "x")
    assert found.asked == facts().asked
    assert (found.variant, found.kernel, found.boot_codes) == ("mine", "6.18", ("cde",))
    assert (found.packages[0].name, found.packages[0].needs) == ("foo", ("lib",))
    assert found.build("foo").sources == facts().parts[0].built.sources
    assert [one.name for one in found.build("foo").libraries] == ["itoa"]
    assert found.build("foo").libraries == facts().parts[0].built.libraries
    assert found.edits[0].files == ("etc/inittab",)
    assert found.early == facts().early
    assert found.origin is not None
    assert found.origin.files == (("x.iso", SHA),)
    assert [root.digest for root in found.roots] == [found.build("foo").build_root]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values in a JSON document."""
    found = [at] if at else []
    keys: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in keys:
        found += places(inner, (*at, key))
    return found


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150)
@given(st.sampled_from(places(PLAIN)), _JSON)
def test_anything_in_any_place(place: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(PLAIN)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with suppress(VerifyError):
        assert recorded.loads(json.dumps(document), "x").text


@settings(max_examples=20)
@given(st.text(max_size=40) | st.just("[" * 100_000) | st.just("[]") | st.just(TEXT[:-20]))
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(ToolkitError):
        recorded.loads(text, "x")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("recipes", 0, "build-id"), "../../../etc"),
        (("packages", 0, "name"), "../x"),
        (("request", "variant-files", 0, "name"), "../../etc/passwd"),
        (("request", "packages", 0), "./here.tcz"),
        (("request", "initrd", "compressor"), "rm"),
        (("origin", "files", 0, "name"), "/etc/shadow"),
        (("origin", "asked"), "/etc"),
        (("variant",), "/etc/x.toml"),
        (("base",), "../base"),
    ],
)
def test_names_that_lead_elsewhere(place: tuple[Any, ...], value: str) -> None:
    document = copy.deepcopy(PLAIN)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(VerifyError, match="cannot read"):
        recorded.loads(json.dumps(document), "x")


# -- what was asked for ---------------------------------------------------------------------------


def lines(**changes: Any) -> tuple[str, ...]:
    files = (
        FileSpec(path="etc/a", content=b"more", mode=0o755, where="here"),
        FileSpec(path="etc/b", content=b"open", where="there"),
    )
    variant = Variant(**{"name": "x", "boot_codes": ("b", "a"), "files": files, **changes})
    return asking.settings(variant, (("base", "floe"),), asking.told(variant.files, ()))


def test_settings_are_sorted_by_key_and_lists_keep_their_order() -> None:
    found = lines()
    keys = [line.partition(": ")[0] for line in found]
    assert keys == sorted(keys)
    assert [line for line in found if line.startswith("boot-codes")] == ["boot-codes: b", "boot-codes: a"]
    assert any(line.startswith("file /etc/a: 755 root:root sha256:") for line in found)
    assert lines(summary="other", extends="linux") == found
    assert asking.digest(lines(services=("s",))) != asking.digest(found)


def test_differences_name_what_and_how() -> None:
    assert asking.differences(lines(), lines()) == ()
    assert asking.differences(lines(), lines(boot_codes=("a", "b"))) == (
        "boot-codes: another order: b a -> a b",
    )
    assert asking.differences(lines(), lines(boot_codes=("b", "c"))) == ("boot-codes: -a +c",)
    assert asking.differences(lines(), lines(services=("s",))) == ("services: s is new",)
    assert asking.differences(lines(services=("s",)), lines()) == ("services: s is no longer asked for",)


@given(st.binary(max_size=20), st.binary(max_size=20))
@settings(max_examples=2)
def test_hashes_of_contents(one: bytes, other: bytes) -> None:
    for mode in (0o644, 0o600):
        same = asking.hash_of(one, mode, "x") == asking.hash_of(other, mode, "x")
        assert same == (one == other)
    assert asking.hash_of(one, 0o600, "x") != asking.hash_of(one, 0o600, "y")


def test_addresses_without_passwords() -> None:
    assert manifest.plain_address("https://me:pass@tc.example/17.x#serial=3") == "https://tc.example/17.x"
    assert manifest.mirror_address("https://me:pass@tc.example/17.x/x86_64/tcz", 3) == (
        "https://tc.example/17.x/x86_64/tcz#serial=3"
    )
    assert manifest.mirror_address("/srv/tc/states/9/17.x/x86_64/tcz", None) == "folder:17.x/x86_64/tcz"
