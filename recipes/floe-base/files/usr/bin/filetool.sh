#!/bin/sh
# Saves the files that /opt/.filetool.lst names (paths below /, without those matching .xfiletool.lst) into
# mydata.tgz, and brings them back.
# shellcheck source=/dev/null
. /etc/init.d/tc-functions

usage() {
    cat >&2 <<EOF
Usage: ${0##*/} -b|-r|-d [-s] [-v] [-p] [DEVICE[/FOLDER]]
  -b  back up        -r  restore        -d  only tell what a backup would hold, and its size
  -s  keep the former backup as mydatabk.tgz       -v  list the files       -p  the same, then wait for Enter
DEVICE is a name such as sda1, LABEL=x or UUID=x; without it, the place used last.
EOF
    exit 1
}

NAME=mydata
[ ! -s /etc/sysconfig/mydata ] || read -r NAME </etc/sysconfig/mydata
ACTION="" SAFE="" VERBOSE="" PROMPT=""
while getopts bdprsv option; do
    case "$option" in
        b) ACTION=${ACTION}b ;;
        r) ACTION=${ACTION}r ;;
        d) ACTION=${ACTION}d ;;
        s) SAFE=1 ;;
        v) VERBOSE=v ;;
        p) PROMPT=1 VERBOSE=v ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
hasbootcode safebackup && SAFE=1

die() {
    echo "${RED}${0##*/}: $*${NORMAL}" >&2
    echo "$*" >/tmp/backup_status
    wait_for_user
    exit 1
}
wait_for_user() {
    if [ "$PROMPT" ]; then
        printf 'Press Enter to go on: '
        read -r _
    fi
}

# archive FILE: write the backup; FILE may be - for standard output.
archive() {
    # tar takes an empty line for the root itself.
    wanted=$(mktemp)
    sed '/^[[:space:]]*$/d; s,^/,,' /opt/.filetool.lst >"$wanted"
    as_root tar -C / -T "$wanted" -X /opt/.xfiletool.lst "-c${VERBOSE}z" -f "$1"
    archived=$?
    rm -f "$wanted"
    return "$archived"
}

# open_place SPEC: mount its device, set PLACE to the folder and UNMOUNT to what is to be unmounted again.
open_place() {
    UNMOUNT=""
    spec=${1#/dev/}
    case "$spec" in
        "") die "no place for the backup: name one, such as sda1, or boot with a tce folder on a disk" ;;
        tmp/* | /*) PLACE=/${spec#/} && return ;;
    esac
    device=${spec%%/*}
    folder=${spec#"$device"}
    # The name of a folder below /mnt serves too: what is mounted there need not be named after its device.
    if grep -q " /mnt/$device " /proc/mounts; then
        PLACE=/mnt/$spec
        return
    fi
    node=$(devicename "$device") || die "there is no device $device"
    mountpoint_of "$node" >/dev/null || UNMOUNT=1
    PLACE=$(as_root /usr/sbin/mount-device "$node") || die "$device cannot be mounted"
    [ ! "$UNMOUNT" ] || UNMOUNT=$PLACE
    PLACE=$PLACE$folder
}
close_place() {
    sync
    [ ! "$UNMOUNT" ] || as_root umount "$UNMOUNT"
}

backup() {
    as_root mkdir -p "$PLACE"
    if [ "$SAFE" ] && [ -f "$PLACE/$NAME.tgz" ]; then
        as_root cp -f "$PLACE/$NAME.tgz" "$PLACE/${NAME}bk.tgz" || die "the former backup could not be kept"
    fi
    echo "Backing up to $PLACE/$NAME.tgz"
    # Renamed when whole: a full disk or a power cut leaves the former backup as it was.
    if ! archive "$PLACE/.$NAME.tgz.new"; then
        as_root rm -f "$PLACE/.$NAME.tgz.new"
        die "the backup failed; the former one is untouched"
    fi
    sync
    as_root mv -f "$PLACE/.$NAME.tgz.new" "$PLACE/$NAME.tgz"
    touch /tmp/backup_done
}

restore() {
    [ -f "$PLACE/$NAME.tgz" ] || die "there is no $PLACE/$NAME.tgz"
    if hasbootcode comparerestore && [ ! -e /etc/sysconfig/comparerestore ]; then
        tar -tzf "$PLACE/$NAME.tgz" | while read -r file; do
            [ -f "/$file" ] && as_root mv "/$file" "/$file.orig_file"
        done
        as_root touch /etc/sysconfig/comparerestore
    fi
    echo "Restoring from $PLACE/$NAME.tgz"
    as_root tar -C / "-x${VERBOSE}z" -f "$PLACE/$NAME.tgz" || die "the restore failed"
}

case "$ACTION" in
    d)
        VERBOSE=v
        archive - 2>/tmp/backup_dryrun | wc -c | sed 's/.*/& bytes compressed/'
        cat /tmp/backup_dryrun
        rm -f /tmp/backup_dryrun
        exit 0
        ;;
    b | r) ;;
    *) usage ;;
esac

target=${1:-$(cat /etc/sysconfig/backup_device 2>/dev/null)}
if [ ! "$target" ]; then
    target=$(readlink /etc/sysconfig/tcedir)
    [ "$target" != /tmp/tce ] || target=""
    target=${target#/mnt/}
fi
open_place "$target"
if [ "$ACTION" = b ]; then backup; else restore; fi
close_place
echo "$target" | as_root tee /etc/sysconfig/backup_device >/dev/null
echo "Done."
wait_for_user
