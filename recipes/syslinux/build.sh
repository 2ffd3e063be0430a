#!/bin/sh
set -eu

bios=usr/lib/syslinux/modules/bios
cp usr/lib/ISOLINUX/isolinux.bin usr/lib/ISOLINUX/isohdpfx.bin "$DEST/"
# The core's other half, and a menu with the library it is linked to.
cp $bios/ldlinux.c32 $bios/menu.c32 $bios/libutil.c32 "$DEST/"
cp usr/share/doc/isolinux/copyright "$DEST/copyright"
