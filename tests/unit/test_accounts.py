"""Users put into a root: what passwd and its siblings say, homes, keys, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remaster import accounts, plan, variant
from remaster.bootcode import BootCodes
from remaster.sshkey import PublicKey
from remaster.variant import FileSpec
from remaster.variant.users import User
from tcz.errors import ConfigError
from tcz.tree import Tree, directory, regular

if TYPE_CHECKING:
    from pathlib import Path

KEY = PublicKey(line="ssh-ed25519 AAAA anna", type="ssh-ed25519", comment="anna")
#: A key made for this test alone, whose private part nobody has kept.
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Z1cJ9mB3V4d6s0C8m1mN5b2u7mG4o9oZ3p7Q0r1s2 anna@example"
BASE = Tree(
    {
        "init": regular(b"", 0o755),
        "etc/passwd": regular(
            b"root:x:0:0:root:/root:/bin/sh\ntc:x:1001:50:Linux User,,,:/home/tc:/bin/sh\n"
        ),
        "etc/group": regular(b"root:x:0:\nstaff:x:50:\ndocker:x:101:tc\n"),
        "etc/shadow": regular(b"root:*:20089:0:99999:7:::\ntc::20089:0:99999:7:::\n", 0o640),
        "etc/gshadow": regular(b"root:*::\nstaff:!::\ndocker:!::tc\n", 0o640),
        "etc/sudoers": regular(
            b"root\tALL=(ALL:ALL) NOPASSWD: ALL\ntc\tALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440
        ),
        "etc/skel/.profile": regular(b"profile\n"),
        "home": directory(0o775, gid=50),
        "home/tc": directory(0o755, uid=1001, gid=50),
    }
)


def root(*users: User, files: tuple[FileSpec, ...] = ()) -> Tree:
    content = plan.Content(services=(), files=files, keys=(), manifest=b"{}\n", epoch=plan.EPOCH, users=users)
    return plan.root_tree(BASE, content)


def refused(*users: User) -> str:
    with pytest.raises(ConfigError) as caught:
        root(*users)
    return "\n".join(caught.value.lines())


def text(tree: Tree, path: str) -> list[str]:
    return tree[path].read().decode().splitlines()


def test_a_new_user() -> None:
    tree = root(User(name="anna", groups=("docker", "podman"), keys=(KEY,), sudo=True))
    assert text(tree, "etc/passwd")[-1] == "anna:x:1002:1002:anna:/home/anna:/bin/sh"
    assert text(tree, "etc/group")[2:] == ["docker:x:101:tc,anna", "anna:x:1002:", "podman:x:102:anna"]
    assert text(tree, "etc/shadow")[-1] == "anna:*:20089:0:99999:7:::"
    assert text(tree, "etc/gshadow")[2:] == ["docker:!::tc,anna", "anna:!::", "podman:!::anna"]
    assert text(tree, "etc/sudoers")[-1] == "anna\tALL=(ALL:ALL) NOPASSWD: ALL"
    modes = {path: (tree[path].mode & 0o7777, tree[path].uid, tree[path].gid) for path in tree}
    assert modes["etc/shadow"] == (0o640, 0, 0)
    assert modes["etc/sudoers"] == (0o440, 0, 0)
    assert modes["home"] == (0o775, 0, 50)
    assert modes["home/anna"] == (0o755, 1002, 1002)
    assert modes["home/anna/.profile"] == (0o644, 1002, 1002)
    assert modes["home/anna/.ssh"] == (0o700, 1002, 1002)
    assert modes["home/anna/.ssh/authorized_keys"] == (0o600, 1002, 1002)
    assert text(tree, "home/anna/.ssh/authorized_keys") == [KEY.line]


def test_the_user_that_is_there_gets_a_key_and_no_password() -> None:
    tree = root(User(name="tc", keys=(KEY,)))
    assert text(tree, "etc/passwd") == text(BASE, "etc/passwd")
    assert text(tree, "etc/shadow")[1] == "tc:*:20089:0:99999:7:::"
    assert tree["home/tc/.ssh/authorized_keys"].uid == 1001
    assert tree["home/tc"] == BASE["home/tc"].__class__(
        mode=BASE["home/tc"].mode, uid=1001, gid=50, mtime=plan.EPOCH
    )


def test_without_users_nothing_is_written() -> None:
    assert text(root(), "etc/shadow") == text(BASE, "etc/shadow")
    assert accounts.lay(BASE, (), 0) == ({}, ())


def test_a_number_that_was_asked_for_is_nobody_elses() -> None:
    tree = root(User(name="a"), User(name="b", uid=1002, gid=50), User(name="c", uid=1500))
    rows = {row.split(":")[0]: row.split(":")[2:4] for row in text(tree, "etc/passwd")}
    assert rows["b"] == ["1002", "50"]
    assert rows["c"] == ["1500", "1500"]
    assert rows["a"] == ["1003", "1003"]


def test_shells() -> None:
    shells = {"a": "/usr/local/bin/bash", "b": "/bin/false"}
    tree = root(*(User(name=name, shell=path) for name, path in shells.items()))
    assert text(tree, "etc/shells") == ["/bin/sh", "/usr/local/bin/bash"]
    assert text(tree, "etc/passwd")[-1].endswith(":/bin/false")


def test_what_is_refused() -> None:
    said = refused(User(name="a", groups=("doker",), where="x.toml:1"))
    assert "the base has no group doker" in said
    assert "did you mean 'docker'" in said
    assert "uid 1001 is tc's" in refused(User(name="a", uid=1001))
    assert "has uid 1001, which stays" in refused(User(name="tc", uid=7))
    assert "the group staff has gid 50" in refused(User(name="staff", gid=7))
    passwd = FileSpec(path="etc/passwd", content=b"")
    with pytest.raises(ConfigError):
        root(User(name="a"), files=(passwd,))


def test_a_file_may_be_a_users_and_a_homes_file_ones_own() -> None:
    own = FileSpec(path="home/anna/.profile", content=b"mine\n", owner="anna:anna")
    tree = root(User(name="anna"), files=(own,))
    assert (tree["home/anna/.profile"].uid, tree["home/anna/.profile"].read()) == (1002, b"mine\n")
    assert tree["home/anna"].uid == 1002


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "staff", "docker", "podman"]),
        st.none() | st.integers(1, 2000),
        st.none() | st.integers(0, 2000),
    ),
    max_size=5,
    unique_by=lambda row: row[0],
)


@given(NAMES)
@example([("c", None, 102)])
def test_numbers_and_names_are_there_once(rows: list[tuple[str, int | None, int | None]]) -> None:
    users = tuple(User(name=name, uid=uid, gid=gid) for name, uid, gid in rows)
    nodes, problems = accounts.lay(BASE, users, plan.EPOCH)
    if not problems and users:
        for path in ("etc/passwd", "etc/group"):
            found = [line.split(":") for line in nodes[path].read().decode().splitlines()]
            assert len({row[0] for row in found}) == len(found)
            assert len({row[2] for row in found}) == len(found)
        passwd = [line.split(":") for line in nodes["etc/passwd"].read().decode().splitlines()]
        groups = {line.split(":")[2] for line in nodes["etc/group"].read().decode().splitlines()}
        assert {row[3] for row in passwd} <= groups


def test_users_of_a_variant(tmp_path: Path) -> None:
    (tmp_path / "anna.pub").write_text(LINE + "\n")
    path = tmp_path / "x.toml"
    head = 'schema = 1\nname = "x"\nsummary = "x"\n'
    path.write_text(
        head
        + f'[[user]]\nname = "anna"\nssh-keys = ["anna.pub"]\n[[user]]\nname = "tc"\nssh-keys = ["{LINE}"]\n'
    )
    codes = BootCodes.load()
    anna, tc = variant.load(str(path), codes).settings.users
    assert (anna.keys, tc.keys) == (tc.keys, anna.keys)
    for wrong, part in (
        ('name = "root"', "root has no log-in"),
        ('name = "Anna"', "is not a user's name"),
        ('name = "a"\nssh-keys = ["nowhere.pub"]', "cannot be read"),
        ('name = "a"\nssh-keys = ["ssh-ed25519 AAAA"]', "ssh-keys"),
        ('name = "a"\nssh-keys = ["-----BEGIN OPENSSH PRIVATE KEY-----"]', "THIS IS A PRIVATE KEY"),
        ('name = "a"\npassword = "x"', "unknown key"),
        ('name = "a"\nuid = 0', "is not between"),
    ):
        path.write_text(f"{head}[[user]]\n{wrong}\n")
        with pytest.raises(ConfigError) as caught:
            variant.load(str(path), codes)
        assert part in "\n".join(caught.value.lines())
