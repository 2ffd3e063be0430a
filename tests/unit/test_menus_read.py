"""Menus read as the boot loaders read them: files that are included, variables, what is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remaster.menu import Entry, Menu, ipxe_script
from remaster.survey import bootconfig
from remaster.survey.menutext import Around
from tcz.tree import Tree, regular

if TYPE_CHECKING:
    from remaster.survey.model import BootEntry

FILES = ("boot/vmlinuz64", "boot/core.gz")


def around(menus: dict[str, str], *labels: str) -> Around:
    nodes = {path: regular(b"") for path in FILES}
    nodes |= {path: regular(text.encode()) for path, text in menus.items()}
    return Around(files=Tree(nodes), labels=frozenset(labels))


def default(entries: tuple[BootEntry, ...]) -> str:
    return next((one.label or one.title for one in entries if one.default), "")


def label(name: str, *lines: str) -> str:
    return "\n".join([f"LABEL {name}", " KERNEL /boot/vmlinuz64", *(f" {line}" for line in lines)]) + "\n"


# -- syslinux -------------------------------------------------------------------------------------


def test_what_is_included_counts_in_its_place() -> None:
    found = around(
        {
            "boot/isolinux/isolinux.cfg": "APPEND quiet\n"
            + label("first")
            + "INCLUDE more.cfg\n"
            + label("last", "APPEND -"),
            "boot/isolinux/more.cfg": label("second")
            + "INCLUDE /boot/deep/x.cfg\nTIMEOUT 70\nDEFAULT third\n",
            # From the first file's folder on, whatever file it is in.
            "boot/deep/x.cfg": label("third", "APPEND cde") + "MENU INCLUDE other.cfg A submenu\n",
            "boot/isolinux/other.cfg": label("fourth", "MENU DEFAULT"),
        }
    )
    entries, timeout = bootconfig.menus(found)
    assert [(one.label, one.words, one.where.rpartition("/")[2]) for one in entries] == [
        ("first", ("quiet",), "isolinux.cfg"),
        ("second", ("quiet",), "more.cfg"),
        ("third", ("cde",), "x.cfg"),
        ("fourth", ("quiet",), "other.cfg"),
        ("last", (), "isolinux.cfg"),
    ]
    assert default(entries) == "third"
    assert timeout is not None
    assert (timeout.value, timeout.where) == ("7", "boot/isolinux/more.cfg")
    assert found.notes == []


def test_an_included_file_goes_on_with_an_entry() -> None:
    found = around({"isolinux.cfg": label("a") + "include tail\n", "tail": "append x=1\nmenu label A\n"})
    entries, _ = bootconfig.menus(found)
    assert [(one.title, one.words) for one in entries] == [("A", ("x=1",))]


def test_a_menu_that_another_one_includes_is_none_of_its_own() -> None:
    found = around({"isolinux.cfg": "include /syslinux.cfg\n", "syslinux.cfg": label("a")})
    assert [one.where for one in bootconfig.menus(found)[0]] == ["syslinux.cfg"]


def test_loops_and_what_is_not_there() -> None:
    found = around(
        {
            "isolinux.cfg": label("a") + "include b.cfg\ninclude absent.cfg\ninclude /isolinux.cfg\n",
            "b.cfg": label("b") + "include /c.cfg\n",
            "c.cfg": label("c") + "include b.cfg\n",
        }
    )
    entries, _ = bootconfig.menus(found)
    assert [one.label for one in entries] == ["a", "b", "c"]
    assert found.notes == [
        "c.cfg includes b.cfg, which leads back to it, or too deep",
        "isolinux.cfg includes absent.cfg, which is not there",
        "isolinux.cfg includes /isolinux.cfg, which leads back to it, or too deep",
    ]


def test_what_grows_without_end_ends() -> None:
    twice = {f"{n}.cfg": f"include {n + 1}.cfg\ninclude {n + 1}.cfg\n" for n in range(15)}
    scripts = {f"boot/{n}.cfg": f"source /boot/{n + 1}.cfg\nsource /boot/{n + 1}.cfg\n" for n in range(15)}
    calls = "function f {\nf\nf\n}\nfor i in 1 2 3 4 5 6 7 8 9; do f; f; done\n"
    found = around(
        {**twice, **scripts, "isolinux.cfg": "include 0.cfg\n", "grub.cfg": "source /boot/0.cfg\n" + calls}
    )
    assert bootconfig.menus(found)[0] == ()
    assert any("more than any menu has" in note for note in found.notes)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("DEFAULT b\nPROMPT 1\nTIMEOUT 50\n", "b"),
        # Somebody is waited for: what is started then, and what Enter starts, may differ.
        ("DEFAULT b\nONTIMEOUT c\nPROMPT 1\nTIMEOUT 50\n", "c"),
        ("ONTIMEOUT c\nDEFAULT b\nPROMPT 1\nTIMEOUT 50\n", "c"),
        ("DEFAULT b\nONTIMEOUT c\nPROMPT 1\n", "b"),
        # Nobody is waited for.
        ("DEFAULT b\nONTIMEOUT c\nPROMPT 0\nTIMEOUT 50\n", "b"),
        ("DEFAULT b\nONTIMEOUT c\nUI menu.c32\nTIMEOUT 50\n", "c"),
        ("DEFAULT a\nDEFAULT b extra\nPROMPT 1\n", "b"),
        # Marks in labels are for menus; UI's DEFAULT comes before them, and DEFAULT menu.c32 names none.
        ("DEFAULT b\nUI menu.c32\n", "b"),
        ("DEFAULT vesamenu.c32\nTIMEOUT 50\n", "marked"),
        ("DEFAULT menu.c32\nTIMEOUT 50\nONTIMEOUT c\n", "c"),
        ("UI menu.c32\n", "marked"),
        ("", "marked"),
        ("DEFAULT local\nPROMPT 1\n", ""),
        ("DEFAULT absent\nPROMPT 1\n", "marked"),
    ],
)
def test_what_syslinux_starts_by_default(said: str, wanted: str) -> None:
    labels = [
        label("a"),
        label("b"),
        label("c"),
        label("marked", "MENU DEFAULT"),
        "LABEL local\n LOCALBOOT 0x80\n",
    ]
    inner = "MENU BEGIN x\n" + label("inner", "MENU DEFAULT") + "MENU END\n"
    text = said + "".join(labels) + inner + "TEXT HELP\n default a\n append wrong\nENDTEXT\n"
    config = bootconfig.isolinux(text, "isolinux.cfg")
    assert default(config.entries) == wanted
    assert [one.label for one in config.entries] == ["a", "b", "c", "marked", "inner"]


@pytest.mark.parametrize(
    ("outside", "inside", "wanted"),
    [
        ("quiet", "", ("quiet",)),
        ("quiet", "APPEND cde", ("cde",)),
        ("quiet", "APPEND -", ()),
        ("quiet", "APPEND", ()),
        ("-", "", ()),
        ("initrd=/boot/core.gz quiet", "", ("quiet",)),
    ],
)
def test_append(outside: str, inside: str, wanted: tuple[str, ...]) -> None:
    (entry,) = bootconfig.isolinux(f"APPEND {outside}\n{label('a', inside)}", "x").entries
    assert entry.words == wanted


# -- GRUB -----------------------------------------------------------------------------------------


def grub(text: str, *labels: str, **more: str) -> tuple[Around, tuple[BootEntry, ...]]:
    found = around(
        {"boot/grub/grub.cfg": text, **{f"boot/grub/{k}.cfg": v for k, v in more.items()}}, *labels
    )
    return found, bootconfig.menus(found)[0]


def test_variables_as_they_are_when_an_entry_is_chosen() -> None:
    _, (entry,) = grub(
        "set dir=/boot\nkernel=${dir}/wrong\nset args='a  b'\nset title=\"Tiny $dir\"\n"
        "menuentry \"${title}\" --class x --unrestricted --hotkey=t $menuentry_id_option 'one' more {\n"
        " set root=$root; linux ($root)${kernel} $args \"$args\" '$args' $none x$2; initrd $dir/core.gz\n}\n"
        "set kernel=$dir/vmlinuz64\nset args='c d'\nmenuentry_id_option=--id\n"
    )
    assert (entry.title, entry.kernel, entry.initrds) == ("Tiny /boot", "/boot/vmlinuz64", ("/boot/core.gz",))
    # $menuentry_id_option was not set when it was read.
    assert entry.words == ("c", "d", "c d", "$args", "xone")
    assert not entry.elsewhere


def test_an_entry_on_a_line() -> None:
    _, entries = grub(
        'menuentry A { linux /boot/vmlinuz64 q; initrd /boot/core.gz }\nmenuentry "B" --id=b {linux /x}\n'
        "menuentry C { linux /boot/vmlinuz64\n}\n"
    )
    assert [(one.title, one.kernel, one.words, one.initrds) for one in entries[:1]] == [
        ("A", "/boot/vmlinuz64", ("q",), ("/boot/core.gz",))
    ]
    assert entries[-1].title == "C"


MENU = (
    "menuentry first --id one { reboot }\nmenuentry second --id two { linux /boot/vmlinuz64 2 }\n"
    "submenu more --id three {\n menuentry inner { linux /boot/vmlinuz64 3.0 }\n"
    " menuentry other --id four { linux /boot/vmlinuz64 3.1 }\n}\n"
)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", ""),
        ("set default=1", "two"),
        ("set default=two", "two"),
        ("default=second", "two"),
        ("set default=2", "inner"),
        ("set default='2>1'", "four"),
        ('set default="more>four"', "four"),
        ("set default=three>0", "inner"),
        ("set default=9", ""),
        ('if [ "${next_entry}" ]; then set default="${next_entry}"; else set default="1"; fi', "two"),
        ("if [ x$feature_all_video_module = xy ]; then set default=1; fi", "two"),
        ('if [ "$grub_platform" = efi ]; then set default=1; else set default=two; fi', "two"),
        ("if ! true; then set default=0; elif [ -n a ]; then set default=1; fi", "two"),
        ("function d {\nset default=1\n}\nd", "two"),
        ("for n in 0 1; do set default=$n; done", "two"),
    ],
)
def test_what_grub_starts_by_default(said: str, wanted: str) -> None:
    _, entries = grub(f"{said}\n{MENU}")
    assert [one.title for one in entries] == ["second", "inner", "other"]
    assert default(entries) == wanted


@pytest.mark.parametrize(
    ("said", "path", "elsewhere"),
    [
        ("", "/boot/vmlinuz64", False),
        ("", "($root)/boot/vmlinuz64", False),
        ("search --no-floppy --set=root --label HERE", "/boot/vmlinuz64", False),
        ("search --no-floppy --set=root -l THERE", "/boot/vmlinuz64", True),
        ("search --set root --file /boot/core.gz", "/boot/vmlinuz64", False),
        ("search -f /absent -s root", "/boot/vmlinuz64", True),
        ("search.fs_label HERE root", "/boot/vmlinuz64", False),
        ("search.fs_uuid 12-34 root", "/boot/vmlinuz64", True),
        ("search --fs-uuid --set=dev 12-34", "($dev)/boot/vmlinuz64", True),
        ("search --file --set=dev /boot/core.gz", "($dev)/boot/vmlinuz64", False),
        ("set root='hd0,msdos1'", "/boot/vmlinuz64", True),
        ("", "(cd0)/boot/vmlinuz64", True),
        ("if [ $grub_platform = pc ]; then k=/a; else k=/b; fi", "$k", True),
        ("if [ $grub_platform = pc ]; then k=/boot/vmlinuz64; else k=/boot/vmlinuz64; fi", "$k", False),
        ("if loadfont x; then set root=hd0; fi", "/boot/vmlinuz64", True),
        ("for k in /boot/vmlinuz*; do true; done", "$k", True),
    ],
)
def test_what_is_on_this_medium_and_what_cannot_be_told(said: str, path: str, *, elsewhere: bool) -> None:
    _, (entry,) = grub(f"{said}\nmenuentry x {{ linux {path} }}", "HERE")
    assert entry.elsewhere is elsewhere
    assert entry.kernel == ("${k}" if elsewhere and path == "$k" else "/boot/vmlinuz64")


def test_other_files() -> None:
    found, entries = grub(
        "set v=here\nsource $prefix/one.cfg\n. ($root)/boot/grub/absent.cfg\nsource /boot/grub/absent.cfg\n"
        "menuentry More { configfile ${prefix}/two.cfg }\nsource /boot/grub/grub.cfg\n",
        one="menuentry One { linux /boot/vmlinuz64 $v }\nset timeout=9\n",
        two="menuentry Two { linux /boot/vmlinuz64 $v }\nset timeout=4\n",
    )
    assert [(one.title, one.words, one.where) for one in entries] == [
        ("One", ("here",), "boot/grub/one.cfg"),
        ("Two", ("here",), "boot/grub/two.cfg"),
    ]
    assert found.notes == [
        "boot/grub/grub.cfg includes /boot/grub/absent.cfg, which is not there",
        "boot/grub/grub.cfg includes /boot/grub/grub.cfg, which leads back to it, or too deep",
    ]


def test_a_file_that_takes_the_menus_place() -> None:
    found, entries = grub(
        "menuentry Gone { linux /x }\nset default=5\nconfigfile $prefix/real.cfg\n",
        real="set default=1\nset timeout=4\nmenuentry A { linux /boot/vmlinuz64 }\n"
        "menuentry B { linux /boot/vmlinuz64 }\n",
    )
    assert [one.title for one in entries] == ["A", "B"]
    assert default(entries) == "B"
    timeout = bootconfig.menus(found)[1]
    assert timeout is not None
    assert (timeout.value, timeout.where) == ("4", "boot/grub/real.cfg")


SAID = (
    "menuentry submenu x { } ; if then else elif fi for in do done while function set a=b $a ${a \" ' \\ # "
    "linux /k initrd search --set=root --label source configfile /boot/grub/grub.cfg [ ] ! -n NL"
)
SCRAPS = st.lists(st.sampled_from(SAID.split()), max_size=40)


@given(SCRAPS)
@settings(max_examples=300, deadline=None)
def test_any_script_is_some_menu(scraps: list[str]) -> None:
    entries = grub(" ".join(scraps).replace("NL", "\n"))[1]
    assert all(one.kernel for one in entries)
    assert sum(one.default for one in entries) <= 1


# -- iPXE -----------------------------------------------------------------------------------------


def test_what_remaster_writes_for_the_network_is_read_back() -> None:
    entries = tuple(Entry(label=one, title=f"Title {one}", words=(f"x={one}", "q")) for one in ("a", "b"))
    menu = Menu(title="T", entries=entries, timeout=7, serial=None, kernel="/k", initrd="/i", default="b")
    config = bootconfig.ipxe(ipxe_script(menu), "boot.ipxe")
    assert [(one.label, one.title, one.words, one.default) for one in config.entries] == [
        ("a", "Title a", ("x=a", "q"), False),
        ("b", "Title b", ("x=b", "q"), True),
    ]
    assert {(one.kernel, one.initrds) for one in config.entries} == {("vmlinuz", ("initrd",))}
    assert config.timeout == 7


def test_a_command_line_alone() -> None:
    found = around({"pxe/cmdline": "quiet x=1\n", "pxe/vmlinuz": "", "pxe/initrd": "", "cmdline": "none"})
    (entry,), timeout = bootconfig.menus(found)
    assert (entry.words, entry.where, timeout) == (("quiet", "x=1"), "pxe/cmdline", None)
