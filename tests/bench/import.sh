#!/usr/bin/env bash
# Importing a disk of 2 GiB that has 512 MiB of data in many pieces, digests included and durable,
# as the whole command: against qemu-img convert and cp --sparse=always, each followed by a sync of
# its file, in turns. Aims: raw at most half of qemu-img's time and at most twice cp's; qcow2 at
# most qemu-img's.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq qemu-img

rounds=${QUICK:+2}
rounds=${rounds:-7}

import() { vios image import "$1" --name "bench"; }
convert() { qemu-img convert -f "$1" -O raw "$2" "$WORK/copy" && sync "$WORK/copy"; }
copy() { cp --sparse=always "$1" "$WORK/copy" && sync "$WORK/copy"; }
forget() {
    vios image remove bench --yes >/dev/null 2>&1 || true
    rm -f "$WORK/copy"
}

"$BUILD/bin/vios" lab up 1 --dir "$DIR" --page-memory 16M >/dev/null
vios pool create p1 >/dev/null
truncate -s 2G "$WORK/disk.raw"
for ((i = 0; i < 128; i++)); do # 4 MiB of data, 12 MiB of hole
    dd if=/dev/urandom of="$WORK/disk.raw" bs=4M count=1 seek=$((i * 4)) conv=notrunc status=none
done
qemu-img convert -f raw -O qcow2 "$WORK/disk.raw" "$WORK/disk.qcow2"
sync
for ((i = 0; i < rounds; i++)); do
    timed "$WORK/raw" import "$WORK/disk.raw" && forget
    timed "$WORK/raw_convert" convert raw "$WORK/disk.raw" && forget
    timed "$WORK/raw_cp" copy "$WORK/disk.raw" && forget
    timed "$WORK/qcow2" import "$WORK/disk.qcow2" && forget
    timed "$WORK/qcow2_convert" convert qcow2 "$WORK/disk.qcow2" && forget
done
report import_raw_ms "$(median <"$WORK/raw")" qemu-img "$(median <"$WORK/raw_convert")" lower
report import_raw_ms "$(median <"$WORK/raw")" cp "$(median <"$WORK/raw_cp")" lower
report import_qcow2_ms "$(median <"$WORK/qcow2")" qemu-img "$(median <"$WORK/qcow2_convert")" lower
