#!/bin/sh
set -eu

./configure --prefix=/usr/local --bindir=/usr/local/bin --sbindir=/usr/local/sbin --libdir=/usr/local/lib \
    --localstatedir=/var --runstatedir=/run \
    --disable-static --disable-nls --disable-asciidoc --disable-poman --disable-rpath --disable-bash-completion \
    --disable-liblastlog2 --disable-pylibmount --disable-makeinstall-chown --disable-makeinstall-setuid \
    --disable-use-tty-group \
    --without-ncurses --without-ncursesw --without-tinfo --without-readline --without-systemd --without-udev \
    --without-cap-ng --without-libmagic --without-util --without-user --without-selinux --without-audit \
    --without-econf --without-cryptsetup --without-python --without-libz --without-btrfs \
    CFLAGS="-O2"

user="nsenter unshare lsns lsblk findmnt mount umount mountpoint flock fallocate prlimit taskset uuidgen lscpu ipcs getopt"
system="losetup blkid blockdev blkdiscard fdisk sfdisk partx wipefs fstrim swapon swapoff mkswap pivot_root zramctl findfs fsck"
# Each after those that it is linked to.
libraries="libuuid.la libblkid.la libsmartcols.la libfdisk.la libmount.la"
# shellcheck disable=SC2086 # lists of words
make -j"$JOBS" $libraries $user $system

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/sbin" "$DEST/usr/local/lib" "$DEST/usr/local/share/doc/util-linux"
for name in $libraries; do ./libtool --mode=install install "$name" "$DEST/usr/local/lib/"; done
for name in $user; do ./libtool --mode=install install -m 755 "$name" "$DEST/usr/local/bin/"; done
for name in $system; do ./libtool --mode=install install -m 755 "$name" "$DEST/usr/local/sbin/"; done
make install-nodist_blkidincHEADERS install-nodist_fdiskincHEADERS install-nodist_mountincHEADERS \
    install-nodist_smartcolsincHEADERS install-uuidincHEADERS install-pkgconfigDATA DESTDIR="$DEST"
rm -f "$DEST/usr/local/lib/pkgconfig/liblastlog2.pc"
cp COPYING README.licensing Documentation/licenses/COPYING.* "$DEST/usr/local/share/doc/util-linux/"
