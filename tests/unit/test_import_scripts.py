import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcz.importing.accounts import (
    Group,
    Member,
    Place,
    User,
    account_lines,
    parse_sysusers,
    parse_tmpfiles,
    place_lines,
)
from tcz.importing.scripts import Link, effects_of, sections

POSTINST = """#!/bin/sh
set -e
helper() {
    frobnicate --in-function
}
case "$1" in
    configure)
        adduser --quiet --system --group --no-create-home --home /var/lib/tool \\
            --shell /usr/sbin/nologin tool
        adduser tool audio >/dev/null || true
        add-shell /bin/tsh
        mkdir -pZ /var/lib/tool && chown tool:tool /var/lib/tool
        chmod 750 "/var/lib/tool"
        mkdir -p /usr/lib/tool
        if [ -n "$2" ] && dpkg --compare-versions "$2" lt 2.0; then
            rm -rf /var/lib/old
            upgrade-only-command
        else
            fresh-command --all
        fi
        echo "a; b && not-a-command
          neither-is-this | really"
        cat <<EOF
not-a-command-either
EOF
        helper
        chown root:$group /var/log/x
        ;;
    abort-upgrade|abort-remove)
        only-for-aborts
        ;;
esac
# Automatically added by dh_installsystemd/13.1
if [ "$1" = "configure" ]; then
    deb-systemd-helper enable tool.service
    systemd-thing
fi
# End automatically added section
# Automatically added by dh_strange/1
strange-thing
# End automatically added section
update-alternatives --install /usr/bin/editor editor /usr/bin/tool 30 \\
    --slave /usr/share/man/man1/editor.1.gz editor.1.gz /usr/share/man/man1/tool.1.gz
exit 0
"""


def test_a_whole_script() -> None:
    found = effects_of(POSTINST, "postinst")
    assert found.accounts == (User(name="tool", home="/var/lib/tool"), Member(user="tool", group="audio"))
    assert found.shells == ("/bin/tsh",)
    assert found.commands == (
        "mkdir -p /var/lib/tool",
        "chown tool:tool /var/lib/tool",
        "chmod 750 /var/lib/tool",
    )
    assert found.links == (
        Link(path="usr/bin/editor", target="/usr/bin/tool", priority=30),
        Link(path="usr/share/man/man1/editor.1.gz", target="/usr/share/man/man1/tool.1.gz", priority=30),
    )
    assert [note.text for note in found.notes] == [
        "not done: frobnicate --in-function",
        "not done: mkdir -p /usr/lib/tool",
        "not done: fresh-command --all",
        "not done: chown root:$group /var/log/x",
        "not done: strange-thing",
    ]
    assert {note.verdict for note in found.notes} == {"by-hand"}
    assert sections(POSTINST) == ("dh_installsystemd", "dh_strange")


def test_other_languages_are_told() -> None:
    (note,) = effects_of("#!/usr/bin/perl\nprint 1;\n", "postinst").notes
    assert note.text == "not a shell script: not done at all"
    assert not effects_of("", "postinst").notes


def test_many_commands_are_counted() -> None:
    found = effects_of("".join(f"command-{n}\n" for n in range(20)), "postinst")
    assert len(found.notes) == 13
    assert found.notes[-1].text == "not done: 8 more commands"


@pytest.mark.parametrize(
    ("line", "account"),
    [
        ("addgroup --system tape", Group(name="tape")),
        ("groupadd -r -g 77 tape", Group(name="tape", gid=77)),
        ("useradd -r -d /srv/x -s /bin/sh -u 70 x", User(name="x", uid=70, home="/srv/x", shell="/bin/sh")),  # noqa: S604 - a login shell
        ("adduser --system --ingroup video cam", User(name="cam", group="video")),
        ("adduser --system --home=/srv/y y", User(name="y", group="nogroup", home="/srv/y", make_home=True)),
        ("usermod -a -G audio tc", Member(user="tc", group="audio")),
    ],
)
def test_accounts(line: str, account: object) -> None:
    assert effects_of(line, "postinst").accounts == (account,)


