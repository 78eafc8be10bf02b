#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest-files.sh [arm64|amd64|newer]
#
# Makes guest-files/ (or $MEMVISOR_GUEST_FILES) for arm64, guest-files/amd64/ for
# the x86-64 guests that tests run under QEMU, guest-files/newer/ for arm64 guests
# that need what Debian 13's kernel has and 12's has not: vmlinuz, Debian's cloud kernel
# (for arm64 as an uncompressed Image); busybox, Debian's static one; modules/,
# the kernel's virtio and uio modules; initrd.cpio, an initramfs with a shell on
# the console; versions, the packages they came from.
#
# What is there already stays, so that a second run needs no network.  Nothing
# is ever half there: files are made in a temporary folder and renamed, with
# busybox and vmlinuz last.
#
# apt works on a state of its own for the guest (lists, cache, package status), so
# the host's architectures and lists stay as they are and no root is needed.
set -eu
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/debian-packages.sh"

arch=${1:-arm64}
case $arch in
arm64) format='an uncompressed arm64 Image' ;;
amd64) format='a bzImage' guest_files=$guest_files/$arch ;;
newer) format='an uncompressed arm64 Image' guest_files=$guest_files/$arch arch=arm64 suite=trixie debian='Debian 13' ;;
*) die "$arch is no guest's kind: it is arm64, amd64 or newer" ;;
esac

by_hand()
{
    cat >&2 <<END
guest-files.sh: $1.
  To go on without it, put these files there by hand:
    $guest_files/vmlinuz   $format, such as boot/vmlinuz-* of
                           Debian's package linux-image-cloud-$arch
    $guest_files/busybox   a static $arch busybox, such as bin/busybox of
                           Debian's package busybox-static for $arch
  or set MEMVISOR_GUEST_FILES to a folder that has them.
END
    exit 1
}

# An Image has "ARM\x64" at offset 56 (Documentation/arm64/booting.rst), a bzImage
# "HdrS" at 514 (Documentation/x86/boot.rst).
is_kernel()
{
    local offset=56 magic=ARMd
    [ "$arch" = arm64 ] || { offset=514 magic=HdrS; }
    [ "$(dd if="$1" bs=1 skip=$offset count=4 2>/dev/null | tr -d '\0')" = $magic ]
}

# The package that holds the kernel: what linux-image-cloud-ARCH depends on.
kernel_package()
{
    apt-cache -c "$1/apt.conf" depends linux-image-cloud-$arch 2>/dev/null |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-.*-cloud-/ { print $2; exit }'
}

download()
{
    local apt=$work/apt package
    open_apt "$apt" deb "$arch"
    package=$(kernel_package "$apt")
    [ -n "$package" ] || by_hand "Debian's lists have no linux-image-cloud-$arch"

    fetch "$apt" "$package" "$work/debs" "$work/kernel"
    fetch "$apt" busybox-static "$work/debs" "$work/busybox-static"
    take_kernel "$package"
    find "$work/busybox-static" -path '*/bin/busybox' -exec cp {} "$work/busybox" \;
    chmod 755 "$work/busybox"
}

# Takes the kernel out of the unpacked package, and the modules that PCI guests
# load; the rest of /lib/modules is large and not for a test's initramfs.
take_kernel()
{
    local release=${1#linux-image-} from drivers
    from=$work/kernel/boot/vmlinuz-$release
    [ -f "$from" ] || die "$1 holds no boot/vmlinuz-$release"
    if gzip -t "$from" 2>/dev/null; then
        gzip -dc "$from" >"$work/vmlinuz"
    else
        cp "$from" "$work/vmlinuz"
    fi
    is_kernel "$work/vmlinuz" || die "boot/vmlinuz-$release of $1 is not $format"
    mkdir -p "$work/modules"
    for drivers in "$work/kernel"/{,usr/}lib/modules/"$release"/kernel/drivers/{virtio,uio}; do
        [ ! -d "$drivers" ] || find "$drivers" -name '*.ko*' -exec cp -t "$work/modules" {} +
    done
}

# Renames what download() made into place; complete files stay as they are.
publish()
{
    local file
    rm -rf "$guest_files/modules" "$guest_files/headers" # may be another kernel's
    for file in modules versions vmlinuz busybox; do
        [ -e "$guest_files/$file" ] && [ "$file" != versions ] || mv -f "$work/$file" "$guest_files/$file"
    done
}

complete()
{
    [ -s "$guest_files/vmlinuz" ] && [ -s "$guest_files/busybox" ]
}

# The initrd follows scripts/guest-init: a newer one makes it again.
initrd_current()
{
    [ -s "$guest_files/initrd.cpio" ] &&
        { [ ! -w "$guest_files" ] || [ ! "$top/scripts/guest-init" -nt "$guest_files/initrd.cpio" ]; }
}

if complete && initrd_current; then
    exit 0
fi
mkdir -p "$guest_files" 2>/dev/null && [ -w "$guest_files" ] ||
    die "cannot write to $guest_files: set MEMVISOR_GUEST_FILES to a folder that you can write to"
guest_files=$(cd "$guest_files" && pwd)

# One run at a time; whoever waited finds the work done.
exec 9>"$guest_files/.lock"
flock 9
rm -rf "$guest_files"/.tmp.*
work=$(mktemp -d "$guest_files/.tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if ! complete; then
    download
    publish
    say "guest files are in $guest_files:"
    sed 's/^/   /' "$guest_files/versions"
fi
if ! initrd_current; then
    say "building $guest_files/initrd.cpio"
    MEMVISOR_GUEST_FILES=$guest_files "$top/scripts/initramfs.sh" "$work/initrd.cpio" "$top/scripts/guest-init"
    mv -f "$work/initrd.cpio" "$guest_files/initrd.cpio"
fi
