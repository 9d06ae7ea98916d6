#!/bin/busybox sh
# The first program of a machine: loads drivers, mounts the disk, and hands over to /sbin/machine on it.
# The root of a machine has to be a mounted file system, since the first one cannot be given to pivot_root(2).
set -e
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do
    /bin/busybox insmod "/modules/$module"
done < /modules/order
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox cp /machine /root/etc/machine
/bin/busybox mount -o move /dev /root/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /sbin/machine
