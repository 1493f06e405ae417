#!/usr/bin/env bash
# image deploy of a boot-sector guest (sequence_sector.S), from the start of the command until the
# guest's first write is in the file of its disk, which is compared in a loop; where the file system
# copies, and on XFS (root), where it clones. Aim: under 300 ms.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq as ld

rounds=${QUICK:+3}
rounds=${rounds:-9}
XFS=$DIR/repository/pools/xfs

# Whether the disk is still the image's; a file that is not there ends the benchmark.
untouched() { # FILE
    local status=0
    cmp -s -n 1048576 "$1" "$WORK/disk.raw" || status=$?
    if ((status > 1)); then
        echo "deploy.sh: cannot compare $1" >&2
        exit 1
    fi
    return "$status"
}
deploy() { # IMAGE POOL: ms
    local begin end limit=$((SECONDS + 30))
    begin=$(date +%s%N)
    vios image deploy "$1" g --memory 16M >/dev/null
    while untouched "$DIR/repository/pools/$2/lu"/*.0; do
        if ((SECONDS > limit)); then
            echo "deploy.sh: the guest writes nothing" >&2
            exit 1
        fi
    done
    end=$(date +%s%N)
    echo $(((end - begin) / 1000000))
    vios lpar stop g --force >/dev/null
    vios lpar remove g --disks --yes >/dev/null
}
measure() { # NAME POOL
    local i
    vios pool create "$2" >/dev/null
    vios image import "$WORK/disk.raw" --name "$2" --pool "$2" >/dev/null
    for ((i = 0; i < rounds; i++)); do
        deploy "$2" "$2"
    done >"$WORK/$2"
    report "$1" "$(median <"$WORK/$2")" aim 300 lower
}

tests/guest/make_boot_disk.sh sequence "$WORK/disk.raw" 32M
"$BUILD/bin/vios" lab up 1 --dir "$DIR" --page-memory 16M >/dev/null
measure deploy_to_first_write_ms p1
mount_xfs "$XFS" 512M || exit 0
measure deploy_clone_to_first_write_ms xfs
