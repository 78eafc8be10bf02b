# SPDX-License-Identifier: Apache-2.0
# An apt state of our own for packages of other architectures: its lists, cache
# and package status are apart from the host's, and no root is needed.  Sourced
# after common.sh by scripts that define by_hand MESSAGE, which says what to do
# where a package cannot be had, and exits.

suite=bookworm
debian='Debian 12'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_etc=${MEMVISOR_APT_ETC:-/etc/apt} # the tests put another here

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

# Writes the private sources: suite $suite from the mirrors on stdin, each with
# the suites that such a mirror carries.  $1 is deb for binary packages, deb-src
# for sources.
write_sources()
{
    local uri key suites targets=Packages
    [ "$1" = deb ] || targets=Sources
    while read -r uri key; do
        [ "$key" != - ] || key=$keyring
        case $uri in
        *security*) suites="$suite-security" ;;
        *) suites="$suite $suite-updates" ;;
        esac
        printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\nTargets: %s\n\n' \
            "$1" "$uri" "$suites" "$key" "$targets"
    done
}

# Sets up an apt state in folder $1 for the architectures behind it.  The host's
# apt.conf still counts (it may name a proxy), but not its hooks, pins or
# architectures.
make_apt()
{
    local dir=$1
    shift
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d" "$dir/preferences.d"
    : >"$dir/status"
    cat >"$dir/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "$1";
APT::Architectures { $(printf '"%s"; ' "$@")};
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
# missing list is a failure.  $1 is the state, options of apt-get follow.
update()
{
    apt-get -c "$1/apt.conf" -q -o APT::Update::Error-Mode=any "${@:2}" update >"$1/update.log" 2>&1
}

# A state in folder $1 with Debian's lists of $2, deb or deb-src, for the
# architectures behind that.
open_apt()
{
    local apt=$1 kind=$2 tool
    shift 2
    for tool in apt-get apt-cache dpkg-deb; do
        have $tool || by_hand "$tool is missing (no Debian here?), so Debian's packages cannot be had"
    done
    [ -r $keyring ] || by_hand "$keyring is missing: install debian-archive-keyring"

    say "reading $debian's lists of $kind for $* (a private apt state)"
    make_apt "$apt" "$@"
    host_mirrors | write_sources "$kind" >"$apt/sources.d/debian.sources"
    [ -s "$apt/sources.d/debian.sources" ] ||
        by_hand "no Debian mirror stands in /etc/apt/sources.list or sources.list.d"
    update "$apt" || {
        grep '^[EW]:' "$apt/update.log" | head -n 3 >&2
        by_hand "cannot read Debian's package lists (no network?)"
    }
}

# Fetches package $2, by the state in $1, into folder $3, unpacks it to $4 and
# notes its file's name in $work/versions.
fetch()
{
    local apt=$1 package=$2 debs=$3 into=$4
    mkdir -p "$debs" "$into"
    say "fetching $package"
    (cd "$debs" && apt-get -c "$apt/apt.conf" -q download "$package" >"$apt/download.log" 2>&1) ||
        {
            cat "$apt/download.log" >&2
            by_hand "cannot fetch Debian's package $package"
        }
    dpkg-deb -x "$debs/${package%:*}"_*.deb "$into"
    (cd "$debs" && ls "${package%:*}"_*.deb) >>"$work/versions"
}
