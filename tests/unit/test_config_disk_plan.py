"""What reads config disks, compiled here with the compiler's own watchdogs, and held against PyYAML."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SOURCES = Path(__file__).parents[2] / "recipes/config-disk/src"
GCC = shutil.which("gcc")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpB7QdUJX0mJbH1xP8v5nGkqzqYb1mJ6wq9uZ0wD3Yf anna"

pytestmark = pytest.mark.skipif(GCC is None, reason="needs gcc")
FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program; whatever it does to memory that it should not ends it with a status of its own."""
    program = tmp_path_factory.mktemp("plan") / "plan"
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    watch = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([str(GCC), *flags, *watch, "-o", program, *sorted(SOURCES.glob("*.c"))], check=True)
    return program


def run(plan: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    # What was allocated is given back by the end of the process.
    env = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
    done = subprocess.run([plan, *words], capture_output=True, env=env, check=False)
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    return done


def parsed(plan: Path, folder: Path, text: bytes) -> object:
    """Return what a text is to us; an exception of type ``ValueError`` where it is refused."""
    file = folder / "text"
    file.write_bytes(text)
    done = run(plan, "json", file)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    return json.loads(done.stdout)


def made(plan: Path, folder: Path, kind: str, text: str | bytes) -> dict[str, str]:
    """Return the files of a plan; ``ValueError`` with what was said where there is none."""
    file, out = folder / kind, folder / "out"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    shutil.rmtree(out, ignore_errors=True)
    done = run(plan, kind, file, out)
    if done.returncode:
        assert not out.exists()
        raise ValueError(done.stderr.decode())
    return {path.name: path.read_bytes().decode(errors="surrogateescape") for path in out.iterdir()}


def complaints(plan: Path, folder: Path, kind: str, text: str) -> list[str]:
    with pytest.raises(ValueError, match="line") as caught:
        made(plan, folder, kind, text)
    return str(caught.value).splitlines()


# -- YAML ------------------------------------------------------------------------------------------

#: Characters that are text to PyYAML and no line breaks to it.
CHARS = st.characters(
    codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\x85\u2028\u2029\ufeff"
)
STRINGS = st.one_of(
    st.text(CHARS, max_size=12),
    st.sampled_from(
        [
            "a: b",
            "- x",
            "#",
            "it's",
            'say "x"',
            "x # y",
            "line\nline\n",
            "a\n\n  b\nc",
            " lead",
            "trail ",
            "\n",
        ]
    ),
    st.text(st.sampled_from("ab \n:#-'\"{}[],|>"), max_size=14),
)
TREES = st.recursive(
    STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=10,
)


@FEW
@given(
    tree=TREES,
    flow=st.sampled_from([None, True, False]),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    width=st.integers(10, 100),
    indent=st.integers(2, 6),
)
def test_what_pyyaml_writes_is_read_as_it_was(
    plan: Path, tmp_path: Path, tree: object, *, flow: bool | None, style: str | None, width: int, indent: int
) -> None:
    text = yaml.safe_dump(
        tree, default_flow_style=flow, default_style=style, width=width, indent=indent, allow_unicode=True
    )
    # Tags and long keys are written for what is no plain text; neither is read here.
    if "!!" in text or "? " in text or "&" in text:
        return
    expected = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but strings
    assert parsed(plan, tmp_path, text.encode()) == ("" if expected is None else expected)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "key",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "|",
        ">",
        "|-",
        ">+",
        "|2",
        "'",
        '"',
        "# x",
        "[",
        "]",
        "{",
        "}",
        ",",
        ", ",
        "---",
        "\n---\n",
        "\n...\n",
        "\\",
        "''",
        "x: y",
        "\n- ",
        "\n\n",
        "?",
        "\\n",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=14))
