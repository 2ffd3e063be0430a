#!/bin/sh
# Runs as root at boot, after extensions are loaded and the backup is restored; the boot waits for it.
# Put what other programs need before they start here, everything else into bootlocal.sh.
[ -s /etc/sysconfig/hostname-set ] || /usr/bin/sethostname box
/opt/bootlocal.sh &
