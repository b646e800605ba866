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
suite=sid

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_BPFTRACE_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock"
  flock 9
  if [ ! -x "$cache/bpftrace" ]; then
    rm -rf "$cache/files" "$cache/apt"
    download >&2
    unpack
    rm -rf "$cache/apt"
    write_starter
  fi
  echo "$cache/bpftrace"
}

fail() {
  echo "newest.sh: $*" >&2
  exit 1
}

# With a state of apt in which nothing is installed, so that the C library comes along, too.
download() {
  local apt=$cache/apt mirror options
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { apt-get -qq update && mirror=$(debian_mirror); }
  [ -n "$mirror" ] || fail 'apt knows no Debian mirror; is this Debian?'
  mkdir -p "$apt"/{lists,archives}/partial "$apt/sources"
  : >"$apt/status"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" $suite \
    /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/sources/suite.sources"
  options=(-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources"
    -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Cache::archives="$apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Acquire::Languages=none -o APT::Sandbox::User=root -o Debug::NoLocking=true)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" -y --no-install-recommends --download-only install bpftrace
}

# The one that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
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
  "$cache/new" --version >&2 || fail "the bpftrace of $suite cannot be run here"
  mv "$cache/new" "$cache/bpftrace"
}

main
