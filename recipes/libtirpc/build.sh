#!/bin/sh
set -eu

./configure --prefix=/usr/local --sysconfdir=/usr/local/etc --disable-static --disable-gssapi CFLAGS="-O2"
make -j"$JOBS"
make install DESTDIR="$DEST"
install -Dm 644 COPYING "$DEST/usr/local/share/doc/libtirpc/COPYING"
