#!/bin/bash
# A machine in namespaces: its own processes, mounts, network (loopback alone), cgroups and host name,
# on top of a root folder that it does not change. It ends with this script.
#
#   machine.sh ROOT FOLDER INIT...   runs INIT as process 1; what it writes is in FOLDER/upper
#
# /proc/sys is read-only: the kernel is the one of the machine underneath.
set -eu
root=$1 folder=$2
shift 2
mkdir -p "$folder"/{upper,work,merged,cgroup}

# A cgroup of its own, in the version 2 hierarchy, wherever that is mounted otherwise.
mount -t cgroup2 cgroup2 "$folder/cgroup"
mkdir -p "$folder/cgroup/${folder##*/}"
echo $$ >"$folder/cgroup/${folder##*/}/cgroup.procs"
umount "$folder/cgroup"

exec unshare --mount --pid --cgroup --uts --ipc --net --propagation private --fork --kill-child \
  bash -c '
set -eu
root=$1 folder=$2
shift 2
new=$folder/merged
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" "$new"
mount -t proc proc "$new/proc"
mount --bind "$new/proc/sys" "$new/proc/sys"
mount -o remount,bind,ro "$new/proc/sys"
mount -t sysfs sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
mkdir "$new/dev/pts" "$new/dev/shm"
for node in null zero full random urandom tty; do
  : >"$new/dev/$node"
  mount --bind "/dev/$node" "$new/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=666 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs tmpfs "$new/tmp"
hostname rxscope-test
ip link set lo up
cd "$new"
pivot_root . mnt
umount -l /mnt
exec env -i container=rxscope-test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
' sh "$root" "$folder" "$@"
