#!/bin/sh
# The image holds the configuration that lies beside it, and every symbol that a module asks for is there.
set -eu

release=$(cat "$DEST/release")
scripts/extract-ikconfig "$DEST/vmlinuz" | cmp - "$DEST/config"
unresolved=$(depmod -n -e -F System.map -b /build/tmp/merged -C /dev/null "$release" 2>&1 >/dev/null)
[ -z "$unresolved" ] || { echo "$unresolved" >&2; exit 1; }
for module in overlay squashfs loop virtio_blk virtio_net; do
    grep -q "/$module.ko\$" "$DEST/lib/modules/$release/modules.builtin"
done
for module in bridge veth nf_tables nft_fib_inet vxlan ip_vs xt_conntrack; do
    grep -q "/$module.ko:" "$DEST/lib/modules/$release/modules.dep"
done
