#!/bin/sh
set -eu

CFLAGS="-O2" ./configure --prefix=/usr/local
make -j"$JOBS"
make install DESTDIR="$DEST"
rm -f "$DEST/usr/local/lib/libz.a"
install -Dm 644 LICENSE "$DEST/usr/local/share/doc/zlib/LICENSE"
