"""Files of an image's root that run with the rights of others, as the manifest tells them."""

from __future__ import annotations

import hashlib

from remaster import manifest
from remaster.variant import FileSpec
from tcz.tree import Tree, directory, regular


def test_set_id_files_of_the_root_and_of_what_is_laid_over_it() -> None:
    root = Tree(
        {
            "": directory(),
            "bin": directory(0o2755),
            "bin/su": regular(b"su", 0o4755),
            "bin/wall": regular(b"wall", 0o2755),
            "bin/gone": regular(b"x", 0o4755),
            "bin/sh": regular(b"sh", 0o755),
        }
    )
    given = (
        FileSpec(path="bin/gone", content=b"y", mode=0o755),
        FileSpec(path="opt/mine", content=b"mine", mode=0o4711),
    )
    found = manifest.set_id(root, given)
    assert [(one.path, one.mode, one.md5) for one in found] == [
        ("bin/su", 0o4755, ""),
        ("bin/wall", 0o2755, ""),
        ("opt/mine", 0o4711, ""),
    ]
    assert found[2].sha256 == hashlib.sha256(b"mine").hexdigest()
    weak = hashlib.md5(b"su", usedforsecurity=False).hexdigest()
    assert manifest.set_id(root, md5=True)[1].md5 == weak