@example(pieces=["a: |2\n   b\n", "c: d"])
@example(pieces=["a:\n- b\n- c\nd: e"])
@example(pieces=["- - a\n  - b\n- c: d\n  e: >\n   f\n   g\n\n    h\n   i\n"])
@example(pieces=["a: 'b\n  c\n\n  d'\ne: \"f\\\n  g\"\n"])
@example(pieces=["{a: [b, {c: d}], 'e': f, g}\n"])
def test_what_is_read_is_what_pyyaml_reads(plan: Path, tmp_path: Path, pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = parsed(plan, tmp_path, text.encode())
    except ValueError:
        return
    expected = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    assert found == ("" if expected is None else expected), text


#: Bytes that are near to what configurations hold.
BYTES = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [
                b"a: ",
                b"- ",
                b"\n",
                b"  ",
                b"|\n",
                b"'",
                b'"',
                b"\\",
                b"\\x",
                b"\\u00e9",
                b"[",
                b"]",
                b"{",
                b"}",
                b",",
                b"#",
                b"\xc3\xa9",
                b"\xff",
                b"\x00",
                b"\t",
                b"\r\n",
                b"---",
                b"users:",
                b"name: x",
                b"write_files:",
                b"content: ",
            ]
        ),
        max_size=20,
    ).map(b"".join),
)


@FEW
@given(data=BYTES, kind=st.sampled_from(["user-data", "meta-data", "network-config"]))
@example(data=b"[" * 5000, kind="user-data")
@example(data=b"- " * 5000, kind="user-data")
@example(data=b"a: &a [*a]", kind="user-data")
@example(data=b"a: \xf4\x90\x80\x80", kind="meta-data")
def test_bytes_of_any_kind_are_read_or_refused_in_one_line(
    plan: Path, tmp_path: Path, data: bytes, kind: str
) -> None:
    file = tmp_path / kind
    file.write_bytes(data)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    done = run(plan, kind, file, tmp_path / "out")
    assert (done.returncode == 0) == (done.stderr == b"")
    assert all(line.startswith(f"{kind} line ".encode()) for line in done.stderr.splitlines())


# -- user-data -------------------------------------------------------------------------------------


