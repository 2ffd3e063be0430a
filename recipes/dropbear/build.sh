#!/bin/sh
set -eu

# No passwords: neither the server nor the client has the code for them. Login sessions find what is in
# Tiny Core's folders, and modern scp finds the sftp server.
cp "$RECIPE/files/localoptions.h" localoptions.h
./configure --prefix=/usr/local --enable-static --enable-bundled-libtom \
    --disable-zlib --disable-pam --disable-lastlog --disable-wtmp --disable-wtmpx \
    --disable-utmp --disable-utmpx --disable-pututline --disable-pututxline \
    CFLAGS="-O2"
make -j"$JOBS" PROGRAMS="dropbear dbclient dropbearkey scp" MULTI=1 SCPPROGRESS=1

bin=$DEST/usr/local/bin
mkdir -p "$bin" "$DEST/usr/local/sbin" "$DEST/usr/local/etc/init.d" "$DEST/usr/local/share/doc/dropbear"
install -m 755 dropbearmulti "$bin/"
for name in dbclient ssh scp dropbearkey; do ln -s dropbearmulti "$bin/$name"; done
ln -s ../bin/dropbearmulti "$DEST/usr/local/sbin/dropbear"
install -m 755 "$RECIPE/files/init.d-sshd" "$DEST/usr/local/etc/init.d/sshd"
cp LICENSE "$DEST/usr/local/share/doc/dropbear/"
