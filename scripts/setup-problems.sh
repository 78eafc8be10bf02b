# SPDX-License-Identifier: Apache-2.0
# What can be in the way of a purpose of setup.sh, gathered so that all is told
# at once.  Sourced by setup.sh, whose tables and variables (purpose, missing,
# files, fetch_mib, files_mib, packages_mib, build_mib) it reads.

problems=()

problem()
{
    problems+=("$1")
}

# Ends with all problems, if there are any.
tell_problems()
{
    local text
    [ ${#problems[@]} -gt 0 ] || return 0
    printf 'setup.sh: this is in the way:\n' >&2
    for text in "${problems[@]}"; do
        printf '%s\n' "$text" | sed '1s/^/- /' >&2
    done
    exit 1
}

# Goes on without the missing packages if the tools are there all the same; else
# that is a problem.
packages_problem()
{
    local packages=$missing
    list_missing signs
    if [ -z "$missing" ]; then
        say "$1, but all that $purpose needs is here"
    elif have apt-get; then
        problem "$1. Install by hand, then try again:
  apt-get install $packages"
    else
        problem "$1. Install by hand, then try again:
  what these Debian packages hold: $missing"
    fi
    missing=
}

files_problem()
{
    problem "$1, so these guest files are missing: $files
  set MEMVISOR_GUEST_FILES to a folder that has them (now: $guest_files),
  or put them there by hand, as scripts/guest-files.sh and its kin say"
    files=
}

# The nearest folder above $1 that is there, or $1.
existing()
{
    local path=$1
    while [ ! -d "$path" ]; do path=$(dirname "$path"); done
    echo "$path"
}

# Whether the guest files have somewhere to be, and something that fetches them.
check_files_tools()
{
    local tool
    if [ -e "$guest_files" ] && [ ! -d "$guest_files" ] || [ ! -w "$(existing "$guest_files")" ]; then
        problem "cannot write to $guest_files:
  set MEMVISOR_GUEST_FILES to a folder that you can write to"
    fi
    for tool in apt-get apt-cache dpkg-deb; do
        have $tool || {
            files_problem "$tool is missing (no Debian here?)"
            return
        }
    done
}

# Whether Debian's mirrors answer, asked for as little as can be.  Without their
# keyring there is no way to ask.
probe_mirrors()
{
    local state
    [ -r "$keyring" ] || return 0
    state=$(mktemp -d)
    make_apt "$state" "$(dpkg --print-architecture 2>/dev/null || echo amd64)"
    host_mirrors | write_sources deb | sed 's/^Targets:.*/Targets: none/' \
        >"$state/sources.d/debian.sources"
    if [ ! -s "$state/sources.d/debian.sources" ]; then
        files_problem "no Debian mirror stands in $apt_etc/sources.list or sources.list.d"
    elif ! update "$state" -o Acquire::Retries=0; then
        grep '^[EW]:' "$state/update.log" | head -n 3 >&2 || true
        files_problem "Debian's mirrors do not answer (no network?)"
    fi
    rm -rf "$state"
}

# Prints "MIB FILE-SYSTEM LEFT": that $1 MiB are wanted in folder $2, and what its
# disk has left.
room()
{
    df -Pk "$2" 2>/dev/null | awk -v want="$1" 'NR == 2 { print want, $6, int($4 / 1024) }'
}

# Whether the disks have room; what shares one counts together.
check_room()
{
    local line
    have df || return 0
    while IFS= read -r line; do
        problem "$line"
    done < <({
        room "$packages_mib" /usr
        room "$files_mib" "$(existing "$guest_files")"
        room "$build_mib" "$top"
    } | awk '
        { want[$2] += $1; left[$2] = $3 }
        END {
            for (disk in want)
                if (want[disk] > left[disk])
                    printf "the disk at %s has %d MiB left, and %d MiB are needed: make room there\n",
                        disk, left[disk], want[disk]
        }')
}

# The tests' packages are Debian's, which another python3 cannot see.
check_python()
{
    [ "$purpose" = check ] || return 0
    [ -n "$(find_python)" ] || problem "no python3 here sees the modules pytest, pexpect and xdist:
  is /usr/bin/python3 Debian's? 'apt-get install --reinstall python3-pytest python3-pexpect'"
}

# What comes after the packages, and how long all of it takes.
say_what_follows()
{
    [ -z "$files" ] || say "about $fetch_mib MiB of guest files are fetched next, into $guest_files," \
        "which takes $files_mib MiB meanwhile"
    [ "$purpose" != check ] ||
        say "then all is built and tested: about $check_minutes minutes on two free processors," \
            "after some 5 for installing and fetching"
}
