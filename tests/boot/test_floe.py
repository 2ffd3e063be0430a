"""The floe base, booted: its boot codes, its extensions, its backup, as a Tiny Core user expects them.

The image's own kernel and initrd are started with the boot codes of each test.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pycdlib
import pytest

from tests import loopback
from tests.boot.conftest import BOOT_TIMEOUT, PROMPT
from tests.boot.served import Asked, Served, publishing
from tests.unit.debs import control_text, make_deb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remaster.vm import Machine

pytestmark = pytest.mark.boot

MEMORY_MIB = 128
#: Generous: other machines may run beside this one. That nothing was killed is checked for itself.
CONSOLES = "loglevel=3 console=tty0 console=ttyS0,115200"
CONTAINER_HOST = Path(__file__).parents[2] / "recipes/container-host/files"


# -- what the tests are made of --------------------------------------------------------------------


@dataclass(frozen=True)
class Kernel:
    """The image's kernel and initrd, as files."""

    kernel: Path
    initrd: Path


@pytest.fixture(scope="module")
def floe(linux_iso: Path, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    folder = tmp_path_factory.mktemp("kernel")
    found = Kernel(kernel=folder / "vmlinuz64", initrd=folder / "floe.img")
    iso = pycdlib.PyCdlib()
    iso.open(str(linux_iso))
    iso.get_file_from_iso(str(found.kernel), rr_path="/boot/vmlinuz64")
    iso.get_file_from_iso(str(found.initrd), rr_path="/boot/floe.img")
    iso.close()
    return found


def start(
    boot: Callable[..., Machine], floe: Kernel, codes: str, *, prompt: str = PROMPT, **parts: object
) -> Machine:
    """Boot with the given codes and wait for the prompt."""
    machine = boot(
        memory_mib=parts.pop("memory_mib", MEMORY_MIB),
        kernel=floe.kernel,
        initrd=floe.initrd,
        append=f"{CONSOLES} {codes}",
        **parts,
    )
    machine.console.expect(prompt, BOOT_TIMEOUT, never="Kernel panic")
    return machine


def sh(machine: Machine, command: str, *, status: int = 0) -> str:
    """Run a command on the serial console; it must end with ``status``."""
    ended, output = machine.console.run(command, BOOT_TIMEOUT)
    assert ended == status, f"{command}\nended with {ended}:\n{output}"
    return output


def power_off(machine: Machine) -> None:
    """Press the power button, and wait until the machine is off."""
    machine.powerdown()
    machine.wait(BOOT_TIMEOUT)


def extension(folder: Path, name: str, files: dict[str, str], needs: str = "", mode: int = 0o755) -> Path:
    """Make an extension and its companions; ``mode`` is that of its top folder."""
    image = folder / f"{name}.tcz"
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in files.items():
            file = Path(scratch, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)
        Path(scratch).chmod(mode)
        subprocess.run(
            ["mksquashfs", scratch, image, "-noappend", "-quiet", "-no-progress", "-all-root", "-no-xattrs"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    digest = hashlib.md5(image.read_bytes(), usedforsecurity=False).hexdigest()
    Path(f"{image}.md5.txt").write_text(f"{digest}  {image.name}\n")
    if needs:
        Path(f"{image}.dep").write_text(needs)
    return image


def told(name: str) -> dict[str, str]:
    """Return the files of an extension that tells when its start-up script ran, and as whom."""
    return {
        f"usr/local/share/{name}/data": f"{name}\n",
        f"usr/local/tce.installed/{name}": f"#!/bin/sh\necho {name}:$(id -u) >>/tmp/told\n",
    }


def import_debian(scratch: Path, output: Path) -> None:
    """Import a real Debian program with what it needs, and a package with users, folders and settings."""
    (scratch / "deb").mkdir()
    deb = make_deb(
        scratch / "deb",
        control_text("tool"),
        {
            "usr/bin/tool": "#!/bin/sh\ncat /etc/tool.conf\n",
            "etc/tool.conf": "level = 1\n",
            "usr/lib/sysusers.d/tool.conf": "u tool 333 - /var/lib/tool\ng tape 334\nm tc tape\n",
            "usr/lib/tmpfiles.d/tool.conf": "d /run/tool 0750 tool tape\nf /run/tool/f 0600 tool tool - hi\n",
        },
        extra={
            "conffiles": "/etc/tool.conf\n",
            "postinst": "adduser --system --group --home /var/lib/tool toold\nadd-shell /bin/tool\n",
        },
        modes={"usr/bin/tool": 0o4755},
    )
    words = [sys.executable, "-m", "tcz", "import", "jq", deb, "--docs", "drop", "--output", output]
    subprocess.run([*words, "--progress", "none"], check=True)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mirror on the host's loopback; the address that a guest writes into /opt/tcemirror."""
    root = tmp_path_factory.mktemp("mirror")
    tcz = root / "17.x/x86_64/tcz"
    tcz.mkdir(parents=True)
    extension(tcz, "app", told("app"), "liba.tcz\n libb.tcz \n\n")
    extension(tcz, "liba", told("liba"), "libb.tcz\n")
    extension(tcz, "libb", told("libb"))
    extension(tcz, "copied", told("copied"))
    extension(tcz, "plain", {"usr/local/share/plain/data": "plain\n", "usr/local/bin/plain": "#!/bin/sh\n"})
    extension(tcz, "meta", {"README": "nothing\n"}, "plain.tcz\n")
    extension(tcz, "dangling", told("dangling"), "gone.tcz\n")
    extension(tcz, "hostile", told("hostile"), "x;touch${IFS}/tmp/pwned;.tcz\n")
    extension(tcz, "page", told("page"), "<html>not found</html>\n")
    extension(tcz, "modes", {"tmp/x/y": "", "etc/hostname": "evil\n", "opt/z": "", "var/w": ""}, mode=0o700)
    import_debian(root, tcz)
    damaged = extension(tcz, "damaged", told("damaged"))
    Path(f"{damaged}.md5.txt").write_text(f"{'0' * 32}  damaged.tcz\n")
    with loopback.serving(loopback.folder(root)) as port:
        yield f"http://10.0.2.2:{port}/"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-L", "data", image], check=True)
    return image


# -- the machine as it comes -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(boot: Callable[..., Machine], linux_iso: Path, mirror: str) -> Machine:
    """The ISO itself, from CD, in little memory."""
    machine = boot(memory_mib=MEMORY_MIB, cdrom=linux_iso)
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")
    sh(machine, f"echo {mirror} >/opt/tcemirror")
    sh(machine, "until ifconfig eth0 | grep -q 'inet addr'; do sleep 1; done")
    return machine


def test_user_and_folders(plain: Machine) -> None:
    assert sh(plain, "id -u; id -gn; id -nG; tty").split() == [
        *("1001", "staff"),
        *("staff", "docker"),
        "/dev/ttyS0",
    ]
    assert sh(plain, "sudo id -u").strip() == "0"
    modes = "stat -c '%a %U %G' / /tmp /opt /home/tc /usr/local/tce.installed /bin/busybox.suid"
    assert sh(plain, modes).splitlines() == [
        "755 root root",
        "1777 root staff",
        "2775 root staff",
        "755 tc staff",
        "775 root staff",
        "4755 root root",
    ]
    assert sh(plain, "grep ^ID_LIKE /etc/os-release; version").split() == ["ID_LIKE=tinycore", "17.0"]


def test_download_and_install(plain: Machine) -> None:
    sh(plain, "tce-load -wi app")
    # The last dependency of a .dep is loaded first; scripts run as root.
    assert sh(plain, "cat /tmp/told").split() == ["libb:0", "liba:0", "app:0"]
    assert sh(plain, "cat /etc/sysconfig/tcedir/onboot.lst").split() == ["app.tcz"]
    linked = sh(plain, "readlink /usr/local/share/app/data").strip()
    assert linked == "/tmp/tcloop/app/usr/local/share/app/data"
    assert "already installed" in sh(plain, "tce-load -wi app")


def test_load_only_and_meta(plain: Machine) -> None:
    sh(
        plain,
        "tce-load -wil meta && cat /usr/local/share/plain/data && test -e /usr/local/tce.installed/meta",
    )
    assert "meta" not in sh(plain, "cat /etc/sysconfig/tcedir/onboot.lst")
    assert "/tmp/tcloop/meta " not in sh(plain, "cat /proc/mounts")


def test_imported_debian_packages(plain: Machine) -> None:
    sh(plain, "tce-load -wi jq tool")
    assert sh(plain, "echo '{\"a\": [1, 2]}' | jq -c '.a | map(. + 1)'").strip() == "[2,3]"
    assert sh(plain, "tool").strip() == "level = 1"
    sh(plain, "echo 'level = 2' | sudo tee /etc/tool.conf && test \"$(tool)\" = 'level = 2'")
    assert sh(plain, "stat -Lc '%a %U' /usr/bin/tool").strip() == "4755 root"
    assert sh(plain, "id tool; id toold; id tc").replace("uid=", "\nuid=").count("tape") == 1
    assert sh(plain, "sudo stat -c '%a %U %G' /run/tool /run/tool/f").splitlines() == [
        "750 tool tape",
        "600 tool tool",
    ]
    assert sh(plain, "grep '^tool' /etc/passwd | cut -d: -f1,6").split() == [
        "tool:/var/lib/tool",
        "toold:/var/lib/tool",
    ]
    sh(plain, "grep -qx /bin/tool /etc/shells && test -x /bin/tool")


def test_copy_install(plain: Machine) -> None:
    sh(plain, "tce-load -w copied && tce-load -ic copied")
    sh(plain, "test ! -L /usr/local/share/copied/data && test ! -e /tmp/tcloop/copied")


def test_directories_of_the_system_stay_as_they_are(plain: Machine) -> None:
    modes = "stat -c '%a %U %G' / /tmp /opt /etc /var /run"
    before = sh(plain, modes)
    sh(plain, "tce-load -wil modes && sudo test -e /tmp/x/y -a -e /opt/z -a -e /var/w")
    assert sh(plain, modes) == before
    assert sh(plain, "cat /etc/hostname").strip() == "box"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("damaged", "its md5 is not the one"),
        ("dangling", "gone.tcz: not on the mirror"),
        ("hostile", "does not hold the names of extensions"),
        ("page", "does not hold the names of extensions"),
        ("absent", "absent.tcz: not on the mirror"),
        ("'a;b'", "not the name of an extension"),
    ],
)
def test_what_cannot_be_loaded_is_told(plain: Machine, name: str, words: str) -> None:
    assert words in sh(plain, f"tce-load -wi {name} 2>&1", status=1)
    sh(plain, f"test ! -e /usr/local/tce.installed/{name} && test ! -e /tmp/pwned")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A mirror published and served by the commands of this toolkit."""
    folder = tmp_path_factory.mktemp("served")
    packages = folder / "in"
    packages.mkdir()
    extension(packages, "top", told("top"), "mid.tcz\n low.tcz\r\n\n")
    extension(packages, "mid", told("mid"), "low.tcz")
    extension(packages, "low", told("low"))
    extension(packages, "spoilt", told("spoilt"), "low.tcz\n")
    extension(packages, "large", {"usr/local/share/large": random.Random(1).randbytes(600_000).hex()})
    with publishing(folder, packages) as one:
        yield one


@pytest.fixture
def client(plain: Machine, mirror: str, served: Served) -> Iterator[Machine]:
    """The machine with the served mirror's address in the place of the other one."""
    sh(plain, f"echo {served.url} >/opt/tcemirror; sudo rm -f /tmp/told")
    yield plain
    sh(plain, f"echo {mirror} >/opt/tcemirror")


def asked_till_now(client: Machine, served: Served) -> list[Asked]:
    """Return what was asked for since the last call."""
    sh(client, f"wget -q -O - {served.url}17.x/x86_64/tcz/mark", status=1)
    return served.asked_before("mark")


def test_a_served_mirror_is_loaded_from(client: Machine, served: Served) -> None:
    sh(client, "tce-load -wi top")
    assert sh(client, "cat /tmp/told").split() == ["low:0", "mid:0", "top:0"]
    assert sh(client, "tail -n 1 /etc/sysconfig/tcedir/onboot.lst").strip() == "top.tcz"
    assert "low" not in sh(client, "cat /etc/sysconfig/tcedir/onboot.lst")
    sh(client, "cd /etc/sysconfig/tcedir/optional && cat low.tcz.md5.txt mid.tcz.md5.txt | md5sum -c -")
    assert sh(client, "cat /etc/sysconfig/tcedir/optional/top.tcz.dep").split() == ["mid.tcz", "low.tcz"]
    asked = asked_till_now(client, served)
    # Each once: what every package needs first, then the packages, those that others need before these.
    order = [one.name for one in asked if one.status == 200]
    expected = [f"{name}.tcz{suffix}" for name in ("low", "mid", "top") for suffix in (".md5.txt", "")]
    assert order == ["top.tcz.dep", "mid.tcz.dep", *expected]
    assert {one.name for one in asked if one.status != 200} == {"low.tcz.dep"}
    assert {one.status for one in asked if one.name == "low.tcz.dep"} == {404}


def test_an_interrupted_download_is_gone_on_with(client: Machine, served: Served) -> None:
    size = served.public("large.tcz").stat().st_size
    # A limit on the length of files ends wget in the middle: 400 blocks of 512 bytes.
    told = sh(client, "(ulimit -f 400; tce-load -w large) 2>&1", status=1)
    assert "run again to go on with it" in told
    came = int(sh(client, "wc -c </etc/sysconfig/tcedir/optional/large.tcz"))
    assert 0 < came <= 400 * 512
    assert Asked("large.tcz", 206, size - came) in asked_till_now(client, served)
    sh(client, "tce-load -wil large && test -s /usr/local/share/large")
    assert "large" not in sh(client, "cat /etc/sysconfig/tcedir/onboot.lst")
    again = [one for one in asked_till_now(client, served) if one.name == "large.tcz"]
    assert again == [Asked("large.tcz", 206, size - came)]


def test_wrong_bytes_and_missing_packages_are_refused(client: Machine, served: Served) -> None:
    file = served.public("spoilt.tcz")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "spoilt.tcz: its md5 is not the one" in sh(client, "tce-load -wi spoilt 2>&1", status=1)
    sh(client, "test ! -e /usr/local/tce.installed/spoilt -a ! -e /etc/sysconfig/tcedir/optional/spoilt.tcz")
    told = sh(client, "tce-load -wi absent 2>&1", status=1)
    assert f"absent.tcz: not on the mirror ({served.url}17.x/x86_64/tcz/absent.tcz.md5.txt)" in told
    assert "spoilt" not in sh(client, "cat /etc/sysconfig/tcedir/onboot.lst")
    file.write_bytes(data)
    sh(client, "tce-load -wi spoilt")
    assert sh(client, "tail -n 1 /etc/sysconfig/tcedir/onboot.lst").strip() == "spoilt.tcz"


def test_power_off(plain: Machine) -> None:
    power_off(plain)
    assert "The shutdown hangs" not in plain.console.transcript


# -- boot codes ------------------------------------------------------------------------------------


def test_user_host_and_no_network(boot: Callable[..., Machine], floe: Kernel) -> None:
    machine = start(boot, floe, "base user=alice host=frosty nodhcp", prompt=r"^alice@frosty:~\$ ")
    assert sh(machine, "id -gn; sudo id -u").split() == ["staff", "0"]
    assert "inet addr:10" not in sh(machine, "ifconfig")
    machine.stop()


def test_no_autologin(boot: Callable[..., Machine], floe: Kernel) -> None:
    machine = start(boot, floe, "base noautologin", prompt="login: ")
    machine.console.send("tc")
    machine.console.expect(PROMPT, BOOT_TIMEOUT)
    machine.stop()


def test_superuser_once(boot: Callable[..., Machine], floe: Kernel) -> None:
    machine = start(boot, floe, "base superuser", prompt=r"^root@box:~# ")
    machine.console.send("exit")
    machine.console.expect("login: ", BOOT_TIMEOUT)
    machine.stop()


def test_extensions_and_backup_on_a_disk(
    boot: Callable[..., Machine], floe: Kernel, disk: Path, mirror: str
) -> None:
    """What was put on the disk is there after a reboot; the machine is the same, as its disks forget."""
    machine = start(boot, floe, "noembed tce=LABEL=data", extra_disks=(disk,), reboot=True)
    assert sh(machine, "awk '$2 == \"/\" { t = $3 } END { print t }' /proc/mounts").strip() == "tmpfs"
    sh(machine, f"echo {mirror} >/opt/tcemirror")
    sh(machine, "until ifconfig eth0 | grep -q 'inet addr'; do sleep 1; done; tce-load -wi app")
    sh(machine, "echo kept >~/kept && filetool.sh -b && ls /etc/sysconfig/tcedir/mydata.tgz")
    # Later than the backup, and there is none at the end unless it is asked for.
    sh(machine, "touch ~/lost")

    reboot(machine)
    assert sh(machine, "cat ~/kept /opt/tcemirror").split() == ["kept", mirror]
    assert sh(machine, "cat /tmp/told").split() == ["libb:0", "liba:0", "app:0"]
    sh(machine, "test ! -e ~/lost && touch ~/asked && sudo touch /etc/sysconfig/backup")

    reboot(machine)
    sh(machine, "test -e ~/asked && test ! -e ~/lost")
    machine.stop()


def reboot(machine: Machine) -> None:
    """Reboot and wait for the prompt."""
    machine.console.send("sudo reboot")
    machine.console.expect("^Booting floe", BOOT_TIMEOUT)
    machine.console.expect(PROMPT, BOOT_TIMEOUT, never="Kernel panic")


def test_boot_medium_services_and_self_test(
    boot: Callable[..., Machine], floe: Kernel, tmp_path: Path
) -> None:
    """Extensions from /cde, a service started and stopped, and the self-test's voice without noembed."""
    optional = tmp_path / "iso/cde/optional"
    optional.mkdir(parents=True)
    files = {
        str(path.relative_to(CONTAINER_HOST)): path.read_text()
        for path in sorted(CONTAINER_HOST.rglob("*"))
        if path.is_file()
    }
    extension(optional, "container-host", files)
    names = r"printf %s\\n first second >/etc/sysconfig/services"
    service = '#!/bin/sh\necho "service went $1"\n'
    extension(
        optional,
        "service",
        {
            "usr/local/etc/init.d/first": service.replace("service", "first"),
            "usr/local/etc/init.d/second": service.replace("service", "second"),
            "usr/local/tce.installed/service": f"#!/bin/sh\n{names}\n",
        },
    )
    (optional.parent / "onboot.lst").write_text("container-host.tcz\nservice # a comment\nabsent\n")
    image = tmp_path / "cde.iso"
    write_iso(image, tmp_path / "iso")
    machine = start(boot, floe, "cde base", prompt="CONTAINER HOST SELF-TEST FAILED", extra_disks=(image,))
    machine.console.expect("/ is rootfs.*\n.*noembed is missing", BOOT_TIMEOUT)
    machine.console.expect("first went start(?s:.*)second went start", BOOT_TIMEOUT)
    machine.console.expect(PROMPT, BOOT_TIMEOUT)
    assert "cgroup2 /sys/fs/cgroup cgroup2" in sh(machine, "cat /proc/mounts")
    assert sh(machine, "sysctl -n net.ipv4.ip_forward").strip() == "1"
    machine.powerdown()
    machine.console.expect("second went stop(?s:.*)first went stop", BOOT_TIMEOUT)


def write_iso(image: Path, folder: Path) -> None:
    """Write a folder as an ISO with Rock Ridge names."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, rock_ridge="1.09")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        name = path.relative_to(folder)
        plain_parent = "".join(f"/{part.upper()}" for part in name.parent.parts)
        if path.is_dir():
            iso.add_directory(f"{plain_parent}/{path.name.upper()}", rr_name=path.name)
        else:
            iso.add_file(str(path), iso_path=f"{plain_parent}/F{number};1", rr_name=path.name)
    iso.write(str(image))
    iso.close()
