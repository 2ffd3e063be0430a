from dataclasses import replace

from tcz.modules import in_extension
from tcz.tree import Tree, directory, regular, symlink


def test_modules_are_moved() -> None:
    nodes = {
        "lib": directory(),
        "lib/modules": directory(),
        "lib/modules/6.1-x": directory(),
        "lib/modules/6.1-x/kernel/a.ko": regular(b"a"),
        "lib/modules/6.1-x/kernel/b.ko": replace(regular(b""), link="lib/modules/6.1-x/kernel/a.ko"),
        "lib/modules/6.1-x/modules.dep": regular(b""),
        "lib/modules/6.1-x/build": symlink("/nowhere"),
        "lib/modules/6.1-x/kernel/build": regular(b""),
        "usr/lib/modules/6.2-x/extra/c.ko.gz": regular(b"c"),
        "usr/lib/libx.so": regular(b""),
    }
    found = in_extension(nodes)
    assert sorted(found) == [
        "usr/lib/libx.so",
        "usr/local/lib/modules/6.1-x",
        "usr/local/lib/modules/6.1-x/kernel/a.ko",
        "usr/local/lib/modules/6.1-x/kernel/b.ko",
        "usr/local/lib/modules/6.1-x/kernel/build",
        "usr/local/lib/modules/6.2-x/extra/c.ko.gz",
    ]
    assert found["usr/local/lib/modules/6.1-x/kernel/b.ko"].link == "usr/local/lib/modules/6.1-x/kernel/a.ko"


def test_modules_in_their_place_are_left_alone() -> None:
    nodes = {
        "lib": directory(),
        "usr/local/lib/modules/6.1-x/modules.dep": regular(b""),
        "usr/local/lib/modules/6.1-x/a.ko": regular(b""),
    }
    assert Tree(in_extension(nodes)) == Tree(nodes)
