"""Stand-ins for CorePure64 that boot: its shape and its commands, with floe's programs behind them.

Official images could not be had when this was written. What the stand-in has of programs is what the list
of CorePure64's files names, each of them floe's; its scripts are floe's, with the lines of Tiny Core's that
edits take hold of. Where ``TCZ_CORE_SCRIPTS`` names a checkout of Tiny Core's scripts (the repository
Core-scripts), these run instead: nothing of theirs is in this project.

Where ``TCZ_CORE_ROOT`` names a tar archive of CorePure64's root besides, as container images of Tiny Core are
made from, that root is booted: all its programs are Tiny Core's own. Kernel and modules stay ours. What such
images add below /usr/local is left out, and their tce-load, which cannot mount, gives way to the checkout's.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remaster.survey import look
from tcz import bases, tar
from tcz.tree import Node, Tree, directory, regular, symlink
from tests.unit import standins

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPTS: Final = Path(os.environ.get("TCZ_CORE_SCRIPTS", "none"))
#: Whether Tiny Core's own scripts run.
REAL: Final = (SCRIPTS / "etc/init.d/tc-config").is_file()
ROOT: Final = tar.read(Path(os.environ["TCZ_CORE_ROOT"])) if "TCZ_CORE_ROOT" in os.environ else None
_VERSION = re.compile(rb"^VERSION_ID=(.+)$", re.MULTILINE)
RELEASE: Final = "16.1" if ROOT is None else _VERSION.findall(ROOT["etc/os-release"].read())[0].decode()
#: What the audit tells of Tiny Core's own root, whose tce-load writes a log that all may write.
FINDINGS: Final = frozenset(
    f"everybody may write: {path}" for path in ("/etc/pcmcia/config.opts", "/tmp/aberr") if ROOT is not None
)
_PROGRAM = re.compile(r"(?:usr/)?s?bin/[^/]+")
#: What floe's own scripts need besides, under names that no package asks for.
_FLOES: Final = ("mdev", "getbootparam", "mount-device", "uevent", "update-modules", "cttyhack")
_WAITS: Final = """modprobe loop 2>/dev/null
if [ -n "$BC_nozswap" ]; then
	:
else
	while [ ! -e /dev/zram0 ]; do usleep 50000; done
fi
if [ -z "$BC_nortc" ]; then
	while [ ! -e /dev/rtc0 ]; do usleep 50000; done
fi
"""
#: There for an edit to take hold of; floe's own script waits for drives itself.
_SETTLE: Final = standins.TCE_SETUP.partition(b"\n")[2].replace(b"$CDE", b"")
#: What stands for programs of Tiny Core's that its scripts call and that are not scripts of that repository.
_PROGRAMS: Final = {
    "sbin/udevd": "#!/bin/sh\nmount -t devtmpfs devtmpfs /dev\nmkdir -p /dev/pts /dev/shm\n"
    "mount /dev/pts\nmount /dev/shm\nmodprobe -a -q squashfs zram\nmdev -d\n",
    # What udev's rules do: modules for what is there, the list of CD drives, /etc/fstab.
    "sbin/udevadm": """#!/bin/sh
seen=/dev/shm/modalias
case "$1" in trigger | settle) ;; *) exit 0 ;; esac
for round in 1 2 3 4; do
    [ -f $seen ] || echo seen: >$seen
    find /sys/devices -name modalias -exec cat {} + | sort -u | grep -vxF -f $seen >$seen.$$ || break
    cat $seen.$$ >>$seen
    xargs modprobe -a -b -q <$seen.$$ 2>/dev/null
