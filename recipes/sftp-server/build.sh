#!/bin/sh
set -eu

# Only the one program: it speaks on a pipe and needs neither ciphers nor compression.
./configure --prefix=/usr/local --without-openssl --without-zlib --without-pam --without-selinux \
    CFLAGS="-O2" LDFLAGS="-static"
make -j"$JOBS" sftp-server

mkdir -p "$DEST/usr/local/libexec" "$DEST/usr/local/share/doc/sftp-server"
install -m 755 sftp-server "$DEST/usr/local/libexec/sftp-server"
cp LICENCE "$DEST/usr/local/share/doc/sftp-server/"
