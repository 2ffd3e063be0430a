#!/bin/sh
# Restores the backup at boot: from restore=DEV/dir, else the extension folder, else the first disk that
# has one. Finding none, it names the extension folder as the place for the next.
# shellcheck source=/dev/null
. /etc/init.d/tc-functions

name=mydata
[ ! -s /etc/sysconfig/mydata ] || read -r name </etc/sysconfig/mydata
place=$(getbootparam restore) || place=""
tcedir=$(readlink /etc/sysconfig/tcedir)

if [ ! "$place" ] && [ -f "$tcedir/$name.tgz" ]; then
    place=${tcedir#/mnt/}
fi
if [ ! "$place" ]; then
    # shellcheck disable=SC2046 # one node a word
    dir=$(search_device "$name.tgz" $(disks)) && place=${dir#/mnt/}
fi
if [ "$place" ]; then
    filetool.sh -r "$place"
elif [ "${tcedir#/mnt/}" != "$tcedir" ]; then
    echo "${tcedir#/mnt/}" >/etc/sysconfig/backup_device
fi
