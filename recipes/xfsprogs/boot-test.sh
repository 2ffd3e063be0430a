#!/bin/sh
set -eu

cd "$(mktemp -d)"
truncate -s 300M disk
mkfs.xfs -q -L boottest disk
mkdir mounted
modprobe xfs
mount -t xfs -o loop disk mounted
echo text >mounted/file
xfs_info mounted | grep -F 'bsize=4096'
umount -d mounted
truncate -s 320M disk
mount -t xfs -o loop disk mounted
xfs_growfs mounted | grep -F 'data blocks changed'
[ "$(cat mounted/file)" = text ]
umount -d mounted
xfs_repair -n disk
