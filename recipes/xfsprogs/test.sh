#!/bin/sh
set -eu

truncate -s 300M disk
"$DEST/usr/local/sbin/mkfs.xfs" -V | grep -F "$VERSION"
"$DEST/usr/local/sbin/mkfs.xfs" -q -L test disk
"$DEST/usr/local/sbin/xfs_repair" -n disk
"$DEST/usr/local/sbin/xfs_db" -c label disk | grep -F '"test"'
! readelf -l "$DEST"/usr/local/sbin/mkfs.xfs | grep -F INTERP
