"""What a config disk's plan does to a machine, under BusyBox in a folder; disks made for it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from remaster import configdisk, isofs
from tcz.errors import ConfigError
from tests.unit.test_config_disk_plan import KEY, SOURCES

if TYPE_CHECKING:
    from pathlib import Path

BUSYBOX = shutil.which("busybox")
GCC = shutil.which("gcc")
FUNCTIONS = SOURCES.parents[1] / "floe-base/files/etc/init.d/service-functions"
APPLY = SOURCES.parent / "files/usr/local/lib/config-disk/apply"
USER, GROUP = os.getuid(), os.getgid()

needs_tools = pytest.mark.skipif(BUSYBOX is None or GCC is None, reason="needs busybox and gcc")
#: Whoever runs the tests is root here; users, keys and names are written down.
TOOLS = """
say() { echo "$*"; }
problem() { echo "$*" >>"$FLOE_RUN/problems"; }
adduser() {
    for name; do :; done
    echo "$name:x:1002:1002::/home/$name:/bin/sh" >>$BOX/etc/passwd
    echo "$name:!:1::::::" >>$BOX/etc/shadow
}
addgroup() {
    case "$1" in -*) return ;; esac
    sed -i "s/^$2:x:\\([0-9]*\\):.*/&$1/" $BOX/etc/group
}
sethostname() { echo "$1" >$BOX/name; }
hostname() { cat $BOX/name; }
chown() { :; }
"""
#: Whose a file is, in place of what is read from the machine.
OWNERS = 'owner_of() { [ -e "$1.foreign" ] && echo 1001 || echo 0; }'


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("plan") / "plan"
    subprocess.run([str(GCC), "-std=gnu11", "-o", program, *sorted(SOURCES.glob("*.c"))], check=True)
    return program


@dataclass(frozen=True)
class Box:
    """A folder that stands for a machine."""

    root: Path
    plan: Path

    def apply(self, script: str = "apply_all", status: int = 0, **files: str | bytes) -> str:
        """Have files of a config disk applied, as if one had just been found; return what was said."""
        work = self.root / "run/config-disk"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name, data in files.items():
            path = work / name.replace("_", "-")
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        read = f"NAME=config-disk\n. {FUNCTIONS}\n{TOOLS}\n. {APPLY}\n{OWNERS}\n"
        done = subprocess.run(
            [str(BUSYBOX), "sh", "-c", f"{read}{script}"],
            env={
                "PATH": os.environ["PATH"], "SERVICE_PATH": os.environ["PATH"],
                "BOX": str(self.root), "FLOE_RUN": str(self.root / "run"),
                "BOOT_ROOT": str(self.root), "CONFIG_PLAN": str(self.plan),
                "CONFIG_LIB": str(self.root / "lib"), "CONFIG_KEYS": str(self.root / "ssh-keys"),
                "CONFIG_LOG": str(self.root / "log"), "CONFIG_MOUNTS": str(self.root / "mounts"),
                "CONFIG_MEMORY": str(self.root / "data/config-disk"),
                "CONFIG_NETWORK": "0", "CONFIG_NETWORKER": "true",
                "BOOT_CMDLINE": str(self.root / "cmdline"),
                "CONFIG_SYS": str(self.root / "sys"), "CONFIG_DEV": str(self.root / "dev"),
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def problems(self) -> list[str]:
        file = self.root / "run/problems"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def box(tmp_path: Path, plan: Path) -> Box:
    for name in ("etc/sysconfig", "run", "lib", "sys", "dev", "srv", "disk"):
        (tmp_path / name).mkdir(parents=True)
    for name, text in {
        "etc/passwd": "root:x:0:0::/root:/bin/sh\ntc:x:1001:50::/home/tc:/bin/sh\nlp:x:7:7::/:/bin/false\n",
        "etc/shadow": "root:*:1::::::\ntc:*:1::::::\n",
        "etc/group": "root:x:0:\nstaff:x:50:\ndocker:x:101:\n",
        "etc/sudoers": "root ALL=(ALL:ALL) ALL\n",
        "etc/motd": "old\n",
        "cmdline": "quiet\n",
        "mounts": "tmpfs / tmpfs rw 0 0\n/dev/vdb /disk ext4 rw 0 0\n",
        "lib/zones": "Europe/Berlin CET-1CEST,M3.5.0,M10.5.0/3\n",
        "ssh-keys": '#!/bin/sh\nsed "s,^,$1 $2 <$3> ," >>"$BOX/keys"\n',
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "ssh-keys").chmod(0o755)
    return Box(tmp_path, plan)


CONFIG = f"""#cloud-config
hostname: node1
users:
- name: anna
  groups: [docker]
  sudo: "ALL=(ALL) NOPASSWD:ALL"
  ssh_authorized_keys: ["{KEY}"]
