#!/bin/sh
# Brings a Debian package's files into a folder, without installing it and without being root.
#
#     fetch.sh FOLDER PACKAGE
#
# PACKAGE "kernel" is the one that linux-image-cloud-amd64 stands for today. The package file stays
# in FOLDER/debs, so that the next call needs no network. Prints the folder it unpacked to.
set -eu

folder=$1
package=$2
mkdir -p "$folder/debs" "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
folder=$(cd "$folder" && pwd)

fail() {
    echo "fetch.sh: $*" >&2
    exit 1
}

# The machine's own lists if it has any, else lists of our own: a plain user may make those.
own_lists() {
    apt-get -qq -o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" \
        -o APT::Sandbox::User=root "$@"
}

kernel_of_today() { # APT-CACHE OPTIONS
    apt-cache "$@" depends linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*-cloud-amd64\)$/\1/p' | head -n 1
}

download() { # NAME
    cd "$folder/debs"
    apt-get -qq -o APT::Sandbox::User=root download "$1" 2>"$folder/apt/errors" ||
        own_lists download "$1" || fail "cannot download $1: $(cat "$folder/apt/errors")"
}

command -v dpkg-deb >/dev/null || fail "this needs Debian's dpkg-deb and apt-get"
pattern=$package
test "$package" != kernel || pattern='linux-image-[0-9]*-cloud-amd64'
# shellcheck disable=SC2086 # a pattern
set -- "$folder/debs"/${pattern}_*.deb
if [ ! -f "$1" ]; then
    name=$package
    if [ "$package" = kernel ]; then
        name=$(kernel_of_today -q)
    fi
    if [ -z "$name" ] || ! apt-cache show "$name" >/dev/null 2>&1; then
        own_lists update || fail "cannot get the package lists"
        lists=Dir::State::Lists=$folder/apt/lists
        test "$package" != kernel || name=$(kernel_of_today -o "$lists")
    fi
    test -n "$name" || fail "no package linux-image-cloud-amd64 in the package lists"
    download "$name"
    # shellcheck disable=SC2086
    set -- "$folder/debs"/${pattern}_*.deb
fi
rm -rf "${folder:?}/$package"
mkdir "$folder/$package"
dpkg-deb -x "$1" "$folder/$package"
