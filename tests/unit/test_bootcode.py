from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remaster.bootcode import BootCodes, Word, explain, join, split
from tcz.errors import ConfigError

if TYPE_CHECKING:
    from remaster.bootcode import BootCode

CODES = BootCodes.load()

#: The codes of Tiny Core's own scripts, apart from the many spellings of one thing.
TINY_CORE = """
noembed multivt tce lst base cde iso pretce waitusb home opt tcvd restore norestore safebackup comparerestore
protect secure mydata user superuser noautologin text xonly xsetup desktop icons noicons xvesa lang kmap tz
noutc nortc ntpserver host nodhcp nfsmount tftplist httplist nbd aoe syslog rsyslog cron laptop blacklist
nozswap noswap swapfile resume nofstab showapps pause
"""

#: Those of container-host's data disk.
OURS = "data dataformat datafs datarepair dataswap"
#: What acts on them.
OUR_HANDLERS = ("config-disk", "data-disk", "network", "ssh-keys")


def complaints(line: str, base: str = "floe") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        CODES.parse(line, base=base)
    return [f"{p.where}: {p.message}" for p in caught.value.problems]


def test_every_code_is_described() -> None:
    assert CODES.names() == tuple(sorted([*TINY_CORE.split(), *OURS.split(), "cidata", "net", "sshkey"]))


def test_the_data_disk_looks_for_what_is_described() -> None:
    script = Path(__file__).parents[2] / "recipes/container-host/files/usr/local/lib/container-host/data-disk"
    asked = set(re.findall(r"\bcode (data\w*)", script.read_text()))
    assert asked == set(OURS.split())
    assert {CODES.get(name).handler for name in asked} == {"data-disk"}


@pytest.mark.parametrize("code", CODES.all(), ids=lambda code: code.name)
def test_descriptions_are_whole(code: BootCode) -> None:
    assert code.effect.endswith(".")
    assert code.effect[0].isupper()
    assert (code.value == "none") == (code.syntax == "") == (code.example == "")
    assert set(code.clashes) <= set(CODES.names())
    for other in code.clashes:
        assert code.name in CODES.get(other).clashes
    assert code.name in explain(code)
    if code.example:
        assert re.fullmatch(code.syntax, code.example.partition("=")[2])


def test_codes_that_floe_promises() -> None:
    promised = "tce lst base noembed waitusb user host norestore restore nodhcp superuser noautologin cde"
    assert all(CODES.get(name).floe for name in promised.split())


def test_a_docker_line() -> None:
    words = CODES.parse("loglevel=3 cde console=tty0 console=ttyS0,115200 noembed nodhcp=/opt/net.sh")
    assert words[0] == Word(key="loglevel", value="3")
    assert words[4] == Word(key="noembed")


def test_unknown_code_gets_a_guess() -> None:
    with pytest.raises(ConfigError) as caught:
        CODES.parse("noembd")
    assert "did you mean 'noembed'" in str(caught.value.why)
    with pytest.raises(ConfigError) as caught:
        CODES.get("waitsub")
    assert "waitusb" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("word", "captor"),
    [
        ("isolcpus=2,3", "iso"),
        ("user-namespaces=1", "user"),
        ("hostname=x", "host"),
        ("optX=1", "opt"),
        ("resume_offset=3", "resume"),
    ],
)
def test_prefix_trap(word: str, captor: str) -> None:
    (message,) = complaints(word)
    assert f"takes every word that begins with {captor}" in message
    assert f"{captor}={word.partition('=')[2]}" in message


def test_bare_words_are_not_captured() -> None:
    assert CODES.captured_by(Word(key="isolcpus")) is None
    assert CODES.captured_by(Word(key="restore", value="sda1")) is None
    assert CODES.captured_by(Word(key="noicons", value="ondemand")) is None


def test_module_parameters_pass() -> None:
    assert CODES.parse("virtio_net.napi_tx=1")


def test_all_mistakes_are_told_at_once() -> None:
    found = complaints("nodhcp nodhcp tce=sda1 base noembed=1 waitusb loglevel=99 desktop=flwm bogus")
    assert len(found) == 7
    assert any("nodhcp is there twice" in line for line in found)
    assert any("base: it clashes with tce" in line for line in found)
    assert any("noembed=1: it takes no value" in line for line in found)
    assert any("waitusb: a value is missing" in line for line in found)
    assert any("'99' is not a value" in line for line in found)
    assert any("desktop=flwm: the floe base does not know" in line for line in found)


