#!/bin/sh
set -eu

lib=$DEST/usr/local/lib/conmon
mkdir -p "$lib" "$DEST/usr/local/libexec/podman" "$DEST/usr/local/share/doc/conmon"
install -m 755 root/usr/bin/conmon "$DEST/usr/local/libexec/podman/conmon"
for name in libglib-2.0.so.0 libpcre2-8.so.0 libatomic.so.1 libsystemd.so.0 libcap.so.2; do
    cp -L "root/usr/lib/x86_64-linux-gnu/$name" "$lib/$name"
    chmod 755 "$lib/$name"
    # A library looks for what it needs where its own says, not where the program's does.
    # shellcheck disable=SC2016 # for the loader, not for the shell
    patchelf --set-rpath '$ORIGIN' "$lib/$name"
done
# shellcheck disable=SC2016
patchelf --set-rpath '$ORIGIN/../../lib/conmon' "$DEST/usr/local/libexec/podman/conmon"

for package in conmon libglib2.0-0t64 libpcre2-8-0 libsystemd0 libcap2; do
    gzip -9nc "root/usr/share/doc/$package/copyright" >"$DEST/usr/local/share/doc/conmon/copyright-$package.gz"
done
