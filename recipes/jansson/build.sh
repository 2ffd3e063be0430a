#!/bin/sh
set -eu

# Debian's automake has no name without its version before it is configured.
export ACLOCAL=aclocal-1.17 AUTOMAKE=automake-1.17
autoreconf -fi
./configure --prefix=/usr/local --disable-static CFLAGS="-O2"
make -j"$JOBS" -C src
make -C src install DESTDIR="$DEST"
make install-pkgconfigDATA DESTDIR="$DEST"
install -Dm 644 LICENSE "$DEST/usr/local/share/doc/jansson/LICENSE"
