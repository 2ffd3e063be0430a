#!/bin/sh
set -eu

bash=$DEST/usr/local/bin/bash
"$bash" --version | grep -F "version $VERSION"
[ "$("$bash" -c 'declare -A a=([x]=1); [[ -v a[x] ]] && echo bash')" = bash ]
