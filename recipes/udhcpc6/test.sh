#!/bin/sh
# That a server gives it an address is tried in tests/boot/test_network6.py.
set -eu

"$DEST/usr/local/sbin/udhcpc6" --help 2>&1 | grep -F "BusyBox v$VERSION"
