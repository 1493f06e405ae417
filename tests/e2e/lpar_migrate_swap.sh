#!/bin/bash
# Proves: a Linux guest that has half of its memory swapped out to other nodes is migrated while it
# runs, more than once, also to a node that holds pages of it: its pages stay where they are, it
# goes on, and no page is lost, changed or mixed up; also when a daemon of one of the two is killed
# in the middle. SWAP_ROUNDS says how often it goes round (1).
# needs: heavy
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64
export VIOS_CRASH_FILE=$DIR/crash

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
paging() { on "$1" paging show g --json | jq -c "$2"; } # NODE FILTER
holders() { paging "$HERE" '[.replicas[].node] | sort | join(" ")' | tr -d '"'; }

run_status "a lab of four" 0 "$VIOS" lab up 4 --page-memory 144M
run_status "a guest of 96 MiB" 0 on n1 lpar create g --memory 96M --kernel "$GUEST/vmlinuz" \
    --initrd "$GUEST/initrd" --append "console=ttyS0 quiet vios.hog_mib=96 vios.hog_passes=0"
run_status "starts" 0 on n1 lpar start g
ok "is ready" await 'console_has n1 "guest ready"' 60
run_status "and gets 128 MiB on other nodes" 0 on n1 paging create g --size 128M
ok "its hog runs" await 'console_has n1 "^hog passed pass=1 "' 150
HERE=n1
HOLDERS=$(holders)
USED=$(used "${HOLDERS%% *}")

for ((round = 0; round < ROUNDS; round++)); do
    for there in n4 n2 n3 n1; do
        run_status "from $HERE to $there" 0 on n1 lpar migrate g --node "$there"
        HERE=$there
        ok "its hog goes on" await '[ "$(hog_lines $HERE)" -gt 1 ]' 90
        unlike "it did not boot, nor find a wrong page" "$(console "$HERE")" 'guest ready|hog BAD'
        is "its pages stay where they are" "$(holders)" "$HOLDERS"
        ok "both copies are current" await '[ "$(paging "$HERE" .state)" = "\"OK\"" ]' 30
    done
done

# --- daemons that are killed ---
runs() { on n3 lpar show g --json | jq -e '.job == "" and .state == "running"' >/dev/null; }
for place in lpar.migrate:send:after lpar.migrate:commit:after incoming:load:after \
    incoming:run:before; do
    there=$([ "$HERE" = n1 ] && echo n4 || echo n1)
    daemons="$(lab_pid "$HERE" daemon_pid) $(lab_pid "$there" daemon_pid)"
    echo "$place" >"$VIOS_CRASH_FILE"
    on "$HERE" lpar migrate g --node "$there" >/dev/null 2>&1 &
    PIDS+=("$!")
    ok "$place: the daemon ended there" await "crash_came $daemons" 30
    run_status "it comes back" 0 "$VIOS" lab up 4 --page-memory 144M
    ok "the guest runs in the end" await runs 60
    HERE=$(on n3 lpar show g --json | jq -r .node)
    seen=$(hog_lines "$HERE")
    ok "its hog goes on" await "[ \$(hog_lines $HERE) -gt $((seen + 1)) ]" 90
    unlike "it did not boot, nor find a wrong page" "$(console "$HERE")" 'guest ready|hog BAD'
done
ok "none was copied or given up" \
    [ "$(used "${HOLDERS%% *}")" -ge "$((USED / 2))" ]

# Now it verifies all of its pages once more, and ends.
printf 'stop\n' | timeout -s INT 2 "$VIOS" --socket "$LAB/$HERE/run/vios.sock" lpar console g \
    >"$DIR/typed" 2>&1
ok "the hog ends" await 'console_has $HERE "^guest hog ended"' 200
like "with every page right" "$(console "$HERE" | grep '^hog done')" ' bad=0 '
is "no request failed" "$(paging "$HERE" '.errors // 0')" 0
is "no checksum was wrong" "$(paging "$HERE" '.checksum_errors // 0')" 0
finish
