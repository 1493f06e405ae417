# shellcheck shell=bash
# Guests on LUs of the shared pool p1, one for each node: LPARs that another node may take over.
# After lib.sh and a library that starts nodes (nodes.sh, netns.sh) were read.

LU_BLOCK=4096
LU_BLOCKS=8192
POOL=$DIR/repository/pools/p1
declare -A UDID

# A file system of the test's own for the pool, before it is made.
mount_pool() { # MKFS
    mkdir -p "$POOL"
    truncate -s 320M "$DIR/pool.img"
    # shellcheck disable=SC2086 # a command and its options
    $1 "$DIR/pool.img" >/dev/null 2>&1 || skip_all "$1 makes no file system"
    mount -o loop "$DIR/pool.img" "$POOL" 2>/dev/null ||
        skip_all "this user may make no loop mounts"
    at_exit 'umount -l "$POOL"'
}

# What a disk of LU_BLOCKS begins with: it boots and writes itself (tests/guest/sequence_sector.S).
make_lu_disk() {
    "$ROOT/tests/guest/make_boot_disk.sh" sequence "$DIR/disk.raw" 512
}

udid_of() { echo "${UDID[$1]}"; }                # NODE
first_file() { echo "$POOL/lu/$(udid_of "$1").0"; } # NODE

# The pool and the LU disk-NODE, with what it boots.
make_lu() { # NODE
    on "$1" pool show p1 >/dev/null 2>&1 || on "$1" pool create p1 >/dev/null || return 1
    on "$1" lu show "p1/disk-$1" >/dev/null 2>&1 ||
        on "$1" lu create "disk-$1" --pool p1 --size $((LU_BLOCKS * LU_BLOCK)) >/dev/null ||
        return 1
    UDID[$1]=$(on "$1" lu show "p1/disk-$1" --json | jq -r .udid)
    dd if="$DIR/disk.raw" of="$(first_file "$1")" conv=notrunc status=none
}

# Makes g-NODE and starts it; again is fine until it runs.
make_guest() { # NODE
    make_lu "$1" || return 1
    on "$1" lpar show "g-$1" >/dev/null 2>&1 ||
        on "$1" lpar create "g-$1" --memory 16M --disk "p1/disk-$1" >/dev/null || return 1
    on "$1" lpar start "g-$1" >/dev/null
}

qemu_pid_of() { on "$1" lpar show "g-$1" --json | jq .qemu_pid; } # NODE