def test_a_configuration_becomes_a_plan(plan: Path, tmp_path: Path) -> None:
    encoded = base64.b64encode(bytes(range(1, 128))).decode()
    found = made(
        plan,
        tmp_path,
        "user-data",
        f"""#cloud-config
fqdn: node1.example.org
users:
  - default
  - name: anna
    gecos: Anna, of Example
    uid: 1234
    groups: docker, staff
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    lock_passwd: true
    ssh_authorized_keys: [{KEY}]
ssh_authorized_keys:
  - {KEY}
write_files:
  - path: /etc/motd
    permissions: '0600'
    content: |
      one
        two
  - {{path: /srv/x, encoding: b64, content: {encoded}, owner: "anna:staff", defer: true, append: yes}}
  - {{path: /srv/y, encoding: gz+b64, content: "H4sI"}}
runcmd:
  - echo one >/tmp/x
  - [printf, "%s", "it's"]
bootcmd: [[true]]
mounts:
  - [/dev/vdb1, /mnt/x, ext4, "noatime,nofail", "0", "2"]
  - [LABEL=swap, none, swap]
growpart: {{mode: auto, devices: [/, /dev/vdb1]}}
timezone: Europe/Berlin
ntp: {{servers: [time.example.org]}}
ssh_pwauth: false
package_update: false
""",
    )
    assert found["hostname"] == "node1\n"
    assert found["users"] == "anna 1234 /bin/bash sudo docker,staff Anna of Example\n"
    assert sorted(found["keys"].splitlines()) == [f"anna {KEY}", f"default {KEY}"]
    assert found["files"].splitlines() == [
        "1 0600 root:root - - - /etc/motd",
        "2 0644 anna:staff append defer - /srv/x",
        "3 0644 root:root - - gzip /srv/y",
    ]
    assert found["file.1"] == "one\n  two\n"
    assert found["file.2"] == bytes(range(1, 128)).decode()
    done = subprocess.run(
        ["sh", "-c", found["runcmd"].replace("/tmp/x", "/dev/null")], capture_output=True, check=True
    )
    assert done.stdout == b"it's"
    assert found["mounts"] == "/dev/vdb1 /mnt/x ext4 noatime,nofail\nLABEL=swap none swap defaults,nofail\n"
    assert found["growpart"] == "/dev/vdb1\n"
    assert found["timezone"] == "Europe/Berlin\n"
    assert found["ntp"] == "server time.example.org\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("packages: [vim]", "line 1: the key packages is not supported here"),
        ("users:\n- name: anna\n  passwd: $6$x", "line 3: passwd: there are no passwords here"),
        ("users:\n- name: anna\n  lock_passwd: false", "line 3: lock_passwd: false"),
        ("users:\n- name: anna\n  plain_text_passwd: x", "line 3: plain_text_passwd: there are no passwords"),
        ("password: x", "line 1: password: there are no passwords here"),
        ("chpasswd: {expire: false}", "line 1: chpasswd: there are no passwords here"),
        ("ssh_pwauth: true", "line 1: ssh_pwauth: nobody logs in with a password"),
        ("disable_root: false", "line 1: disable_root: root does not log in"),
        ("users:\n- name: root", "line 2: name: root does not log in"),
        ("users:\n- name: 'a b'", "cannot be the name of a user"),
        ("users:\n- name: anna\n  sudo: ALL=(ALL) ALL", "line 3: sudo: the only rule"),
        (
            "users:\n- name: anna\n  ssh_import_id: [x]",
            "line 3: the key ssh_import_id is not supported of a user",
        ),
        ("ssh_authorized_keys: [ssh-dss AAAA]", "line 1: ssh-dss AAAA... is no public key"),
        ("ssh_authorized_keys: ['command=\"x\" ssh-ed25519 AAAA']", "is no public key in one line"),
        ("write_files:\n- path: /etc/../x", "line 2: path: /etc/../x must begin with /"),
        ("write_files:\n- path: etc/x", "must begin with /"),
        ("write_files:\n- path: /proc/x", "nothing is kept below /proc"),
        ("write_files:\n- path: /x\n  encoding: gzip", "line 3: encoding: gzip is none of"),
        ("write_files:\n- path: /x\n  encoding: b64\n  content: '%'", "line 4: content is not base64"),
        ("write_files:\n- path: /x\n  permissions: '9'", "line 3: permissions: 9 must be"),
        (
            "write_files:\n- path: /x\n  permissions: 420",
            "line 3: permissions: 420 without quotes is a decimal number for others: write '0420'",
        ),
        ("".join(f"k{n}: 1\n" for n in range(1001)), "line 1001: a mapping of more than 1000 keys"),
        (
            "write_files:\n" + "- {path: /x}\n" * 5001,
            "line 5002: write_files: more than 5000 files",
        ),
        ("write_files:\n- path: /x\n  source: {uri: 'http://x'}", "line 3: the key source is not supported"),
        ("runcmd:\n- echo a: b", "line 2: runcmd: a command is a text or a list of words; does one with"),
        ("mounts: [[ephemeral0, /mnt]]", "is none of /dev/NAME"),
        ("mounts: [[/dev/vdb, ../x]]", "is no place to mount"),
        ("hostname: -x", "is no name of a host"),
        ("hostname: a\nhostname: b", "line 2: hostname is there twice, also in line 1"),
        ("a: *b", "line 1: anchors and aliases"),
        ("a: !!binary x", "line 1: tags (!) are not supported"),
        ("- a", "line 1: there must be a mapping"),
        ("timezone: ../etc/shadow", "is no name such as Europe/Berlin"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_line(
    plan: Path, tmp_path: Path, text: str, said: str
) -> None:
    told = complaints(plan, tmp_path, "user-data", f"{text}\n")
    assert any(said in line for line in told), told


def test_all_that_is_wrong_is_told_at_once(plan: Path, tmp_path: Path) -> None:
    told = complaints(plan, tmp_path, "user-data", "packages: []\nhostname: a\nsnap: {}\nssh_pwauth: yes\n")
    assert sorted(line.partition(":")[0] for line in told) == [f"user-data line {n}" for n in (1, 3, 4)]


def test_meta_data(plan: Path, tmp_path: Path) -> None:
    text = f"instance-id: i-1\nlocal-hostname: box7\npublic-keys: {{mine: {KEY}}}\ndsmode: local\n"
    found = made(plan, tmp_path, "meta-data", text)
    assert found == {"instance-id": "i-1\n", "hostname": "box7\n", "keys": f"default {KEY}\n"}
    assert "line 1: instance-id" in complaints(plan, tmp_path, "meta-data", "instance-id: ../x\n")[0]
    assert "seedfrom is not supported" in complaints(plan, tmp_path, "meta-data", "seedfrom: http://x/\n")[0]


# -- network-config --------------------------------------------------------------------------------


def test_network_of_version_2(plan: Path, tmp_path: Path) -> None:
    text = """
network:
  version: 2
  renderer: networkd
  ethernets:
    eth0: {dhcp4: true, dhcp6: true, dhcp4-overrides: {route-metric: 200}, set-name: eth0, optional: true}
    lan:
      match: {macaddress: "52:54:00:AA:bb:cc"}
      addresses: [10.0.0.5/24, "fd00::5/64"]
      gateway4: 10.0.0.1
      nameservers: {addresses: [1.1.1.1], search: [lan]}
      routes: [{to: default, via: "fe80::1"}, {to: 10.9.0.0/16, via: 10.0.0.2}]
      mtu: 1400
      accept-ra: false
    rest: {match: {name: "e*"}, dhcp4: false}
"""
    assert made(plan, tmp_path, "network-config", text)["network.conf"].splitlines() == [
        "eth0 dhcp=yes dhcp6=yes metric=200",
        (
            "52:54:00:aa:bb:cc address=10.0.0.5/24 address=fd00::5/64 gateway=10.0.0.1 route=::/0@fe80::1"
            " route=10.9.0.0/16@10.0.0.2 dns=1.1.1.1 search=lan mtu=1400 ra=no"
        ),
        "any dhcp=no",
    ]


def test_network_of_version_1(plan: Path, tmp_path: Path) -> None:
    text = """
version: 1
config:
- type: physical
  name: eth0
  mac_address: "52:54:00:aa:bb:cc"
  subnets:
  - {type: static, address: 10.0.0.5, netmask: 255.255.252.0, gateway: 10.0.0.1, dns_nameservers: [1.1.1.1]}
  - {type: static6, address: "fd00::1/64"}
- {type: physical, name: eth1, mtu: 9000, subnets: [{type: dhcp4}]}
- {type: physical, name: eth2, subnets: [{type: manual}]}
- {type: nameserver, address: 9.9.9.9, search: [a, b]}
"""
    assert made(plan, tmp_path, "network-config", text)["network.conf"].splitlines() == [
        (
            "52:54:00:aa:bb:cc address=10.0.0.5/22 gateway=10.0.0.1 dns=1.1.1.1 "
            "address=fd00::1/64 dns=9.9.9.9 search=a search=b"
        ),
        "eth1 dhcp=yes mtu=9000 dns=9.9.9.9 search=a search=b",
        "eth2 dhcp=no dns=9.9.9.9 search=a search=b",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ethernets: {}", "there is no version"),
        ("version: 3", "must be a number from 1 to 2"),
        ("version: 2\nvlans: {}", "line 2: the key vlans is not supported of version 2"),
        ("version: 2\nethernets: {eth0: {addresses: [10.0.0.1]}}", "is no address with its prefix"),
        ("version: 2\nethernets: {eth0: {dhcp4: yes, addresses: [10.0.0.1/8]}}", "one of both"),
        ("version: 2\nethernets: {eth0: {set-name: lan}}", "interfaces are not renamed"),
        ("version: 2\nethernets: {'e h': {}}", "is no name of an interface"),
        ("version: 2\nethernets: {a: {match: {driver: x}}}", "match needs macaddress or name"),
        ("version: 1\nconfig: [{type: bond, name: b}]", "type: bond is none of physical, nameserver"),
        (
            "version: 1\nconfig: [{type: physical, name: eth0, subnets: [{type: dhcp9}]}]",
            "type: dhcp9 is none of",
        ),
    ],
)
def test_networks_that_cannot_be(plan: Path, tmp_path: Path, text: str, said: str) -> None:
    told = complaints(plan, tmp_path, "network-config", f"{text}\n")
    assert any(said in line for line in told), told
