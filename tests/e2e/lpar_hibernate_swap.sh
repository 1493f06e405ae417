#!/bin/bash
# Proves: a Linux guest that has half of its memory swapped out to other nodes, to a device that was
# plugged in while it ran, is hibernated on one node, those who held its pages begin anew, and it
# goes on on another node: it notices nothing, and no page is lost, changed or mixed up. SWAP_ROUNDS
# says how often (1).
# needs: heavy
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64

GUEST=$ROOT/build/guest
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"

ROUNDS=${SWAP_ROUNDS:-1}
console() { # NODE
    on "$1" lpar console g --dump 2>/dev/null | tr -d '\r'
}
console_has() { # NODE REGEX
    console "$1" | grep -qE "$2"
}
used() { # NODE: bytes of pages that it holds
    on n1 node show "$1" --json | jq .page_memory_used_bytes
}
hog_lines() { console "$1" | grep -c '^hog '; } # NODE

run_status "a lab of three" 0 "$VIOS" lab up 3 --page-memory 144M
run_status "a guest of 96 MiB" 0 on n1 lpar create g --memory 96M --kernel "$GUEST/vmlinuz" \
    --initrd "$GUEST/initrd" --append "console=ttyS0 quiet vios.hog_mib=96 vios.hog_passes=0"
run_status "starts" 0 on n1 lpar start g
ok "is ready" await 'console_has n1 "guest ready"' 60
run_status "and gets 128 MiB on other nodes" 0 on n1 paging create g --size 128M
ok "its hog runs" await 'console_has n1 "^hog passed pass=1 "' 150
ok "half its memory is swapped out, mirrored" \
    await '[ "$(used n2)" -ge $((48 << 20)) ] && [ "$(used n3)" -ge $((48 << 20)) ]' 30

run_status "it is hibernated" 0 on n1 lpar hibernate g
for node in n2 n3; do
    kill -9 "$(lab_pid $node daemon_pid)" "$(lab_pid $node io_pid)"
done
run_status "those who had its pages begin anew" 0 "$VIOS" lab up 3 --page-memory 144M
run_status "it goes on on n2" 0 on n1 lpar restart g --node n2
ok "its hog goes on" await '[ "$(hog_lines n2)" -gt 0 ]' 60
unlike "it did not boot" "$(console n2)" 'guest ready'
is "its pages are mirrored" "$(on n2 paging show g --json | jq -r .state)" OK

# --- round trips ---
HERE=n2
for ((round = 1; round < ROUNDS; round++)); do
    THERE=n$((${HERE#n} % 3 + 1))
    run_status "round $round: it is hibernated on $HERE" 0 on n1 lpar hibernate g
    run_status "and goes on on $THERE" 0 on n1 lpar restart g --node "$THERE"
    HERE=$THERE
    ok "its hog goes on" await "[ \$(hog_lines $HERE) -gt 0 ]" 60
    unlike "it did not boot, nor find a wrong page" "$(console "$HERE")" 'guest ready|hog BAD'
done

# Now it verifies all of its pages once more, and ends.
printf 'stop\n' | timeout -s INT 2 "$VIOS" --socket "$LAB/$HERE/run/vios.sock" lpar console g \
    >"$DIR/typed" 2>&1
ok "the hog ends" await 'console_has $HERE "^guest hog ended"' 200
like "with every page right" "$(console "$HERE" | grep '^hog done')" ' bad=0 '
unlike "and never found a wrong one" "$(console "$HERE")" 'hog BAD'
is "no request failed" "$(on "$HERE" paging show g --json | jq '.errors // 0')" 0
is "no checksum was wrong" "$(on "$HERE" paging show g --json | jq '.checksum_errors // 0')" 0
finish
