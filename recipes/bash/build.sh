#!/bin/sh
set -eu

./configure --prefix=/usr/local --disable-nls --without-bash-malloc --with-curses --with-installed-readline \
    bash_cv_termcap_lib=libtinfo CFLAGS="-O2 -std=gnu17"
make -j"$JOBS" bash

mkdir -p "$DEST/usr/local/bin" "$DEST/usr/local/share/doc/bash"
install -m 755 bash "$DEST/usr/local/bin/bash"
cp COPYING "$DEST/usr/local/share/doc/bash/"
