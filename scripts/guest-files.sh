#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes guest-files/ (or $MEMVISOR_GUEST_FILES): vmlinuz, Debian's arm64 cloud
# kernel as an uncompressed Image; busybox, Debian's static arm64 one;
# modules/, the kernel's virtio and uio modules; initrd.cpio, an initramfs with
# a shell on the console; versions, the packages they came from.
#
# What is there already stays, so that a second run needs no network.  Nothing
# is ever half there: files are made in a temporary folder and renamed, with
# busybox and vmlinuz last.
#
# apt works on a state of its own for arm64 (lists, cache, package status), so
# the host's architectures and lists stay as they are and no root is needed.
set -eu
. "$(dirname "$0")/common.sh"

suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_etc=${MEMVISOR_APT_ETC:-/etc/apt} # the tests put another here

by_hand()
{
    cat >&2 <<END
guest-files.sh: $1.
  To go on without it, put these files there by hand:
    $guest_files/vmlinuz   an uncompressed arm64 Image, such as boot/vmlinuz-* of
                           Debian's package linux-image-cloud-arm64
    $guest_files/busybox   a static arm64 busybox, such as bin/busybox of
                           Debian's package busybox-static for arm64
  or set MEMVISOR_GUEST_FILES to a folder that has them.
END
    exit 1
}

# An Image has "ARM\x64" at offset 56 (Documentation/arm64/booting.rst).
is_image()
{
    [ "$(dd if="$1" bs=1 skip=56 count=4 2>/dev/null | tr -d '\0')" = ARMd ]
}

