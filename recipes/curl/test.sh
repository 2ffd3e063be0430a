#!/bin/sh
set -eu

export LD_LIBRARY_PATH="$DEST/usr/local/lib:$LD_LIBRARY_PATH"
curl=$DEST/usr/local/bin/curl
"$curl" --version | grep -F "curl $VERSION"
"$curl" --version | grep -E '^Protocols:.* https'
"$curl" --version | grep -F 'OpenSSL/3'
echo text >text
[ "$("$curl" -s "file://$PWD/text")" = text ]
