#!/bin/sh
set -eu

# Wide characters and a terminfo library of its own, with the symbol versions that other systems' builds have.
./configure --prefix=/usr/local --with-shared --without-normal --without-debug --without-ada \
    --without-cxx --without-cxx-binding --without-manpages --without-tests --disable-stripping \
    --enable-widec --with-termlib=tinfo --with-versioned-syms \
    --enable-pc-files --with-pkg-config-libdir=/usr/local/lib/pkgconfig \
    --with-default-terminfo-dir=/usr/local/share/terminfo \
    --with-terminfo-dirs=/etc/terminfo:/usr/local/share/terminfo:/usr/share/terminfo \
    CFLAGS="-O2"
make -j"$JOBS"
make install DESTDIR="$DEST"

# Programs that ask for the plain names are built with the wide libraries.
lib=$DEST/usr/local/lib
for name in ncurses form menu panel; do
    ln -s "lib${name}w.so" "$lib/lib$name.so"
    ln -s "${name}w.pc" "$lib/pkgconfig/$name.pc"
done
rm -f "$lib/terminfo"
install -Dm 644 COPYING "$DEST/usr/local/share/doc/ncurses/COPYING"
