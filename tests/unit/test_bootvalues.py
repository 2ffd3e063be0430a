"""Values of boot codes: right ones of every code, and wrong ones with what is told."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remaster import bootvalues, zones
from remaster.bootcode import BootCodes, explain
from tcz.errors import ConfigError

CODES = BootCodes.load()


def complaint(line: str, base: str = "corepure64") -> str:
    try:
        CODES.parse(line, base=base)
    except ConfigError as error:
        return str(error.why)
    return ""


WRONG = """
cidata=../x aoe=eth0 aoe=eth0:sda blacklist=-x data=/etc/../x data=UUID=7 dataformat=LABEL= dataswap=0M
dataswap=1T datafs=btrfs desktop=../x home=/home home=sda1/x host=-a host=a_b httplist=host httplist=-a/x
httplist=10.0.0.999/list icons=.x iso=/dev/sda1/x.iso iso=sda1/../x.iso kmap=../../x kmap=/etc/de
kmap=de.kmap kmap=qwertz//de lang=../x lang=german lst=.lst lst=-x mydata=-x nbd=server nbd=10.0.0.2:99999
nbd=10.0.0.2:0 nfsmount=server nfsmount=a:/x/../y nfsmount=-a:/x nodhcp=-x nodhcp=a/../b ntpserver=-x
ntpserver=a..b ntpserver=1.2.3 ntpserver=300.1.1.1 opt=LABEL=a/b pretce=/dev/sda1 restore=sda1/../x
resume=../x rsyslog=host:0 rsyslog=host:x rsyslog=-h swapfile=/tmp/x sshkey=AAAA
sshkey=AAAAC3NzaC1lZDI1NTE5AAAAIHno tce=/dev/sda1 tce=sda1/../x tce=UUID=x tcvd=/x tcvd=../x tftplist=host
tz=99 tz=Europe/Berlin tz=CET tz=CET-25 tz=CET-1CEST,M13.1.0,M10.5.0 tz=CET-1CEST,J0,J365 tz=A-1 user=root
user=lp user=nobody user=-x user=Anna waitusb=x waitusb=5:UUID=x waitusb=5:sda1 xvesa=800x600 xvesa=0x0x32
xvesa=800x600x33 console=foo console=ttyS console=ttyS0,abc console=ttyS0,115201 console=ttyS0,9600x
console=tty64 video=1 video=x video=800 earlyprintk=foo loglevel=9 panic=x reboot=now vga=x fbcon=x mem=0
mem=1T hugepages=x hugepagesz=2 cgroup_enable=mem cgroup_disable=x cgroup_no_v1=x cgroup.memory=x security=x
lsm=landlok audit=2 mitigations=no ip=nope acpi=maybe pci=9 iommu=x intel_iommu=maybe amd_iommu=x
clocksource=rtc tsc=x nr_cpus=0 maxcpus=x max_loop=x rdinit=bin/sh init=/ root=sda1 rootdelay=x
random.trust_cpu=2 modprobe.blacklist=-x psi=2 zswap.enabled=2
"""
RIGHT = """
cidata=none cidata=sr0 aoe=eth0:e0.0 blacklist=floppy,pc-spkr data=none data=vdb data=/dev/sda1
data=LABEL=floe-data data=UUID=01234567-89ab-cdef-0123-456789abcdef dataformat=nvme0n1 home=nfs home=LABEL=x
opt=/dev/sda1 httplist=10.0.0.2/tc/list httplist=host:8080/list.txt tftplist=10.0.0.2:/tc/list.txt:no-ping
iso=sda1/core.iso iso=UUID=2025-01-02-03-04-05-06/x.iso kmap=us kmap=qwertz/de-latin1 lang=C
lang=de_DE.UTF-8 lang=sr_RS@latin nbd=server:10809:no-ping nfsmount=10.0.0.2:/srv/tc
nfsmount=server:/:nolock,nfsvers=3 nodhcp nodhcp=/opt/eth0.sh ntpserver=pool.ntp.org ntpserver=fd00::1
pretce=RAM pretce=sda1/pretce restore restore=UUID=1234-ABCD/x resume=/dev/sda2 rsyslog=10.0.0.2:514
rsyslog=fd00::2 swapfile=sda1 tce=LABEL=data/tce tce=sda1 tcvd=sda1/disk.img tcvd=disk.img tz=UTC
tz=CET-1CEST,M3.5.0,M10.5.0/3 tz=<+0330>-3:30 tz=EST5EDT,J60/2,300/2 user=docker user=tc waitusb=10:LABEL=x
xvesa=1024x768x32 console=tty0 console=ttyS0 console=ttyS1,115200n8r console=hvc0 console=ttyAMA0,9600
console=null console=uart8250,io,0x3f8,115200n8 video=1024x768 video=HDMI-A-1:1920x1080@60 video=VGA-1:d
video=vesafb:ywrap,mtrr:3 video=1024x768-24@60,rotate=180 earlyprintk=serial,ttyS0,115200 reboot=a
reboot=acpi,force panic=-1 ip=dhcp ip=10.0.0.2::10.0.0.1:255.255.255.0:host:eth0:off lsm=landlock,bpf
mitigations=auto,nosmt iommu=pt root=/dev/sda1 root=PARTUUID=01-02 hugepages=0:2,1:4 pci=nomsi,realloc=on
fbcon=rotate:1 cgroup_enable=memory,cpuset rdinit=/bin/sh
"""


@pytest.mark.parametrize("word", WRONG.split())
def test_wrong_values(word: str) -> None:
    assert word in complaint(word)


@pytest.mark.parametrize("word", RIGHT.split())
def test_right_values(word: str) -> None:
    assert complaint(word) == ""


def test_every_code_with_a_value_has_a_wrong_one() -> None:
    tried = {word.partition("=")[0] for word in WRONG.split()}
    captured = {"hostname", "isolcpus"}  # no word of theirs passes
    plain = {"noicons", "net", "nosmt", "swapaccount", "selinux", "apparmor", "net.ifnames", "biosdevname"}
    plain |= {"ipv6.disable", "oops", "printk.devkmsg", "default_hugepagesz", "transparent_hugepage"}
    plain |= {"systemd.unified_cgroup_hierarchy", "usbcore.autosuspend"}
    assert {code.name for code in CODES.all() if code.value != "none"} - tried - captured == plain
    for name in plain:
        assert complaint(f"{name}=?x") != ""


def test_what_is_told() -> None:
    assert "Europe/Berlin is tz=CET-1CEST,M3.5.0,M10.5.0/3" in complaint("tz=Europe/Berlin", "floe")
    assert "root is an account of the system's own" in complaint("user=root", "floe")
    assert "write 'de', without .kmap" in complaint("kmap=de.kmap", "floe")


def test_one_device_has_one_console() -> None:
    found = complaint("console=ttyS0,115200 console=ttyS0,9600", "floe")
    assert "console=ttyS0 is there twice; only one can work" in found
    assert complaint("console=tty0 console=ttyS0,115200 console=ttyS1,115200", "floe") == ""
    assert "cgroup_enable=memory is there twice" in complaint("cgroup_enable=memory cgroup_enable=memory")


@pytest.mark.parametrize("zone", zones.names()[::7])
def test_the_rules_of_all_zones_are_zones(zone: str) -> None:
    rule = zones.rule_of(zones.data(zone))
    assert bootvalues.posix_zone(rule) is None


@given(st.integers(-24, 24), st.integers(0, 59), st.integers(1, 12), st.integers(1, 5), st.integers(0, 6))
@settings(max_examples=50)
def test_zones_by_the_grammar(hours: int, minutes: int, month: int, week: int, day: int) -> None:
    assert bootvalues.posix_zone(f"AAA{hours}:{minutes:02}BBB,M{month}.{week}.{day},J{month}/{hours}") is None


@given(st.sampled_from(sorted(bootvalues.CHECKS)), st.text(max_size=60))
@settings(max_examples=300)
@example("ssh-key", "AAAAAAAA")
@example("host", "é.example")
@example("host-port", "[::1]:80")
def test_any_text_is_a_value_or_a_complaint(name: str, text: str) -> None:
    found = bootvalues.CHECKS[name](text)
    assert found is None or found.strip()


def test_the_system_has_the_accounts_that_are_refused() -> None:
    base = (resources.files("remaster") / ".." / "recipes/floe-base/files/etc/passwd").read_text()
    names = {line.partition(":")[0] for line in base.splitlines()}
    assert names - set(bootvalues.SYSTEM_ACCOUNTS) == {"tc"}


def test_how_words_are_found_is_told() -> None:
    assert "Tiny Core finds noembed as a word" in explain(CODES.get("noembed"))
    assert "Tiny Core finds noswap within other words" in explain(CODES.get("noswap"))
