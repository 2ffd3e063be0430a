#!/bin/sh
set -eu

# No systemd here, nothing to load at run time.
./configure --prefix=/usr/local --disable-systemd --disable-dl --disable-criu --enable-embedded-yajl \
    CFLAGS="-O2" LDFLAGS="-static"
# libtool keeps -static to itself: -all-static is its word for a static program.
make -j"$JOBS" LDFLAGS="-all-static"

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/crun"
install -m 755 crun "$DEST/usr/local/bin/crun"
cp COPYING COPYING.libcrun "$DEST/usr/local/share/doc/crun/"