def test_another_base_knows_all_codes() -> None:
    assert CODES.parse("desktop=flwm cron", base="corepure64")


@pytest.mark.parametrize("line", ['a="b', "=x", "a\x00b", "a\x1bb", "ä"])
def test_unreadable_lines(line: str) -> None:
    with pytest.raises(ConfigError):
        split(line)


plain = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"='), min_size=1)


@given(st.lists(st.builds(Word, key=plain, value=st.none() | plain | st.just("")), max_size=6))
def test_split_undoes_join(words: Any) -> None:
    assert split(join(words)) == tuple(words)


@given(st.text())
def test_split_takes_anything_or_says_why(line: str) -> None:
    try:
        words = split(line)
    except ConfigError:
        return
    assert split(join(words)) == words


@given(st.lists(st.sampled_from([c.example or c.name for c in CODES.all()]), max_size=8))
def test_check_never_fails_otherwise(words: Any) -> None:
    with suppress(ConfigError):
        CODES.parse(" ".join(words), base="corepure64")


def test_mistakes_in_a_file_of_codes(tmp_path: Path) -> None:
    (tmp_path / "foo.toml").write_text(
        'schema = 1\nname = "bar"\nvalue = "maybe"\nhandler = "init"\nefect = "x"\nsyntax = "("\n'
    )
    with pytest.raises(ConfigError) as caught:
        BootCodes.load(tmp_path)
    text = "\n".join(caught.value.lines())
    assert "foo.toml:2" in text
    assert "foo.toml:3" in text
    assert "'effect'" in text


def test_floe_acts_on_what_is_said_of_it() -> None:
    functions = Path(__file__).parents[2] / "recipes/floe-base/files/etc/init.d/tc-functions"
    listed = re.findall(r'^BOOTCODES="(?:\$BOOTCODES)?([^"]*)"', functions.read_text(), re.MULTILINE)
    known = set(" ".join(listed).split())
    # Two that it recognises only to do nothing.
    ours = {name for name in CODES.names() if CODES.get(name).handler in OUR_HANDLERS}
    assert {name for name in CODES.names() if CODES.get(name).floe} - ours == known - {"laptop", "protect"}


#: As tc-config has them, and tc-restore.sh.
PREFIXES = """
waitusb lang kmap tz desktop ntpserver icons noicons user home tcvd opt swapfile resume host nodhcp nfsmount
tftplist httplist aoe nbd mydata pretce xvesa blacklist iso restore
"""


def test_codes_that_tiny_core_takes_by_their_beginning() -> None:
    assert {code.name for code in CODES.all() if code.prefix} == set(PREFIXES.split())


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("host=safebackup", "safebackup"),
        ("lst=noswap.lst", "noswap"),
        ("tce=sda1/my-noembed", "noembed"),
        ("foo.comparerestore=1", "comparerestore"),
    ],
)
def test_names_within_other_words(word: str, found: str) -> None:
    (message,) = complaints(word)
    how = "as a word" if found == "noembed" else "anywhere"
    assert f"looks for {found} {how}" in message


def test_grep_w_wants_a_whole_word() -> None:
    assert CODES.parse("host=noembedded noembed noswap safebackup")


@pytest.mark.parametrize("word", ["embed", "bkg=x.png", "ntpd"])
def test_words_that_nothing_reads(word: str) -> None:
    (message,) = complaints(word, "corepure64")
    assert "no script acts on this one" in message
    assert word.partition("=")[0] not in CODES.names()
    assert "refused" in explain(CODES.get(word))


def test_the_reference_lists_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/boot-codes.md").read_text()
    marks = {"none": "", "optional": "[=...]", "required": "=..."}
    wanted = []
    for code in (one for one in CODES.all() if not one.kernel):
        found = (
            "by its beginning"
            if code.prefix
            else {"text": "anywhere", "word": "as a word"}.get(code.search, "")
        )
        floe = "yes" if code.floe else ""
        wanted.append(f"| `{code.name}{marks[code.value]}` | {floe} | {found} | {code.effect} |")
    listed = text.partition("## All codes")[2].partition("\n## ")[0]
    assert [line for line in listed.splitlines() if line.startswith("| `")] == wanted
    for name in re.findall(
        r"^\| `([a-z]+)` \|", text.partition("## Words that nothing reads")[2], re.MULTILINE
    ):
        assert CODES.get(name).gone
