# Process 1 of a guest once it has its root file system: mounts what a command may expect, runs the
# one that guest.sh left in GUEST_RUN, hands over its output and status, turns the guest off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp

mount_all() {
  mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts
  mount -t tmpfs shm /dev/shm
  mount -t tracefs tracefs /sys/kernel/tracing
  mount -t bpf bpf /sys/fs/bpf
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  ln -sfn /proc/self/fd /dev/fd
  ip link set lo up
}

# The device of the virtio-serial port with this name, which appears a moment after boot.
port() {
  local folder
  for _ in {1..100}; do
    for folder in /sys/class/virtio-ports/*; do
      [ "$(cat "$folder/name" 2>/dev/null)" != "$1" ] || { echo "/dev/${folder##*/}" && return; }
    done
    sleep 0.1
  done
  echo /dev/null
}

mount_all >/dev/console 2>&1
exec 3>"$(port status)" </dev/null
echo start >&3
# A serial port takes one writer: cat holds it, so that the command and its children can share.
mkfifo /run/out /run/err
cat /run/out >"$(port out)" &
cats=$!
cat /run/err >"$(port err)" &
cats="$cats $!"
setsid -w bash "$GUEST_RUN/command" >/run/out 2>/run/err 3>&-
status=$?
# What the command left running may hold its output open: not for long.
for _ in {1..15}; do
  kill -0 $cats 2>/dev/null || break
  sleep 0.2
done
echo "exit $status" >&3
exec 3>&-
echo o >/proc/sysrq-trigger
sleep infinity
