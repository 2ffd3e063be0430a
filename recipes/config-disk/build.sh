#!/bin/sh
# Compiles the program that reads config disks, and installs the scripts of files/ as they are.
set -eu
mkdir -p "$DEST"
cp -R "$RECIPE/files/." "$DEST/"
place=$DEST/usr/local/lib/config-disk
musl-gcc -std=gnu11 -Os -static -fstack-protector-strong -ffunction-sections -Wl,--gc-sections -Wall -Wextra -Werror \
    -o "$place/plan" "$RECIPE"/src/*.c

# Zones by name, with the rule that holds now: the base has no database of them. A file of a zone ends with its
# rule (RFC 8536, section 3.3).
cd /usr/share/zoneinfo
find . -type f | sed 's,^\./,,' | LC_ALL=C sort | grep '^[A-Z]' | while read -r zone; do
    [ "$(head -c 4 "$zone")" = TZif ] && rule=$(tail -n 1 "$zone") && echo "$zone $rule"
done >"$place/zones"
grep -qxF 'Europe/Berlin CET-1CEST,M3.5.0,M10.5.0/3' "$place/zones"
