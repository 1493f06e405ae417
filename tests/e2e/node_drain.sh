#!/bin/bash
# Proves: a node that is drained is left by its guests, which go on elsewhere with their memory and
# without a gap. One that needs a file of that node stays, and one for which there is no place runs
# on until there is one. In maintenance nobody moves. Nothing comes back when the node is restored.
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"
need jq python3 qemu-system-x86_64 as ld

# All of n2's memory is lent, as it seems.
STORE=sqlite:$DIR/vios.db
node_start n1 --page-memory 16M
node_start n2 --page-memory "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)K"
on n1 cluster create lab >/dev/null
join() { on "$1" node join "$(on n1 node token --fmt : --field token)" >/dev/null; } # NODE
join n2
ok "a cluster of two" await 'whole n1 2' 30
guests_up n1
"$ROOT/tests/guest/make_boot_disk.sh" sequence "$DIR/local.raw" 512
run_status "a guest with a file of its node" 0 \
    on n1 lpar create own --memory 16M --disk "$DIR/local.raw"
run_status "it runs" 0 on n1 lpar start own

# --- no place, and maintenance ---
run_status "n1 is drained" 0 on n2 node drain n1
ok "there is no place for its guest" await \
    "grep -q 'g-n1 is not moved yet: .*most' '$DIR/n2.log'" 30
is "it runs on" "$(place_of g-n1)" "running n1"
run_status "nothing is begun" 1 on n2 db get /migration/g-n1
run_status "a wrong word" 2 on n2 cluster set maintenance perhaps
like "is refused" "$ERR" 'neither on nor off'
run_status "maintenance" 0 on n2 cluster set maintenance on
node_start n3 --page-memory 16M
join n3
ok "a place, at last" await "[ \"\$(state_of n2 n3)\" = up ]" 30
EPOCH=$(epoch_of n2)
ok "another primary" await "on n2 primary resign --to n3" 30
ok "looks at everything" await "[ \$(epoch_of n2) -gt $EPOCH ]" 30
run_status "and begins nothing" 1 on n2 db get /migration/g-n1
run_status "but then" 0 on n2 cluster set maintenance off

# --- it moves ---
ok "its guest runs elsewhere" await "runs_on g-n1 n3" 60
ok "and says why" await "[ \"\$(move_of g-n1)\" = 'moved n1 is drained from n1 with memory' ]" 20
ok "it writes there" await "goes_on g-n1" 30
is "without a gap, and did not boot" "$(counted g-n1)" "True 1"
is "what cannot move stays" "$(place_of own)" "running n1"
PLACES=$(places)
run_status "n1 is restored" 0 on n2 node restore n1
ok "it is up" await "[ \"\$(state_of n2 n1)\" = up ]" 30
is "nothing comes back" "$(places)" "$PLACES"
run_status "n3 is drained" 0 on n2 node drain n3
ok "its guest comes to n1" await "runs_on g-n1 n1" 60
ok "and writes" await "goes_on g-n1" 30
finish
