#!/bin/bash
# Makes a Debian package of the programs that are built:
#
#     packaging/deb.sh BUILD VERSION FILE.deb
#
# The same sources and tools make the same bytes: times are SOURCE_DATE_EPOCH, which is the commit's
# or else that of CHANGES.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 version=$2 deb=$3

for program in dpkg-deb dpkg-shlibdeps strip; do
    command -v "$program" >/dev/null || {
        echo "$program is not installed: it comes with dpkg-dev and binutils" >&2
        exit 1
    }
done
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
arch=$(dpkg --print-architecture)
source_time() {
    { [ -e .git ] && git log -1 --format=%ct 2>/dev/null; } || stat -c %Y CHANGES
}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(source_time)}
export SOURCE_DATE_EPOCH
# What another make was told is not for the one that installs.
unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL

# --- what it installs ---

make -s -o all B="$build" VERSION="$version" DESTDIR="$root" PREFIX=/usr install
programs=("$root/usr/bin/vios" "$root"/usr/libexec/vios/*)
# The names of functions that back-traces need are dynamic symbols, and stay.
strip --strip-unneeded --remove-section=.comment --remove-section=.note "${programs[@]}"
gzip -9n "$root"/usr/share/man/man1/*.1

install -d "$root/etc/vios" "$root/usr/share/doc/vios"
"$build/libexec/vios/daemon" --default-config >"$root/etc/vios/vios.conf"
install -m 644 LICENSE "$root/usr/share/doc/vios/copyright"
gzip -9nc CHANGES >"$root/usr/share/doc/vios/changelog.gz"

# --- what dpkg wants to know ---

install -d "$root/DEBIAN" "$work/debian"
install -m 755 packaging/postinst packaging/prerm packaging/postrm "$root/DEBIAN/"
echo /etc/vios/vios.conf >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' |
    LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

# dpkg-shlibdeps runs in a source package.
printf 'Source: vios\n\nPackage: vios\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "${programs[@]/#/-e}" | sed -n 's/^shlibs:Depends=//p')
size=$(find "$root" -type f -printf '%s\n' |
    awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
cat >"$root/DEBIAN/control" <<END
Package: vios
Version: $version
Architecture: $arch
Maintainer: The vios authors <root@localhost>
Section: admin
Priority: optional
Installed-Size: $size
Depends: $libraries, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Recommends: qemu-system-x86, qemu-utils
Suggests: etcd-server
Description: shell and Lua scripting environment for clusters of Virtual I/O Servers
 A node serves disks and extra memory to QEMU guests. Nodes elect their primary,
 fence who is silent, and move guests by themselves.
 .
 To try it out without root: vios lab up
END

mkdir -p "$(dirname "$deb")"
dpkg-deb --root-owner-group --threads-max=1 --build "$root" "$deb" >/dev/null
