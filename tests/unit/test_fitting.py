"""Services and kernel modules that a variant names, and packages that nobody has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remaster import fitting, showing, variant
from remaster.bootcode import BootCodes
from remaster.placement import Placed
from remaster.plan import MediumFile
from remaster.variant import FileSpec, Variant
from remaster.variant.cni import Network
from remaster.variant.documents import Free
from remaster.variant.machine import Machine
from remaster.variant.settings import Settings
from tcz.errors import ConfigError, Problem
from tcz.model import BuiltPackage
from tcz.paths import Dirs
from tcz.squashfs import writer
from tcz.squashfs.options import SquashOptions
from tcz.tree import Tree, regular
from tests.unit.container_images import docker_archive, layer

if TYPE_CHECKING:
    from remaster.placement import Load

RECIPES = Path(__file__).parents[2] / "recipes"
CODES = BootCodes.load()
ROOT = Tree(
    {
        "usr/local/etc/init.d/clock": regular(b""),
        "lib/modules/6.1/kernel/drivers/loop.ko.xz": regular(b""),
        "lib/modules/6.1/modules.builtin": regular(b"kernel/fs/ext4/ext4.ko\n"),
        "lib/modules/6.1/modules.alias": regular(b"# aliases\nalias fs-iso9660 isofs\n"),
        "lib/modules/6.1/modules.builtin.modinfo": regular(b"ipv6.alias=net-pf-10\0ipv6.license=GPL\0"),
    }
)


def placed(folder: Path, name: str, load: Load, files: dict[str, bytes]) -> Placed:
    path = folder / f"{name}.tcz"
    tree = Tree({inside: regular(data) for inside, data in files.items()})
    writer.write(tree, path, SquashOptions(compressor="gzip"), epoch=0)
    package = BuiltPackage(name=name, form="extension", path=path, sha256="", size=1, installed=1, needs=())
    return Placed(package=package, place="cde", load=load)


def asked(*services: str, modules: tuple[str, ...] = (), files: tuple[FileSpec, ...] = ()) -> Variant:
    lines = (*((f"services {name}", f"x.toml:{n}") for n, name in enumerate(services, 1)),)
    settings = Settings(machine=Machine(modules=modules))
    return Variant(name="x", services=services, settings=settings, files=files, lines=lines)


def test_a_service_is_a_script_of_what_is_loaded(tmp_path: Path) -> None:
    packages = (
        placed(tmp_path, "ssh", "boot", {"usr/local/etc/init.d/sshd": b""}),
        placed(tmp_path, "web", "request", {"usr/local/etc/init.d/httpd": b""}),
        placed(tmp_path, "old", "boot", {"usr/local/tce.installed/old": b"cp x /etc/init.d/made"}),
    )
    own = FileSpec(path="usr/local/etc/init.d/own", content=b"", mode=0o755, where="f:1")
    dull = FileSpec(path="usr/local/etc/init.d/dull", content=b"", where="f:2")
    names = ("clock", "sshd", "made", "own")
    assert fitting.fit(asked(*names, files=(own,)), ROOT, packages, ()) == fitting.Fit()
    found = fitting.fit(asked("sshdd", "httpd", "dull", files=(dull,)), ROOT, packages, ()).problems
    assert found == (
        Problem(
            where="x.toml:1",
            message="no package of the image has the service sshdd",
            hint="did you mean 'sshd'?",
        ),
        Problem(
            where="x.toml:2",
            message="the package of the service httpd is not loaded at boot",
            hint="packages.onboot = ['web']",
        ),
        Problem(where="f:2", message="the script of the service dull cannot be run", hint='mode = "755"'),
    )


def test_a_module_is_a_file_built_in_or_an_alias(tmp_path: Path) -> None:
    name = "usr/local/lib/modules/6.1/kernel/net/wire-guard.ko.gz"
    packages = (placed(tmp_path, "modules", "boot", {name: b""}),)
    there = asked(modules=("loop", "ext4", "wire_guard", "wire-guard"))
    assert fitting.fit(there, ROOT, packages, ()) == fitting.Fit()
    aliases = asked(modules=("net-pf-10", "fs-iso9660"))
    assert fitting.fit(aliases, ROOT, (), ()) == fitting.Fit()
    (problem,) = fitting.fit(asked(modules=("ext5",)), ROOT, (), ()).problems
    assert (problem.where, problem.hint) == ("variant x: modules", "did you mean 'ext4'?")
    assert "no module ext5" in problem.message


def test_what_the_base_loads_itself_is_not_looked_into() -> None:
    kept = (MediumFile(path="cde/optional/other.tcz", content=b""),)
    found = fitting.fit(asked("sshd"), ROOT, (), kept)
    assert not found.problems
    assert "unless what the base loads has" in found.notes[0]


@pytest.mark.parametrize(
    ("problems", "what"),
    [
        ([Problem(where="package dockr", message="no recipe makes it")], "missing"),
        ([], "no recipe makes the package 'dockr'"),
    ],
)
def test_packages_are_told_where_they_are_named(problems: list[Problem], what: str) -> None:
    mine = Variant(name="x", onboot=("dockr",), lines=(("packages.onboot dockr", "x.toml:9"),))
    with pytest.raises(ConfigError) as caught, fitting.naming(mine):
        raise ConfigError(what, problems)
    assert [(one.where, one.message) for one in caught.value.problems] == [
        ("x.toml:9", "dockr: no recipe makes it")
    ]
    with pytest.raises(ConfigError, match="other"), fitting.naming(mine):
        raise ConfigError("other")


def linted(folder: Path, text: str, extends: str = "docker") -> list[str]:
    path = folder / "x.toml"
    path.write_text(f'schema = 1\nname = "x"\nsummary = "x"\nextends = "{extends}"\n{text}')
    try:
        showing.lint(str(path), (RECIPES,), Dirs.from_env())
    except ConfigError as error:
        return [line.strip().removeprefix(f"{path}:") for line in error.lines()[1:]]
    return []


def test_lint_tells_all_mistakes_at_once(tmp_path: Path) -> None:
    text = (
        'services = ["sshdd"]\nkernel = "nokernel"\nboot-codes = ["noembd"]\n'
        '[packages]\nonboot = ["dockr"]\nplace.dokcer = "root"\n[menu]\ndefault = "resq"\n'
    )
    found = linted(tmp_path, text)
    for number, part in (
        (5, "the service sshdd (did you mean 'sshd'?)"),
        (6, "nokernel: neither a recipe nor a package (did you mean 'kernel'"),
        (7, "noembd: no such boot code"),
        (9, "dockr: neither a recipe nor a package (did you mean 'docker'"),
        (10, "dokcer: neither a recipe nor a package"),
        (12, "there is no entry 'resq'"),
    ):
        assert any(line.startswith(f"{number}: ") and part in line for line in found), (part, found)
    assert len(found) == 6


@pytest.mark.parametrize("name", variant.names())
def test_every_service_of_shipped_variants_is_known(name: str) -> None:
    showing.lint(name, (RECIPES,), Dirs.from_env())


def test_services_of_packages_that_are_needed_are_known(tmp_path: Path) -> None:
    text = 'services = ["sshd", "containers"]\n'
    (line,) = linted(tmp_path, text + 'packages.onboot = ["dropbear"]\n', "linux")
    assert "the service containers" in line
    assert not linted(tmp_path, text + 'packages.onboot = ["container-host", "dropbear"]\n', "linux")


def test_lint_knows_the_bases_users_groups_folders_and_maps(tmp_path: Path) -> None:
    text = (
        'keymap = "de"\nboot-codes = ["user=root"]\n'
        f'[image]\nvolume-id = "{"x" * 40}"\n'
        '[[user]]\nname = "anna"\ngroups = ["weel"]\n'
        '[[file]]\npath = "/etc"\ncontent = ""\n'
        '[[file]]\npath = "/etc/passwd"\ncontent = ""\n'
        '[[file]]\npath = "/etc/motd"\nowner = "tcc"\ncontent = ""\n'
    )
    found = linted(tmp_path, text)
    for number, part in (
        (5, "the base floe has no keyboard map de"),
        (6, "root is an account of the system's own"),
        (8, "is not 1 to 32 printable ASCII characters"),
        (9, "the base has no group weel"),
        (13, "/etc is a folder of the base"),
        (16, "users and groups are in this file"),
        (19, "the base knows no user tcc"),
    ):
        assert any(line.startswith(f"{number}: ") and part in line for line in found), (part, found)
    assert len(found) == 7


def test_a_keymap_and_its_boot_code_are_of_one_rule(tmp_path: Path) -> None:
    mine = variant.load("linux", CODES)
    (by_code,) = variant.extended(mine, CODES, boot_codes=["kmap=de"]).needed
    assert (by_code.path, by_code.where) == ("usr/share/kmap/de.kmap", "--boot-code: kmap=de")
    assert by_code.message == "the base floe has no keyboard map de"
    assert (
        "5: kmap=de: the base floe has no keyboard map de"
        in linted(tmp_path, 'boot-codes = ["kmap=de"]\n')[0]
    )
    entry = '[[entry]]\nname = "german"\ntitle = "x"\nadd = ["kmap=de"]\n'
    assert "6: kmap=de: the base floe has no keyboard map de" in linted(tmp_path, entry)[0]


def test_values_that_no_engine_takes(tmp_path: Path) -> None:
    text = """[image]
