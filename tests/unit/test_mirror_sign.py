from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcz.errors import ConfigError, VerifyError
from tcz.mirror import catalogue as catalogues
from tcz.mirror import changes, trust
from tcz.mirror import config as configs
from tcz.mirror.compose import compose, state_files
from tcz.mirror.config import Config
from tcz.mirror.keyring import KeyRing
from tcz.mirror.model import Branch, Catalogue, Entry
from tcz.mirror.publish import stripped, unsigned
from tcz.mirror.repair import repair
from tcz.mirror.repository import Mirror
from tcz.mirror.sign import PublicKey, SecretKey, verify
from tcz.mirror.signing import begun, check_shown, sign, signing
from tcz.mirror.signing import keys_of as signing_keys
from tcz.mirror.status import lines as status_lines
from tcz.mirror.status import status
from tcz.mirror.sync import Wish, sync
from tcz.mirror.trust import Seen, check, comment, followed, revocation, successor
from tcz.mirror.upstream import FolderUpstream
from tcz.mirror.verify import verify as verify_all
from tcz.paths import Dirs
from tcz.reporting import SilentReporter
from tests.unit.mirror_made import QUIET, package

if TYPE_CHECKING:
    from pathlib import Path

KEY = SecretKey.new()
BRANCH = Branch(release="17.x", arch="x86_64")


@pytest.fixture
def dirs(tmp_path: Path) -> Dirs:
    return Dirs(cache=tmp_path / "cache", config=tmp_path / "config", state=tmp_path / "state")


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/mirror.toml").write_text('schema = 1\ntitle = "Ours"  # really\n')
    mirror = Mirror.open(tmp_path / "m")
    with mirror.writing(SilentReporter()) as writer:
        objects = writer.objects
        entry = Entry(name="a", md5="0" * 32, files={"": objects.add_bytes(b"a")})
        made = compose(Catalogue(serial=1, branches={BRANCH: {"a": entry}}), mirror.catalogue(), objects)
        writer.publish(state_files(made, objects), 1)
    return mirror


