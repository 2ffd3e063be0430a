#!/bin/sh
set -eu

./configure --prefix=/usr/local --enable-openssl --disable-readline --disable-libwrap --disable-fips CFLAGS="-O2"
make -j"$JOBS" socat procan filan
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/socat"
install -m 755 socat filan procan "$DEST/usr/local/bin/"
cp COPYING COPYING.OpenSSL "$DEST/usr/local/share/doc/socat/"
