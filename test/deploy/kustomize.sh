#!/bin/bash
# Unpacks kustomize from Debian's suite sid, which has one (5.8), into a folder. It is one static
# program: nothing is installed, and apt's own lists and packages stay as they are.
#
#   kustomize.sh         prints the path of the program
#
# The folder is in /var/cache/rxscope-deploy, or $RXSCOPE_DEPLOY_CACHE; what is there serves until
# somebody deletes it. The first time downloads sid's list of packages and 5 MB.
set -eu
export LC_ALL=C
cache=${RXSCOPE_DEPLOY_CACHE:-/var/cache/rxscope-deploy}
suite=sid

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_DEPLOY_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock.kustomize"
  flock 9
  if [ ! -x "$cache/kustomize" ]; then
    rm -rf "$cache/apt" "$cache/files"
    mkdir -p "$cache/apt"/{lists,archives}/partial "$cache/apt/sources"
    (cd "$cache/apt/archives" && download) >&2
    dpkg -x "$cache"/apt/archives/kustomize_*.deb "$cache/files"
    "$cache/files/usr/bin/kustomize" version >&2 || fail "the kustomize of $suite cannot be run here"
    mv "$cache/files/usr/bin/kustomize" "$cache/kustomize"
    rm -rf "$cache/apt" "$cache/files"
  fi
  echo "$cache/kustomize"
}

fail() {
  echo "kustomize.sh: $*" >&2
  exit 1
}

download() {
  local apt=$cache/apt mirror options
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { apt-get -qq update && mirror=$(debian_mirror); }
  [ -n "$mirror" ] || fail 'apt knows no Debian mirror; is this Debian?'
  : >"$apt/status"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" $suite \
    /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/sources/suite.sources"
  options=(-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources"
    -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Cache::archives="$apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Debug::NoLocking=true)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" download kustomize
}

# The one that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
}

main
