"""Stand-ins for Tiny Core's own images: the same shapes and names, contents written for these tests.

Official images could not be had when these tests were written. What stands for their scripts has the same
lines in the same places where our edits take hold, and nothing else of them.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tcz import bases, cpio
from tcz.tree import Node, Tree, directory, regular

EPOCH = 1735689600
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
Shape = Literal["corepure64", "split", "cde", "efi"]

needs_tools = pytest.mark.skipif(
    shutil.which("genisoimage") is None or not ISOLINUX.is_file(), reason="no genisoimage or isolinux here"
)


def elf64(text: bytes = b"") -> bytes:
    """Return the smallest 64-bit ELF file that says something."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    return head + text


def libc(version: str = "2.40", kernel: tuple[int, int, int] = (6, 1, 2)) -> bytes:
    note = b"\x04\0\0\0\x10\0\0\0\x01\0\0\0GNU\0" + struct.pack("<4I", 0, *kernel)
    return elf64(note + b"GNU C Library (GNU libc) stable release version " + version.encode() + b".\n")


def kernel_image(release: str, *, is_64: bool = True) -> bytes:
    """Return a file that has the header of a kernel image and nothing to run."""
    data = bytearray(80_000)
    data[510:512] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<HIHH", data, 0x206, 0x20F, 0, 0, 0x600)
    struct.pack_into("<H", data, 0x236, 1 if is_64 else 0)
    text = f"{release} (tc@box) #1 SMP".encode()
    data[0x800 : 0x800 + len(text)] = text
    return bytes(data)


def kernel_with_config(release: str, config: str) -> bytes:
    """Return the header of a kernel image with a packed kernel behind it that holds its own configuration."""
    text = f"# Linux/x86 {release} Kernel Configuration\n{config}".encode()
    held = b"\x7fELF" + bytes(500) + b"IKCFG_ST" + gzip.compress(text, mtime=0) + b"IKCFG_ED"
    packed = gzip.compress(held, mtime=0)
    image = bytearray(kernel_image(release)[:36000])
    image[0x1F1] = 4
    struct.pack_into("<II", image, 0x248, 0x1000, len(packed))
    begin = 5 * 512 + 0x1000
    image[begin : begin + len(packed)] = packed
    return bytes(image)


