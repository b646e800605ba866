#!/bin/bash
# Unpacks the newest Prometheus that Debian has, from its suite sid, with its promtool and C library.
# Nothing is installed; apt's own lists and packages stay as they are.
#
#   newest_prometheus.sh     prints a folder with a prometheus and a promtool that can be run
#
# The folder is /var/cache/rxscope-prometheus, or $RXSCOPE_PROMETHEUS_CACHE; about 190 MB. What is there
# serves until somebody deletes it. The first time downloads about 50 MB, in a few seconds.
set -eu
export LC_ALL=C
cache=${RXSCOPE_PROMETHEUS_CACHE:-/var/cache/rxscope-prometheus}
. "$(dirname "$0")/../tools/setup/sid.sh"

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_PROMETHEUS_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock"
  flock 9
  if [ ! -d "$cache/bin" ]; then
    rm -rf "$cache/new" "$cache/files"
    sid_begin "$cache/apt" >&2
    sid_apt "$cache/apt" download prometheus promtool libc6 >&2
    for package in "$cache"/apt/archives/*.deb; do
      dpkg -x "$package" "$cache/files"
    done
    rm -rf "$cache/apt" "$cache"/files/usr/share
    mkdir "$cache/new"
    write_starter prometheus
    write_starter promtool
    mv "$cache/new" "$cache/bin"
  fi
  echo "$cache/bin"
}

# With its own loader and C library, so that it need not be as old as this machine's.
write_starter() {
  local program=$cache/files/usr/bin/$1 libraries loader
  for loader in "$cache"/files/usr/lib/*-linux-gnu*/ld-linux-*.so.?; do
    libraries=$(dirname "$loader")
  done
  printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$program" >"$cache/new/$1"
  chmod 755 "$cache/new/$1"
  "$cache/new/$1" --version >&2 || fail "the $1 of sid cannot be run here"
}

main
