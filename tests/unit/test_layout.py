import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tcz.errors import VerifyError
from tcz.layout import lay_out
from tcz.tree import FileRef, Node, Tree, directory, regular, symlink


def test_contents_links_and_modes(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"0123456789")
    su = regular(FileRef(big, 0, 10), mode=0o4555)
    tree = Tree(
        {
            "bin/su": su,
            "a": replace(su, data=b"", link="bin/su"),
            "part": regular(FileRef(big, 2, 3)),
            "dev/null": Node(mode=stat.S_IFCHR | 0o666, rdev=(1, 3)),
            "empty": directory(0o2775, 1001, 50),
            "link": symlink("nowhere"),
        }
    )
    for share in (False, True):
        place = tmp_path / f"out{share}"
        lay_out(tree, place, share=share)
        found = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
        assert found == ["a", "bin", "bin/su", "dev", "empty", "link", "part"]
        assert (place / "part").read_bytes() == b"234"
        assert (place / "bin/su").read_bytes() == b"0123456789"
        assert (place / "bin/su").stat().st_ino == (place / "a").stat().st_ino
        assert ((place / "bin/su").stat().st_ino == big.stat().st_ino) == share
        assert (place / "bin/su").stat().st_mode & 0o7000 == 0
        assert (place / "link").readlink() == Path("nowhere")
    assert stat.S_IMODE((tmp_path / "outFalse/bin/su").stat().st_mode) == 0o755


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"012")
    with pytest.raises(VerifyError):
        lay_out(Tree({"a": regular(FileRef(tmp_path / "x", 1, 5))}), tmp_path / "out")
