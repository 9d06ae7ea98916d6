#!/bin/sh
# Sets a machine up as its description says, takes each step as an ordinary user, and turns the machine off.
# What is reported goes to the second serial line; see xtask/src/machines/transcript.rs for its form.
export PATH=/usr/sbin:/usr/bin HOME=/root
busybox stty -F /dev/ttyS1 raw
exec > /dev/ttyS1 2>&1 < /dev/null
. /etc/machine

chown -R root:root /usr /etc /home /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
chmod 1777 /tmp /var/tmp
busybox ip link set lo up
busybox hostname machine
for setting in $MACHINE_SETTINGS; do
    # A setting that does not exist would make this another machine than the one described.
    busybox sysctl -q -w "$setting" || exit 1
done
mkdir -p /home/tester
chown tester:tester /home/tester
chmod 700 /home/tester

# As a login does it: a group for the session, below one that belongs to the user where groups are delegated.
group=/sys/fs/cgroup/user
mkdir -p $group/session
if [ "$MACHINE_DELEGATE" = yes ]; then
    for switch in /sys/fs/cgroup/cgroup.subtree_control $group/cgroup.subtree_control; do
        echo '+cpu +memory +pids' > $switch
    done
    chown -R tester:tester $group
fi
echo $$ > $group/session/cgroup.procs

# step USER NAME COMMAND...: runs a command with no more of the environment than a login has, and what suites need.
step() {
    user=$1
    shift
    home=$(busybox awk -F: -v "user=$user" '$1 == user { print $6 }' /etc/passwd)
    setpriv --reuid="$user" --regid="$user" --init-groups env -i \
        PATH=/usr/bin:/usr/sbin HOME="$home" USER="$user" LOGNAME="$user" LANG=C.UTF-8 \
        STOCKADE_BIN=/usr/bin/stockade STOCKADE_TIERS="$MACHINE_TIER" \
        MACHINE_TIER="$MACHINE_TIER" MACHINE_EXCEPTIONS="$MACHINE_EXCEPTIONS" /sbin/step "$@"
}
step tester doctor stockade doctor --json
suites
echo "@machine done"
sync
busybox poweroff -f
