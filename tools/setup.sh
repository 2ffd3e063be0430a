#!/bin/sh
# Makes this checkout ready: the system packages that a purpose needs, and a virtual environment.
#
#   tools/setup.sh iso     what building images needs
#   tools/setup.sh boot    the above, and QEMU
#   tools/setup.sh test    the above, and the independent tools that the tests check with
#   tools/setup.sh bench   the above, and the peers of the benchmarks
#
# Nothing is done when nothing is missing. Packages are installed by apt when this user may
# (root, or sudo that asks no password); otherwise the line to type is printed, with status 6.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-iso}
case $purpose in
iso | boot | test | bench) ;;
*)
    echo "tools/setup.sh: unknown purpose '$purpose': iso, boot, test or bench" >&2
    exit 2
    ;;
esac

missing=
want() { missing="$missing $1"; }
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

# A python new enough, by any of its names.
python=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    want python3
    want python3-venv
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    want python3-venv
fi

need() { have "$1" || want "$2"; }
need bwrap bubblewrap
need apt-get apt
need dpkg-deb dpkg
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || want debian-archive-keyring
[ -e /etc/ssl/certs/ca-certificates.crt ] || want ca-certificates
ls /usr/lib/*/libarchive.so.13 >/dev/null 2>&1 || want libarchive13
# Where apt knows no Debian archive (Ubuntu), mmdebstrap's own default tells where it is.
# shellcheck disable=SC2016 # $(ORIGIN) is apt's own syntax
if ! apt-get indextargets --format '$(ORIGIN)' 2>/dev/null | grep -qx Debian; then
    need mmdebstrap mmdebstrap
fi

need mke2fs e2fsprogs

if [ "$purpose" != iso ]; then
    need qemu-system-x86_64 qemu-system-x86
    ls /usr/share/OVMF/OVMF_CODE*.fd >/dev/null 2>&1 || want ovmf
fi
if [ "$purpose" = test ] || [ "$purpose" = bench ]; then
    need unsquashfs squashfs-tools
    need xorriso xorriso
    need isoinfo genisoimage
    need mmdebstrap mmdebstrap
    need zstd zstd
    need zsyncmake zsync
    need xz xz-utils
    need sgdisk gdisk
    need qemu-img qemu-utils
    need mcopy mtools
    need fsck.fat dosfstools
    ls /usr/lib/ipxe/qemu/*.rom >/dev/null 2>&1 || want ipxe-qemu
    need cpio cpio
    need shellcheck shellcheck
    need file file
    need fdisk fdisk
    need ssh openssh-client
    need nginx nginx
    need strace strace
    need minisign minisign
    need rsync rsync
    need curl curl
    need dnsmasq dnsmasq-base
    need wget wget
    need depmod kmod
    need lz4 lz4
    need ip iproute2
    need git git
    need objdump binutils
    need dpkg-source dpkg-dev
    need gensquashfs squashfs-tools-ng
    need bsdcpio libarchive-tools
    need grub-script-check grub-common
    [ -e /usr/lib/ISOLINUX/isolinux.bin ] || want isolinux
    [ -e /usr/lib/syslinux/modules/bios/ldlinux.c32 ] || want syslinux-common
    need gcc gcc
    [ -e /usr/include/stdio.h ] || want libc6-dev
    busybox --list 2>/dev/null | grep -qx wget || want busybox-static
fi
if [ "$purpose" = bench ]; then
    need ab apache2-utils
    need cc gcc
fi

if [ -n "$missing" ]; then
    # libarchive's package was renamed by the 64-bit time_t transition
    case $missing in *libarchive13*)
        if apt-cache show libarchive13t64 >/dev/null 2>&1; then
            missing=$(printf '%s' "$missing" | sed 's/libarchive13/libarchive13t64/')
        fi ;;
    esac
    if ! have apt-get; then
        echo "This needs a Debian or Ubuntu machine: there is no apt-get to install$missing" >&2
        exit 6
    elif [ "${2:-}" = again ]; then
        echo "Still not found after apt installed it:$missing" >&2
        exit 6
    elif [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root=sudo
    else
        echo "This needs packages that are not installed. Type:" >&2
        echo "    sudo apt-get install --no-install-recommends$missing" >&2
        exit 6
    fi
    echo "setup: installing$missing"
    $as_root apt-get update -q
    # shellcheck disable=SC2086 # a list of package names
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    exec tools/setup.sh "$purpose" again
fi

extra=
case $purpose in test | bench) extra='[test]' ;; esac
stamp=.venv/ready-$purpose
wanted="$(cksum <pyproject.toml) $python"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "setup: making the virtual environment .venv"
    # One that was interrupted while it was made has a python and no pip.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$extra"
    printf '%s\n' "$wanted" >"$stamp"
fi
