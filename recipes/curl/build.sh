#!/bin/sh
set -eu

./configure --prefix=/usr/local --disable-static --disable-debug \
    --with-openssl --with-zlib --with-ca-bundle=/usr/local/etc/ssl/certs/ca-certificates.crt --without-ca-path \
    --without-libpsl --without-brotli --without-zstd --without-nghttp2 --without-libidn2 --without-librtmp \
    --without-libssh2 --disable-ldap --disable-ldaps --disable-manual --disable-docs --disable-libcurl-option \
    --disable-dict --disable-gopher --disable-imap --disable-mqtt --disable-pop3 --disable-rtsp --disable-smb \
    --disable-smtp --disable-telnet --disable-tftp --disable-ipfs --disable-ntlm --disable-kerberos-auth \
    CFLAGS="-O2"
# What is made by default compiles everything a second time, for tests.
make -j"$JOBS" -C lib libcurl.la
make -j"$JOBS" -C src curl
make -C lib install-libLTLIBRARIES DESTDIR="$DEST"
make -C src install-binPROGRAMS DESTDIR="$DEST"
make -C include install DESTDIR="$DEST"
make install-pkgconfigDATA install-binSCRIPTS DESTDIR="$DEST"
# What was configured for whom is of no use on another machine, and would name the folders of this build.
sed -i -e 's|/build/local|/usr/local|g' "$DEST/usr/local/bin/curl-config" "$DEST/usr/local/lib/pkgconfig/libcurl.pc"
install -Dm 644 COPYING "$DEST/usr/local/share/doc/curl/COPYING"
