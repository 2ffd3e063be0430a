"""The h1 hash, against sums that the go command computed and against a second formulation."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.errors import VerifyError
from tcz.sources.gohash import check_zip, hash1, hash_zip

FILES = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20),
    st.binary(max_size=200),
    max_size=8,
)


@given(FILES)
def test_zip_against_sha256sum_lines(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        names = zipfile.ZipFile(path).namelist()
        lines = [
            f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode()
            for name in sorted(names, key=str.encode)
            if name in files
        ]
        if len(lines) == len(names):
            expected = base64.b64encode(hashlib.sha256(b"".join(lines)).digest()).decode()
            assert hash_zip(path) == f"h1:{expected}"


def test_order_does_not_matter_and_names_do() -> None:
    pairs = [("b", "1" * 64), ("a", "2" * 64)]
    assert hash1(pairs) == hash1(reversed(pairs))
    assert hash1(pairs) != hash1([("b", "2" * 64), ("a", "1" * 64)])


def test_empty_is_the_hash_of_nothing() -> None:
    assert hash1([]) == "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_newline_in_a_name() -> None:
    with pytest.raises(VerifyError):
        hash1([("a\nb", "0" * 64)])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip"])
def test_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.zip").write_bytes(data)
    with pytest.raises(VerifyError):
        hash_zip(tmp_path / "m.zip")


def test_wrong_sum_tells_both(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m@v1/f", "x")
    with pytest.raises(VerifyError) as caught:
        check_zip(path, "h1:other", what="m@v1")
    assert "h1:other" in str(caught.value.why)
    assert hash_zip(path) in str(caught.value.why)


@pytest.mark.skipif(shutil.which("go") is None, reason="needs go")
def test_the_go_command_agrees(tmp_path: Path) -> None:
    """Serve a module of ours from a folder; go computes its sum."""
    proxy = tmp_path / "proxy/example.org/m/@v"
    proxy.mkdir(parents=True)
    (proxy / "v1.0.0.info").write_text('{"Version":"v1.0.0"}')
    (proxy / "v1.0.0.mod").write_text("module example.org/m\n")
    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as archive:
        for name in ("go.mod", "a.go", "B/x_y.go", "B.go"):
            archive.writestr(
                f"example.org/m@v1.0.0/{name}", "module example.org/m\n" if "mod" in name else "package m"
            )
    env = {
        "PATH": "/usr/local/go/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "GOPROXY": f"file://{tmp_path}/proxy",
        "GOSUMDB": "off",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
    }
    argv = ["go", "mod", "download", "-json", "example.org/m@v1.0.0"]
    said = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f'"Sum": "{hash_zip(proxy / "v1.0.0.zip")}"' in said