INITTAB = b"""# What BusyBox init does in this stand-in.
::sysinit:/etc/init.d/rcS

tty1::respawn:/sbin/getty -nl /sbin/autologin 38400 tty1
#tty2::respawn:/sbin/getty 38400 tty2

::restart:/etc/init.d/rc.shutdown
::restart:/sbin/init
::ctrlaltdel:/sbin/reboot
::shutdown:/etc/init.d/rc.shutdown
"""
TC_CONFIG = b"""#!/bin/busybox ash
. /etc/init.d/tc-functions
useBusybox

echo "stand-in for the configuration of the machine"
modprobe loop 2>/dev/null
if [ -z "$NOZSWAP" ]; then
	while [ ! -e /dev/zram0 ]; do usleep 50000; done
fi
if [ -z "$NORTC" ]; then
	while [ ! -e /dev/rtc0 ]; do usleep 50000; done
fi
/usr/bin/tce-setup "booting" > /dev/null 2>&1

[ -n "$CRON" ] && /etc/init.d/services/crond start

/opt/bootsync.sh

[ -n "$NOAUTOLOGIN" ] && echo "booting" > /etc/sysconfig/noautologin
"""
RC_SHUTDOWN = b"""#!/bin/busybox ash
. /etc/init.d/tc-functions
useBusybox

clear
# Sync all filesystems.
echo "${BLUE}Syncing all filesystems."
sync; sync

# Kill all processes except those listed in /var/tmp/k5_skip.
killall5 $K5_SKIP && sleep 2
killall5 -9 $K5_SKIP
"""
TCE_SETUP = b"""#!/bin/busybox ash
if [ "$CDE" ]; then
	[ ! -s /etc/sysconfig/cdroms ] && udevadm settle --timeout 5
fi
"""
ASHRC = b"""# ~/.ashrc
. /etc/init.d/tc-functions
alias ll='ls -l'
"""
INIT = b"""#!/bin/sh
mount proc
if ! grep -qw noembed /proc/cmdline; then
  exec /sbin/init
fi
exec /sbin/init
"""
SECURETTY = b"console\ntty1\ntty2\n"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\ntc:x:1001:50:Linux User,,,:/home/tc:/bin/sh\n"
GROUP = b"root:x:0:\nlp:x:7:lp\nstaff:x:50:\nnogroup:x:65534:\n"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What tells a release from another."""

    number: str = "16.1"
    kernel: str = "6.12.11-tinycore64"
    libc: str = "2.40"
    libc_kernel: tuple[int, int, int] = (6, 1, 2)


def os_release(number: str) -> bytes:
    return (
        f'NAME=TinyCore\nVERSION="{number}"\nID=tinycore\nVERSION_ID={number}\n'
        f'PRETTY_NAME="TinyCoreLinux {number}"\n'
    ).encode()


def contents(release: Release) -> dict[str, bytes]:
    """Return the files of a root that are looked into."""
    found = {
        "init": INIT,
        "bin/busybox": elf64(b"BusyBox"),
        "lib/libc.so.6": libc(release.libc, release.libc_kernel),
        "etc/inittab": INITTAB,
        "etc/init.d/tc-config": TC_CONFIG,
        "etc/init.d/rc.shutdown": RC_SHUTDOWN,
        "usr/bin/tce-setup": TCE_SETUP,
        "etc/skel/.ashrc": ASHRC,
        "etc/securetty": SECURETTY,
        "usr/local/etc/init.d/foo": b"#!/bin/sh\n",
        "usr/local/etc/init.d/sshd": b"#!/bin/sh\n",
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "etc/os-release": os_release(release.number),
    }
    if int(release.number.partition(".")[0]) < 12:
        found["usr/share/doc/tc/release.txt"] = f"{release.number}\n".encode()
    return found


def root_tree(release: Release | None = None, *, modules: bool = False) -> Tree:
    """Return a root with the paths, owners and modes of CorePure64, most files of it with a word in them."""
    release = release or Release()
    told = contents(release)
    nodes: dict[str, Node] = {}
    for path, node in bases.load("corepure64-16.x").tree.items():
        if path.startswith("lib/modules/") or node.is_link:
            if node.is_link:
                nodes[path] = Node(mode=node.mode, mtime=EPOCH, data=node.data)
            continue
        data = told.get(path, path.encode()) if node.is_file else b""
        nodes[path] = Node(mode=node.mode, uid=node.uid, gid=node.gid, mtime=EPOCH, data=data)
    for path, data in told.items():
        nodes.setdefault(path, regular(data, mode=0o755 if "init" in path else 0o644, mtime=EPOCH))
    nodes["dev/console"] = Node(mode=stat.S_IFCHR | 0o622, rdev=(5, 1), mtime=EPOCH)
    nodes["dev/null"] = Node(mode=stat.S_IFCHR | 0o666, rdev=(1, 3), mtime=EPOCH)
    nodes["dev/loop0"] = Node(mode=stat.S_IFBLK | 0o660, rdev=(7, 0), gid=50, mtime=EPOCH)
    return Tree(
        {**nodes, **(dict(modules_tree(release).items()) if modules else {}), "": directory(mtime=EPOCH)}
    )


def modules_tree(release: Release | None = None) -> Tree:
    """Return what modules64.gz has."""
    folder = f"lib/modules/{(release or Release()).kernel}"
    link = f"/usr/local/{folder}/kernel/".encode()
    return Tree(
        {
            "": directory(mtime=EPOCH),
            f"{folder}/modules.dep": regular(b"kernel/fs/squashfs.ko.gz:\n", mtime=EPOCH),
            f"{folder}/kernel/fs/squashfs.ko.gz": regular(gzip.compress(b"module", mtime=0), mtime=EPOCH),
            f"{folder}/kernel.tclocal": Node(mode=stat.S_IFLNK | 0o777, mtime=EPOCH, data=link),
        }
    )


def packed(tree: Tree, level: int = 2) -> bytes:
    return cpio.compress(cpio.dumps(tree), "gzip", level)


def corepure64_gz(release: Release | None = None) -> bytes:
    """Return rootfs64.gz and modules64.gz as one file: two members, each with its own trailer."""
    first = packed(root_tree(release))
    return first + bytes(-len(first) % 4) + packed(modules_tree(release))


_CORE = """display boot.msg
default corepure64
label corepure64
\tkernel /boot/vmlinuz64
\tinitrd {initrds}
\tappend loglevel=3{codes}

