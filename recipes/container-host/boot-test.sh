#!/bin/sh
# load: e2fsprogs xfsprogs util-linux
#
# Data disks on one machine, one after the other: tests/boot/disks.py makes them. Each is found by its label,
# whatever it is connected by; what is wrong with one is told, and the machine goes on.
set -eu

service=/usr/local/etc/init.d/data-disk
problems=/run/floe/problems
DATA_LABEL_FILE=/tmp/data-label BOOT_CMDLINE=/tmp/data-codes
export DATA_LABEL_FILE BOOT_CMDLINE
if ! blkid | grep -q 'LABEL="try-sata"'; then
    echo "this machine was not given the disks"
    exit 0
fi

no() {
    if "$@"; then return 1; fi
}

# use LABEL CODES...: start with the disk of that label.
use() {
    echo "$1" >"$DATA_LABEL_FILE"
    shift
    echo "quiet $*" >"$BOOT_CMDLINE"
    : >"$problems"
    "$service" start
}

# fails LABEL WORDS: it is not used, and that is told.
fails() {
    if use "$1"; then echo "$1 was used"; return 1; fi
    cat "$problems"
    grep -q -e "$2" "$problems"
    no grep -q ' /var/log ' /proc/mounts
    no "$service" status
    status --short | grep -q WRONG
}

fact() {
    sed -n "s/^$1 //p" /run/floe/data-disk | tail -n 1
}

kib() {
    df -Pk /mnt/data | awk 'NR == 2 { print $2 }'
}

# One that cannot be read at all is not taken for an empty one, whoever asks for it.
blank=$(for disk in /sys/class/block/vd*; do
    dd if="/dev/${disk##*/}" of=/dev/null bs=4096 count=1 2>/dev/null || echo "${disk##*/}"
done)
use nothing "dataformat=$blank"
grep -q "cannot be read: it fails" "$problems"
grep -q "dataformat=$blank: it has something that cannot be read (see dmesg) and is left as it is" "$problems"
[ "$(fact state)" = none ]
"$service" stop

# NVMe: a partition of a GPT, which fills the disk that grew.
use try-nvme
[ "$(fact device) $(fact state)" = "/dev/nvme0n1p1 mounted" ]
[ "$(kib)" -gt 60000 ]
[ "$(cat /mnt/data/precious)" = kept ]
"$service" status
"$service" stop
sfdisk -d /dev/nvme0n1 | grep -q 'attrs="GUID:59"'

# SATA: not unmounted before; swap on it.
use try-sata dataswap=16M
[ "$(fact device)" = "$(blkid | sed -n 's/: .*LABEL="try-sata".*//p')" ]
case "$(readlink -f "/sys/class/block/$(basename "$(fact device)")")" in */ata*) ;; *) false ;; esac
grep -q '^/mnt/data/swapfile' /proc/swaps
cat /run/floe/data-disk.check
# Full: still used.
dd if=/dev/zero of=/mnt/data/filler bs=1M 2>/dev/null || true
"$service" stop
no grep -q swapfile /proc/swaps
use try-sata
grep -q "is full" "$problems"
[ "$(fact state)" = mounted ]
# Somebody can log in to clear it up.
grep -q "there is no room for /home/tc/.ssh on the data disk" "$problems"
su tc -c "echo '# mine' >>/home/tc/.ssh/authorized_keys && grep -q mine /home/tc/.ssh/authorized_keys"
rm /mnt/data/filler
# Somebody works on it: all of it stays, and who it is is told.
sleep 1000 >/mnt/data/held &
holder=$!
no "$service" stop >/tmp/said
grep -q "in use by processes .*$holder" /tmp/said
grep -q ' /var/log ' /proc/mounts
kill "$holder"
wait "$holder" || true
"$service" stop

# USB: XFS, made because a boot code asks for it.
usb=$(for disk in /sys/class/block/sd*; do case "$(readlink -f "$disk")" in */usb*) basename "$disk" ;; esac; done)
use nothing "dataformat=$usb" datafs=xfs
[ "$(fact device) $(fact type) $(fact label)" = "/dev/$usb xfs nothing" ]
echo usb >/mnt/data/kept
"$service" stop
use nothing
[ "$(cat /mnt/data/kept)" = usb ]
"$service" stop
# The first group's notes of what is free are gone.
dd if=/dev/zero of="/dev/$usb" bs=512 seek=1 count=1 2>/dev/null
use nothing datarepair
[ "$(fact state) $(cat /mnt/data/kept)" = "mounted usb" ]
"$service" stop
xfs_repair -n "/dev/$usb" >/dev/null 2>&1

# Read-only: read, and not used.
fails try-readonly "is read-only"
[ "$(cat /mnt/data/precious)" = kept ]
"$service" stop

# Reads of its journal fail: it cannot be checked, is not written, and what can be read can be.
fails try-unreadable "nothing is kept on it"
[ "$(cat /mnt/data/precious)" = kept ]
"$service" stop

# All writes fail.
fails try-unwritable "nothing is kept on it"
"$service" stop

# Pulled out while it is in use: told at once, and neither `status` nor the end waits for it.
use try-sata
sata=$(basename "$(fact device)")
echo 1 >"/sys/class/block/$sata/device/delete"
no "$service" status >/tmp/said
cat /tmp/said
no status >/tmp/said
grep -q "/dev/$sata is gone" /tmp/said
timeout 60 "$service" stop || echo "ended with $?"
no grep -q "^/dev/$sata " /proc/mounts

# Who starts a daemon again may die, too: that is told, and there is another one. So may who looks after all.
crond=/usr/local/etc/init.d/crond
"$crond" start
read -r daemon </var/run/crond.service.pid
kill -9 "$(cat /run/floe/services/crond/supervisor)"
services status | grep -q '^crond  *failed'
services problems | grep "Service crond: failed (its supervisor has ended)"
"$crond" start
services status | grep -q "^crond  *running  *$daemon"
"$crond" stop
# Its parent is init now, which may not have asked yet how it ended.
tries=50
while [ -d "/proc/$daemon" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    usleep 100000
done
no test -d "/proc/$daemon"
read -r watcher </run/floe/services.watch
kill -9 "$watcher"
tries=100
while read -r now </run/floe/services.watch && [ "$now" = "$watcher" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ]
    usleep 100000
done
services problems >/tmp/said || true
no grep "nobody looks after" /tmp/said
