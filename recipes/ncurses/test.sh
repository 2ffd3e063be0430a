#!/bin/sh
set -eu

export LD_LIBRARY_PATH="$DEST/usr/local/lib"
[ "$(TERMINFO=$DEST/usr/local/share/terminfo "$DEST/usr/local/bin/tput" -T xterm-256color colors)" = 256 ]
"$DEST/usr/local/bin/tput" -V | grep -F "${VERSION%-*}"
