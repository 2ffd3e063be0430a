#!/bin/sh
set -eu

# One static program: the sudoers policy is compiled in, nothing is loaded at run time. /etc/sudoers is the
# base's business.
./configure \
    --prefix=/usr --sysconfdir=/etc --libexecdir=/usr/lib \
    --with-rundir=/run/sudo --with-vardir=/var/lib/sudo \
    --disable-shared --enable-static-sudoers --disable-shared-libutil \
    --disable-nls --disable-openssl --disable-gcrypt --disable-log-client --disable-log-server \
    --disable-intercept --without-noexec --disable-sasl --without-pam --without-sendmail --without-lecture \
    --disable-tmpfiles.d --disable-zlib \
    --with-secure-path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CFLAGS="-O2" LDFLAGS="-static"
make -j"$JOBS"
# libtool keeps -static to itself: -all-static is its word for a static program.
rm src/sudo
make -C src LDFLAGS="-all-static" sudo

mkdir -p "$DEST/usr/bin" "$DEST/usr/share/doc/sudo"
install -m 755 src/sudo "$DEST/usr/bin/sudo"
cp LICENSE.md "$DEST/usr/share/doc/sudo/"
