#!/bin/sh
set -eu

./configure --prefix=/usr/local --sysconfdir=/etc --disable-shared --enable-static --disable-nls --disable-logind \
    --without-libpam --without-selinux --without-acl --without-attr --without-audit --without-btrfs --without-tcb \
    --without-libbsd --without-nscd --without-sssd --without-su --enable-subordinate-ids \
    CFLAGS="-O2" LDFLAGS="-static"
make -j"$JOBS" -C lib
make -j"$JOBS" -C libsubid
# libtool keeps -static to itself: -all-static is its word for a static program.
make -C src newuidmap newgidmap getsubids LDFLAGS="-all-static"

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/uidmap"
for name in newuidmap newgidmap getsubids; do install -m 755 "src/$name" "$DEST/usr/local/bin/"; done
cp COPYING "$DEST/usr/local/share/doc/uidmap/"
