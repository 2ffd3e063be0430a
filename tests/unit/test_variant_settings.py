"""What tables of a variant come to: the files' whole texts, and what is refused."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from remaster import asked, variant
from remaster.bootcode import BootCodes
from remaster.variant import FileSpec, Variant, containers, settings
from remaster.variant.clock import keymap_complaint
from remaster.variant.documents import Free, json_text, toml_text
from remaster.variant.parts import Effects, Ground
from remaster.zones import names
from tcz.errors import ConfigError
from tests.unit.certificates_made import certificates

if TYPE_CHECKING:
    from pathlib import Path

CODES = BootCodes.load()
HEAD = 'schema = 1\nname = "x"\nsummary = "x"\n'


def load(folder: Path, text: str, extends: str = "podman", base: str = "floe") -> Variant:
    path = folder / "x.toml"
    path.write_text(f'{HEAD}extends = "{extends}"\n{text}')
    return variant.extended(variant.load(str(path), CODES, base=base), CODES, base=base)


def refused(folder: Path, text: str, extends: str = "podman") -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, extends)
    return "\n".join(caught.value.lines())


def file(found: Variant, path: str) -> str:
    (spec,) = [spec for spec in found.files if spec.path == path]
    return spec.content.decode()


# -- the machine -----------------------------------------------------------------------------------


def test_the_machine(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
hostname = "node1"
modules = ["wireguard"]
ntp = ["a.example.org", "2001:db8::1"]
sysctl.vm.swappiness = 10
[sysctl.net.ipv4]
tcp_rmem = "4096 87380 6291456"
[proxy]
http = "http://proxy.lan:3128"
no-proxy = ["localhost", ".lan"]
""",
    )
    assert "host=node1" in found.boot_codes
    assert found.services == ("settings", "sshd", "podman", *found.services[3:])
    assert {"host-settings", "modules-KERNEL"} <= set(found.onboot)
    assert file(found, "usr/local/etc/modules-load.d/50-image.conf") == "wireguard\n"
    assert file(found, "etc/ntp.conf") == "server a.example.org\nserver 2001:db8::1\n"
    assert file(found, "etc/sysconfig/ntpserver") == "a.example.org\n2001:db8::1\n"
    assert (
        file(found, "usr/local/etc/sysctl.d/50-image.conf")
        == "vm.swappiness = 10\nnet.ipv4.tcp_rmem = 4096 87380 6291456\n"
    )
    assert file(found, "etc/profile.d/proxy.sh").splitlines()[2:] == [
        "http_proxy='http://proxy.lan:3128' HTTP_PROXY='http://proxy.lan:3128'",
        "export http_proxy HTTP_PROXY",
        "no_proxy='localhost,.lan' NO_PROXY='localhost,.lan'",
        "export no_proxy NO_PROXY",
    ]


def test_modules_of_another_base_are_its_own(tmp_path: Path) -> None:
    text = 'modules = ["wireguard"]\n'
    found = load(tmp_path, text, "linux", base="corepure64")
    assert found.onboot == ("host-settings",)
    assert load(tmp_path, text, "linux").onboot == ("host-settings", "modules-KERNEL")


def test_a_variant_that_has_ntpd_needs_no_other_clock(tmp_path: Path) -> None:
    found = load(tmp_path, 'services = ["ntpd"]\nntp = ["a.example.org"]\n')
    assert "clock" not in found.services
    assert file(found, "etc/ntp.conf") == "server a.example.org\n"


def test_a_zone_is_that_of_the_tz_database(tmp_path: Path) -> None:
    found = load(tmp_path, 'timezone = "Europe/Berlin"\n')
    assert file(found, "etc/sysconfig/timezone") == "TZ='CET-1CEST,M3.5.0,M10.5.0/3'\n"
    (spec,) = [spec for spec in found.files if spec.path == "etc/localtime"]
    assert spec.content.startswith(b"TZif2")
    assert "did you mean 'Europe/Berlin'" in refused(tmp_path, 'timezone = "Europe/Berln"\n')


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Argentina/Buenos_Aires"])
def test_zones_of_every_depth(tmp_path: Path, zone: str) -> None:
    assert file(load(tmp_path, f'timezone = "{zone}"\n'), "etc/sysconfig/timezone").startswith("TZ='")
    assert zone in names()


