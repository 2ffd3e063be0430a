#!/bin/sh
set -eu

export DEBUG=-DNDEBUG OPTIMIZER=-O2
./configure --prefix=/usr/local --sbindir=/usr/local/sbin --datadir=/usr/local/share --disable-shared --enable-static \
    --enable-gettext=no --enable-editline=no --enable-scrub=no --enable-libicu=no --enable-lto=no \
    --with-systemd-unit-dir=no --with-crond-dir=no --with-udev-rule-dir=no
# libtool keeps -static to itself: -all-static is its word for a static program.
make -j"$JOBS" mkfs repair growfs db spaceman LLDFLAGS=-all-static

sbin=$DEST/usr/local/sbin
mkdir -p "$sbin" "$DEST/usr/local/share/doc/xfsprogs" "$DEST/usr/local/share/xfsprogs/mkfs"
install -m 755 mkfs/mkfs.xfs repair/xfs_repair growfs/xfs_growfs db/xfs_db spaceman/xfs_spaceman "$sbin/"
install -m 755 spaceman/xfs_info.sh "$sbin/xfs_info"
install -m 755 db/xfs_admin.sh "$sbin/xfs_admin"
cp mkfs/*.conf "$DEST/usr/local/share/xfsprogs/mkfs/"
cp LICENSES/GPL-2.0 "$DEST/usr/local/share/doc/xfsprogs/COPYING"
