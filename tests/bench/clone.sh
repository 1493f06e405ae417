#!/usr/bin/env bash
# lu clone, the whole command: on XFS, whose blocks are shared, of an LU with 512 MiB of data and of
# one with 32 MiB (aim: under 50 ms, whatever the size), and where the file system cannot clone,
# against cp --sparse=always followed by a sync (aim: at most 1.2 times). Root, for the loop mount.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq mkfs.xfs

rounds=${QUICK:+3}
rounds=${rounds:-9}
XFS=$DIR/repository/pools/xfs

path_of() { vios lu show "$1" --json | jq -r .path; }
copy() { cp --sparse=always "$1" "$WORK/copy" && sync "$WORK/copy"; }
make_lu() { # POOL/NAME MIB
    local path i
    vios lu create "${1#*/}" --pool "${1%/*}" --size 2G >/dev/null
    path=$(path_of "$1")
    for ((i = 0; i < $2; i += 4)); do
        dd if=/dev/urandom of="$path" bs=4M count=1 seek="$i" conv=notrunc status=none
    done
    sync "$path"
}
clones() { # POOL/NAME FILE
    local i
    for ((i = 0; i < rounds; i++)); do
        timed "$2" vios lu clone "$1" "clone$i"
        vios lu remove "${1%/*}/clone$i" --yes >/dev/null
    done
}

"$BUILD/bin/vios" lab up 1 --dir "$DIR" --page-memory 16M >/dev/null
vios pool create p1 >/dev/null
make_lu p1/data 512
for ((r = 0; r < rounds; r++)); do
    timed "$WORK/ours" vios lu clone p1/data copy
    vios lu remove p1/copy --yes >/dev/null
    timed "$WORK/cp" copy "$(path_of p1/data)"
    rm -f "$WORK/copy"
done
report lu_copy_512_mib_ms "$(median <"$WORK/ours")" cp "$(median <"$WORK/cp")" lower

mount_xfs "$XFS" 4G || exit 0
vios pool create xfs >/dev/null
make_lu xfs/large 512
make_lu xfs/small 32
clones xfs/large "$WORK/large"
clones xfs/small "$WORK/small"
report lu_clone_512_mib_ms "$(median <"$WORK/large")" aim 50 lower
report lu_clone_32_mib_ms "$(median <"$WORK/small")" aim 50 lower
