#!/bin/sh
# load: e2fsprogs util-linux
#
# A config disk that wants partitions of another disk mounted and grown: tests/boot/disks.py makes both.
set -eu

service=/usr/local/etc/init.d/config-disk
if ! blkid | grep -q 'LABEL="try-cloud"'; then
    echo "this machine was not given the disks"
    exit 0
fi

wants() {
    grep -q -e "$1" "$2"
}

"$service" start
cat /var/log/config-disk.log
"$service" status
wants " /srv/cloud ext4 rw,noatime" /proc/mounts
wants " /srv/quick tmpfs " /proc/mounts
[ "$(cat /srv/cloud/precious)" = kept ]
# The disk is three times as large as the partitions were made for.
[ "$(df -Pk /srv/cloud | awk 'NR == 2 { print $2 }')" -gt 60000 ]
node=$(awk '$2 == "/srv/cloud" { print $1 }' /proc/mounts)
swap=$(blkid | sed -n 's/: .*LABEL="try-swap".*//p')
[ "${node%?}1" = "$swap" ]
wants "^$swap " /proc/swaps
wants " /srv/cloud " /etc/fstab
sfdisk -d "${node%?}" | grep -q 'name="cloud"'
if grep -s "^config-disk:" /run/floe/problems; then exit 1; fi

# Again: nothing is larger than it can be, and nothing is done twice.
"$service" restart
"$service" status
[ "$(grep -c " /srv/cloud " /proc/mounts)" = 1 ]
[ "$(grep -c " /srv/cloud " /etc/fstab)" = 1 ]
"$service" stop
umount /srv/cloud /srv/quick
swapoff "$swap"
e2fsck -n -f "$node"
