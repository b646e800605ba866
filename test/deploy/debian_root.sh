#!/bin/bash
# Makes a small Debian with systemd and Node.js in a folder, to install rxscope's package in.
#
#   debian_root.sh       prints the path of the folder; it is meant to be read, never written
#
# The folder is in /var/cache/rxscope-deploy, or $RXSCOPE_DEPLOY_CACHE; about 400 MB. What is there
# serves until somebody deletes it. The first time downloads about 90 MB and takes a minute.
# Debian 13 is the first whose own Node.js is new enough (20.19).
set -eu
export LC_ALL=C
cache=${RXSCOPE_DEPLOY_CACHE:-/var/cache/rxscope-deploy}
suite=trixie
packages=systemd,nodejs,adduser,init-system-helpers,ca-certificates

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_DEPLOY_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock"
  flock 9
  if [ ! -d "$cache/$suite" ]; then
    rm -rf "$cache/new"
    local mirror
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { apt-get -qq update && mirror=$(debian_mirror); }
    [ -n "$mirror" ] || fail 'apt knows no Debian mirror; is this Debian?'
    debootstrap --variant=minbase --include=$packages $suite "$cache/new" "$mirror" >"$cache/log" 2>&1 ||
      fail "debootstrap failed; its log is $cache/log"
    rm -rf "$cache/new"/var/cache/apt/archives/*.deb "$cache/new"/var/lib/apt/lists/*
    mask "$cache/new"
    mv "$cache/new" "$cache/$suite"
  fi
  echo "$cache/$suite"
}

fail() {
  echo "debian_root.sh: $*" >&2
  exit 1
}

# Nothing that the systemd of a test may do to the machine that the test runs on.
mask() {
  local unit
  for unit in systemd-sysctl systemd-modules-load systemd-binfmt systemd-udevd systemd-udev-trigger \
    systemd-remount-fs systemd-random-seed systemd-pstore; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit.service"
  done
  for unit in dev-hugepages.mount sys-kernel-debug.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
  done
}

# The one that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
}

main