def minisign(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["minisign", *words],
        cwd=folder,
        check=check,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("content", [b"", b"hello\n", bytes(range(256)) * 999])
def test_minisign_believes_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.pub").write_text(KEY.public.text())
    (tmp_path / "f").write_bytes(content)
    (tmp_path / "f.minisig").write_bytes(KEY.sign(content, comment(7, "Our mirror")))
    told = minisign(tmp_path, "-V", "-p", "k.pub", "-m", "f")
    assert "Trusted comment: serial:7\tmirror:Our mirror" in told.stdout
    (tmp_path / "f").write_bytes(content + b"x")
    assert minisign(tmp_path, "-V", "-p", "k.pub", "-m", "f", check=False).returncode != 0


def test_minisign_signs_with_our_key(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(KEY.text())
    (tmp_path / "f").write_bytes(b"hello")
    for options in ([], ["-l"]):  # hashed, and whole as older versions did
        minisign(tmp_path, "-S", "-W", *options, "-s", "k", "-m", "f", "-t", "serial:3\tmirror:")
        signature = (tmp_path / "f.minisig").read_bytes()
        assert verify(b"hello", signature, [KEY.public], "f").comment == "serial:3\tmirror:"
        with pytest.raises(VerifyError):
            verify(b"hullo", signature, [KEY.public], "f")


def test_keys_of_minisign_are_read(tmp_path: Path) -> None:
    minisign(tmp_path, "-G", "-W", "-p", "k.pub", "-s", "k")
    key = SecretKey.parse((tmp_path / "k").read_text(), "k")
    assert key.public == PublicKey.parse((tmp_path / "k.pub").read_text())
    assert key.public == PublicKey.parse((tmp_path / "k.pub").read_text().splitlines()[1])
    # minisign leaves zeros out at the beginning of the number.
    assert key.public.name.lstrip("0") in (tmp_path / "k.pub").read_text()
    assert SecretKey.parse(key.text(), "k") == key
    assert "seed" not in repr(key)


SIGNED = KEY.sign(b"data", "serial:1\tmirror:x")


@settings(max_examples=200)
@given(st.integers(len(b"untrusted comment: "), len(SIGNED) - 2), st.integers(1, 255))
def test_a_changed_signature_is_refused(at: int, change: int) -> None:
    start = SIGNED.index(b"\n")
    changed = SIGNED[:at] + bytes([SIGNED[at] ^ change]) + SIGNED[at + 1 :]
    if at < start and b"\n" not in changed[at : at + 1] and b"\r" not in changed[at : at + 1]:
        return  # the untrusted comment means nothing
    with pytest.raises(VerifyError):
        verify(b"data", changed, [KEY.public], "f")


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(VerifyError):
        verify(b"data", data, [KEY.public], "f")
    with pytest.raises(VerifyError):
        verify(b"data", SIGNED[: len(data)], [KEY.public], "f")
    with pytest.raises(VerifyError):
        PublicKey.parse(data.decode("latin-1"))
    with pytest.raises(VerifyError):
        SecretKey.parse(data.decode("latin-1"), "k")


def test_a_key_of_the_same_id_is_another_key() -> None:
    forger = SecretKey.new()
    same_id = PublicKey(id=forger.public.id, key=KEY.public.key)
    with pytest.raises(VerifyError, match="does not fit"):
        verify(b"data", forger.sign(b"data", "x"), [same_id], "f")
    with pytest.raises(VerifyError, match="not trusted"):
        verify(b"data", SIGNED, [forger.public], "f")


def test_what_is_checked_of_a_catalogue() -> None:
    root = json.dumps({"serial": 5}).encode()
    good = KEY.sign(root, comment(5, "Ours"))
    checked = check(root, good, [KEY.public], 5)
    assert (checked.serial, checked.title, checked.key) == (5, "Ours", KEY.public)
    with pytest.raises(VerifyError, match="state 6 was seen"):
        check(root, good, [KEY.public], 6)
    for other in (comment(6, "Ours"), "serial:5", "serial:05\tmirror:", "serial:5\tmirror:a\tb"):
        with pytest.raises(VerifyError, match="something else"):
            check(root, KEY.sign(root, other), [KEY.public], 0)
    for data in (b"", b"[]", b"{}", b'{"serial": true}', b'{"serial": "5"}', b"\xff"):
        with pytest.raises(VerifyError):
            check(data, KEY.sign(data, comment(5, "")), [KEY.public], 0)


def test_what_was_seen_is_remembered(dirs: Dirs) -> None:
    seen = Seen(dirs)
    assert seen.last([KEY.public]) == 0
    for serial in (5, 7, 6):
        root = json.dumps({"serial": serial}).encode()
        seen.note(check(root, KEY.sign(root, comment(serial, "")), [KEY.public], 0))
    assert Seen(dirs).last([SecretKey.new().public, KEY.public]) == 7
    other = b'{"serial": 7, "x": 1}'
    with pytest.raises(VerifyError, match="two different states"):
        seen.note(check(other, KEY.sign(other, comment(7, "")), [KEY.public], 7))
    seen.note_revoked(frozenset({KEY.public.name}))
    seen.note_revoked(frozenset())
    assert Seen(dirs).revoked() == {KEY.public.name}
    for file in (dirs.state / "mirrors").iterdir():
        file.write_text("half")
    with pytest.raises(VerifyError, match="no longer be read"):
        seen.last([KEY.public])


def test_successors_and_revoked_keys() -> None:
    one, two, three, stranger = (SecretKey.new() for _ in range(4))
    files = {
        "keys/b.pub": two.public.text().encode(),
        "keys/b.pub.minisig": successor(one, two.public),
        "keys/a.pub": three.public.text().encode(),
        "keys/a.pub.minisig": successor(two, three.public),
        "keys/x.pub": stranger.public.text().encode(),
        "keys/x.pub.minisig": successor(stranger, stranger.public),
    }
    assert set(followed([one.public], files)) == {one.public, two.public, three.public}
    assert set(followed([two.public], files)) == {two.public, three.public}
    # a signature over the same bytes for another purpose makes no successor
    other = {**files, "keys/b.pub.minisig": one.sign(two.public.text().encode(), "hello")}
    assert followed([one.public], other) == (one.public,)
    text, signature = revocation([one.public.name], two)
    revoked = {**files, "keys/revoked": text, "keys/revoked.minisig": signature}
    assert set(followed([two.public], revoked)) == {two.public, three.public}
    assert one.public not in followed([one.public, two.public], revoked)
    # whoever stole the first key could have named that successor
    assert followed([one.public], revoked) == ()
    assert trust.revoked([two.public], revoked) == {one.public.name}
    # a mirror that hides its list later
    assert followed([one.public, two.public], files, frozenset({one.public.name})) == (
        two.public,
        three.public,
    )
    for bad in (
        revocation([two.public.name], stranger),
        (text, b""),
        (b"x\n", two.sign(b"x\n", "tcz revoked keys")),
    ):
        with pytest.raises(VerifyError):
            followed([one.public], {**files, "keys/revoked": bad[0], "keys/revoked.minisig": bad[1]})


def test_a_ring(dirs: Dirs) -> None:
    ring = KeyRing(dirs)
    assert ring.keys() == ()
    with pytest.raises(ConfigError, match="no key"):
        ring.only()
    first = ring.new("one")
    assert ring.only() == "one"
    secret = ring.folder / "one.key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for name in ("one", "../x", "", ".x"):
        with pytest.raises(ConfigError):
            ring.new(name)
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        ring.secret("one")
    secret.chmod(0o600)
    second = ring.rotate("one", "two")
    with pytest.raises(ConfigError, match="one, two"):
        ring.only()
    assert set(followed([first], ring.public_files([first]))) == {first, second}
    with pytest.raises(ConfigError):
        ring.revoke("one", "one")
    ring.revoke("one", "two")
    assert [(key.name, key.revoked, key.after) for key in ring.keys()] == [  # noqa: SIM118 - no dict
        ("one", True, False),
        ("two", False, True),
    ]
    with pytest.raises(ConfigError, match="revoked"):
        ring.secret("one")
    assert followed([second], ring.public_files([second])) == (second,)
    assert not any(path.endswith(".key") for path in ring.public_files([second]))
    # keys of another mirror are none of this one's business, nor is what they revoke
    other = ring.new("other")
    assert set(ring.public_files([other])) == {"keys/other.pub"}
    with pytest.raises(ConfigError, match="no reason to believe"):
        ring.revoke("two", "other")
    ring.rotate("other", "later")
    ring.revoke("other", "later")
    assert trust.revoked([other], ring.public_files([other])) == {other.name}
    third = ring.rotate("two", "three")
    ring.revoke("two", "three")
    assert trust.revoked([third], ring.public_files([third])) == {first.name, second.name}
    assert ring.holder(second) is None
    assert ring.holder(third) == "three"


def test_a_key_that_was_begun_is_ended(dirs: Dirs) -> None:
    ring = KeyRing(dirs)
    for name in ("one", "two"):
        ring.new(name)
        (ring.folder / f"{name}.pub").unlink()
    (ring.folder / ".three.key.abcd1234").write_text("half a secret")
    (ring.folder / ".gitignore").write_text("*.key")
    assert ring.keys() == ()
    before = ring.folder / "one.key"
    secret = before.read_text()
    first = ring.new("one")
    assert (before.read_text(), ring.secret("one").public) == (secret, first)
    second = ring.rotate("one", "two")
    assert followed([first], ring.public_files([first])) == (first, second)
    # the signature of a succession that was not asked for in the end
    (ring.folder / "two.pub").unlink()
    ring.new("two")
    assert followed([first], ring.public_files([first])) == (first,)
    assert {path.name for path in ring.folder.glob(".*")} == {".gitignore"}


def test_rings_of_earlier_versions_are_read(dirs: Dirs) -> None:
    ring = KeyRing(dirs)
    first = ring.new("one")
    second = ring.rotate("one", "two")
    text, signature = revocation([first.name], ring.secret("two"))
    (ring.folder / "two.revoked").write_bytes(text)
    (ring.folder / "two.revoked.minisig").write_bytes(signature)
    assert trust.revoked([second], ring.public_files([second])) == {first.name}
    third = ring.rotate("two", "three")
    ring.revoke("two", "three")
    assert trust.revoked([third], ring.public_files([third])) == {first.name, second.name}


def test_two_who_make_a_key_at_once(dirs: Dirs) -> None:
    """One of them makes it, the other is told."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(KeyRing(dirs).new, "one") for _ in range(8)]
    errors = [one.exception() for one in asked]
    assert sorted(map(str, filter(None, errors))) == ["there is a key one already"] * 7
    made = next(one.result() for one, error in zip(asked, errors, strict=True) if error is None)
    assert KeyRing(dirs).secret("one").public == made


def test_a_signed_mirror(dirs: Dirs, mirror: Mirror, tmp_path: Path) -> None:
    ring = KeyRing(dirs)
    key = ring.new("one")
    with pytest.raises(VerifyError):
        check_shown(mirror, [key])
    planned = sign(mirror, ring, None, SilentReporter(), dry_run=True)
    assert (planned.serial, planned.published, configs.read(mirror.root).keys) == (1, False, ())
    done = sign(mirror, ring, None, SilentReporter())
    assert (done.key, done.id, done.serial, done.published) == ("one", key.name, 2, True)
    assert "# really" in (mirror.root / "mirror.toml").read_text()
    assert check_shown(mirror, [key]).title == "Ours"
    assert mirror.catalogue().serial == 2
    assert set(mirror.catalogue().extra) == {"keys/one.pub"}
    public = str(mirror.public / "keys/one.pub")
    minisign(tmp_path, "-V", "-p", public, "-m", str(mirror.public / catalogues.ROOT))
    assert not sign(mirror, ring, None, SilentReporter()).published
    ring.rotate("one", "two")
    sign(mirror, ring, "two", SilentReporter())
    files = {f"keys/{file.name}": file.read_bytes() for file in (mirror.public / "keys").iterdir()}
    with pytest.raises(VerifyError, match="not trusted"):
        check_shown(mirror, [key])
    assert check_shown(mirror, followed([key], files), 2).serial == 3
    with pytest.raises(VerifyError, match="was seen"):
        check_shown(mirror, followed([key], files), 4)
    # the newer one goes on signing, and the older one again once it is chosen
    assert PublicKey.parse(configs.read(mirror.root).keys[0]) == key
    assert signing(mirror, ring).files().keys() == files.keys()
    sign(mirror, ring, "one", SilentReporter())
    assert check_shown(mirror, [key]).serial == 4


def test_every_command_signs(dirs: Dirs, tmp_path: Path) -> None:
    ring, elsewhere = KeyRing(dirs), KeyRing(replace(dirs, config=tmp_path / "elsewhere"))
    key = ring.new("one")
    config, signer = begun(Config(title="Ours", branches=(BRANCH,), latest={}), ring, "one")
    mirror = changes.init(tmp_path / "made", config, QUIET, signer)

    def checked() -> int:
        words = ("-p", str(ring.folder / "one.pub"), "-m", str(mirror.public / catalogues.ROOT))
        assert "signature verified" in minisign(tmp_path, "-V", *words).stdout
        return check_shown(mirror, [key]).serial

    assert checked() == 1
    files = [package(tmp_path / "in", "a", "b"), package(tmp_path / "in", "b")]
    changes.add(mirror, files, BRANCH, QUIET, sign=signing(mirror, ring))
    assert checked() == 2
    changes.remove(mirror, ["a"], BRANCH, QUIET, sign=signing(mirror, ring))
    assert checked() == 3
    assert not changes.index(mirror, QUIET, sign=signing(mirror, ring)).published
    upstream = FolderUpstream(mirror.root, BRANCH)
    other = changes.init(tmp_path / "other", replace(config, title="Other"), QUIET, signer)
    sync(other, upstream, BRANCH, Wish(everything=True), QUIET, sign=signing(other, ring))
    assert check_shown(other, [key]).serial == 2
    # without the key nothing is published, unless on purpose
    for sign_with in (lambda: signing(mirror, elsewhere), lambda: unsigned):
        with pytest.raises(ConfigError, match="is signed, and") as told:
            changes.add(mirror, files, BRANCH, QUIET, sign=sign_with())
        assert "--unsigned" in (told.value.hint or "")
    assert checked() == 3
    changes.add(mirror, files, BRANCH, QUIET, sign=stripped)
    assert not (mirror.public / catalogues.SIGNATURE).exists()
    with pytest.raises(VerifyError):
        check_shown(mirror, [key])
    # nothing has changed but that it is to be signed
    assert changes.index(mirror, QUIET, dry_run=True, sign=signing(mirror, ring)).warnings
    assert changes.index(mirror, QUIET, sign=signing(mirror, ring)).published
    assert checked() == 5
    assert len([path for path in (mirror.root / "states").iterdir() if path.name.isdigit()]) == 3
    # the configuration has lost the key, and the mirror is signed all the same
    configs.write(mirror.root, replace(config, keys=()))
    with pytest.raises(ConfigError, match="no key was chosen"):
        changes.remove(mirror, ["a"], BRANCH, QUIET, sign=signing(mirror, ring))


def test_those_who_look_after_it_see_signatures(dirs: Dirs, tmp_path: Path) -> None:
    ring = KeyRing(dirs)
    config = Config(title="Ours", branches=(BRANCH,), keep=9, latest={})
    mirror = changes.init(tmp_path / "m", config, QUIET)
    key = ring.new("one")
    sign(mirror, ring, None, QUIET)
    changes.add(mirror, [package(tmp_path / "in", "a")], BRANCH, QUIET, sign=signing(mirror, ring))

    def damage() -> list[tuple[str, str]]:
        return [(one.path, one.message) for one in verify_all(mirror, QUIET).damage]

    told = status(mirror)
    assert (told.signed, told.signed_by, told.key_name, told.fault) == (True, key.name, "one", "")
    assert "serial 3, published" in (text := "\n".join(status_lines(told, str)))
    assert f"signed by {key.name} (one)" in text
    assert damage() == []  # the first state is from before the mirror was signed
    # keys that follow one another stay right, in older states as well
    ring.rotate("one", "two")
    sign(mirror, ring, "two", QUIET)
    ring.revoke("one", "two")
    sign(mirror, ring, "two", QUIET)
    assert (damage(), status(mirror).key_name) == ([], "two")
    old, now = mirror.root / "states/2" / catalogues.SIGNATURE, mirror.public / catalogues.SIGNATURE
    right = now.read_bytes()
    for file, path in ((old, "states/2"), (now, "states/5")):
        for data in (right.replace(b"Ours", b"Ourz"), b"", None):
            file.unlink(missing_ok=True)
            if data is not None:
                file.write_bytes(data)
            (one,) = [path for path, _ in damage() if path.endswith("minisig")]
            assert one.startswith(path)
        if file == old:
            assert repair(mirror, QUIET, sign=signing(mirror, ring)).verified.damage
            repair(mirror, QUIET, drop=True, sign=signing(mirror, ring))
            assert damage() == []
    assert "is not there" in status(mirror).fault
    with pytest.raises(ConfigError, match="no key was chosen"):
        repair(mirror, QUIET)
    assert repair(mirror, QUIET, sign=signing(mirror, ring)).verified.damage == ()
    assert check_shown(mirror, signing_keys(configs.read(mirror.root))).serial == 6
    # signed with a key that it says is void itself
    stolen = SecretKey.parse((ring.folder / "one.key").read_text(), "one.key")
    root = (mirror.public / catalogues.ROOT).read_bytes()
    now.unlink()
    now.write_bytes(stolen.sign(root, comment(6, "Ours")))
    assert any("which is revoked" in message for _, message in damage())
    assert "which is revoked" in status(mirror).fault


def tcz(*words: str, env: dict[str, str], status: int = 0) -> str:
    code = (
        "import click; from tcz import clikit; from tcz.cli import mirror_serve as m\n"
        "group = clikit.Group('mirror', commands={c.name: c for c in "
        "(m.serve, m.nginx_config, m.publish, m.keys, m.sign)})\n"
        "clikit.run(group, 'tcz mirror')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_the_commands(mirror: Mirror, tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    root = str(mirror.root)
    assert "no key to sign with" in tcz("sign", "-m", root, env=env, status=2)
    public = PublicKey.parse(tcz("keys", "new", "one", env=env))
    assert public.name in tcz("keys", "list", env=env)
    assert "state 2, signed with one" in tcz("sign", "-m", root, env=env)
    assert check_shown(mirror, [public]).title == "Ours"
    tcz("keys", "rotate", "one", "two", env=env)
    tcz("keys", "revoke", "one", "--by", "two", env=env)
    listed = json.loads(tcz("keys", "list", "--json", env=env))
    assert [(key["name"], key["revoked"]) for key in listed] == [("one", True), ("two", False)]
    assert "revoked" in tcz("sign", "-m", root, "--key", "one", env=env, status=2)
    assert "shows state 2" in tcz("publish", "-m", root, "--to", str(tmp_path / "www"), env=env)
    assert (tmp_path / "www" / catalogues.SIGNATURE).is_file()
    text = tcz("nginx-config", "-m", root, "--server-name", "tc.example.org", "--tls", "/c", "/k", env=env)
    assert f'root "{mirror.root.resolve()}/public";' in text
    assert "server_name tc.example.org;" in text
    assert "no mirror" in tcz("serve", "-m", str(tmp_path), env=env, status=2)
    assert "no snapshot" in tcz("serve", "-m", root, "--snapshot", "x", env=env, status=2)
    assert "no address" in tcz("serve", "-m", root, "--listen", "x", env=env, status=2)
    log = str(tmp_path / "none/log")
    assert "cannot be written" in tcz("serve", "-m", root, "--log", log, "--listen", ":0", env=env, status=2)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        taken = f"127.0.0.1:{sock.getsockname()[1]}"
        assert "cannot listen" in tcz("serve", "-m", root, "--listen", taken, env=env, status=1)
    for command in (["serve"], ["nginx-config"], ["publish"], ["keys", "rotate"], ["sign"]):
        told = tcz(*command, "--help", env=env)
        assert "Examples" in told
        assert "Exit codes" in told
