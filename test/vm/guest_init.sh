#!/bin/busybox sh
# Process 1 of a guest until it has its root file system: the host's, shared read-only, under a
# tmpfs. Only what is in the initramfs is there; guest.sh puts it there and sets GUEST_*.
b=/bin/busybox
fail() {
  echo "guest: cannot $*"
  $b poweroff -f
}

$b mkdir -p /proc /sys /dev /host /upper /merged
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $b insmod $module || fail "load $module"; done

$b mount -t virtiofs -o ro root /host || fail 'mount the root file system'
$b mount -t tmpfs -o size=80% upper /upper && $b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work overlay /merged ||
  fail 'lay a tmpfs over the root file system'
$b mount -t tmpfs run /merged/run

# /lib is a link to usr/lib where /usr is merged; an absolute one would lead out of here.
modules=/merged/usr/lib/modules/${GUEST_MODULES##*/}
$b mkdir -p "$modules" && $b mount -o bind "/merged$GUEST_MODULES" "$modules" || fail 'show the modules'
for folder in proc sys dev; do $b mount -o move /$folder /merged/$folder; done
exec $b switch_root /merged /bin/bash "$GUEST_RUN/main"
