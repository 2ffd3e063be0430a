#!/bin/sh
# Debian's kernel, taken apart: the image, a small set of modules for the base (files/base.list) and the
# modules of an extension (files/extension.list). Both lists are completed with what their modules depend on.
set -eu

set -- boot/vmlinuz-*
if [ $# -ne 1 ] || [ ! -f "$1" ]; then
    echo "expected one kernel image, found: $*" >&2
    exit 1
fi
release=${1#boot/vmlinuz-}
modules=usr/lib/modules/$release
base=lib/modules/$release
extension=usr/local/lib/modules/$release

missing=$(
    sed 's/#.*//' "$RECIPE/files/config.required" | while read -r symbol values; do
        [ -n "$symbol" ] || continue
        value=$(sed -n "s/^CONFIG_$symbol=//p" "boot/config-$release")
        case " $values " in
            *" ${value:-n} "*) ;;
            *) echo "CONFIG_$symbol is ${value:-n}, wanted: $values" ;;
        esac
    done
)
[ -z "$missing" ] || { echo "the kernel lacks what containers need:" "$missing" >&2; exit 1; }

cp "boot/vmlinuz-$release" "$DEST/vmlinuz"
cp "boot/config-$release" "$DEST/config"
echo "$release" >"$DEST/release"

depmod -b usr -C /dev/null "$release"

# A merged tree laid out as the running system sees it: the base's modules in kernel/, the extension's
# in kernel.tclocal/, which over there is a link to where Tiny Core's modules extensions put theirs.
merged=/build/tmp/merged/$base
mkdir -p "$merged"
cp "$modules/modules.builtin" "$modules/modules.builtin.modinfo" "$modules/modules.order" "$merged/"
# Unpacked by the machine, xz takes a tenth of all the time that a host needs to start. The extension is packed as a whole.
unpack() {
    case "$1" in
        *.xz) xz -dc "$1" >"$2" ;;
        *) cp "$1" "$2" ;;
    esac
}
take() {
    # take LIST TARGET [ALREADY-TAKEN]: copy a list's modules and what they need; print their paths
    awk -f "$RECIPE/files/select.awk" -v taken="${3:-}" -v builtin="$modules/modules.builtin" \
        "$modules/modules.dep" "$1" | LC_ALL=C sort >"/build/tmp/$2.files"
    while read -r file; do
        mkdir -p "$merged/$2/${file%/*}"
        unpack "$modules/kernel/$file" "$merged/$2/${file%.xz}"
    done <"/build/tmp/$2.files"
}
take "$RECIPE/files/base.list" kernel
take "$RECIPE/files/extension.list" kernel.tclocal /build/tmp/kernel.files

depmod -b /build/tmp/merged -C /dev/null "$release"

# The base's own lie in memory as long as the machine runs: gzip, which is unpacked in a fifth of xz's time. Not every
# depmod reads it, so names are changed afterwards.
find "$merged/kernel" -name '*.ko' -exec gzip -9n {} +
sed -i -E 's#(^| )(kernel/[^ :]*\.ko)#\1\2.gz#g' "$merged/modules.dep"

mkdir -p "$DEST/$base" "$DEST/$extension"
cp -R "$merged/kernel" "$DEST/$base/kernel"
cp -R "$merged/kernel.tclocal" "$DEST/$extension/kernel"
ln -s "/$extension/kernel" "$DEST/$base/kernel.tclocal"
# BusyBox reads the text files; the rest serves kmod alone.
for index in dep alias softdep devname builtin; do
    cp "$merged/modules.$index" "$DEST/$base/"
done
# This package's modules are in modules.dep already: no depmod is needed when it is loaded.
echo "modules-$release" >"$DEST/$base/modules.covered"
