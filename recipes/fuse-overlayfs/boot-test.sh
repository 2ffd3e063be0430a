#!/bin/sh
# A file system laid over another: what is below is seen, what is written goes above.
set -eu

modprobe fuse
dir=/tmp/fuse-overlayfs-test
mkdir -p $dir/low $dir/up $dir/work $dir/all
echo below >$dir/low/a
fuse-overlayfs -o lowerdir=$dir/low,upperdir=$dir/up,workdir=$dir/work $dir/all
[ "$(cat $dir/all/a)" = below ]
echo above >$dir/all/a
[ "$(cat $dir/up/a)" = above ]
[ "$(cat $dir/low/a)" = below ]
umount $dir/all
rm -r $dir
