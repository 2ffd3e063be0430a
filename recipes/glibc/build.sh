#!/bin/sh
set -eu

# Tiny Core keeps libraries in /lib and /usr/lib and has no folders named after the machine. These are two
# of the places that Debian's loader searches by itself; /usr/local/lib is added by ldconfig.
multiarch=usr/lib/x86_64-linux-gnu

mkdir -p "$DEST/lib" "$DEST/usr/lib" "$DEST/usr/bin" "$DEST/sbin" "$DEST/etc" "$DEST/usr/share/doc/glibc"
# The loader, the library, name lookup, and the empty ones that programs from before 2.34 still name.
for name in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libresolv.so.2 libnss_compat.so.2 libnss_dns.so.2 \
    libnss_files.so.2 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 libanl.so.1; do
    cp "libc6/$multiarch/$name" "$DEST/lib/"
done
cp gcc/$multiarch/libgcc_s.so.1 "$DEST/lib/"
cp -P gcc/$multiarch/libstdc++.so.6* "$DEST/usr/lib/"
chmod 755 "$DEST"/lib/*.so* "$DEST"/usr/lib/libstdc++.so.6.*

install -m 755 libc-bin/usr/bin/getent "$DEST/usr/bin/getent"
install -m 755 libc-bin/usr/sbin/ldconfig "$DEST/sbin/ldconfig"
echo /usr/local/lib >"$DEST/etc/ld.so.conf"

gzip -9nc libc6/usr/share/doc/libc6/copyright >"$DEST/usr/share/doc/glibc/copyright.gz"
gzip -9nc gcc/usr/share/doc/gcc-14-base/copyright >"$DEST/usr/share/doc/glibc/copyright-gcc.gz"

"$DEST/lib/ld-linux-x86-64.so.2" --library-path "$DEST/lib" "$DEST/usr/bin/getent" --version >/dev/null