def test_a_keymap(tmp_path: Path) -> None:
    content = b"bkeymap" + bytes([1, 1]) + bytes(254) + bytes(512)
    (tmp_path / "de.kmap").write_bytes(content)
    found = load(tmp_path, 'keymap = "./de.kmap"\n')
    assert "kmap=de" in found.boot_codes
    assert [spec.content for spec in found.files if spec.path == "usr/share/kmap/de.kmap"] == [content]
    assert load(tmp_path, 'keymap = "qwertz/de"\n').needed[0].path == "usr/share/kmap/qwertz/de.kmap"
    kmaps = load(tmp_path, 'packages.onboot = ["kmaps"]\nkeymap = "qwertz/de"\n', base="corepure64")
    assert kmaps.needed == ()
    (tmp_path / "de.kmap").write_bytes(content[:-1])
    assert "damaged" in refused(tmp_path, 'keymap = "./de.kmap"\n')


@given(st.binary(max_size=400))
def test_nothing_else_is_a_keymap(data: bytes) -> None:
    assert keymap_complaint(b"bkeymap" + data) is not None or len(data) >= 256
    assert keymap_complaint(data) is not None or data.startswith(b"bkeymap")


def test_a_key_and_a_boot_code_that_say_the_same(tmp_path: Path) -> None:
    assert "the boot code host= and the key hostname" in refused(
        tmp_path, 'hostname = "a"\nboot-codes = ["host=b"]\n'
    )
    (tmp_path / "parent.toml").write_text(HEAD + 'hostname = "a"\n')
    assert "host=b" in load(tmp_path, 'boot-codes = ["host=b"]\n', "parent.toml").boot_codes
    (tmp_path / "parent.toml").write_text(HEAD + 'boot-codes = ["host=a"]\n')
    assert load(tmp_path, 'hostname = "b"\n', "parent.toml").boot_codes == ("host=b",)


def test_what_the_command_line_says_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(HEAD + 'hostname = "a"\n[daemon-json]\ndebug = true\n')
    spec = FileSpec(path="etc/docker/daemon.json", content=b"{}")
    found = variant.extended(
        variant.load(str(path), CODES), CODES, boot_codes=["host=b"], files=[spec], packages=["htop"]
    )
    assert found.boot_codes == ("host=b",)
    assert found.files == (spec,)


# -- the engines' files ----------------------------------------------------------------------------

REGISTRIES = """
[registries]
unqualified-search = ["docker.io", "registry.example.org"]
short-name-mode = "enforcing"
insecure = ["lan.example.org:5000"]
blocked = ["*.bad.example.org"]
mirrors."docker.io" = ["lan.example.org:5000/hub", "mirror.example.org"]
[[registries.signatures]]
registry = "registry.example.org"
lookaside = "https://sigs.example.org"
sigstore-attachments = true
"""
CONF = """\
unqualified-search-registries = ["docker.io", "registry.example.org"]
short-name-mode = "enforcing"

[[registry]]
prefix = "*.bad.example.org"
blocked = true

[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "lan.example.org:5000/hub"
insecure = true

[[registry.mirror]]
location = "mirror.example.org"

[[registry]]
prefix = "lan.example.org:5000"
location = "lan.example.org:5000"
insecure = true
"""


def test_registries(tmp_path: Path) -> None:
    found = load(tmp_path, REGISTRIES)
    text = file(found, "etc/containers/registries.conf.d/50-image.conf")
    assert text == CONF
    assert len(tomllib.loads(text)["registry"]) == 3
    signatures = yaml.safe_load(file(found, "etc/containers/registries.d/50-image.yaml"))
    assert signatures == {
        "docker": {
            "registry.example.org": {
                "lookaside": "https://sigs.example.org",
                "use-sigstore-attachments": True,
            }
        }
    }


def test_registries_for_docker(tmp_path: Path) -> None:
    text = """
[registries]
insecure = ["lan.example.org:5000"]
mirrors."docker.io" = ["lan.example.org:5000", "mirror.example.org"]
"""
    assert json.loads(file(load(tmp_path, text, "docker"), "etc/docker/daemon.json")) == {
        "registry-mirrors": ["http://lan.example.org:5000", "https://mirror.example.org"],
        "insecure-registries": ["lan.example.org:5000"],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
    }
    said = refused(tmp_path, REGISTRIES, "docker")
    for part in (
        "blocks no registry: *.bad",
        "unqualified-search",
        "no short-name-mode",
        "no path of a mirror",
    ):
        assert f"docker {part}" in said or part in said


