#!/bin/sh
set -eu

# Repacked as Debian builds it; Tiny Core has no folders named after the machine.
multiarch=usr/lib/x86_64-linux-gnu

mkdir -p "$DEST/usr/local/lib" "$DEST/usr/local/share/doc/$NAME"
cp -P $multiarch/lib*.so* "$DEST/usr/local/lib/"
cp usr/share/doc/libnftnl11/copyright "$DEST/usr/local/share/doc/$NAME/copyright"

mkdir "$DEST/usr/local/lib/pkgconfig"
cp -R usr/include "$DEST/usr/local/"
for file in "$multiarch"/pkgconfig/*.pc; do
    sed -e 's|^prefix=.*|prefix=/usr/local|' -e "s|/lib/x86_64-linux-gnu|/lib|" "$file" \
        >"$DEST/usr/local/lib/pkgconfig/${file##*/}"
done
