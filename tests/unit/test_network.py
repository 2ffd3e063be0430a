"""The network's process under BusyBox: its settings, and a DHCP server behind a pair of virtual cards.

Cards and server are in name spaces of their own; where none can be made, that is left out.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = Path(__file__).parents[2] / "recipes/floe-base/files"
NETWORK = BASE / "etc/init.d/network"
AWK = BASE / "etc/init.d/network-settings.awk"
BUSYBOX = shutil.which("busybox")
UNSHARE = ["unshare", "--user", "--map-root-user"] if os.getuid() else ["unshare"]
GCC = shutil.which("gcc")
DNSMASQ = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
ROUTER_SERVERS = BASE.parents[1] / "router-servers/src/router-servers.c"
APPLETS = ("udhcpc", "udhcpd", "ifconfig", "route", "setsid", "usleep")


def _has_all() -> bool:
    if BUSYBOX is None or shutil.which("nsenter") is None or shutil.which("ip") is None:
        return False
    have = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    made = subprocess.run(
        [*UNSHARE, "--net", "--mount", "mount", "-t", "sysfs", "sysfs", "/sys"],
        capture_output=True,
        check=False,
    )
    return made.returncode == 0 and all(applet in have for applet in APPLETS)


pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox (package busybox-static)")
needs_lab = pytest.mark.skipif(not _has_all(), reason="needs name spaces, iproute2 and BusyBox's DHCP")
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# -- settings --------------------------------------------------------------------------------------


def read(folder: Path, *texts: str) -> tuple[list[str], list[str]]:
    """Return the lines that are right, and what is said of the others."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.conf")
        files[-1].write_text(text)
    done = subprocess.run(
        [str(BUSYBOX), "awk", "-f", str(AWK), *map(str, files)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    return [one for one in lines if one[0] != "!"], [one[2:] for one in lines if one[0] == "!"]


def test_what_is_right_is_taken_with_the_rank_of_its_file(tmp_path: Path) -> None:
    first = "eth0 address=192.168.1.5/24 gateway=192.168.1.1 dns=1.1.1.1 dns=fe80::1 # remark\n\n# nothing\n"
    second = (
        "52:54:00:AB:cd:ef address=2001:db8::5/64 route=10.0.0.0/8@10.1.0.1 mtu=1400\nany dhcp=yes metric=5\n"
        "fallback dns=none\nproxy http=http://a.lan:1 no=.lan no=10.0.0.0/8\nbr0 up=no\r\n"
    )
    right, wrong = read(tmp_path, first, second)
    assert wrong == []
    assert right[0] == "1 eth0 address=192.168.1.5/24 gateway=192.168.1.1 dns=1.1.1.1 dns=fe80::1"
    assert [line.split()[:2] for line in right[1:]] == [
        ["2", "52:54:00:ab:cd:ef"],
        ["2", "any"],
        ["2", "fallback"],
        ["2", "proxy"],
        ["2", "br0"],
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("eth0", "nothing is said of eth0"),
        ("eth0 mtu=575", "mtu: 575 is not from 576 to 65535"),
        ("eth0 mtu=1400 mtu=1500", "mtu: is there twice"),
        ("eth0 address=1.2.3.4", "is no address with its prefix"),
        ("eth0 address=1.2.3.400/24", "is no address with its prefix"),
        ("eth0 address=127.0.0.1/8", "is no address with its prefix"),
        ("eth0 address=ff02::1/64", "is no address with its prefix"),
        ("eth0 address=1:2:3:4:5:6:7:8:9/64", "is no address with its prefix"),
        ("eth0 address=1::2::3/64", "is no address with its prefix"),
        ("eth0 dhcp=maybe", "dhcp: is yes or no"),
        ("eth0 dhcp=yes address=1.2.3.4/24", "dhcp=yes and an address of IPv4"),
        ("eth0 up=no mtu=1400", "up=no goes with nothing else"),
        ("eth0 route=10.0.0.0/8@fd00::1", "is no route"),
        ("eth0 search=-x", "is no domain"),
        ("eth0 color=red", "color: there is no such word"),
        ("eth0 $(reboot)", "a word is KEY=VALUE"),
        ("0123456789abcdef mtu=1400", "is no name of an interface"),
        ("52:54:00:12:34 mtu=1400", "is no MAC address"),
        ("../eth0 mtu=1400", "is no name of an interface"),
        ("fallback mtu=1400", "cannot be said of fallback"),
        ("proxy http=http://u:p@a.lan", "no address such as"),
        ("proxy http=http://a';reboot", "no address such as"),
        ("eth0 dns=1.1.1.1\x07", "holds what is no plain text"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_the_others_count(
    tmp_path: Path, line: str, said: str
) -> None:
    right, wrong = read(tmp_path, f"# one\n{line}\neth9 mtu=1400\n")
    assert right == ["1 eth9 mtu=1400"]
    assert len(wrong) == 1
    assert "0.conf line 2: " in wrong[0]
    assert said in wrong[0]


@FEW
@given(address=st.ip_addresses(v=6), prefix=st.integers(1, 128))
def test_every_address_of_ipv6_is_one(tmp_path: Path, address: object, prefix: int) -> None:
    text = str(address)
    local = text in ("::", "::1") or text.lower().startswith("ff")
    right, _ = read(tmp_path, f"eth0 address={text}/{prefix}\neth1 dns={text}\n")
    assert len(right) == (1 if local else 2)


def _is_plain(address: ipaddress.IPv6Address) -> bool:
    return address.ipv4_mapped is None


@FEW
@given(addresses=st.lists(st.ip_addresses(v=6).filter(_is_plain), min_size=1, max_size=20))
def test_addresses_are_written_as_everybody_writes_them(addresses: list[ipaddress.IPv6Address]) -> None:
    start = NETWORK.read_text().index("short() {")
    function = NETWORK.read_text()[start : NETWORK.read_text().index("\n}", start) + 2]
    done = subprocess.run(
        [str(BUSYBOX), "sh", "-c", f"{function}\nshort"],
        input="".join(f"{one.exploded}\n" for one in addresses), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [str(one) for one in addresses]


@FEW
@given(text=st.text(st.sampled_from("eth0 =./:#mtudnsadre@1f\n\t!$`"), max_size=60))
def test_nothing_but_known_words_comes_out(tmp_path: Path, text: str) -> None:
    right, _ = read(tmp_path, text)
    for line in right:
        assert set(line) <= set("eth0 =./:mtudnsadre@1f_-") | set("gwysorpc2fabcilk")
        assert all("=" in word for word in line.split()[2:])


# -- the process, with cards and a server ------------------------------------------------------------

LAB = r"""
exec 2>>$LAB/trace
mount -t sysfs sysfs /sys
$TOOL_unshare --net sleep 300 & far=$!
# Until then it is in ours, and the card would stay here.
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do usleep 10000; done
$TOOL_ip link add eth0 type veth peer name srv0
tries=50
until $TOOL_ip link set srv0 netns $far 2>/dev/null; do
    usleep 100000
    tries=$((tries-1))
    [ $tries -gt 0 ] || exit 1
done
near() { $TOOL_nsenter -t $far -n "$@"; }
near $TOOL_ip addr add 10.9.0.1/24 dev srv0
near $TOOL_ip link set srv0 up
near $TOOL_ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/eth0/forwarding
touch $LAB/ready
while read -r line; do
    eval "$line" >$LAB/answer.new 2>&1
    echo $? >>$LAB/answer.new
    mv $LAB/answer.new $LAB/answer
done <$LAB/orders
sh $NETWORK_SELF stop
for server in udhcpd dnsmasq; do
    [ ! -s $LAB/$server.pid ] || kill $(cat $LAB/$server.pid)
done
kill $far
"""


class Lab:
    """A machine with the card eth0, whose cable leads to srv0 in another name space."""

    def __init__(
        self,
        folder: Path,
        codes: str = "",
        conf: str = "",
        resolv: str = "",
        answer: str = "30",
        busybox: str | None = BUSYBOX,
    ) -> None:
        self.folder = folder
        for name in ("tools", "etc", "run"):
            (folder / name).mkdir()
        subprocess.run([str(busybox), "--install", "-s", folder / "tools"], check=True)
        (folder / "cmdline").write_text(f"quiet {codes}\n")
        (folder / "etc/network.conf").write_text(conf)
        (folder / "etc/resolv.conf").write_text(resolv)
        for name in ("console", "log"):
            (folder / name).touch()
        # The name space has the host's name, and that stays.
        script = folder / "lease"
        script.write_text(f'#!{folder}/tools/sh\nexec {folder}/tools/sh {NETWORK} lease "$1"\n')
        script.chmod(0o755)
        os.mkfifo(folder / "orders")
        # Some builds of BusyBox run their own before any other program.
        tools = {f"TOOL_{name}": str(shutil.which(name)) for name in ("ip", "unshare", "nsenter")}
        env = {
            **tools, "PATH": str(folder / "tools"), "LAB": str(folder), "FLOE_RUN": str(folder / "run"),
            "NETWORK_PATH": str(folder / "tools"), "NETWORK_SELF": str(NETWORK),
            "NETWORK_ETC": str(folder / "etc"),
            "NETWORK_CMDLINE": str(folder / "cmdline"), "NETWORK_LOG": str(folder / "log"),
            "NETWORK_CONSOLE": str(folder / "console"), "NETWORK_SCRIPT": str(script),
            "NETWORK_PATIENCE": "3", "NETWORK_ANSWER": answer,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [shutil.which("unshare") or "", *UNSHARE[1:], "--net", "--mount", str(busybox), "sh", "-c", LAB],
            env=env,
        )
        # For reading too: otherwise this would wait for a reader that may have ended.
        self.orders = os.fdopen(os.open(folder / "orders", os.O_RDWR), "w")
        self.wait((folder / "ready").exists)

    def wait(self, true: Callable[[], bool], seconds: float = 25) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)

    def told(self) -> str:
        return "".join(
            f"\n== {name}\n" + (self.folder / name).read_text()
            for name in ("log", "console", "run/problems", "trace", "server")
            if (self.folder / name).exists()
        )

    def sh(self, line: str) -> str:
        answer = self.folder / "answer"
        answer.unlink(missing_ok=True)
        self.orders.write(line + "\n")
        self.orders.flush()
        self.wait(answer.exists)
        *lines, status = answer.read_text().splitlines()
        assert status == "0", (line, lines, self.told())
        return "\n".join(lines)

    def until(self, line: str, seconds: float = 25) -> None:
        """Wait until a command succeeds."""
        deadline = time.monotonic() + seconds
        while self.sh(f"if {line}; then echo yes; else echo no; fi").splitlines()[-1] != "yes":
            assert time.monotonic() < deadline, (line, self.told())
            time.sleep(0.1)

    def start(self) -> None:
        self.sh("sh $NETWORK_SELF start")

    def server(self, *options: str) -> None:
        """Start a DHCP server at the far end."""
        lines = (
            "start 10.9.0.20\nend 10.9.0.29\ninterface srv0\nopt subnet 255.255.255.0\nopt router 10.9.0.1\n"
        )
        more = "".join(f"opt {option}\n" for option in options)
        (self.folder / "udhcpd.conf").write_text(
            f"{lines}{more}opt lease 60\nlease_file {self.folder}/leases\npidfile {self.folder}/udhcpd.pid\n"
        )
        (self.folder / "leases").touch()
        self.sh("near udhcpd -f $LAB/udhcpd.conf >$LAB/server 2>&1 &")
        self.until("[ -s $LAB/udhcpd.pid ]")

    def router(self, *options: str) -> None:
        """Start a router of IPv6 at the far end, which also answers DHCP."""
        self.sh(
            "near $TOOL_ip -6 addr add fd09::1/64 dev srv0 nodad;"
            f" near {DNSMASQ} --conf-file=/dev/null --keep-in-foreground --user=root --port=0"
            " --interface=srv0 --enable-ra --ra-param=srv0,4,12"
            f" --dhcp-leasefile=$LAB/leases6 --pid-file=$LAB/dnsmasq.pid"
            f" {' '.join(options)} >$LAB/server 2>&1 &"
        )

    def problems(self) -> str:
        file = self.folder / "run/problems"
        return file.read_text() if file.exists() else ""

    def resolv(self) -> str:
        return (self.folder / "etc/resolv.conf").read_text()

    def close(self) -> None:
        self.orders.write("exec 0</dev/null\n")
        self.orders.close()
        try:
            self.process.wait(15)
        finally:
            self.process.kill()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    made: list[Lab] = []

    def make(**parts: str) -> Lab:
        made.append(Lab(tmp_path, **parts))
        return made[-1]

    yield make
    for one in made:
        one.close()


@needs_lab
def test_an_address_comes_though_the_server_is_late_and_stays_though_the_link_goes(
    lab: Callable[..., Lab],
) -> None:
    machine = lab(codes="net=eth0,dhcp=yes")
    machine.start()
    machine.until("grep -q 'no DHCP server has answered' $FLOE_RUN/problems")
    machine.server("mtu 1400", "dns 10.9.0.1 10.9.0.2", "domain lab.example")
    machine.until("ifconfig eth0 | grep -q 'inet addr:10.9.0.2'")
    machine.until("[ ! -s $FLOE_RUN/problems ]")
    assert "MTU:1400" in machine.sh("ifconfig eth0")
    assert machine.sh("route -n").count("10.9.0.1 ") == 1
    assert machine.resolv().splitlines() == [
        "search lab.example",
        "nameserver 10.9.0.1",
        "nameserver 10.9.0.2",
    ]
    assert "DHCP" in machine.sh("sh $NETWORK_SELF status")
    before = machine.sh("ifconfig eth0 | grep 'inet addr'")
    machine.sh("near $TOOL_ip link set srv0 down")
    machine.until("grep -q 'eth0: the link is down' $NETWORK_LOG")
    machine.sh("near $TOOL_ip link set srv0 up")
    machine.until("[ $(grep -c 'eth0: the link is up' $NETWORK_LOG) = 2 ]")
    machine.until("grep -q 'lease of' $FLOE_RUN/net/eth0/said")
    assert machine.sh("ifconfig eth0 | grep 'inet addr'") == before
    assert "10.9.0.1 " in machine.sh("route -n")


@needs_lab
def test_a_lease_without_name_servers_leaves_the_list_as_it_is(lab: Callable[..., Lab]) -> None:
    machine = lab(conf="eth0 dhcp=yes metric=7\n", resolv="nameserver 192.0.2.1\n")
    machine.server()
    machine.start()
    machine.until("ifconfig eth0 | grep -q 'inet addr:10.9.0.2'")
    machine.until("route -n | grep -q '^0.0.0.0.* 7 '")
    assert machine.resolv() == "nameserver 192.0.2.1\n"


@needs_lab
def test_static_addresses_and_name_servers_that_nobody_names(lab: Callable[..., Lab]) -> None:
    machine = lab(
        conf="eth0 address=10.9.0.7/24 address=10.9.5.7/16 address=fd09::7/64"
        " gateway=10.9.0.1 gateway=fd09::1\n"
        "eth7 wrong\nproxy http=http://proxy.lan:3128 no=.lan no=10.9.0.0/24\n"
    )
    machine.start()
    machine.until("grep -q ^nameserver $NETWORK_ETC/resolv.conf")
    found = machine.sh("ifconfig")
    assert "inet addr:10.9.0.7 " in found
    assert "inet addr:10.9.5.7 " in found
    assert "Mask:255.255.0.0" in found
    assert "fd09::7/64" in found
    assert "0.0.0.0         10.9.0.1" in machine.sh("route -n")
    assert "fd09::1" in machine.sh("route -A inet6")
    assert machine.resolv().splitlines()[0] == "nameserver 1.1.1.1"
    machine.until("grep -q 'nobody names a DNS server' $NETWORK_CONSOLE")
    assert "network.conf line 2: wrong: a word is KEY=VALUE" in machine.problems()
    proxies = (machine.folder / "etc/profile.d/proxy.sh").read_text()
    assert "http_proxy='http://proxy.lan:3128' HTTP_PROXY='http://proxy.lan:3128'" in proxies
    assert "no_proxy='.lan,10.9.0.0/24'" in proxies
    # Other settings take the place of these, also on a machine that runs.
    (machine.folder / "etc/network.conf").write_text("eth0 address=10.9.0.8/24 dns=10.9.0.1 mtu=1300\n")
    machine.sh("sh $NETWORK_SELF reload")
    machine.until("ifconfig eth0 | grep -q 'MTU:1300'")
    found = machine.sh("ifconfig")
    assert "10.9.0.8" in found
    assert "10.9.0.7" not in found
    assert "10.9.5.7" not in found
    assert "fd09::7" not in found
    machine.until("grep -qx 'nameserver 10.9.0.1' $NETWORK_ETC/resolv.conf")
    assert machine.resolv() == "nameserver 10.9.0.1\n"
    assert "eth7" not in machine.problems()
    assert "line 2" not in machine.problems()


# -- routers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def router_servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if GCC is None:
        pytest.skip("needs gcc")
    program = tmp_path_factory.mktemp("routers") / "router-servers"
    words = [GCC, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    subprocess.run([*words, "-o", program, ROUTER_SERVERS], check=True)
    return program


def announced(program: Path, packet: bytes, status: int = 0) -> list[str]:
    done = subprocess.run([program, "-"], input=packet, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout.decode("ascii").splitlines()


def packed(*options: bytes) -> bytes:
    return bytes([134, 0]) + bytes(14) + b"".join(options)


def rdnss(*addresses: str, seconds: int = 600) -> bytes:
    data = b"".join(ipaddress.IPv6Address(one).packed for one in addresses)
    return bytes([25, 1 + len(data) // 8, 0, 0]) + seconds.to_bytes(4, "big") + data


def dnssl(*names: str, seconds: int = 600) -> bytes:
    labels = [[bytes([len(part)]) + part.encode() for part in name.split(".")] for name in names]
    data = b"".join(b"".join(name) + b"\0" for name in labels)
    data += bytes(-len(data) % 8)
    return bytes([31, 1 + len(data) // 8, 0, 0]) + seconds.to_bytes(4, "big") + data


def test_what_a_router_announces_is_read(router_servers: Path) -> None:
    packet = packed(
        rdnss("2001:db8::1", "fe80::1"),
        bytes([3, 4]) + bytes(30),
        dnssl("lan", "a.example.org", "-bad.lan", "bad lan"),
        rdnss("ff02::1", "::", "::1", "2001:db8::2"),
        rdnss("2001:db8::1", seconds=0),
    )
    assert announced(router_servers, packet) == [
        "search lan",
        "search a.example.org",
        "nameserver fe80::1%-",
        "nameserver 2001:db8::2",
    ]
    # No more than a resolver asks, and what is cut short is none.
    many = packed(rdnss(*(f"2001:db8::{number}" for number in range(1, 30))))
    assert len(announced(router_servers, many)) == 8
    for wrong in (packet[:-1], bytes([133]) + packet[1:], packed(bytes([25, 0]) + bytes(6)), b""):
        assert announced(router_servers, wrong, status=1) == []


@FEW
@given(
    options=st.lists(
        st.tuples(st.sampled_from([25, 31, 3]), st.binary(max_size=64)).map(
            lambda pair: bytes([pair[0], 1 + (len(pair[1]) + 7) // 8]) + bytes(2) + b"\0\0\1\0" + pair[1]
            + bytes(-len(pair[1]) % 8)
        ),
        max_size=4,
    ),
    cut=st.integers(0, 7),
)  # fmt: skip
def test_no_packet_does_harm(router_servers: Path, options: list[bytes], cut: int) -> None:
    packet = packed(*options)
    lines = announced(router_servers, packet[: len(packet) - cut], status=1 if cut else 0)
    for line in lines:
        word, _, value = line.partition(" ")
        assert word in ("search", "nameserver")
        assert value
        assert set(value) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:%")


@needs_lab
@pytest.mark.skipif(DNSMASQ is None, reason="needs dnsmasq (package dnsmasq-base)")
def test_name_servers_of_a_network_that_has_only_ipv6(lab: Callable[..., Lab], router_servers: Path) -> None:
    machine = lab(conf="eth0 search=own.example\n")
    (machine.folder / "tools/router-servers").symlink_to(router_servers)
    machine.router(
        "--dhcp-range=fd09::,ra-only",
        "--dhcp-option=option6:dns-server,[fd09::1],[fe80::]",
        "--dhcp-option=option6:domain-search,lab.example",
    )
    machine.start()
    machine.until("grep -q ^nameserver $NETWORK_ETC/resolv.conf")
    first, second, third = machine.resolv().splitlines()
    # The domain is the settings', the servers are the router's.
    assert (first, second) == ("search own.example", "nameserver fd09::1")
    assert third.startswith("nameserver fe80::")
    assert third.endswith("%eth0")
    machine.until("ifconfig eth0 | grep -q 'fd09::.*/64 Scope:Global'")
    assert "1.1.1.1" not in machine.resolv()
    # Told otherwise, nothing of it is left.
    (machine.folder / "etc/network.conf").write_text("eth0 ra=no dhcp=no dns=10.9.0.1\n")
    machine.sh("sh $NETWORK_SELF reload")
    machine.until("[ \"$(cat $NETWORK_ETC/resolv.conf)\" = 'nameserver 10.9.0.1' ]")
    assert machine.sh("ls $FLOE_RUN/net/eth0").count("routers") == 0


@needs_lab
@pytest.mark.skipif(DNSMASQ is None, reason="needs dnsmasq (package dnsmasq-base)")
def test_routers_that_name_no_servers_are_not_waited_for_long(
    lab: Callable[..., Lab], router_servers: Path
) -> None:
    machine = lab(conf="eth0 dhcp=no\n", answer="2")
    (machine.folder / "tools/router-servers").symlink_to(router_servers)
    machine.router("--dhcp-range=fd09::,ra-only", "--dhcp-option=option6:dns-server")
    machine.start()
    machine.until("[ -s $FLOE_RUN/net/eth0/routers.pid ]")
    machine.until("grep -qx 'nameserver 1.1.1.1' $NETWORK_ETC/resolv.conf")
    machine.until("grep -q 'nobody names a DNS server' $NETWORK_CONSOLE")
