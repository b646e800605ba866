#!/bin/bash
# Unpacks the newest bpftrace that Debian has, from its suite sid, and the libraries that it needs
# into a folder of their own. Nothing is installed; apt's own lists and packages stay as they are.
#
#   newest.sh            prints the path of a bpftrace that can be run
#
# The folder is /var/cache/rxscope-bpftrace, or $RXSCOPE_BPFTRACE_CACHE; about 300 MB. What is there
# serves until somebody deletes it. The first time downloads about 90 MB, in a few seconds.
set -eu
export LC_ALL=C
cache=${RXSCOPE_BPFTRACE_CACHE:-/var/cache/rxscope-bpftrace}
. "$(dirname "$0")/../../tools/setup/sid.sh"

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_BPFTRACE_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock"
  flock 9
  if [ ! -x "$cache/bpftrace" ]; then
    rm -rf "$cache/files"
    sid_begin "$cache/apt" >&2
    # In that state nothing is installed: the C library comes along, too.
    sid_apt "$cache/apt" -y --no-install-recommends --download-only install bpftrace >&2
    unpack
    rm -rf "$cache/apt"
    write_starter
  fi
  echo "$cache/bpftrace"
}

unpack() {
  local package
  mkdir "$cache/files"
  for package in "$cache"/apt/archives/*.deb; do
    dpkg -x "$package" "$cache/files"
  done
}

# Its own loader and libraries: no chroot, no mounts, and it sees this machine's files.
write_starter() {
  local libraries=$cache/files/usr/lib/x86_64-linux-gnu
  printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' \
    "$libraries/ld-linux-x86-64.so.2" "$libraries" "$cache/files/usr/bin/bpftrace" >"$cache/new"
  chmod 755 "$cache/new"
  "$cache/new" --version >&2 || fail "the bpftrace of sid cannot be run here"
  mv "$cache/new" "$cache/bpftrace"
}

main
