#!/bin/bash
# Proves: a paging device may be made again right after one of the same LPAR was removed, of the
# same size or of another, and each time every node shows it.
# needs: heavy
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq

run_status "three nodes come up" 0 "$VIOS" lab up 3 --page-memory 32M
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR" 0 "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"

seen_by() { # NODE
    "$VIOS" --on "$1" paging show web1 --json | jq -r '.state + " " + (.size_bytes | tostring)'
}
for size in 8 8 16 4; do
    run_status "a device of ${size}M" 0 "$VIOS" paging create web1 --size "${size}M"
    is "is whole" "$(seen_by n1)" "OK $((size << 20))"
    ok "and others see it" await "[ \"\$(seen_by n2)\" = 'OK $((size << 20))' ]" 20
    run_status "it is removed" 0 "$VIOS" paging remove web1 --yes
done
run_status "the LPAR goes" 0 "$VIOS" lpar remove web1 --yes
is "and leaves nothing behind" "$("$VIOS" db get /paging-run/ --json | jq length)" 0
finish
