#!/bin/sh
set -eu

# shellcheck disable=SC2046  # one module a word
grub-mkimage -O x86_64-efi -d usr/lib/grub/x86_64-efi -p /boot/grub -c "$RECIPE/files/embedded.cfg" \
    -o BOOTX64.EFI $(cat "$RECIPE/files/modules")

# FAT with all that mkfs and mtools would draw from the clock or at random given: the size is a whole number
# of tracks, and of a CD's sectors.
touch -d "@$SOURCE_DATE_EPOCH" BOOTX64.EFI
size=$((($(stat -c %s BOOTX64.EFI) + 1023) / 1024 + 64))
size=$(((size + 63) / 64 * 64))
mkfs.vfat --invariant -C -F 12 -s 1 -r 112 -i 464c4f45 -n FLOE_EFI "$DEST/efiboot.img" "$size"
mmd -i "$DEST/efiboot.img" ::EFI ::EFI/BOOT
mcopy -m -i "$DEST/efiboot.img" BOOTX64.EFI ::EFI/BOOT/BOOTX64.EFI

mdir -i "$DEST/efiboot.img" -b ::EFI/BOOT | grep -q BOOTX64.EFI
cp BOOTX64.EFI "$DEST/BOOTX64.EFI"
cp usr/share/doc/grub-efi-amd64-bin/copyright "$DEST/copyright"
