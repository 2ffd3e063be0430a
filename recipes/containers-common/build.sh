#!/bin/sh
# Installs files/ as it is, and the system call filter that the engines have built in, to be read and changed.
set -eu

mkdir -p "$DEST/usr/local/share/doc/containers-common"
cp -R "$RECIPE/files/." "$DEST/"
cp pkg/seccomp/seccomp.json "$DEST/usr/local/share/containers/"
cp LICENSE "$DEST/usr/local/share/doc/containers-common/"
