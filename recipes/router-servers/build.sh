#!/bin/sh
# Compiles one program, which runs on any base.
set -eu
mkdir -p "$DEST/usr/local/sbin"
musl-gcc -std=gnu11 -Os -s -static -fstack-protector-strong -Wall -Wextra -Werror \
    -o "$DEST/usr/local/sbin/router-servers" "$RECIPE/src/router-servers.c"
