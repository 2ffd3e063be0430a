#!/bin/sh
set -eu

# One static program with all extensions in it; it acts as what it is called by.
./configure --prefix=/usr/local --enable-static --disable-shared --disable-nftables \
    --disable-devel --disable-libipq \
    CFLAGS="-O2" LDFLAGS="-static"
# libtool keeps -static to itself: -all-static is its word for a static program.
make -j"$JOBS" LDFLAGS="-all-static"

sbin=$DEST/usr/local/sbin
mkdir -p "$sbin" "$DEST/usr/local/share/doc/iptables"
install -m 755 iptables/xtables-legacy-multi "$sbin/"
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-legacy-multi "$sbin/$name"
done
cp COPYING "$DEST/usr/local/share/doc/iptables/"

# The extensions that the engine's rules name must be inside.
for extension in addrtype conntrack mark multiport comment MASQUERADE DNAT SNAT REDIRECT REJECT set ipvs bpf; do
    ./iptables/xtables-legacy-multi iptables -m "$extension" -h >help.txt 2>&1 ||
        ./iptables/xtables-legacy-multi iptables -j "$extension" -h >help.txt 2>&1 ||
        { echo "iptables was built without $extension" >&2; exit 1; }
done
