#!/bin/sh
# Runs a command as on a host with systemd: its mounts are there, services listen on their usual ports, there
# is no IPv6, another tool's BPF programs are attached, and the environment is a bare one. All of it is seen
# by the command alone, and ends with it.
#
#   systemd_host.sh COMMAND [ARGUMENT...]
set -eu

if [ "${RXSCOPE_INSIDE-}" = '' ]; then
  RXSCOPE_INSIDE=1 exec unshare --mount --net --propagation private "$0" "$@"
fi
unset RXSCOPE_INSIDE

# One that belongs to this network namespace; what the machine had mounted below it is hidden.
mount -t sysfs sysfs /sys
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1

# A service that goes when the command goes, which has this process' number.
service() {
  setpriv --pdeathsig KILL "$@" >/dev/null 2>&1 &
}
mount -t tmpfs tmpfs /mnt
echo '{}' >/mnt/prometheus.yml
service prometheus-node-exporter
service prometheus --config.file=/mnt/prometheus.yml --storage.tsdb.path=/mnt/tsdb
service bpftrace -e 'tracepoint:irq:softirq_entry { @[args->vec] = count(); }'

umask 077
export TMPDIR=/dev/shm
unset LANG LC_ALL HOME
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
exec "$@"
