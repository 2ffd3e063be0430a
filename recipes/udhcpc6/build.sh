#!/bin/sh
# Compiles one applet as a static program of its own, which runs on any base.
set -eu

wanted="STATIC LFS LONG_OPTS SHOW_USAGE FEATURE_IPV6 UDHCPC6
    FEATURE_UDHCPC6_RFC3646 FEATURE_UDHCPC6_RFC4704 FEATURE_UDHCPC6_RFC4833 FEATURE_UDHCPC6_RFC5970"

make -s allnoconfig >/dev/null
for option in $wanted; do
    sed -i "s/^# CONFIG_$option is not set$/CONFIG_$option=y/" .config
done
yes "" | make -s oldconfig >/dev/null 2>&1
for option in $wanted; do
    grep -q "^CONFIG_$option=y$" .config || { echo "an option that did not stick: $option" >&2; exit 1; }
done

# musl-gcc does not look for the kernel's headers itself.
make -j"$JOBS" CC=musl-gcc busybox \
    CONFIG_EXTRA_CFLAGS="-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu"

mkdir -p "$DEST/usr/local/sbin" "$DEST/usr/local/share/doc/udhcpc6"
install -m 755 busybox "$DEST/usr/local/sbin/udhcpc6"
cp LICENSE "$DEST/usr/local/share/doc/udhcpc6/"