ssh_authorized_keys: ["{KEY}"]
timezone: Europe/Berlin
write_files:
- {{path: /etc/motd, content: "more\\n", append: true, permissions: '0600'}}
- {{path: /srv/new/deep/x, content: "new", permissions: '0755'}}
- {{path: /disk/x, content: "kept\\n", append: true}}
- {{path: /srv/late, content: "late", defer: true, owner: anna}}
runcmd:
- echo ran >>$BOX_FILE
"""


@needs_tools
def test_all_of_it_comes_about(box: Box) -> None:
    said = box.apply(
        user_data=CONFIG,
        meta_data=f"instance-id: i-1\npublic-keys: ['{KEY}']\n",
        network_config="version: 1\nconfig: []\n",
    )
    assert box.problems() == []
    assert "there is a user anna" in said
    assert box.read("name") == "node1\n"
    assert "anna:*:1" in box.read("etc/shadow")
    assert box.read("etc/sudoers").endswith("anna\tALL=(ALL:ALL) NOPASSWD: ALL\n")
    assert "docker:x:101:anna" in box.read("etc/group")
    assert sorted(set(box.read("keys").splitlines())) == [
        f"add anna <config disk> {KEY}",
        f"add tc <config disk> {KEY}",
    ]
    assert box.read("etc/sysconfig/timezone") == "TZ='CET-1CEST,M3.5.0,M10.5.0/3'\n"
    assert box.read("etc/motd") == "old\nmore\n"
    assert (box.root / "etc/motd").stat().st_mode & 0o777 == 0o600
    assert (box.root / "srv/new/deep/x").stat().st_mode & 0o777 == 0o755
    assert not (box.root / "srv/late").exists()


@needs_tools
def test_once_for_each_instance_where_a_data_disk_remembers(box: Box) -> None:
    ran = box.root / "ran"
    text = CONFIG.replace("$BOX_FILE", str(ran)).replace("/disk/x", "/disk/x")
    (box.root / "run/data-disk").write_text("state mounted\n")
    (box.root / "run/services.done").touch()
    whole = "apply_all; config_late >/dev/null"
    for number, instance in enumerate(("i-1", "i-1", "i-2"), 1):
        (box.root / "etc/motd").write_text("old\n")
        box.apply(whole, user_data=text, meta_data=f"instance-id: {instance}\n")
        # In memory: at every boot. On a disk: once.
        assert box.read("etc/motd") == "old\nmore\n"
        assert box.read("srv/late") == "late"
        assert (
            len(box.read("disk/x").splitlines())
            == len(ran.read_text().splitlines())
            == (1 if number < 3 else 2)
        )
    (box.root / "run/data-disk").write_text("state none\n")
    box.apply(whole, user_data=text, meta_data="instance-id: i-2\n")
    assert len(ran.read_text().splitlines()) == 3


@needs_tools
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "#cloud-config\nhostname: a\npackages: [x]\n",
            "user-data line 3: the key packages is not supported here",
        ),
        (
            "#cloud-config\nhostname: a\nusers: [{name: lp}]\n",
            "user-data: users: lp is one of the system's own",
        ),
        ("#cloud-config\nhostname: a\nusers: [{name: x, uid: 1001}]\n", "the uid 1001 is that of tc"),
        ("#cloud-config\nhostname: a\ntimezone: No/Where\n", "there is no zone No/Where"),
        ("#cloud-config\nhostname: a\nwrite_files: [{path: /x, owner: nobody}]\n", "there is no user nobody"),
        (
            "#cloud-config\nhostname: a\nwrite_files: [{path: /x, encoding: gz+b64, content: aGk=}]\n",
            "/x: the content is not gzip",
        ),
        ("#include\nhttp://x/\n", "user-data line 1: is neither #cloud-config nor the #! of a script"),
        ("Content-Type: multipart/mixed\n", "user-data line 1: is neither"),
        (b"\x1f\x8b\x08damaged", "user-data: is packed and damaged"),
    ],
)
def test_with_anything_wrong_nothing_of_a_file_is_done_and_the_others_count(
    box: Box, text: str | bytes, said: str
) -> None:
    box.apply(user_data=text, meta_data="local-hostname: other\n", network_config="version: 9\n")
    told = box.problems()
    assert any(said in line for line in told), told
    assert "user-data is refused, nothing of it is done" in told
    assert "network-config is refused, nothing of it is done" in told
    assert box.read("name") == "other\n"
    assert not (box.root / "run/config-disk/network.conf").exists()


@needs_tools
def test_files_do_not_go_where_links_of_others_lead(box: Box) -> None:
    home = box.root / "home/anna"
    home.mkdir(parents=True)
    victim = box.root / "victim"
    victim.write_text("safe")
    (home / "link").symlink_to(victim)
    (home / "away").symlink_to(box.root / "etc")
    # Whatever has such a file beside it is not root's here.
    for name in ("link", "away"):
        (home / f"{name}.foreign").touch()
    (box.root / "own").symlink_to(box.root / "srv/target")
    (box.root / "srv/target").write_text("old")
    files = "".join(
        f"- {{path: {path}, content: new}}\n"
        for path in ("/home/anna/link", "/home/anna/away/motd", "/srv", "/own")
    )
    box.apply(user_data=f"#cloud-config\nwrite_files:\n{files}")
    assert victim.read_text() == "safe"
    assert box.read("etc/motd") == "old\n"
    assert box.read("srv/target") == "new"
    assert (box.root / "own").is_symlink()
    assert [line.partition(" ")[0].rstrip(":") for line in box.problems()] == [
        "/home/anna/link",
        "/home/anna/away/motd",
        "/srv",
    ]


@needs_tools
def test_owners_are_looked_at_before_anything_is_done(box: Box) -> None:
    """Whoever is made with the file counts, and so do the groups that are made for them."""
    text = "#cloud-config\nusers:\n- {name: eve, groups: [made]}\nwrite_files:\n"
    for owner in ("eve:eve", "eve:made", "root:root"):
        told = box.apply(user_data=f"{text}- {{path: /srv/x, owner: '{owner}'}}\n")
        assert "refused" not in told
        (box.root / "srv/x").unlink()
    told = box.apply(user_data=f"{text}- {{path: /srv/y, owner: 'eve:nobodys'}}\n")
    assert "/srv/y: there is no group nobodys" in told
    assert not (box.root / "srv/y").exists()


@needs_tools
def test_anybody_is_told_how_far_it_is(box: Box) -> None:
    files = {"user_data": "#cloud-config\nhostname: a\n", "meta_data": "instance-id: i-9\n"}
    assert "instance i-9: being done" in box.apply("umask 077; apply_all; config_status", **files)
    (box.root / "run/services.done").touch()
    assert "instance i-9: done" in box.apply("apply_all; config_late; config_status", **files)


@needs_tools
def test_a_script_and_what_is_packed(box: Box) -> None:
    (box.root / "run/services.done").touch()
    out = box.root / "out"
    script = f"#!/bin/sh\necho $INSTANCE_ID >{out}\nexit 7\n"
    box.apply("apply_all; config_late >/dev/null", user_data=script, meta_data="instance-id: i-9\n")
    assert out.read_text() == "i-9\n"
    assert [line.partition(";")[0] for line in box.problems()] == ["script ended with status 7"]
    box.apply(user_data=gzip.compress(b"#cloud-config\nhostname: packed\n"))
    assert box.read("name") == "packed\n"


@needs_tools
@pytest.mark.parametrize("label", ["cidata", "CIDATA"])
def test_a_disk_is_found_by_its_label_and_by_a_boot_code(box: Box, label: str) -> None:
    for name in ("sda", "sr0", "loop0"):
        (box.root / "sys" / name).mkdir()
        (box.root / "dev" / name).touch()
    blkid = f"""blkid() {{
        case "$1" in
            */sr0 | */loop0) echo "$1: LABEL=\\"{label}\\" TYPE=\\"iso9660\\"" ;;
            *) echo "$1: LABEL=\\"x\\"" ;;
        esac
    }}
