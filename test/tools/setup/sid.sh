#!/bin/bash
# For scripts that unpack newer programs beside the system: packages of Debian's suite sid. To be sourced.
# Nothing is installed; apt's own lists and packages stay as they are. Packages come to FOLDER/archives.
#
#   sid_apt FOLDER ARGUMENT…     apt-get, with a state in FOLDER in which nothing is installed
#   sid_begin FOLDER             makes that state, with the list of sid's packages as it is today

sid_begin() {
  local apt=$1 mirror
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { apt-get -qq update && mirror=$(debian_mirror); }
  [ -n "$mirror" ] || fail 'apt knows no Debian mirror; is this Debian?'
  rm -rf "$apt"
  mkdir -p "$apt"/{lists,archives}/partial "$apt/sources"
  : >"$apt/status"
  printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: %s\n' "$mirror" \
    /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/sources/suite.sources"
  sid_apt "$apt" update || fail "the list of sid's packages cannot be had from $mirror"
}

sid_apt() {
  local apt=$1
  shift
  # apt-get download writes to the folder that it is called in.
  (cd "$apt/archives" && apt-get -q -o Dir::Etc::sourcelist=/dev/null \
    -o Dir::Etc::sourceparts="$apt/sources" -o Dir::State::lists="$apt/lists" \
    -o Dir::State::status="$apt/status" -o Dir::Cache::archives="$apt/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none \
    -o APT::Update::Error-Mode=any -o Acquire::Retries=3 \
    -o APT::Sandbox::User=root -o Debug::NoLocking=true "$@")
}

# The one that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
}

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}