def test_docker_says_what_it_said(tmp_path: Path) -> None:
    expected = """\
{
  "log-driver": "json-file",
  "log-opts": {
    "max-size": "10m",
    "max-file": "3"
  }
}
"""
    assert file(load(tmp_path, "", "docker"), "etc/docker/daemon.json") == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[daemon-json]\nlog-drivr = "x"\n', "did you mean 'log-driver'"),
        ('[daemon-json]\npidfile = "x"\n', "given to the daemon by its service"),
        ('[daemon-json]\nhosts = ["tcp://0.0.0.0:2375"]\n', "add the package docker-tls"),
        ("[daemon-json]\nlabels = [1979-05-27]\n", "date or time"),
        ("[daemon-json]\nmtu = nan\n", "no form in JSON"),
        ('daemon-json = "x"\n', "expected a table"),
        ("[containers-conf.container]\n", "did you mean 'containers'"),
        (
            '[containers-conf.containers]\nenv = ["A=http://me:secret@example.org/"]\n',
            "a password in this address",
        ),
    ],
)
def test_tables_of_others_are_looked_at(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(tmp_path, text)


def test_containers_conf(tmp_path: Path) -> None:
    text = """
[containers-conf.containers]
pids_limit = 4096
default_ulimits = ["nofile=1024:2048"]
[containers-conf.engine.runtimes]
crun = ["/usr/local/bin/crun"]
[storage-conf.storage]
driver = "overlay"
options.overlay.mountopt = "nodev"
"""
    found = load(tmp_path, text)
    assert file(found, "etc/containers/containers.conf.d/50-image.conf") == (
        '[containers]\npids_limit = 4096\ndefault_ulimits = ["nofile=1024:2048"]\n\n'
        '[engine.runtimes]\ncrun = ["/usr/local/bin/crun"]\n'
    )
    assert file(found, "etc/containers/storage.conf.d/50-image.conf") == (
        '[storage]\ndriver = "overlay"\n\n[storage.options.overlay]\nmountopt = "nodev"\n'
    )


def test_policy(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "cosign.pub").write_bytes(public)
    text = """
[policy]
default = "reject"
accept = ["docker.io/library"]
reject = ["docker.io/library/bad"]
[[policy.signed]]
registry = "registry.example.org"
key = "cosign.pub"
"""
    found = load(tmp_path, text)
    policy = json.loads(file(found, "etc/containers/policy.json"))
    assert policy["default"] == [{"type": "reject"}]
    assert policy["transports"]["docker"]["docker.io/library"] == [{"type": "insecureAcceptAnything"}]
    assert policy["transports"]["docker"]["docker.io/library/bad"] == [{"type": "reject"}]
    assert policy["transports"]["docker"]["registry.example.org"] == [
        {
            "type": "sigstoreSigned",
            "keyPath": "/etc/containers/keys/cosign.pub",
            "signedIdentity": {"type": "matchRepository"},
        }
    ]
    assert policy["transports"]["docker-archive"] == {"": [{"type": "insecureAcceptAnything"}]}
    assert file(found, "etc/containers/keys/cosign.pub") == public.decode()
    (tmp_path / "cosign.pub").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    assert "THIS IS A PRIVATE KEY" in refused(tmp_path, text)
    assert "docker knows no policy" in refused(tmp_path, '[policy]\ndefault = "reject"\n', "docker")


def test_cni(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        '[[cni]]\nname = "lan"\norder = 5\n'
        'plugins = [{ type = "bridge", isGateway = true }, { type = "portmap" }]\n',
    )
    assert json.loads(file(found, "etc/cni/net.d/05-lan.conflist")) == {
        "cniVersion": "1.0.0",
        "name": "lan",
        "plugins": [{"type": "bridge", "isGateway": True}, {"type": "portmap"}],
    }
    assert "cni-plugins" in found.onboot
    assert "'type' is missing" in refused(tmp_path, '[[cni]]\nname = "lan"\nplugins = [{}]\n')
    assert "'plugins' is missing" in refused(tmp_path, '[[cni]]\nname = "lan"\n')


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(1 << 62), 1 << 62)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def value(of: object) -> object:
    if isinstance(of, dict):
        return Free(tuple((key, value(inner)) for key, inner in of.items()))  # type: ignore[misc]
    return tuple(value(inner) for inner in of) if isinstance(of, list) else of


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4))
def test_tables_are_written_as_other_readers_read_them(table: dict[str, object]) -> None:
    free = value(table)
    assert isinstance(free, Free)
    assert tomllib.loads(toml_text(free)) == table
    assert json.loads(json_text(free)) == table


# -- certificates, containers ----------------------------------------------------------------------


def test_certificates_are_certificates(tmp_path: Path) -> None:
    authority, key, leaf = certificates()
    (tmp_path / "corp.pem").write_bytes(b"Corporate root\n" + authority)
    found = load(tmp_path, 'ca-certificates = ["corp.pem"]\n')
    assert file(found, "usr/local/share/ca-certificates/corp.crt").encode() == authority
    assert "ca-certificates" in found.onboot
    for content, part in (
        (authority + key, "PRIVATE KEY"),
        (leaf, "not an authority's certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no file of certificates"),
        (b"", "no file of certificates"),
    ):
        (tmp_path / "corp.pem").write_bytes(content)
        assert part in refused(tmp_path, 'ca-certificates = ["corp.pem"]\n')


