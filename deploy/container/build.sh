#!/bin/bash
# Builds the image of the Containerfile beside this by buildah, without a registry: the base is a folder
# with Debian in it, as debootstrap makes one.
#
#   debootstrap --variant=minbase trixie FOLDER
#   deploy/container/build.sh --base FOLDER [--tag NAME]
#
# It needs root, and a buildah that can be run: BUILDAH names another than the one on PATH, words
# included. Certificates that apt and npm need on this network: --certificates FILE.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
read -ra buildah <<<"${BUILDAH:-buildah}"
base=
tag=rxscope:$(node -p "require('$checkout/package.json').version")
mounts=()

fail() {
  echo "build.sh: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --base) base=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    --certificates)
      mounts=(--volume "$2:/etc/ssl/certs/ca-certificates.crt:ro" --env "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt")
      shift 2 ;;
    *) fail "unknown argument $1; see the opening of this file" ;;
  esac
done
[ -d "$base/etc/apt" ] || fail "--base: $base is not a folder with Debian in it"

container=$("${buildah[@]}" from scratch)
trap '"${buildah[@]}" rm "$container" >/dev/null' EXIT
"${buildah[@]}" add --quiet "$container" "$base" / >/dev/null
"${buildah[@]}" commit --quiet "$container" localhost/rxscope-base >/dev/null

# chroot: each step runs with a root of its own and this machine's network, which apt and npm need.
"${buildah[@]}" build --isolation chroot --network host --pull-never --build-arg DEBIAN=localhost/rxscope-base \
  --ignorefile "$checkout/deploy/container/Containerfile.dockerignore" "${mounts[@]}" \
  --file "$checkout/deploy/container/Containerfile" --tag "$tag" "$checkout" >&2
echo "$tag"
