#!/bin/bash
# Runs a command under another Debian kernel on this machine's own root file system: QEMU shares it
# read-only and the guest lays a tmpfs over it, so nothing that the command writes stays.
# Software emulation, x86-64, as root. Good for what happens, never for how fast it happens.
#
#   guest.sh [-s] [-t SECONDS] [-k KERNEL_ARGUMENTS] [-q QEMU_ARGUMENTS] SERIES -- COMMAND [ARGUMENT...]
#
# SERIES is a Debian kernel image by its version, and flavour if it has one: 6.12, 6.1-cloud, 6.1-rt.
# The newest such image of the suites that apt knows is downloaded and kept in
# /var/cache/rxscope-guest (or $RXSCOPE_GUEST_CACHE, also on the root file system). SUITE:SERIES
# takes it from another suite of Debian: sid:7.2-cloud. COMMAND runs in the current folder; without
# one, only the kernel is made ready.
# -s: the CPUs of the guest take turns on one thread of QEMU's, so no code that one of them changes is stale on
# the other.
# Exit status: COMMAND's; 124 time is up; 125 COMMAND never started; 126 the guest died under it.
set -u
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
cache=${RXSCOPE_GUEST_CACHE:-/var/cache/rxscope-guest}
seconds=120 thread=multi kernel_arguments= qemu_arguments=() apt_options=()
run= qemu= children=()

main() {
  while getopts st:k:q: option; do
    case $option in
      s) thread=single ;;
      t) seconds=$OPTARG ;;
      k) kernel_arguments=$OPTARG ;;
      q) read -ra qemu_arguments <<<"$OPTARG" ;;
      *) usage ;;
    esac
  done
  shift $((OPTIND - 1))
  [ $# -ge 2 ] && [ "$2" = -- ] || usage
  local series=$1
  shift 2
  trap clean_up EXIT
  trap 'exit 143' INT TERM HUP

  check_tools
  mkdir -p "$cache" || fail "cannot make $cache; set RXSCOPE_GUEST_CACHE to a folder of yours"
  [ "$(stat -c %d "$cache")" = "$(stat -c %d /)" ] ||
    fail "$cache is not on the root file system, which is all that a guest sees; move it"
  # One guest prepares a kernel, the others wait for it.
  exec 9>"$cache/lock"
  flock 9
  find_kernel "$series"
  find_initramfs
  exec 9>&-
  [ $# -gt 0 ] || exit 0
  write_command "$@"
  share_root
  boot
  report
}

usage() {
  sed -n '6s/^# *//p' "$0" >&2
  exit 125
}

fail() {
  echo "guest.sh: $*" >&2
  exit 125
}

check_tools() {
  local pair
  for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio modprobe:kmod xz:xz-utils; do
    command -v "${pair%:*}" >/dev/null ||
      fail "${pair%:*} is not installed; run: apt-get install ${pair#*:}"
  done
  for virtiofsd in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd; do
    [ ! -x $virtiofsd ] || return 0
  done
  fail 'virtiofsd is not installed; run: apt-get install qemu-system-common (or virtiofsd)'
}

# ---- the kernel ------------------------------------------------------------------------------------

# Sets `kernel`, the folder of an unpacked image, and `version`, what its uname says. An image in
# the cache serves until somebody deletes it.
find_kernel() {
  local image series=${1#*:}
  if ! image=$(find "$cache" -maxdepth 1 -name 'linux-image-*' -printf '%f\n' | newest "$series"); then
    [ "$series" = "$1" ] || use_suite "${1%%:*}"
    image=$(download "$series") ||
      # Lists that are empty, or so old that the image they name is gone.
      { apt -qq update >&2 && image=$(download "$series"); } ||
      fail "cannot download a kernel image of series $1; does apt know one? apt-cache search linux-image-$series"
  fi
  kernel=$cache/$image
  version=$(ls "$kernel/lib/modules")
}

# Lists of their own, in the cache, for a suite that this machine's apt does not follow. They come
# from the mirrors of Debian that it uses already; security updates have one of their own.
use_suite() {
  local folder=$cache/apt-$1 mirror security=0
  case $1 in *-security) security=1 ;; esac
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' |
    awk -v security=$security '$2 == "Debian" && ($1 ~ /security/) == security { print $1; exit }')
  [ -n "$mirror" ] || fail "apt knows no mirror of Debian that could have suite $1; run: apt-get update"
  mkdir -p "$folder"/{lists,cache/archives}/partial "$folder/sources" || fail "cannot write to $cache"
  printf '%s\n' 'Types: deb' "URIs: $mirror" "Suites: $1" 'Components: main' \
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$folder/sources/suite.sources"
  apt_options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources"
    -o Dir::State::lists="$folder/lists" -o Dir::Cache="$folder/cache")
}