CONTAINER = """
[[container]]
name = "web"
image = "quay.io/web:1"
args = ["sh", "-c", "a  b", "", "sh"]
ports = ["127.0.0.1:8080:80/tcp"]
volumes = ["/srv:/srv:ro"]
network = "host"
init = true
restart = "on-failure"
env = { A = "b c", B = "" }
"""


def test_a_container_is_a_file_of_words(tmp_path: Path) -> None:
    found = load(tmp_path, CONTAINER)
    lines = file(found, "usr/local/etc/containers.d/web").split("\n")
    label = lines[lines.index("--label") + 1]
    assert label.startswith(containers.LABEL)
    assert lines == [
        *("podman", "--detach", "--name", "web", "--restart", "on-failure"),
        *("--publish", "127.0.0.1:8080:80/tcp", "--volume", "/srv:/srv:ro", "--env", "A=b c", "--env", "B="),
        *(
            "--network",
            "host",
            "--init",
            "--label",
            label,
            "quay.io/web:1",
            "sh",
            "-c",
            "a  b",
            "",
            "sh",
            "",
        ),
    ]
    assert found.services[-1] == "containers"
    other = load(tmp_path, CONTAINER.replace("a  b", "a b"))
    assert label not in file(other, "usr/local/etc/containers.d/web")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ports = ['80a']", "is not a port"),
        ("volumes = ['srv']", "is not a volume"),
        ("args = ['a\\nb']".replace("'", '"'), "is not one line"),
        ("env.DB_PASSWORD = 'x'", "looks like a secret"),
        ("env.PGPASS = 'x'", "PGPASS looks like a secret"),
        ("env.MYSQL_PWD = 'x'", "MYSQL_PWD looks like a secret"),
        ("env.PGPASSWORD = 'x'", "PGPASSWORD looks like a secret"),
        ("env.AWS_SECRET_ACCESS_KEY = 'x'", "looks like a secret"),
        ("env.URL = 'https://me:pw@example.org/'", "a password in this address"),
        ("args = ['--requirepass', 'x']", "requirepass looks like a secret"),
        ("args = ['-v', '--db-password=x']", "db-password looks like a secret"),
        ("args = ['-e', 'TOKEN=x']", "TOKEN looks like a secret"),
        ("args = ['postgres://me:pw@db/x']", "a password in this address"),
        ("engine = 'docker'", "is not among the variant's packages"),
        ("image2 = 'x'", "unknown key"),
        ("restart = 'allways'", "did you mean 'always'"),
    ],
)
def test_bad_containers(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(tmp_path, f'[[container]]\nname = "web"\nimage = "quay.io/web"\n{text}\n')


def test_a_container_wants_an_engine(tmp_path: Path) -> None:
    assert "the variant has none" in refused(tmp_path, CONTAINER, "linux")
    both = 'packages.onboot = ["docker"]\n'
    assert "the variant has several" in refused(tmp_path, both + CONTAINER)
    assert file(
        load(tmp_path, both + CONTAINER + 'engine = "docker"\n'), "usr/local/etc/containers.d/web"
    ).startswith("docker\n")


def test_what_only_looks_like_a_secret_is_none(tmp_path: Path) -> None:
    args = '["--bypass", "x", "--token", "--password-file=/run/x", "http://$USER:$PASSWORD@x", "COMPASS=n"]'
    text = CONTAINER.replace('["sh", "-c", "a  b", "", "sh"]', args)
    text = text.replace('A = "b c"', 'NEO4J_AUTH = "none", PWD = "/srv", SECRET = ""')
    assert "--bypass" in file(load(tmp_path, text), "usr/local/etc/containers.d/web")


def test_words_of_containers_are_told_by_a_slow_hash_alone(tmp_path: Path) -> None:
    """They may be secrets that nobody can tell."""

    def told(text: str) -> list[str]:
        lines = asked.settings(load(tmp_path, text), (), ())
        return [line for line in lines if line.startswith("settings.containers.0.")]

    lines = told(CONTAINER)
    assert "settings.containers.0.image: quay.io/web:1" in lines
    assert [line[:38] for line in lines if ".args" in line or ".env" in line] == [
        "settings.containers.0.args: scrypt:" + lines[0][35:38],
        "settings.containers.0.env: scrypt:" + lines[1][34:38],
    ]
    other = told(CONTAINER.replace("a  b", "other"))
    assert [one == two for one, two in zip(lines, other, strict=True)].count(False) == 1


def test_a_password_in_a_boot_code_is_refused(tmp_path: Path) -> None:
    code = "net=proxy,http=http://me:pw@example.org"
    assert "password in this address" in refused(tmp_path, f"boot-codes = ['{code}']")


def test_env_that_names_a_file_is_no_secret(tmp_path: Path) -> None:
    text = CONTAINER.replace('A = "b c"', 'DB_PASSWORD_FILE = "/run/db"')
    assert "DB_PASSWORD_FILE=/run/db" in file(load(tmp_path, text), "usr/local/etc/containers.d/web")


# -- secrets in files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        "x\n-----BEGIN RSA PRIVATE KEY-----\n",
        "AGE-SECRET-KEY-1QQQ",
        "root:$6$salt$hash:1::::::\n",
        '{"auths": {"quay.io": {"auth": "dXNlcjpwdw=="}}}',
        "# mine\nmachine example.org login me password pw\n",
        "proxy http=http://me:pw@proxy:3128\n",
    ],
)
def test_files_with_secrets_are_refused(tmp_path: Path, content: str) -> None:
    text = f'[[file]]\npath = "/etc/x"\ncontent = {json.dumps(content)}\n'
    assert "data disk" in refused(tmp_path, text)
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigError):
        variant.file_option(f"{tmp_path / 'key'}:/etc/x")


