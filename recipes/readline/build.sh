#!/bin/sh
set -eu

./configure --prefix=/usr/local --disable-static --with-curses --with-shared-termcap-library \
    --disable-install-examples bash_cv_termcap_lib=libtinfo CFLAGS="-O2"
make -j"$JOBS" SHLIB_LIBS=-ltinfo shared
make install-shared install-pc install-headers DESTDIR="$DEST" SHLIB_LIBS=-ltinfo
install -Dm 644 COPYING "$DEST/usr/local/share/doc/readline/COPYING"
