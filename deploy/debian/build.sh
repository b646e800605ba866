#!/bin/bash
# Builds rxscope's Debian package from this checkout, with dpkg-deb alone.
#
#   deploy/debian/build.sh [--out DIR] [--version VERSION]     prints the path of the .deb
#
# Its content is what `npm pack` makes (the compiled code, the prebuilt addon with its libraries, the
# BPF programs), the runtime dependencies out of node_modules, the systemd unit and a configuration
# file. It runs on any Debian that has Node 20.19 or newer. Nothing is installed here.
set -eu
export LC_ALL=C
umask 022
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)

main() {
  local out=$checkout version=
  while [ $# -gt 0 ]; do
    case $1 in
      --out) out=$(cd "$2" && pwd); shift 2 ;;
      --version) version=$2; shift 2 ;;
      *) fail "unknown argument $1; see the opening of this file" ;;
    esac
  done
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  mkdir "$stage/packed" "$stage/root"
  root=$stage/root

  # With its scripts: these build what is out of date and lay out the prebuilt addon.
  (cd "$checkout" && npm pack --silent --pack-destination "$stage/packed" >&2)
  [ -n "$version" ] || version=$(node -p "require('$checkout/package.json').version")
  lay_out_program
  lay_out_service
  lay_out_documents
  write_control "$version"

  local file
  file=$out/rxscope_${version}_$(dpkg --print-architecture).deb
  # The same sources make the same bytes: all times are at most that of the last commit.
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$checkout" log -1 --format=%ct 2>/dev/null || stat -c %Y "$checkout/package.json")}
  export SOURCE_DATE_EPOCH
  find "$stage/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$root" "$file" >&2
  echo "$file"
}

fail() {
  echo "build.sh: $*" >&2
  exit 1
}

lay_out_program() {
  local library=$root/usr/lib/rxscope
  mkdir -p "$library" "$root/usr/bin"
  tar -xzf "$stage"/packed/*.tgz -C "$library" --strip-components=1
  # The manifest says to Node what kind of code this is.
  rm -f "$library/README.md" "$library/CHANGELOG.md" "$library/LICENSE"
  ln -s ../lib/rxscope/dist/commands/main.js "$root/usr/bin/rxscope"
  # Where people look for dashboards and rules; the program reads them beside itself.
  mkdir -p "$root/usr/share/rxscope"
  [ ! -d "$library/grafana" ] || ln -s ../../lib/rxscope/grafana "$root/usr/share/rxscope/grafana"

  # What npm itself says the program needs, less what only developers read.
  local path
  (cd "$checkout" && npm ls --omit=dev --all --parseable 2>/dev/null || true) | sed 1d |
    while read -r path; do
      path=${path#"$checkout/"}
      [ ! -e "$library/$path" ] || continue
      mkdir -p "$library/$path"
      tar -C "$checkout/$path" --exclude=./node_modules --exclude='*.map' --exclude='*.ts' \
        --exclude='*.cts' --exclude='*.mts' --exclude=./test --exclude=./tests --exclude=./docs \
        --exclude=./examples --exclude=./benchmark --exclude=./benchmarks --exclude='./.*' \
        -c . | tar -C "$library/$path" -x
    done
  [ -d "$library/node_modules/fastify" ] || fail 'node_modules lacks what rxscope needs: run npm ci'
  find "$library" -type d -empty -delete
  chmod -R u=rwX,go=rX "$root"
  find "$library" -type f -exec chmod a-x {} +
  chmod 755 "$library/dist/commands/main.js"
}

lay_out_service() {
  mkdir -p "$root/usr/lib/systemd/system" "$root/etc/rxscope"
  install -m 644 "$checkout/deploy/systemd/rxscope.service" "$root/usr/lib/systemd/system/"
  install -m 644 "$here/rxscope.yaml" "$root/etc/rxscope/"
}

LIST_LICENCES='
for (const file of process.argv.slice(1)) {
  const { name, license } = require(require("path").resolve(file));
  console.log(`  ${name}: ${license}, see /usr/lib/rxscope/${require("path").dirname(file)}`);
}'

lay_out_documents() {
  local documents=$root/usr/share/doc/rxscope library=$root/usr/lib/rxscope
  mkdir -p "$documents"
  install -m 644 "$checkout/README.md" "$checkout/deploy/tls.md" "$documents/"
  gzip -9n <"$checkout/CHANGELOG.md" >"$documents/changelog.gz"
  {
    cat "$here/copyright"
    (cd "$library" && node -e "$LIST_LICENCES" node_modules/*/package.json node_modules/@*/*/package.json)
  } >"$documents/copyright"
}

write_control() {
  local control=$root/DEBIAN size
  mkdir "$control"
  size=$(du -sk --apparent-size "$root" | cut -f1)
  sed -e "s/@VERSION@/$1/" -e "s/@SIZE@/$size/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" \
    -e "s/@MAINTAINER@/${DEBFULLNAME:-rxscope} <${DEBEMAIL:-rxscope@localhost}>/" \
    "$here/control" >"$control/control"
  echo /etc/rxscope/rxscope.yaml >"$control/conffiles"
  install -m 755 "$here/preinst" "$here/postinst" "$here/prerm" "$here/postrm" "$control/"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$control/md5sums"
}

main "$@"
