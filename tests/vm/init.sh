#!/bin/sh
# Process 1 of the virtual machine: all of the machine is in memory. Ends with pytest's exit code on
# the second serial port.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export TERM=dumb
if [ "$1" != moved ]; then
    # On the kernel's own first file system pivot_root is refused, which machines inside need.
    mount --bind / /mnt && cd /mnt && mount --move . / && exec chroot . /init moved
fi
cd /repo || exit
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666 devpts /dev/pts
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for place in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
exec </dev/null >/dev/ttyS0 2>&1
hostname sl-vm
# What systemd does at the root of the hierarchy.
echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
# There is no ip and no insmod. Machines in namespaces (tests/systemd) stand on this one's files,
# without what is mounted over them.
python3 - <<'END'
import ctypes, fcntl, os, socket, struct

fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS: IFF_UP
FINIT_MODULE = 313
module = os.open("/overlay.ko", os.O_RDONLY)
assert ctypes.CDLL(None).syscall(FINIT_MODULE, module, b"", 0) == 0, "no overlayfs"
END
mount --bind / "/root/.cache/supervisor-lite/root-$SUITE"
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/packages SUPERVISOR_LITE_SUITE="$SUITE"
sh /arguments
echo $? >/dev/ttyS1
sync
reboot -ff >/dev/null 2>&1
