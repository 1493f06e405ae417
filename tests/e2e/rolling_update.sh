#!/bin/bash
# Proves: scripts/evacuate.lua empties a node and says what went where and what stays;
# scripts/rolling-update.lua does so for each node in turn, runs a command that kills and starts its
# daemon anew, and brings it back, while a guest goes on without a gap; and it stops at the first
# failure, with the node named.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"
need jq python3 qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
POOL=$LAB/repository/pools/p1
guests_up n1
"$ROOT/tests/guest/make_boot_disk.sh" sequence "$DIR/local.raw" 512
on n1 lpar create own --memory 16M --disk "$DIR/local.raw" >/dev/null
run_status "a guest that cannot leave" 0 on n1 lpar start own
script() { VIOS_SOCKET=$LAB/n2/run/vios.sock "$VIOS" "$ROOT/scripts/$1.lua" "${@:2}"; }

# --- one node ---
run_status "which node?" 2 script evacuate
run_status "no such node" 1 script evacuate n9
like "says so" "$ERR" 'n9'
run_status "n1 is evacuated" 0 script evacuate n1
like "where the guest went" "$OUT" 'g-n1 runs on n[23]'
like "and what stays" "$OUT" 'own stays: it needs files of that node'
ok "it goes on" await "goes_on g-n1" 30
is "without a gap" "$(counted g-n1)" "True 1"
on n2 node restore n1 >/dev/null
ok "n1 is up" await 'on n2 node show n1 --json | jq -e ".state == \"up\""' 30

# --- all of them ---
run_status "what stays ends it" 1 script rolling-update true
like "which says who" "$ERR" 'own stays on n1, which stays drained'
on n2 node restore n1 >/dev/null
ok "n1 is up again" await 'on n2 node show n1 --json | jq -e ".state == \"up\""' 30
run_status "own is stopped" 0 on n1 lpar stop own --force
run_status "a command that fails ends it" 1 script rolling-update 'exit 3'
like "where" "$ERR" 'the command failed on n[123] \(exit 3\), which stays drained'
for node in n1 n2 n3; do
    on n2 node restore "$node" >/dev/null
done
ok "all are up" await "on n2 node list --json | jq -e 'all(.state == \"up\")'" 30
GENERATION=$(on n2 lpar show g-n1 --json | jq .generation)
# what the command does on a node: its daemon dies, and begins anew
cat >"$DIR/update" <<UPDATE
kill -9 "\$("$VIOS" lab status --dir "$LAB" --json |
    jq -r ".[] | select(.name == \\"\$VIOS_NODE\\").daemon_pid")"
"$VIOS" lab up 3 --page-memory 16M
echo "\$VIOS_NODE" >>"$DIR/updated"
UPDATE
run_status "all nodes are updated" 0 script rolling-update "sh $DIR/update"
is "each once" "$(sort "$DIR/updated" | paste -sd' ')" "n1 n2 n3"
is "all are up" "$(on n2 node list --json | jq -c 'map(.state) | unique')" '["up"]'
ok "the guest has moved meanwhile" \
    [ "$(on n2 lpar show g-n1 --json | jq .generation)" -gt "$GENERATION" ]
ok "and goes on" await "goes_on g-n1" 30
unlike "it never booted again" "$(new_console g-n1)" boot
finish
