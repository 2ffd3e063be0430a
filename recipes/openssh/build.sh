#!/bin/sh
set -eu

./configure --prefix=/usr/local --sysconfdir=/usr/local/etc/ssh --libexecdir=/usr/local/libexec \
    --with-privsep-path=/var/empty --with-privsep-user=sshd --with-pid-dir=/var/run \
    --with-default-path=/usr/local/bin:/usr/bin:/bin --with-superuser-path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --without-pam --without-selinux --without-kerberos5 --without-libedit --without-security-key-builtin \
    --disable-lastlog --disable-utmp --disable-utmpx --disable-wtmp --disable-wtmpx --disable-strip \
    CFLAGS="-O2"
make -j"$JOBS"

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/sbin" "$DEST/usr/local/libexec" "$DEST/usr/local/etc/init.d" \
    "$DEST/usr/local/etc/ssh" "$DEST/usr/local/share/doc/openssh"
install -m 755 ssh scp sftp ssh-add ssh-agent ssh-keygen ssh-keyscan "$DEST/usr/local/bin/"
install -m 755 ssh-pkcs11-helper ssh-sk-helper sshd-session sshd-auth "$DEST/usr/local/libexec/"
install -m 755 sshd "$DEST/usr/local/sbin/"
install -m 755 "$RECIPE/files/init.d-openssh" "$DEST/usr/local/etc/init.d/openssh"
install -m 644 "$RECIPE/files/sshd_config" "$DEST/usr/local/etc/ssh/sshd_config.default"
install -m 644 ssh_config.out "$DEST/usr/local/etc/ssh/ssh_config.default"
cp LICENCE "$DEST/usr/local/share/doc/openssh/"
