#!/bin/sh
set -eu

"$DEST/usr/local/bin/ssh" -V 2>&1 | grep -F "OpenSSH_$VERSION"
"$DEST/usr/local/bin/ssh-keygen" -q -t ed25519 -N "" -f key
"$DEST/usr/local/bin/ssh-keygen" -y -f key | grep ^ssh-ed25519
# The part that runs as another user cannot be tried here; the configuration can be read.
"$DEST/usr/local/sbin/sshd" -G -f "$DEST/usr/local/etc/ssh/sshd_config.default" | grep -x 'passwordauthentication no'
