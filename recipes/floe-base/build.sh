#!/bin/sh
# Lays out the root of the base: the scripts and files of files/, a program, and folders, which git
# cannot hold.
# Owners, modes other than 755 and 644, and device nodes are in recipe.toml.
set -eu

mkdir -p "$DEST"
cp -R "$RECIPE/files/." "$DEST/"
# A network may have nothing but IPv6 when the first extension is to be fetched.
cp -p /build/local/sbin/router-servers "$DEST/usr/sbin/"
cd "$DEST"

mkdir -p bin dev etc/modprobe.d etc/profile.d etc/sysconfig home/tc lib mnt opt proc root run sbin sys tmp \
    usr/bin usr/lib usr/sbin usr/share usr/local/bin usr/local/etc/init.d usr/local/lib/modules \
    usr/local/sbin usr/local/share usr/local/tce.installed usr/local/var \
    var/cache var/empty var/lib var/lock var/log var/spool/cron/crontabs var/tmp

# The dynamic loader of programs that were not built for this base is looked for in /lib64.
ln -s lib lib64
ln -s ../run var/run
ln -s /proc/mounts etc/mtab
cp etc/skel/.profile etc/skel/.ashrc home/tc/
cp etc/skel/.ashrc root/.ashrc
: >etc/resolv.conf
