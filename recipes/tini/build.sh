#!/bin/sh
set -eu

# One source file: cmake's configuration step is written out here.
cat >src/tiniConfig.h <<EOF
#define TINI_VERSION "$VERSION"
#define TINI_GIT ""
EOF
mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/docker-init"
gcc -O2 -static -std=gnu99 -Wall -Wextra -D_FORTIFY_SOURCE=2 -fstack-protector -Isrc \
    -o "$DEST/usr/local/bin/docker-init" src/tini.c

"$DEST/usr/local/bin/docker-init" --version | grep -qF "version $VERSION"
cp LICENSE "$DEST/usr/local/share/doc/docker-init/"