"""
    assert box.apply(f"{blkid}find_disk") == "sr0\n"
    # BusyBox's blkid says nothing of disks as small as these.
    source = box.root / "source"
    source.write_text("#cloud-config\n")
    configdisk.write(source, box.root / "dev/sda")
    assert box.apply("blkid() { :; }\nfind_disk") == "sda\n"
    (box.root / "cmdline").write_text("quiet cidata=sda\n")
    assert box.apply(f"{blkid}find_disk") == "sda\n"
    (box.root / "cmdline").write_text("quiet cidata=none\n")
    assert "not wanted" in box.apply(f"{blkid}config_start")


# -- disks made for machines -------------------------------------------------------------------------


def test_a_folder_becomes_the_same_disk_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for name in ("user-data", "meta-data", "network-config", "notes.txt"):
        (folder / name).write_text(f"{name}\n")
    for number in (1, 2):
        configdisk.write(folder, tmp_path / f"{number}.iso")
    assert (tmp_path / "1.iso").read_bytes() == (tmp_path / "2.iso").read_bytes()
    image = isofs.read(tmp_path / "1.iso")
    assert image.volume_id == "cidata"
    assert {path for path, node in image.tree.items() if node.is_file} == {
        "user-data",
        "meta-data",
        "network-config",
    }


def test_a_file_is_user_data_and_another_one_another_instance(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("#cloud-config\n")
    two.write_text("#cloud-config\nhostname: a\n")
    found = configdisk.gathered(one)
    assert found["user-data"] == b"#cloud-config\n"
    assert found["meta-data"].startswith(b"instance-id: i-")
    assert configdisk.gathered(two)["meta-data"] != found["meta-data"]


def test_an_image_is_taken_as_it_is_and_what_is_none_is_told(tmp_path: Path) -> None:
    source = tmp_path / "user-data"
    source.write_text("#cloud-config\n")
    configdisk.write(source, tmp_path / "disk.iso")
    with configdisk.given(tmp_path / "disk.iso") as disk:
        assert disk == tmp_path / "disk.iso"
    with configdisk.given(source) as disk:
        assert disk is not None
        assert isofs.read(disk).volume_id == "cidata"
    assert not disk.exists()
    with pytest.raises(ConfigError, match="no such file"), configdisk.given(tmp_path / "absent"):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no files for a config disk"):
        configdisk.gathered(tmp_path / "empty")