# Prints "URI KEYRING" of every Debian mirror in the host's one-line and deb822
# source files; "-" where no keyring is named.  A source counts when it offers
# the component main and is Debian's own by its key, host or path: other
# vendors call their suites bookworm too.
host_mirrors()
{
    local files=() file
    for file in "$apt_etc"/sources.list "$apt_etc"/sources.list.d/*.list \
        "$apt_etc"/sources.list.d/*.sources; do
        [ -r "$file" ] && files+=("$file")
    done
    [ ${#files[@]} -gt 0 ] || return 0
    awk '
    function flush(    n, i, uri) {
        if (types ~ /(^| )deb( |$)/ && enabled !~ /^(no|false|0)$/ && (" " comps " ") ~ / main /) {
            n = split(uris, uri, " ")
            for (i = 1; i <= n; i++)
                if (key ~ /debian-archive-keyring/ || uri[i] ~ /\/\/[^\/]*debian\.org\// ||
                    uri[i] ~ /\/debian(-security)?(\.list)?\/?$/)
                    print uri[i], (key ~ /^\// ? key : "-")
        }
        types = uris = comps = key = enabled = ""
    }
    FNR == 1 { flush(); deb822 = FILENAME ~ /\.sources$/ }
    /^[ \t]*#/ { next }
    deb822 && /^[ \t]*$/ { flush(); next }
    deb822 {
        if (match($0, /^[A-Za-z-]+:/)) {
            field = tolower(substr($0, 1, RLENGTH - 1))
            value = substr($0, RLENGTH + 1)
        } else {
            value = $0
        }
        gsub(/^[ \t]+|[ \t\r]+$/, "", value)
        if (field == "types") types = types " " value
        else if (field == "uris") uris = uris " " value
        else if (field == "components") comps = comps " " value
        else if (field == "signed-by") key = key value
        else if (field == "enabled") enabled = tolower(value)
        next
    }
    $1 == "deb" {
        line = $0
        key_of = ""
        if (match(line, /\[[^]]*\]/)) {
            options = substr(line, RSTART + 1, RLENGTH - 2)
            line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
            if (match(options, /signed-by=[^ \t]+/))
                key_of = substr(options, RSTART + 10, RLENGTH - 10)
        }
        n = split(line, word, /[ \t]+/)
        types = "deb"; uris = word[2]; key = key_of
        for (i = 4; i <= n; i++) comps = comps " " word[i]
        flush()
    }
    END { flush() }' "${files[@]}" | sort -u
}

# Writes the private sources: Debian 12 from the mirrors on stdin, each with
# the suites that such a mirror carries.
write_sources()
{
    local uri key suites
    while read -r uri key; do
        [ "$key" != - ] || key=$keyring
        case $uri in
        *security*) suites="$suite-security" ;;
        *) suites="$suite $suite-updates" ;;
        esac
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\nTargets: Packages\n\n' \
            "$uri" "$suites" "$key"
    done
}

# Sets up an apt state in folder $1.  The host's apt.conf still counts (it may
# name a proxy), but not its hooks, pins or architectures.
make_apt()
{
    local dir=$1
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d" "$dir/preferences.d"
    : >"$dir/status"
    cat >"$dir/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/sources.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$dir/preferences.d";
END
}

# apt-get update succeeds with a warning when a list cannot be had; here any
# missing list is a failure.
update()
{
    apt-get -c "$1/apt.conf" -q -o APT::Update::Error-Mode=any update >"$1/update.log" 2>&1
}

# Fetches package $2 into folder $3 and unpacks it to $4.
fetch()
{
    local apt=$1 package=$2 debs=$3 into=$4
    mkdir -p "$debs" "$into"
    say "fetching $package"
    (cd "$debs" && apt-get -c "$apt/apt.conf" -q download "$package" >"$apt/download.log" 2>&1) ||
        {
            cat "$apt/download.log" >&2
            by_hand "cannot fetch Debian's package $package for arm64"
        }
    dpkg-deb -x "$debs/$package"_*.deb "$into"
    (cd "$debs" && ls "$package"_*.deb) >>"$work/versions"
}

# The package that holds the kernel: what linux-image-cloud-arm64 depends on.
kernel_package()
{
    apt-cache -c "$1/apt.conf" depends linux-image-cloud-arm64 2>/dev/null |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-.*-cloud-arm64$/ { print $2; exit }'
}

download()
{
    local apt=$work/apt package dir
    for tool in apt-get apt-cache dpkg-deb; do
        have $tool || by_hand "$tool is missing (no Debian here?), so Debian's arm64 packages cannot be had"
    done
    [ -r $keyring ] || by_hand "$keyring is missing: install debian-archive-keyring"

    say "reading Debian 12's package lists for arm64 (a private apt state)"
    make_apt "$apt"
    host_mirrors | write_sources >"$apt/sources.d/debian.sources"
    [ -s "$apt/sources.d/debian.sources" ] ||
        by_hand "no Debian mirror stands in /etc/apt/sources.list or sources.list.d"
    update "$apt" || {
        grep '^[EW]:' "$apt/update.log" | head -n 3 >&2
        by_hand "cannot read Debian's package lists (no network?)"
    }
    package=$(kernel_package "$apt")
    [ -n "$package" ] || by_hand "Debian's lists have no linux-image-cloud-arm64"

    fetch "$apt" "$package" "$work/debs" "$work/kernel"
    fetch "$apt" busybox-static "$work/debs" "$work/busybox-static"
    take_kernel "$package"
    cp "$work/busybox-static/bin/busybox" "$work/busybox"
    chmod 755 "$work/busybox"
}

# Takes the Image out of the unpacked package, and the modules that PCI guests
# load; the rest of /lib/modules is large and not for a test's initramfs.
take_kernel()
{
    local release=${1#linux-image-} from
    from=$work/kernel/boot/vmlinuz-$release
    [ -f "$from" ] || die "$1 holds no boot/vmlinuz-$release"
    if gzip -t "$from" 2>/dev/null; then
        gzip -dc "$from" >"$work/vmlinuz"
    else
        cp "$from" "$work/vmlinuz"
    fi
    is_image "$work/vmlinuz" || die "boot/vmlinuz-$release of $1 is no uncompressed arm64 Image"
    mkdir -p "$work/modules"
    for dir in virtio uio; do
        [ ! -d "$work/kernel/lib/modules/$release/kernel/drivers/$dir" ] ||
            find "$work/kernel/lib/modules/$release/kernel/drivers/$dir" -name '*.ko*' \
                -exec cp -t "$work/modules" {} +
    done
}

# Renames what download() made into place; complete files stay as they are.
publish()
{
    local file
    rm -rf "$guest_files/modules"
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
    "$top/scripts/initramfs.sh" "$work/initrd.cpio" "$top/scripts/guest-init"
    mv -f "$work/initrd.cpio" "$guest_files/initrd.cpio"
fi
