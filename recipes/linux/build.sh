#!/bin/sh
# A kernel from a base configuration and fragments (files/config.d, in the order of their names). The base is
# the one file in kconfig/ that a source put there, else the recipe's own `config`, else x86_64_defconfig.
# With KCONFIG_ONLY the build ends when the configuration is there and checked.
set -eu

# Nothing of the machine or the day.
KBUILD_BUILD_TIMESTAMP=$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH")
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=build KBUILD_BUILD_HOST=build KBUILD_BUILD_VERSION=1
export KCONFIG_NOTIMESTAMP=1
kernel() { make ARCH=x86_64 --no-print-directory "$@"; }

work=/build/tmp/configuration
mkdir -p "$work"
set -- kconfig/*
without=
own=config
if [ $# -gt 1 ]; then
    echo "kconfig/ holds more than one configuration: $*" >&2
    exit 1
elif [ -f "$1" ]; then
    cp "$1" "$work/base"
elif [ -f "$RECIPE/$own" ]; then
    cp "$RECIPE/$own" "$work/base"
else
    kernel -s x86_64_defconfig
    mv .config "$work/base"
    without=$RECIPE/files/without.config
fi
case $(od -An -tx1 -N2 "$work/base" | tr -d ' ') in
    1f8b) mv "$work/base" "$work/base.gz" && gzip -d "$work/base.gz" ;;
esac

set -- ${without:+"$without"} "$RECIPE"/files/config.d/*.config
scripts/kconfig/merge_config.sh -m -O "$work" "$work/base" "$@" >"$work/merge.log"
cp "$work/.config" .config
kernel -s olddefconfig
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/build/tools python3 -m tcz.kconfig --srcarch x86 --config .config "$@"
[ -z "${KCONFIG_ONLY:-}" ] || exit 0

kernel -s -j"$JOBS" bzImage modules
release=$(cat include/config/kernel.release)
kernel -s INSTALL_MOD_PATH="/build/tmp/modules" INSTALL_MOD_STRIP=1 DEPMOD=true modules_install

cp arch/x86/boot/bzImage "$DEST/vmlinuz"
cp .config "$DEST/config"
echo "$release" >"$DEST/release"

# A tree as the running system sees it: all modules in kernel.tclocal, which over there is a link to where
# Tiny Core's modules extensions put theirs. What finds the boot medium is built in.
base=lib/modules/$release
extension=usr/local/lib/modules/$release
merged=/build/tmp/merged/$base
built=/build/tmp/modules/$base
mkdir -p "$merged" "$DEST/$base" "$DEST/$extension"
cp -R "$built/kernel" "$merged/kernel.tclocal"
cp "$built/modules.builtin" "$built/modules.builtin.modinfo" "$merged/"
# In the order of the kernel's makefiles: where two modules serve a device, the first one does.
sed 's|^kernel/|kernel.tclocal/|' "$built/modules.order" >"$merged/modules.order"
depmod -b /build/tmp/merged -C /dev/null "$release"

cp -R "$merged/kernel.tclocal" "$DEST/$extension/kernel"
ln -s "/$extension/kernel" "$DEST/$base/kernel.tclocal"
# BusyBox reads the text files; the rest serves kmod alone.
for index in dep alias softdep devname builtin; do
    cp "$merged/modules.$index" "$DEST/$base/"
done
# This package's modules are in modules.dep already: no depmod is needed when it is loaded.
echo "modules-$release" >"$DEST/$base/modules.covered"
