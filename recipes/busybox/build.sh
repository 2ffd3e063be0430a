#!/bin/sh
set -eu

options=$RECIPE/files/config

make -s defconfig
# Our lines replace those of the same symbol; olddefconfig is not known here, so oldconfig gets its defaults.
awk '
    match($0, /CONFIG_[A-Z0-9_]+/) { name = substr($0, RSTART, RLENGTH) }
    FNR == NR { if (/^CONFIG_|^# CONFIG_[A-Z0-9_]+ is not set$/) ours[name] = $0; next }
    (name in ours) && /CONFIG_/ { print ours[name]; delete ours[name]; next }
    { print }
    END { for (name in ours) print ours[name] }
' "$options" .config >.config.new
mv .config.new .config
yes "" | make -s oldconfig >/dev/null 2>&1

lost=$(grep -E '^CONFIG_|^# CONFIG_[A-Z0-9_]+ is not set$' "$options" | while read -r line; do
    case $line in
        \#*) line=${line#\# } && ! grep -q "^${line% is not set}=" .config || echo "${line% is not set} is on" ;;
        *) grep -qxF "$line" .config || echo "$line" ;;
    esac
done)
[ -z "$lost" ] || { echo "options that did not stick:" "$lost" >&2; exit 1; }

make -j"$JOBS" busybox

mkdir -p "$DEST/bin" "$DEST/sbin" "$DEST/usr/bin" "$DEST/usr/sbin" "$DEST/usr/share/doc/busybox"
cp LICENSE "$DEST/usr/share/doc/busybox/"
install -m 755 busybox "$DEST/bin/busybox"
install -m 755 busybox "$DEST/bin/busybox.suid"

./busybox --list-full | while read -r path; do
    case ${path##*/} in
        busybox) continue ;;
        su | passwd | ping | ping6 | crontab | login | traceroute | traceroute6) target=busybox.suid ;;
        *) target=busybox ;;
    esac
    case $path in
        bin/*) ;;
        sbin/*) target=../bin/$target ;;
        usr/bin/* | usr/sbin/*) target=../../bin/$target ;;
        *) echo "an applet outside the usual folders: $path" >&2 && exit 1 ;;
    esac
    ln -s "$target" "$DEST/$path"
done
[ -e "$DEST/sbin/init" ] && [ -e "$DEST/bin/sh" ]
