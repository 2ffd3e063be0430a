#!/bin/sh
set -eu

# Repacked as Debian builds it.
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/sbin" "$DEST/usr/local/share/doc/iproute2"
install -m 755 usr/bin/ip usr/bin/ss usr/bin/nstat "$DEST/usr/local/bin/"
install -m 755 usr/sbin/tc usr/sbin/bridge usr/sbin/devlink "$DEST/usr/local/sbin/"
cp -R usr/share/iproute2 "$DEST/usr/local/share/"
cp usr/share/doc/iproute2/copyright "$DEST/usr/local/share/doc/iproute2/"
