#!/bin/sh
set -eu

# A log-in over the loopback by key, a file by sftp, and no log-in without the key. From where the extension
# is mounted: dropbear may have been loaded before, and its client has the same names.
service=/usr/local/etc/init.d/openssh
bin=/tmp/tcloop/openssh-client/usr/local/bin
dir=$(mktemp -d)
"$bin/ssh-keygen" -q -t ed25519 -N "" -f "$dir/key"
mkdir -p /usr/local/etc/ssh
cat "$dir/key.pub" >>/usr/local/etc/ssh/authorized_keys
"$service" start
"$service" status
set -- -o StrictHostKeyChecking=no -o UserKnownHostsFile="$dir/known" -o BatchMode=yes
[ "$("$bin/ssh" "$@" -i "$dir/key" tc@127.0.0.1 id -un)" = tc ]
echo "get /etc/os-release $dir/got" | "$bin/sftp" -S "$bin/ssh" "$@" -q -i "$dir/key" -b - tc@127.0.0.1
cmp "$dir/got" /etc/os-release
if "$bin/ssh" "$@" -o IdentitiesOnly=yes -o IdentityFile=none tc@127.0.0.1 true; then exit 1; fi
"$service" stop
