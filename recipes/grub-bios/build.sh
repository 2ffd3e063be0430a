#!/bin/sh
set -eu

# The second partition of the disk that the machine starts from, whatever other disks have on them; what is
# read there is grub.cfg. Where the core lies on the disk is written into it when the disk is made.
# shellcheck disable=SC2046  # one module a word
grub-mkimage -O i386-pc -d usr/lib/grub/i386-pc -p '(,gpt2)/boot/grub' -o "$DEST/core.img" \
    $(cat "$RECIPE/files/modules")
cp usr/lib/grub/i386-pc/boot.img "$DEST/boot.img"
cp usr/share/doc/grub-common/copyright "$DEST/copyright"