# -- merging ---------------------------------------------------------------------------------------


def test_what_extends_joins_lists_and_overrides_values(tmp_path: Path) -> None:
    (tmp_path / "parent.toml").write_text(
        HEAD
        + """
extends = "podman"
hostname = "a"
ntp = ["a.example.org"]
sysctl.vm.swappiness = 10
sysctl.vm.overcommit_memory = 1
[registries]
blocked = ["a.example.org"]
mirrors."docker.io" = ["a.example.org"]
[containers-conf.containers]
pids_limit = 1
env = ["A=1"]
[[container]]
name = "web"
image = "quay.io/a"
[policy]
accept = ["docker.io"]
"""
    )
    found = load(
        tmp_path,
        """
hostname = "b"
ntp = ["b.example.org"]
sysctl.vm.swappiness = 20
[registries]
blocked = ["b.example.org"]
mirrors."docker.io" = ["b.example.org"]
[containers-conf.containers]
pids_limit = 2
env = ["B=2"]
[[container]]
name = "web"
image = "quay.io/b"
[policy]
default = "reject"
reject = ["docker.io"]
""",
        "parent.toml",
    ).settings
    assert found.machine.hostname == "b"
    assert found.machine.ntp == ("a.example.org", "b.example.org")
    assert found.machine.sysctl == (("vm.swappiness", "20"), ("vm.overcommit_memory", "1"))
    assert found.registries.blocked == ("a.example.org", "b.example.org")
    assert found.registries.mirrors == (("docker.io", ("a.example.org", "b.example.org")),)
    table = found.engines.containers.get("containers")
    assert isinstance(table, Free)
    assert table.items == (("pids_limit", 2), ("env", ("A=1", "B=2")))
    assert [one.image for one in found.containers] == ["quay.io/b"]
    assert (found.policy.accept, found.policy.reject) == ((), ("docker.io",))


def test_a_table_makes_a_file_of_the_parent_anew(tmp_path: Path) -> None:
    (tmp_path / "parent.toml").write_text(
        HEAD + '[[file]]\npath = "/etc/docker/daemon.json"\ncontent = "{}"\n'
    )
    found = load(tmp_path, "[daemon-json]\ndebug = true\n", "parent.toml")
    assert json.loads(file(found, "etc/docker/daemon.json")) == {"debug": True}
    (tmp_path / "parent.toml").write_text(HEAD + "[daemon-json]\ndebug = true\n")
    given_outright = '[[file]]\npath = "/etc/docker/daemon.json"\ncontent = "{}"\n'
    assert file(load(tmp_path, given_outright, "parent.toml"), "etc/docker/daemon.json") == "{}"


def test_nothing_said_is_nothing_done() -> None:
    plain = variant.load("linux", CODES)
    assert settings.effects(plain.settings, Ground()) == (Effects(), ())
    assert settings.told(plain.settings) == ()


def test_a_file_that_is_said_twice(tmp_path: Path) -> None:
    text = '[daemon-json]\ndebug = true\n[[file]]\npath = "/etc/docker/daemon.json"\ncontent = ""\n'
    assert "/etc/docker/daemon.json is made of a table of this file already" in refused(tmp_path, text)
