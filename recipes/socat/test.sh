#!/bin/sh
set -eu

socat=$DEST/usr/local/bin/socat
"$socat" -V | grep -F "socat version $VERSION"
"$socat" -V | grep -F '#define WITH_OPENSSL 1'
[ "$(echo text | "$socat" - EXEC:cat)" = text ]