apt() {
  apt-get "${apt_options[@]}" "$@"
}

download() {
  local image new=$cache/new part file
  image=$(complete_image "$1") && rm -rf "$new" && mkdir "$new" || return
  for part in $(parts_of "$image"); do
    # Not as the user _apt, who may not write here.
    (cd "$new" && apt -qq -o APT::Sandbox::User=root download "$part" >&2) || return
  done
  for file in "$new"/*.deb; do
    dpkg -x "$file" "$new" && rm "$file" || return
  done
  arrange "$new" && mv "$new" "$cache/$image" && echo "$image"
}

# Newer images have all their files in /usr: shows them where older ones have them.
arrange() {
  local version
  [ -d "$1/lib/modules" ] || ln -s usr/lib "$1/lib" || return
  version=$(ls "$1/lib/modules") && depmod -b "$1" "$version" && mkdir -p "$1/boot" || return
  [ -e "$1/boot/vmlinuz-$version" ] || ln -s "../lib/modules/$version/vmlinuz" "$1/boot/vmlinuz-$version"
}

# The newest image of a series that apt can download with all its parts: an archive may keep an old
# one's description longer than its modules.
complete_image() {
  local image
  apt_cache search --names-only '^linux-image-[0-9].*-amd64$' | awk '{ print $1 }' |
    newest_first "$1" | while read -r image; do
    ! parts_of "$image" | grep -q '<' || continue
    echo "$image"
    break
  done | grep .
}

# An image is one package until 6.18; from 6.19 on, its kernel and modules are packages apart. What
# apt cannot have comes in angle brackets; lists of what is built in, which are the base, may lack.
parts_of() {
  echo "$1"
  apt_cache depends "$1" | awk '/Depends:/ { print $NF }' |
    grep -E '^(linux-base|<?linux-binary|<?linux-modules)-[0-9]'
}

apt_cache() {
  apt-cache "${apt_options[@]}" "$@"
}

# Of the image names on standard input, the newest of a series; fails when there is none.
newest() {
  newest_first "$1" | head -n 1 | grep .
}

newest_first() {
  local number=${1%%-*} flavour=${1#"${1%%-*}"}
  grep -E "^linux-image-${number//./\\.}[.+][^-]*(-[0-9]+)?$flavour-amd64\$" | sort -rV
}

# ---- the initramfs: what it takes to reach the root file system ---------------------------------------

# Sets `initramfs`, which is kept beside the kernel until this folder's scripts change.
find_initramfs() {
  local work module number=10 _
  initramfs=$kernel/initramfs-$(cat "$0" "$here/guest_init.sh" | cksum | cut -d' ' -f1)
  [ ! -e "$initramfs" ] || return 0
  work=$(mktemp -d "$cache/initramfs.XXXXXX") && mkdir "$work"/{bin,modules} || fail "cannot write to $cache"
  cp "$(command -v busybox)" "$work/bin/busybox"
  install -m 755 "$here/guest_init.sh" "$work/init"
  # In the order of their dependencies. What is built in has no file and is not listed.
  while read -r _ module _; do
    number=$((number + 1))
    case $module in
      *.xz) xz -dc "$module" ;;
      *.zst) zstd -dqc "$module" ;;
      *) cat "$module" ;;
    esac >"$work/modules/$number.ko" || fail "cannot read $module"
  done < <(for module in virtio_pci virtio_console virtiofs overlay; do
    modprobe -d "$kernel" -S "$version" --show-depends $module
  done | grep '^insmod' | awk '!seen[$0]++')
  (cd "$work" && find . | cpio -o -H newc -R 0:0 --quiet) >"$initramfs.new" || fail 'cpio failed'
  rm -rf "$work" "$kernel"/initramfs-*[0-9]
  mv "$initramfs.new" "$initramfs"
}

# ---- one run -----------------------------------------------------------------------------------------

# A folder on the shared root file system, in which the guest finds its command.
write_command() {
  run=$(mktemp -d "$cache/run.XXXXXX") || fail "cannot write to $cache"
  cp "$here/guest_main.sh" "$run/main"
  {
    printf 'export PATH=%q\ncd %q || exit\n' "$PATH" "$PWD"
    printf 'exec'
    printf ' %q' "$@"
    echo
  } >"$run/command"
}

# virtiofsd in a mount namespace of its own, where the root file system is read-only. It makes its
# socket itself, so that has to lie on another one: in /dev/shm.
share_root() {
  socket=$(mktemp -u /dev/shm/rxscope-guest.XXXXXX)
  unshare -m bash -c 'mount --make-rprivate / && mount -o remount,bind,ro / &&
      mount -t tmpfs none /run && exec "$@"' - "$virtiofsd" --socket-path="$socket" \
    -o source=/ -o cache=always -o sandbox=chroot -o log_level=err >"$run/virtiofsd.log" 2>&1 &
  children+=($!)
  local _
  for _ in {1..100}; do
    [ ! -S "$socket" ] || return 0
    sleep 0.05
  done
  cat "$run/virtiofsd.log" >&2
  fail 'virtiofsd did not start'
}

# The command's output goes through pipes, since QEMU cannot write to a socket as if it were a file.
boot() {
  local memory_mb=1024
  mkfifo "$run/out" "$run/err"
  cat "$run/out" &
  children+=($!)
  cat "$run/err" >&2 &
  children+=($!)
  # What the kernel does not know of its command line becomes the environment of /init.
  timeout -k 5 "$seconds" qemu-system-x86_64 -machine pc,memory-backend=memory -smp 2 -m $memory_mb \
    -accel "tcg,thread=$thread" -cpu max,-la57 -nodefaults -no-user-config -display none -no-reboot \
    -object memory-backend-memfd,id=memory,size=${memory_mb}M,share=on \
    -chardev "socket,id=root,path=$socket" -device vhost-user-fs-pci,chardev=root,tag=root \
    -kernel "$kernel/boot/vmlinuz-$version" -initrd "$initramfs" \
    -append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off tsc=reliable rdinit=/init
             GUEST_RUN=$run GUEST_MODULES=$kernel/lib/modules/$version $kernel_arguments" \
    -serial "file:$run/console" -device virtio-serial-pci \
    -chardev "file,id=out,path=$run/out" -device virtserialport,chardev=out,name=out \
    -chardev "file,id=err,path=$run/err" -device virtserialport,chardev=err,name=err \
    -chardev "file,id=status,path=$run/status" -device virtserialport,chardev=status,name=status \
    "${qemu_arguments[@]}" </dev/null >"$run/qemu.log" 2>&1 &
  qemu=$!
  wait "$qemu"
  qemu_status=$?
  qemu=
}

# Ends with the command's status. Without one, says what the guest said last.
report() {
  local status
  # The end of what the command wrote. Opened here once, should QEMU never have come to do so.
  : <>"$run/out" <>"$run/err"
  wait "${children[@]:1}"
  status=$(sed -n 's/^exit //p' "$run/status" 2>/dev/null)
  [ -z "$status" ] || exit "$status"
  status=125
  ! grep -q start "$run/status" 2>/dev/null || status=126
  [ "$qemu_status" -ne 124 ] && [ "$qemu_status" -ne 137 ] || status=124
  echo "guest.sh: $version ended without a status after at most $seconds s; its last words:" >&2
  tail -n 100 "$run/qemu.log" "$run/console" >&2
  exit "$status"
}

# Ends only what this script started, by its process id.
clean_up() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null
  [ -z "$qemu" ] || wait "$qemu" 2>/dev/null
  [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null
  [ -z "$run" ] || rm -rf "$run" "$socket" "$socket.pid"
  exit "$status"
}

socket=
main "$@"