max-ram-mb = 0
[containers-conf.containers]
pids_limt = 3
[storage-conf.storage.options.overlay]
mount_prgram = "x"
[daemon-json]
proxies = { http-prox = "x" }
default-address-pools = [{ bse = "10.0.0.0/8" }]
runtimes.mine = { pth = "/x" }
log-opts.anything = "x"
[[container]]
name = "a"
image = "localhost/nothere"
ports = ["99999:80", "80:10-12", "300.1.1.1:1:2", "20-10:20-10", "8000-9000:80", "127.0.0.1:53:53/udp"]
[[cni]]
name = "c"
plugins = [{ type = "nosuch" }, { type = "bridge", ipam = { type = "host-locl" } }]
"""
    found = linted(tmp_path, text, "podman")
    for number, part in (
        (6, "max-ram-mb: 0 is not between 1"),
        (8, "unknown key in [containers-conf.containers] (did you mean 'pids_limit'"),
        (10, "unknown key in [storage-conf.storage.options.overlay] (did you mean 'mount_program'"),
        (12, "unknown key in [daemon-json.proxies] (did you mean 'http-proxy'"),
        (13, "unknown key in [daemon-json.default-address-pools] (did you mean 'base'"),
        (14, "unknown key in [daemon-json.runtimes.mine] (did you mean 'path'"),
        (16, "localhost/nothere can be fetched from nowhere"),
        (19, "ports[0]: '99999:80' is not a port of 1 to 65535"),
        (19, "ports[1]: '80:10-12' has more ports on one side"),
        (19, "ports[2]: '300.1.1.1' is not an address"),
        (19, "ports[3]: '20-10:20-10' goes from a larger port"),
        (20, "no package of the image has the plugin nosuch (plugins: bandwidth, bridge"),
        (20, "no package of the image has the plugin host-locl (did you mean 'host-local'"),
    ):
        assert any(line.startswith(f"{number}: ") and part in line for line in found), (part, found)
    assert len(found) == 13


def test_an_image_of_the_machine_itself_is_preloaded(tmp_path: Path) -> None:
    docker_archive(tmp_path / "web.tar", "localhost/web:1", layer())
    preload = '[[preload]]\narchive = "web.tar"\n[[container]]\nname = "web"\nimage = "localhost/web:'
    assert not linted(tmp_path, f'{preload}1"\n')
    (line,) = linted(tmp_path, f'{preload}2"\n')
    assert "not preloaded (did you mean 'localhost/web:1'?)" in line


def test_a_plugin_of_ones_own_is_a_file(tmp_path: Path) -> None:
    text = '[[cni]]\nname = "c"\nplugins = [{ type = "mine" }]\n'
    assert "the plugin mine" in linted(tmp_path, text, "podman")[0]
    own = '[[file]]\npath = "/usr/local/libexec/cni/mine"\nmode = "755"\ncontent = "x"\n'
    assert not linted(tmp_path, text + own, "podman")
    network = Network(
        name="c",
        order=1,
        version="1.0.0",
        disable_check=False,
        plugins=(Free((("type", "mine"),)),),
        where="w",
    )
    given = Variant(name="x", settings=Settings(cni=(network,)))
    assert [one.where for one in fitting.fit(given, ROOT, (), ()).problems] == ["w"]
    there = placed(tmp_path, "own", "boot", {"opt/cni/bin/mine": b""})
    assert not fitting.fit(given, ROOT, (there,), ()).problems
