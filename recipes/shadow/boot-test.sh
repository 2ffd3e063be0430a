#!/bin/sh
# A user maps a range of ids of their own into a user space, and no others.
set -eu

for file in /etc/subuid /etc/subgid; do
    grep -qs '^tc:' $file || echo tc:100000:65536 >>$file
done
cat >/tmp/uidmap-test <<'END'
unshare -U sleep 60 &
pid=$!
sleep 1
newuidmap $pid 0 $(id -u) 1 1 100000 65536 && newgidmap $pid 0 $(id -g) 1 1 100000 65536
grep -q "1 *100000 *65536" /proc/$pid/uid_map && grep -q "1 *100000 *65536" /proc/$pid/gid_map || exit 1
kill $pid
unshare -U sleep 60 &
pid=$!
sleep 1
! newuidmap $pid 0 0 1 2>/dev/null || exit 1
kill $pid
END
su -s /bin/sh tc -c 'sh -eux /tmp/uidmap-test'
