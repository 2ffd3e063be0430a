#!/bin/sh
# exitcheck.sh [reboot|poweroff] [backup|none]: leave the machine, with a backup on the way or without.
# shellcheck source=/dev/null
. /etc/init.d/tc-functions
action=poweroff
for word; do
    case "$word" in
        reboot | poweroff) action=$word ;;
        shutdown) action=poweroff ;;
        backup) as_root touch /etc/sysconfig/backup ;;
        none) as_root rm -f /etc/sysconfig/backup ;;
        *)
            echo "usage: exitcheck.sh [reboot|poweroff] [backup|none]" >&2
            exit 2
            ;;
    esac
done
as_root "$action"
