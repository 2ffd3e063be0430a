#!/bin/sh
set -eu

# One source file: the configuration step is written out here.
sed -e "s/@PACKAGE_NAME@/$NAME/; s/@PACKAGE_VERSION@/$VERSION/" \
    -e "s,@PACKAGE_BUGREPORT@,https://github.com/openSUSE/catatonit/issues," \
    -e "s,@PACKAGE_URL@,https://github.com/openSUSE/catatonit," config.h.in >config.h
mkdir -p "$DEST/usr/local/libexec/podman" "$DEST/usr/local/share/doc/catatonit"
gcc -O2 -static -Wall -D_FORTIFY_SOURCE=2 -fstack-protector \
    -DHAVE_CLOSE_RANGE=1 -DHAVE_LINUX_CLOSE_RANGE_H=1 \
    -o "$DEST/usr/local/libexec/podman/catatonit" catatonit.c
cp COPYING "$DEST/usr/local/share/doc/catatonit/"
