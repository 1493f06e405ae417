#!/bin/bash
# Installs the Debian packages that a purpose needs; does nothing when they are there.
#
#     .ci/deps.sh build | check
#
# No service that comes with a package is started. Elsewhere than on Debian the names are printed.
set -euo pipefail

build='build-essential gcc make pkg-config git ca-certificates cpio gzip
    liblua5.4-dev libedit-dev libjansson-dev libssh-dev libuv1-dev libsqlite3-dev
    libcurl4-openssl-dev libssl-dev libzstd-dev libxxhash-dev libarchive-dev
    qemu-system-x86 qemu-utils busybox-static syslinux mtools fdisk'
check='clang clang-format clang-tidy libclang-rt-dev lua-check lua5.4 shellcheck mandoc expect jq
    gojq perl binutils openssl strace valgrind gdb universal-ctags sqlite3 nbdkit nbd-server
    libnbd-bin
    python3 fio bindfs hyperfine etcd-server openssh-server openssh-client procps
    clustershell pdsh iproute2 nftables xfsprogs e2fsprogs zstd redis-server systemd'

case ${1-} in
build) wanted=$build ;;
check) wanted=$check ;;
*)
    echo 'usage: .ci/deps.sh build | check' >&2
    exit 2
    ;;
esac

missing() {
    local installed package
    # shellcheck disable=SC2086 # a list of words
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true)
    for package in $wanted; do
        grep -qx "installed $package" <<<"$installed" || echo "$package"
    done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "this is not Debian; what corresponds to these packages is needed:" >&2
    echo "$wanted" >&2
    exit 1
fi
mapfile -t packages < <(missing)
if [ ${#packages[@]} = 0 ]; then
    exit 0
fi

# A service is started by its package's installation unless this file says no (101).
install_quietly() {
    local policy=/usr/sbin/policy-rc.d ours=''
    if [ ! -e "$policy" ]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -y install --no-install-recommends "$@" ||
        { apt-get -q update && apt-get -q -y install --no-install-recommends "$@"; }
    if [ -n "$ours" ]; then
        rm -f "$policy"
    fi
}

echo "installing: ${packages[*]}" >&2
if [ "$(id -u)" = 0 ]; then
    install_quietly "${packages[@]}"
elif command -v sudo >/dev/null; then
    sudo bash -c "$(declare -f install_quietly); set -e; install_quietly \"\$@\"" bash \
        "${packages[@]}"
else
    echo "run as root: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
fi
