#!/bin/sh
set -eu

cd "$(mktemp -d)"
truncate -s 16M disk
mkfs.ext4 -q -L boottest disk
mkdir mounted
mount -t ext4 -o loop disk mounted
echo text >mounted/file
umount -d mounted
e2fsck -fy disk
truncate -s 24M disk
resize2fs disk
[ "$(e2label disk)" = boottest ]
mount -t ext4 -o loop,ro disk mounted
[ "$(cat mounted/file)" = text ]
umount -d mounted
