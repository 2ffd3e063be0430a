#!/bin/sh
set -eu

export LD_LIBRARY_PATH="$DEST/usr/local/lib" OPENSSL_CONF="$DEST/usr/local/etc/ssl/openssl.cnf"
openssl=$DEST/usr/local/bin/openssl
"$openssl" version | grep -F "OpenSSL $VERSION"
[ "$(printf abc | "$openssl" dgst -sha256 -r)" = \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad *stdin" ]
"$openssl" req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -keyout key -out certificate
"$openssl" verify -CAfile certificate certificate
! grep -r /build/ "$DEST/usr/local/lib/pkgconfig"
