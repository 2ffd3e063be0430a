#!/bin/sh
set -eu

# Ciphers and hashes that nobody negotiates any more, or only in one country, and protocols that nothing here
# speaks are left out; the legacy provider is inside the library, there are no modules to load.
./Configure linux-x86_64 --prefix=/usr/local --openssldir=/usr/local/etc/ssl --libdir=lib \
    shared no-tests no-docs no-module no-engine no-ui-console no-srp \
    no-cmp no-ec2m no-quic no-rfc3779 no-ssl-trace no-ts \
    no-aria no-bf no-camellia no-cast no-gost no-idea no-mdc2 no-rc5 no-seed no-sm2 no-sm3 no-sm4 no-whirlpool \
    -O2
# What is made by default compiles everything a second time, for static libraries.
make build_generated
make -j"$JOBS" libcrypto.so libssl.so apps/openssl \
    exporters/libcrypto.pc exporters/libssl.pc exporters/openssl.pc

lib=$DEST/usr/local/lib
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/etc/ssl" "$lib/pkgconfig" \
    "$DEST/usr/local/include/openssl" "$DEST/usr/local/share/doc/openssl"
install -m 755 apps/openssl "$DEST/usr/local/bin/"
cp -P libcrypto.so* libssl.so* "$lib/"
cp exporters/*.pc "$lib/pkgconfig/"
cp include/openssl/*.h "$DEST/usr/local/include/openssl/"
cp apps/openssl.cnf "$DEST/usr/local/etc/ssl/openssl.cnf"
cp LICENSE.txt "$DEST/usr/local/share/doc/openssl/"