done
for drive in /dev/sr[0-9]; do [ ! -e "$drive" ] || echo "$drive"; done >/etc/sysconfig/cdroms
/usr/sbin/rebuildfstab
""",
    # Tiny Core's BusyBox has a patch by which depmod follows links to folders.
    "sbin/depmod": "#!/bin/sh\ncd /lib/modules/$(uname -r) || exit 1\n"
    "find -L . -type f -name '*.ko*' | xargs -s 1900000 busybox depmod $(uname -r)\n",
    "usr/bin/rotdash": '#!/bin/sh\nwhile [ -d "/proc/$1" ]; do usleep 100000; done\n',
    "usr/bin/autoscan-devices": "#!/bin/sh\n"
    "blkid | sed -n 's,^/dev/\\([hsv]d[a-z0-9]*\\):.*,\\1,p' | tr '\\n' ' '\n",
}
_SUID: Final = 0o4755


def tree_of(found: look.Examined) -> Tree:
    """Return floe's root made like CorePure64's, or CorePure64's own with modules for floe's kernel."""
    if ROOT is not None:
        return _theirs_with_floes_modules(ROOT, found.root)
    return _with_their_scripts(found.root) if REAL else _with_floes_scripts(found.root)


def _limited(root: Tree, more: tuple[str, ...] = ()) -> dict[str, Node]:
    """Leave out programs that CorePure64 has not; its BusyBox has none of them either."""
    theirs = bases.load("corepure64-16.x").programs | set(more)
    names = {path for path, node in root.items() if not node.is_dir and _PROGRAM.fullmatch(path)}
    gone = {path for path in names if path.rpartition("/")[2] not in theirs}
    return {path: node for path, node in root.items() if path not in gone}


def _link_var_tmp(nodes: dict[str, Node]) -> None:
    """Make /var/tmp what it is on Tiny Core."""
    for path in [path for path in nodes if f"{path}/".startswith("var/tmp/")]:
        del nodes[path]
    nodes["var/tmp"] = symlink("/tmp", mtime=standins.EPOCH)


def _text(node: Node) -> str:
    return node.read().decode()


def _put(nodes: dict[str, Node], files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        old = nodes.get(path)
        script = data.startswith(b"#!")
        mode = old.mode & 0o7777 if old is not None and old.is_file else 0o755 if script else 0o644
        nodes[path] = regular(data, mode=mode | (0o111 if script else 0), mtime=standins.EPOCH)


def _with_floes_scripts(root: Tree) -> Tree:
    """Give floe's root the lines of Tiny Core's scripts, and take away what edits are to bring."""
    config = _text(root["etc/init.d/tc-config"]).replace("$(stat ", "$(busybox stat ")
    head, _, tail = config.partition("[ -x /opt/bootsync.sh ] && /opt/bootsync.sh\n")
    tail = tail[tail.index('if [ "$BC_pause" ]') :]
    before, start, rest = head.partition('[ "$BC_nozswap" ] || start_zram\n')
    assert start
    config = f"{before}{_WAITS}{rest}/opt/bootsync.sh\n\n{tail}"
    shutdown = _text(root["etc/init.d/rc.shutdown"])
    assert "/etc/init.d/services shutdown\n" in shutdown
    shutdown = shutdown.replace("/etc/init.d/services grace 90\n", "").replace(
        "/etc/init.d/services shutdown\n", 'echo "${BLUE}Syncing all filesystems."\nsync; sync\n'
    )
    nodes = _limited(root, _FLOES)
    _put(
        nodes,
        {
            "etc/init.d/tc-config": config.encode(),
            "etc/init.d/rc.shutdown": shutdown.encode(),
            "usr/bin/tce-setup": root["usr/bin/tce-setup"].read() + _SETTLE,
            # A function that a command of the host is not to be taken for.
            "etc/init.d/tc-functions": root["etc/init.d/tc-functions"].read() + b"\nstatus() { :; }\n",
            "etc/skel/.ashrc": standins.ASHRC,
            "etc/inittab": standins.INITTAB,
            "etc/os-release": standins.os_release(RELEASE),
        },
    )
    for name in ("services", "service-functions", "service-supervisor"):
        del nodes[f"etc/init.d/{name}"]
    _link_var_tmp(nodes)
    return Tree(nodes)


def _theirs_with_floes_modules(theirs: Tree, floes: Tree) -> Tree:
    nodes = {
        path: node
        for path, node in theirs.items()
        if not path.startswith("lib/modules/") and (node.is_dir or not path.startswith("usr/local/"))
    }
    _put(nodes, {"usr/bin/tce-load": (SCRIPTS / "usr/bin/tce-load").read_bytes()})
    return Tree({**nodes, **{path: node for path, node in floes.items() if path.startswith("lib/modules/")}})


def _with_their_scripts(root: Tree) -> Tree:
    """Put Tiny Core's own scripts in place of floe's."""
    nodes = _limited(root, ("mdev",))
    for path in [path for path in nodes if path.startswith("etc/init.d/") or path == "init"]:
        del nodes[path]
    for file in sorted(SCRIPTS.rglob("*")):
        name = str(file.relative_to(SCRIPTS))
        if name.startswith(".git") or not file.is_file() or file.is_symlink():
            continue
        nodes.pop(name, None)
        _put(nodes, {name: file.read_bytes()})
        parent = name.rpartition("/")[0]
        while parent and parent not in nodes:
            nodes[parent] = directory(mtime=standins.EPOCH)
            parent = parent.rpartition("/")[0]
    for path, text in _PROGRAMS.items():
        nodes.pop(path, None)
        _put(nodes, {path: text.encode()})
    functions = _text(nodes["etc/init.d/tc-functions"])
    assert " depmod " in functions
    _put(nodes, {"etc/init.d/tc-functions": functions.replace(" depmod ", " ").encode()})
    _put(
        nodes,
        {
            "etc/inittab": standins.INITTAB,
            "etc/os-release": standins.os_release(RELEASE),
            "etc/fstab": b"proc /proc proc defaults 0 0\nsysfs /sys sysfs defaults 0 0\n"
            b"devpts /dev/pts devpts defaults 0 0\ntmpfs /dev/shm tmpfs defaults 0 0\n",
        },
    )
    busybox = nodes["bin/busybox"]
    nodes["bin/busybox.suid"] = Node(
        mode=stat.S_IFREG | _SUID, uid=0, gid=0, mtime=standins.EPOCH, data=busybox.data
    )
    for name in ("mount", "umount", "su", "login", "ping"):
        nodes[f"bin/{name}"] = symlink("busybox.suid", mtime=standins.EPOCH)
    for name, device in {"console": (5, 1), "null": (1, 3), "tty": (5, 0), "tty1": (4, 1)}.items():
        nodes[f"dev/{name}"] = Node(mode=stat.S_IFCHR | 0o666, rdev=device, mtime=standins.EPOCH)
    _link_var_tmp(nodes)
    return Tree(nodes)


def medium(linux_iso: Path, folder: Path) -> Path:
    """Make the stand-in as an ISO image without UEFI, as CorePure64's is."""
    made = standins.medium(folder / "medium", "corepure64")
    found = look.examine(linux_iso)
    root = tree_of(found)
    parts = [
        {path: node for path, node in root.items() if path.startswith("lib/modules/") is modules}
        for modules in (False, True)
    ]
    first, second = (standins.packed(Tree(part)) for part in parts)
    (made / "boot/corepure64.gz").write_bytes(first + bytes(-len(first) % 4) + second)
    (made / "boot/vmlinuz64").write_bytes(found.medium.files["boot/vmlinuz64"].read())
    return standins.iso(made, folder / "CorePure64.iso")
