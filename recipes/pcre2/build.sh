#!/bin/sh
set -eu

# Repacked as Debian builds it; Tiny Core has no folders named after the machine.
multiarch=usr/lib/x86_64-linux-gnu

mkdir -p "$DEST/usr/local/lib" "$DEST/usr/local/share/doc/$NAME"
cp -P $multiarch/lib*.so* "$DEST/usr/local/lib/"
cp usr/share/doc/libpcre2-8-0/copyright "$DEST/usr/local/share/doc/$NAME/copyright"
