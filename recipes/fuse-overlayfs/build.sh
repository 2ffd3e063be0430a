#!/bin/sh
set -eu

# The root has no alternatives: Debian's names carry the version.
ACLOCAL=$(echo /usr/bin/aclocal-1.*) AUTOMAKE="$(echo /usr/bin/automake-1.*)" autoreconf -fis
./configure --prefix=/usr/local CFLAGS="-O2" LDFLAGS="-static" FUSE_LIBS="$(pkg-config --static --libs fuse3)"
make -j"$JOBS" -C lib
make -j"$JOBS" fuse-overlayfs

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/fuse-overlayfs"
install -m 755 fuse-overlayfs "$DEST/usr/local/bin/"
cp COPYING "$DEST/usr/local/share/doc/fuse-overlayfs/"