implicit 0
prompt 1
timeout 300
F1 boot.msg
F2 f2
"""
_GRUB = """insmod part_gpt
set timeout=10
menuentry "corepure64" {{
  linux /boot/vmlinuz64 loglevel=3{codes}
  initrd {initrds}
}}
"""


def medium(folder: Path, shape: Shape, release: Release | None = None) -> Path:
    """Lay out the files of an official medium below ``folder``."""
    release = release or Release()
    loader = folder / "boot/isolinux"
    loader.mkdir(parents=True)
    shutil.copy(ISOLINUX, loader / "isolinux.bin")
    (loader / "isolinux.bin").chmod(0o644)
    shutil.copy(LDLINUX, loader / "ldlinux.c32")
    (folder / "boot/vmlinuz64").write_bytes(kernel_image(release.kernel))
    initrds = ["/boot/corepure64.gz"]
    if shape == "split":
        initrds = ["/boot/rootfs64.gz", "/boot/modules64.gz"]
        (folder / "boot/rootfs64.gz").write_bytes(packed(root_tree(release)))
        (folder / "boot/modules64.gz").write_bytes(packed(modules_tree(release)))
    else:
        (folder / "boot/corepure64.gz").write_bytes(corepure64_gz(release))
    codes = " cde" if shape == "cde" else ""
    (loader / "isolinux.cfg").write_text(_CORE.format(initrds=",".join(initrds), codes=codes))
    (loader / "boot.msg").write_text("stand-in\n")
    (loader / "f2").write_text("help\n")
    if shape == "cde":
        (folder / "cde/optional").mkdir(parents=True)
        (folder / "cde/onboot.lst").write_text("Xvesa.tcz\nflwm.tcz # the window manager\nabsent.tcz\n")
        (folder / "cde/copy2fs.flg").touch()
        (folder / "cde/xbase.lst").write_text("Xvesa.tcz\n")
        for name in ("Xvesa", "flwm"):
            (folder / f"cde/optional/{name}.tcz").write_bytes(name.encode() * 1000)
        (folder / "cde/optional/flwm.tcz.info").write_text("Title:\t\tflwm.tcz\nVersion:\t1.18\n")
    if shape == "efi":
        (folder / "EFI/BOOT/grub").mkdir(parents=True)
        (folder / "EFI/BOOT/grub/grub.cfg").write_text(_GRUB.format(initrds=initrds[0], codes=codes))
        (folder / "EFI/BOOT/efiboot.img").write_bytes(
            (b"MZ GRUB version\0" + b"\x002.02~beta2\0").ljust(1 << 16, b"\0")
        )
    return folder


def iso(folder: Path, output: Path, *options: str, efi: bool = False) -> Path:
    """Make an ISO image of a medium as the book and the wiki say."""
    argv = ["genisoimage", "-quiet", "-l", *(options or ("-J", "-R")), "-V", "TC-standin"]
    argv += ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    argv += ["-b", "boot/isolinux/isolinux.bin", "-c", "boot/isolinux/boot.cat"]
    if efi:
        argv += ["-eltorito-alt-boot", "-e", "EFI/BOOT/efiboot.img", "-no-emul-boot"]
    subprocess.run([*argv, "-o", output, folder], check=True)
    return output


def official_iso(folder: Path, shape: Shape, release: Release | None = None) -> Path:
    """Make an ISO image of the shape of an official one."""
    made = medium(folder / "medium", shape, release)
    return iso(made, folder / f"{shape}.iso", efi=shape == "efi")
