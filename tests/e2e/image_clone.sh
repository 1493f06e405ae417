#!/bin/bash
# Proves: on a file system that clones, a deployed disk is a linked clone: the image names it and is
# not removed; flatten cuts the tie while the guest runs, which loses nothing; then it is removed.
# needs: heavy
# limit: 120
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-img mkfs.xfs xfs_io
DISK=$ROOT/build/guest/disk.qcow2
test -f "$DISK" || skip_all "no guest: run make guest"

POOL=$DIR/repository/pools/p1
mkdir -p "$POOL"
truncate -s 512M "$DIR/pool.img"
mkfs.xfs -q -m reflink=1 "$DIR/pool.img" || skip_all "mkfs.xfs makes no file system"
mount -o loop "$DIR/pool.img" "$POOL" 2>/dev/null || skip_all "this user may make no loop mounts"
at_exit 'umount -l "$POOL"'

image() { on n1 image show busybox --json | jq -rc "$1"; } # FILTER
console() { on n1 lpar console "$1" --dump 2>/dev/null | tr -d '\r'; }
file_of() { on n1 lu show "$1" --json | jq -r .path; } # LU
shared() { # FILE: extents that others have too
    local flags count=0
    for flags in $(xfs_io -r -c 'fiemap -v' "$1" | awk '$NF ~ /^0x/ { print $NF }'); do
        count=$((count + ((flags & 0x2000) > 0)))
    done
    echo $count
}
type_in() { # GUEST LINE WANTED
    rm -f "$DIR/keys" && mkfifo "$DIR/keys"
    on n1 lpar console "$1" <>"$DIR/keys" >"$DIR/seen" 2>&1 &
    PIDS+=($!)
    echo "$2" >"$DIR/keys"
    ok "$1: \"$2\" is answered with \"$3\"" await "tr -d '\\r' <'$DIR/seen' | grep -qxF '$3'" 20
}

cluster_up "sqlite:$DIR/db" 1
run_status "the pool is a mount point" 0 on n1 pool create p1
is "that clones" "$(on n1 pool show p1 --json | jq -r .fence)" clone
run_status "an image" 0 on n1 image import "$DISK" --name busybox
run_status "g1 is deployed, and runs" 0 on n1 image deploy busybox g1 --memory 96M
run_status "g2 is deployed, and does not" 0 on n1 image deploy busybox g2 --memory 96M --stopped
is "the image names its clones" "$(image '[.dependents[] | .lpar] | sort')" '["g1","g2"]'
is "and counts them" "$(on n1 image list --json | jq '.[0].dependents')" 2
ok "they share its blocks" test "$(shared "$(file_of g1-disk0)")" -gt 0
run on n1 image remove busybox --yes
like "it is not removed" "$STATUS $ERR" \
    '^1 .*image "busybox": 2 linked clones of it: p1/g[12]-disk0 of g[12], .*image flatten busybox'
ok "g1 is up" await "console g1 | grep -q 'guest ready'" 60
type_in g1 "write before" "guest wrote before"
run_status "its clones are flattened" 0 on n1 image flatten busybox
is "as it says" "$OUT" "image busybox: 2 clones flattened"
is "it has none any more" "$(image '.dependents | length')" 0
is "no block is shared" "$(shared "$(file_of g1-disk0)") $(shared "$(file_of g2-disk0)")" "0 0"
type_in g1 read "guest data before"
run_status "it is removed" 0 on n1 image remove busybox --yes
type_in g1 "write after" "guest wrote after"
run_status "g1 stops" 0 on n1 lpar stop g1 --force
run_status "and starts" 0 on n1 lpar start g1
ok "from its own disk" await "console g1 | grep -q 'guest ready'" 60
type_in g1 read "guest data after"
run_status "a stopped one is removed with its disk" 0 on n1 lpar remove g2 --disks --yes
is "one LU is left" "$(on n1 lu list --json | jq -rc '[.[].name]')" '["g1-disk0"]'
finish
