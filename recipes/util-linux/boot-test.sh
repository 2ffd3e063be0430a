#!/bin/sh
set -eu

cd "$(mktemp -d)"
truncate -s 8M disk
printf 'label: gpt\n,4M,L\n,,S\n' | sfdisk -q disk
loop=$(losetup -f --show -P disk)
[ "$(lsblk -nro NAME "$loop" | wc -l)" = 3 ]
mkswap -q -L boottest "${loop}p2"
[ "$(blkid -p -o value -s LABEL "${loop}p2")" = boottest ]
losetup -d "$loop"
[ "$(findmnt -nro FSTYPE /proc)" = proc ]
[ "$(unshare --uts --pid --fork --mount-proc sh -c 'hostname inside; hostname; echo $$' | tr '\n' ' ')" = "inside 1 " ]
nsenter --target 1 --mount --uts true
lsns -nro TYPE | grep -qx mnt
