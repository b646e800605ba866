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
. "$(dirname "$0")/../tools/setup/sid.sh"

main() {
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_DEPLOY_CACHE to a folder of yours"
  # One prepares, the others wait for it.
  exec 9>"$cache/lock.kustomize"
  flock 9
  if [ ! -x "$cache/kustomize" ]; then
    rm -rf "$cache/files"
    sid_begin "$cache/apt" >&2
    sid_apt "$cache/apt" download kustomize >&2
    dpkg -x "$cache"/apt/archives/kustomize_*.deb "$cache/files"
    "$cache/files/usr/bin/kustomize" version >&2 || fail "the kustomize of sid cannot be run here"
    mv "$cache/files/usr/bin/kustomize" "$cache/kustomize"
    rm -rf "$cache/apt" "$cache/files"
  fi
  echo "$cache/kustomize"
}

main
