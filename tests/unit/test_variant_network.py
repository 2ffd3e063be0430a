"""``[[network]]`` of a variant: its lines, what is refused, and that the machine takes every line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remaster.variant import network
from tcz import toml
from tests.unit.test_network import BUSYBOX
from tests.unit.test_network import read as read_on_machine
from tests.unit.test_variant_settings import file, load, refused

if TYPE_CHECKING:
    import ipaddress
    from pathlib import Path

NET = network.PATH
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE = """
fallback-name-servers = ["none"]
[[network]]
interface = "52:54:00:AB:cd:ef"
dhcp6 = true
router-advertisements = false
addresses = ["192.168.1.5/24", "2001:db8::5/64"]
gateways = ["192.168.1.1", "fe80::1"]
name-servers = ["192.168.1.1"]
search = ["lan", "example.org"]
routes = { "10.0.0.0/8" = "192.168.1.2", "fd00::/8" = "2001:db8::1" }
mtu = 1400
metric = 5
[[network]]
interface = "any"
dhcp = true
[[network]]
interface = "eth1"
off = true
"""


def test_every_key_is_a_word_of_the_machines_own_settings(tmp_path: Path) -> None:
    assert file(load(tmp_path, WHOLE), NET).splitlines() == [
        (
            "52:54:00:ab:cd:ef dhcp6=yes ra=no address=192.168.1.5/24 address=2001:db8::5/64"
            " gateway=192.168.1.1 gateway=fe80::1 route=10.0.0.0/8@192.168.1.2 route=fd00::/8@2001:db8::1"
            " dns=192.168.1.1 search=lan search=example.org mtu=1400 metric=5"
        ),
        "any dhcp=yes",
        "eth1 up=no",
        "fallback dns=none",
    ]


def test_an_interface_takes_the_place_of_that_of_what_is_extended(tmp_path: Path) -> None:
    (tmp_path / "under.toml").write_text(
        'schema = 1\nname = "under"\nsummary = "x"\nextends = "linux"\nfallback-name-servers = ["9.9.9.9"]\n'
        '[[network]]\ninterface = "eth0"\nmtu = 1400\n[[network]]\ninterface = "eth1"\noff = true\n'
    )
    found = load(tmp_path, '[[network]]\ninterface = "eth0"\ndhcp = true\n', "under.toml")
    assert file(found, NET) == "eth0 dhcp=yes\neth1 up=no\nfallback dns=9.9.9.9\n"


def test_a_file_and_the_key_are_one_too_many(tmp_path: Path) -> None:
    text = (
        '[[network]]\ninterface = "eth0"\ndhcp = true\n[[file]]\npath = "/etc/network.conf"\ncontent = "x"\n'
    )
    assert f"/{NET} is made of a table of this file already" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":5: [[network]]: the key 'interface' is missing"),
        ('interface = "eth0"', ":5: [[network]]: nothing is said of eth0"),
        ('interface = "eth0"\nadresses = []', ":7: adresses: unknown key in [[network]] (did you mean 'add"),
        ('interface = "proxy"\nmtu = 1400', ":6: interface: 'proxy' is not the name of an interface"),
        ('interface = "0123456789abcdef"\nmtu = 1400', ":6: interface: '0123456789abcdef' is not an"),
        ('interface = "eth0"\naddresses = ["1.2.3.4"]', ":7: addresses[0]: '1.2.3.4' is not an address with"),
        ('interface = "eth0"\naddresses = ["127.0.0.1/8"]', "is not an address that an interface can have"),
        ('interface = "eth0"\naddresses = ["ff02::1/64"]', "is not an address that an interface can have"),
        ('interface = "eth0"\naddresses = ["1.2.3.4/0"]', "a prefix of 0 is no network"),
        ('interface = "eth0"\ngateways = ["fe80::1%eth0"]', ":7: gateways[0]: 'fe80::1%eth0' is not an add"),
        ('interface = "eth0"\nsearch = ["-x"]', ":7: search[0]: '-x' is not a domain such as lan"),
        ('interface = "eth0"\nroutes = {"10.0.0.0/8" = "fd00::1"}', "one is IPv4, the other IPv6"),
        ('interface = "eth0"\nroutes = {"10.0.0.0" = "10.0.0.1"}', "'10.0.0.0' is not a network such as"),
        ('interface = "eth0"\nmtu = 575', ":7: mtu: 575 is not between 576 and 65535"),
        ('interface = "eth0"\ndhcp = "yes"', ":7: dhcp: expected true or false"),
        ('interface = "eth0"\ndhcp = true\naddresses = ["1.2.3.4/8"]', ":7: dhcp: an address of IPv4 is giv"),
        ('interface = "eth0"\ndhcp = false\ngateways = ["1.2.3.4"]', "1.2.3.4 needs an address of IPv4"),
        ('interface = "eth0"\naddresses = ["1.2.3.4/8"]\ngateways = ["1.2.3.4"]', "interface's own address"),
        ('interface = "eth0"\noff = true\nmtu = 1400', ":7: off: an interface that stays off can have"),
        (
            'interface = "eth0"\nmtu = 1400\n[[network]]\ninterface = "eth0"\nmtu = 1500',
            "eth0 is there twice",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, f"[[network]]\n{text}\n")


def test_none_is_alone(tmp_path: Path) -> None:
    told = refused(tmp_path, 'fallback-name-servers = ["none", "1.1.1.1"]\n')
    assert ":5: fallback-name-servers: none goes with no other" in told


@pytest.mark.parametrize(
    ("base", "asked", "brought"),
    [
        ("corepure64", "dhcp6 = true", True),
        ("corepure64", "mtu = 1400", False),
        ("floe", "dhcp6 = true", False),
    ],
)
def test_another_base_gets_the_client_for_ipv6(
    tmp_path: Path, base: str, asked: str, *, brought: bool
) -> None:
    variant = load(tmp_path, f'[[network]]\ninterface = "eth0"\n{asked}\n', "linux", base)
    assert ("udhcpc6" in variant.packages()) is brought


def _is_address(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (one.is_multicast or one.is_unspecified or one.is_loopback or one.packed[0] in (0, 127))


ADDRESS = st.one_of(
    st.tuples(st.ip_addresses(v=4).filter(_is_address), st.integers(1, 32)),
    st.tuples(st.ip_addresses(v=6).filter(_is_address), st.integers(1, 128)),
).map(lambda pair: f"{pair[0]}/{pair[1]}")
DOMAIN = st.from_regex(r"\A[a-z0-9_]([a-z0-9._-]{0,9}[a-z0-9])?\Z")
TABLE = st.fixed_dictionaries(
    {},
    optional={
        "dhcp": st.booleans(),
        "dhcp6": st.booleans(),
        "router-advertisements": st.booleans(),
        "addresses": st.lists(ADDRESS, max_size=3, unique=True),
        "gateways": st.lists(st.ip_addresses().map(str), max_size=2, unique=True),
        "name-servers": st.lists(st.ip_addresses().map(str), max_size=2, unique=True),
        "search": st.lists(DOMAIN, max_size=2, unique=True),
        "mtu": st.integers(570, 65540),
        "metric": st.integers(0, 65536),
        "off": st.booleans(),
    },
)


@pytest.mark.skipif(BUSYBOX is None or not shutil.which("awk"), reason="needs busybox")
@FEW
@given(tables=st.lists(TABLE, min_size=1, max_size=4))
def test_the_machine_takes_every_line_of_what_is_right(
    tmp_path: Path, tables: list[dict[str, object]]
) -> None:
    text = "".join(
        f'[[network]]\ninterface = "eth{number}"\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for number, table in enumerate(tables)
    )
    document = toml.parse(text, "x.toml")
    found = network.read(document.root)
    if document.failed:
        return
    made = network.lines(found)
    right, wrong = read_on_machine(tmp_path, "".join(f"{line}\n" for line in made))
    assert wrong == []
    assert right == [f"1 {line}" for line in made]
