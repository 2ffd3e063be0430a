#!/bin/sh
set -eu

# A log-in over the loopback with a key of its own; sftp-server comes along.
service=/usr/local/etc/init.d/sshd
dir=$(mktemp -d)
export HOME="$dir"
dropbearkey -t ed25519 -f "$dir/key" | grep ^ssh-ed25519 >"$dir/public"
mkdir -p /usr/local/etc/ssh
cat "$dir/public" >>/usr/local/etc/ssh/authorized_keys
"$service" start
"$service" status
[ "$(dbclient -y -i "$dir/key" tc@127.0.0.1 id -un)" = tc ]
"$service" stop
