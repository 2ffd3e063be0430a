#!/bin/sh
set -eu

mkdir build
cd build
../configure \
    --prefix=/usr/local --sysconfdir=/usr/local/etc \
    --disable-nls --disable-uuidd --disable-fsck --disable-defrag --disable-imager --disable-e2initrd-helper \
    --disable-tdb --disable-bmap-stats --disable-backtrace --without-libarchive \
    --with-udev-rules-dir=no --with-systemd-unit-dir=no --with-crond-dir=no \
    CFLAGS="-O2 -fno-pie" LDFLAGS="-static -no-pie"
make -j"$JOBS" libs
make -j"$JOBS" -C misc mke2fs tune2fs mke2fs.conf
make -j"$JOBS" -C e2fsck e2fsck
make -j"$JOBS" -C resize resize2fs

sbin=$DEST/usr/local/sbin
mkdir -p "$sbin" "$DEST/usr/local/etc" "$DEST/usr/local/share/doc/e2fsprogs"
install -m 755 misc/mke2fs misc/tune2fs e2fsck/e2fsck resize/resize2fs "$sbin/"
# Each of these is its program under another name.
for name in mkfs.ext2 mkfs.ext3 mkfs.ext4; do ln -s mke2fs "$sbin/$name"; done
for name in fsck.ext2 fsck.ext3 fsck.ext4; do ln -s e2fsck "$sbin/$name"; done
ln -s tune2fs "$sbin/e2label"
install -m 644 misc/mke2fs.conf "$DEST/usr/local/etc/mke2fs.conf"
cp ../NOTICE "$DEST/usr/local/share/doc/e2fsprogs/"

truncate -s 16M disk
./misc/mke2fs -q -t ext4 -L test disk
./e2fsck/e2fsck -fn disk >/dev/null
