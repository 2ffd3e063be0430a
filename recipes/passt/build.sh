#!/bin/sh
set -eu

# passt acts as pasta when it is called so; it starts its AVX2 twin by itself where the processor has that.
make -j"$JOBS" static VERSION="$VERSION"

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/passt"
for name in passt passt.avx2 pasta pasta.avx2; do cp -P "$name" "$DEST/usr/local/bin/"; done
cp LICENSES/* "$DEST/usr/local/share/doc/passt/"
