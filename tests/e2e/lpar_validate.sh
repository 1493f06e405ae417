#!/bin/bash
# Proves: `lpar validate` says of each thing that a hibernation or a restart takes whether it is
# there, of a guest that runs and of one that is hibernated, on this node and on others; the restart
# refuses for the same reasons; --dry-run says so too, prints the Lua, and changes nothing;
# `restart --node any` finds a node.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
POOL=$LAB/repository/pools/p1
"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M
on n1 pool create p1 >/dev/null
on n1 lu create web1-root --pool p1 --size 2M >/dev/null
LU=$(on n1 lu show p1/web1-root --json | jq -r .path)
dd if="$DIR/disk.raw" of="$LU" conv=notrunc status=none
on n1 lpar create web1 --memory 16M --disk p1/web1-root >/dev/null
run_status "a guest runs" 0 on n1 lpar start web1

checks() { jq -r "[.checks[] | select(.ok == $1).check] | join(\" \")" <<<"$OUT"; }
record() { on n1 db get /lpar/web1 --json | jq -c '.[0].revision'; }
n2_is() { # STATE: n1 chooses, and n2 is asked
    [ "$(on n1 node list --json | jq -r '.[1].state')" = "$1" ] &&
        [ "$(on n2 node list --json | jq -r '.[1].state')" = "$1" ]
}
refused() { # WHAT REGEX: validate and restart on n2 say the same
    run_status "$1 is found" 7 on n3 lpar validate web1 --node n2
    like "and told" "$ERR" "$2"
    run_status "--dry-run finds it" 7 on n1 lpar restart web1 --node n2 --dry-run
    like "likewise" "$ERR" "$2"
    run on n1 lpar restart web1 --node n2
    ok "it is not restarted" test "$STATUS" != 0
    like "for the same reason" "$ERR" "$2"
    is "it is hibernated still" "$(on n1 lpar show web1 --json | jq -r .state)" hibernated
}

# --- one that runs ---
BEFORE=$(record)
run_status "it could be moved" 0 on n3 lpar validate web1 --node n2 --json
is "to that node" "$(jq -c '[.lpar, .node, .ok]' <<<"$OUT")" '["web1","n2",true]'
is "all is good" "$(checks true)" \
    "state pages storage space qemu node files disks accel network machine memory"
is "nothing is wrong" "$(checks false)" ""
run_status "in words" 0 on n1 lpar validate web1
like "as a table" "$OUT" 'checks +CHECK +OK'
run_status "anywhere" 0 on n1 lpar validate web1 --node any
run_status "an unknown node" 1 on n1 lpar validate web1 --node n9
like "is named" "$ERR" 'node "n9"'
run_status "an unknown guest" 1 on n1 lpar validate web9
like "is named" "$ERR" 'did you mean "web1"'
run_status "a hibernation is tried" 0 on n2 lpar hibernate web1 --encrypt --dry-run
is "and told as Lua" "$OUT" 'vios.lpar.hibernate{name = "web1", encrypt = true}'
run_status "a restart would fail" 7 on n2 lpar restart web1 --dry-run
like "since it runs" "$ERR" 'it runs on node "n1"'
run_status "a node is drained" 0 on n1 node drain n2
ok "which all know" await 'n2_is drained' 20
run_status "it is no target" 7 on n1 lpar validate web1 --node n2 --json
is "for this reason alone" "$(checks false)" node
is "as an error" "$(jq -r '.error.code + " " + .error.message' <<<"$ERR")" \
    'invalid node "n2": it is drained'
run_status "others are" 0 on n1 lpar validate web1 --node any --json
ok "and chosen" test "$(jq -r .node <<<"$OUT")" != n2
is "nothing has changed" "$(record)" "$BEFORE"

# --- one that is hibernated ---
run_status "it is hibernated" 0 on n1 lpar hibernate web1
refused "the drained node" 'node "n2": it is drained'
run_status "it is no more" 0 on n1 node restore n2
ok "which all know" await 'n2_is up' 20
FILE=$LAB/repository/hibernation/$(on n1 hibernation show web1 --json | jq -r .lu)
run_status "it could be restarted there" 0 on n1 lpar validate web1 --node n2 --json
is "all is good" "$(checks true)" \
    "state node files disks accel network hibernation machine memory"
run_status "a restart is tried" 0 on n1 lpar restart web1 --node n2 --dry-run
is "and told as Lua" "$OUT" 'vios.lpar.restart{name = "web1", node = "n2"}'
mv "$LU" "$DIR/away"
refused "a missing disk" 'lu "web1-root": its file cannot be opened'
mv "$DIR/away" "$LU"
mv "$FILE" "$DIR/away"
refused "a missing file" 'hibernation of "web1": cannot be opened'
head -c 1000 "$DIR/away" >"$FILE"
refused "one that is cut short" 'hibernation of "web1".*cut short'
mv "$DIR/away" "$FILE"
mv "$POOL/pool.json" "$DIR/away"
run_status "no node has the pool" 7 on n1 lpar validate web1 --node any
like "which is said" "$ERR" 'no node that is up and not drained has the pools'
mv "$DIR/away" "$POOL/pool.json"
kill -9 "$(lab_pid n3 daemon_pid)" "$(lab_pid n3 io_pid)"
run_status "a dead node is no target" 7 on n1 lpar validate web1 --node n3
like "which is said" "$ERR" 'node "n3": its daemon does not answer'
run_status "it goes on somewhere" 0 on n1 lpar restart web1 --node any
like "and says where" "$OUT" '^web1 restarted on node n[12]'

# --- what is of one node, or of none ---
cp "$DIR/disk.raw" "$DIR/own.raw"
on n1 lpar create own1 --memory 16M --disk "$DIR/own.raw" >/dev/null
run_status "a guest on a file of the node runs" 0 on n1 lpar start own1
run_status "it can be hibernated here" 0 on n2 lpar validate own1 --node n1
run_status "and not go on elsewhere" 7 on n1 lpar validate own1 --node n2 --json
is "for this reason alone" "$(checks false)" files
like "which is said" "$ERR" 'its disk0 is a file of node .*n1'
run_status "it is hibernated" 0 on n1 lpar hibernate own1
run_status "it does not go on elsewhere" 7 on n1 lpar restart own1 --node n2
like "which is said" "$ERR" 'its disk0 is a file of node "n1": restart it there'
run_status "but here" 0 on n1 lpar restart own1
on n1 lpar create odd1 --memory 16T --disk "$DIR/disk.raw" --nic bridge:vios-no-br \
    --cpu nonesuch >/dev/null
run_status "one that fits nowhere, and does not run" 7 on n1 lpar validate odd1 --json
is "everything that is wrong is told" "$(checks false)" "state network machine memory"
is "with reasons" "$(jq -r '.checks[] | select(.ok == false).why' <<<"$OUT" | grep -c .)" 4
finish