@pytest.mark.parametrize("line", ["adduser --system $USER", "adduser 'a;b'", "useradd -r `x`", "adduser"])
def test_accounts_that_cannot_be_told(line: str) -> None:
    found = effects_of(line, "postinst")
    assert not found.accounts
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    "line",
    [
        "mkdir -p /",
        "chmod 777 /etc",
        "chown x /var/lib/../../etc/x",
        "mkdir /var/$X",
        "chmod 4755 /usr/bin/x",
    ],
)
def test_commands_that_could_harm_are_not_taken_over(line: str) -> None:
    assert not effects_of(line, "postinst").commands


@given(st.text(max_size=300))
def test_any_script_is_read(text: str) -> None:
    effects_of("#!/bin/sh\n" + text, "postinst")


@given(st.lists(st.sampled_from(POSTINST.splitlines()), max_size=25))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    effects_of("\n".join(lines), "postinst")


def test_sysusers() -> None:
    text = (
        '# comment\nu tool - "A tool" /var/lib/tool\nu! x 70:video - - /bin/sh\ng tape 33\n'
        "m tool audio\nr - 500-900\nz nonsense\nu bad;name -\n"
    )
    found, notes = parse_sysusers(text, "x.conf")
    assert found == (
        User(name="tool", home="/var/lib/tool"),
        User(name="x", uid=70, group="video", shell="/bin/sh"),  # noqa: S604 - a login shell
        Group(name="tape", gid=33),
        Member(user="tool", group="audio"),
    )
    assert [note.text for note in notes] == ["not understood: z nonsense", "not understood: u bad;name -"]


def test_tmpfiles() -> None:
    text = (
        "d /var/run/tool 0750 tool tool 10d\nD %t/x - - -\nL /run/l - - - - ../y\n"
        "f /run/f 0644 root root - hi\n"
        "z /run/x 0700\nd /run/%u 0700\nc /dev/x 0600 - - - 1:3\nL+ /run/../etc/passwd - - - - /x\n"
    )
    found, notes = parse_tmpfiles(text, "x.conf")
    assert found == (
        Place(kind="folder", path="/run/tool", mode=0o750, user="tool", group="tool"),
        Place(kind="folder", path="/run/x"),
        Place(kind="link", path="/run/l", target="../y"),
        Place(kind="file", path="/run/f", mode=0o644, target="hi"),
    )
    assert len(notes) == 3


def test_lines_are_shell_that_works(tmp_path: object) -> None:
    accounts = (
        User(name="tool", uid=70, home="/a b"),
        Group(name="g", gid=3),
        Member(user="tool", group="g"),
    )
    lines = account_lines(accounts)
    assert lines == (
        "grep -q '^tool:' /etc/group || addgroup -S -g 70 tool",
        "grep -q '^tool:' /etc/passwd || adduser -S -D -u 70 -h '/a b' -H -s /bin/false -G tool tool",
        "grep -q '^g:' /etc/group || addgroup -S -g 3 g",
        "addgroup tool g 2>/dev/null",
    )
    uid = subprocess.run(["id", "-u"], check=True, capture_output=True, text=True).stdout.strip()
    gid = subprocess.run(["id", "-g"], check=True, capture_output=True, text=True).stdout.strip()
    places = (
        Place(kind="folder", path=f"{tmp_path}/a 'b", mode=0o750, user=uid, group=gid),
        Place(kind="file", path=f"{tmp_path}/f", target="%s\\n$(id)", user=uid, group=gid),
        Place(kind="link", path=f"{tmp_path}/l", target="f"),
    )
    script = "\n".join(place_lines(places))
    for _ in range(2):
        subprocess.run(["sh", "-eu", "-c", script], check=True)
    shown = subprocess.run(
        ["sh", "-c", 'stat -c %a "$1/a \'b" && cat "$1/l"', "sh", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "750\n%s\\n$(id)"


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_declaration_is_read(first: str, second: str) -> None:
    for kind in ("u", "g", "d", "L", "f"):
        parse_sysusers(f"{kind} {first} {second}", "x")
        parse_tmpfiles(f"{kind} {first} {second}", "x")
