#!/bin/bash
# Proves: the administrators' Lua function says where the guest of a drained node goes, also against
# the built-in rule, and where one is started on any node. One that is no function is refused with
# Lua's words. One that fails, for ever or at once, keeps no guest from being moved: the built-in
# rule decides, and log and flight recorder say why.
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"
need jq python3 qemu-system-x86_64 as ld

# By free memory it is n2, then n1, then n3.
STORE=sqlite:$DIR/vios.db
node_start n1 --page-memory 64M
node_start n2 --page-memory 16M
node_start n3 --page-memory 256M
on n1 cluster create lab >/dev/null
for node in n2 n3; do
    on "$node" node join "$(on n1 node token --fmt : --field token)" >/dev/null
done
ok "a cluster of three" await 'whole n1 3' 30
guests_up n1

write_function() { # LUA-LINES
    cat >"$DIR/place.lua"
}
set_function() { # WHAT
    run_status "$1" 0 on n1 cluster set placement "$DIR/place.lua"
}
leave() { # NODE
    run_status "$1 is drained" 0 on n1 node drain "$1"
}
come_back() { # NODE
    run_status "$1 is restored" 0 on n1 node restore "$1"
    ok "it is up" await "[ \"\$(state_of n1 $1)\" = up ]" 30
}
rule() { on n1 cluster status --json | jq -r .placement; }
said() { grep -q "$1" "$DIR"/n[123].log; } # TEXT

# --- setting it ---
is "at first" "$(rule)" built-in
write_function <<<'return function(lpar, nodes)
    return nodes[1.node
end'
run_status "a mistake" 7 on n1 cluster set placement "$DIR/place.lua"
like "is refused with its line" "$ERR" "placement:2: malformed number near '1.n'"
write_function <<<'return "n3"'
run_status "no function" 7 on n1 cluster set placement "$DIR/place.lua"
like "is refused" "$ERR" 'returns a string, not a function'
write_function <<<"return function() end --$(printf '%9000s' '')"
run_status "a long one" 7 on n1 cluster set placement "$DIR/place.lua"
like "is refused, too" "$ERR" 'more than 8192 bytes'
printf 'return function() return "\xff" end' >"$DIR/place.lua"
run_status "what is no text" 7 on n1 cluster set placement "$DIR/place.lua"
like "is refused as well" "$ERR" 'no text in UTF-8'
run_status "no file" 1 on n1 cluster set placement "$DIR/nowhere.lua"
like "and that" "$ERR" 'nowhere.lua: No such file'
run_status "nothing was set" 1 on n1 db get /placement

# --- the node that it says ---
write_function <<<'local weights = {n1 = 1, n2 = 2, n3 = 3}
return function(lpar, nodes)
    assert(lpar.name == "g-n1" and lpar.memory_bytes == 16 << 20 and lpar.disks == 1)
    table.sort(nodes, function(a, b) return weights[a.node] > weights[b.node] end)
    assert(lpar.from == "n1" and nodes[1].pools[1] == "p1")
    return nodes[1].node
end'
set_function "a function for the heaviest"
is "is told" "$OUT" "placement = $DIR/place.lua"
is "is kept" "$(on n2 db get /placement --json | jq -r '.[0].value.text')" "$(cat "$DIR/place.lua")"
ok "is in the status" await "[ \"\$(rule)\" = function ]" 20
like "of people, too" "$(on n1 cluster status)" 'placement +function'
leave n1
ok "the guest goes where the built-in rule would not" await "runs_on g-n1 n3" 60
ok "and writes there" await "goes_on g-n1" 30
is "without a gap, and did not boot" "$(counted g-n1)" "True 1"
is "nothing was wrong" "$(said 'placement function' && echo warned)" ""
come_back n1

# --- one that fails ---
write_function <<<'return function(lpar, nodes)
    return ("a"):rep(50000):find((".-"):rep(50) .. "b")
end'
set_function "one that takes for ever in one instruction"
leave n3
ok "the guest is moved by the built-in rule" await "runs_on g-n1 n2" 60
ok "the log says so" said 'g-n1.*the placement function: the function takes too long.*"n2"'
come_back n3
write_function <<<'return function(lpar, nodes) return lpar.from end'
set_function "one that says the node that is left"
leave n2
ok "the guest is moved, still" await "runs_on g-n1 n1" 60
ok "the log has the reason" said 'g-n1.*it returned "n2", which is none of the nodes'
ok "and the flight recorder" grep -aqF 'g-n1: placement function: it returned' \
    "$DIR/n1/state/recorder" "$DIR/n2/state/recorder" "$DIR/n3/state/recorder"
come_back n2

# --- any ---
write_function <<<'return function() return "n3" end'
set_function "one for n3"
run_status "the guest is stopped" 0 on n1 lpar stop g-n1 --force
run_status "and started anywhere" 0 on n1 lpar start g-n1 --node any
is "it is where the function said" "$(place_of g-n1)" "running n3"
run_status "off" 0 on n1 cluster set placement off
run_status "it is gone" 1 on n1 db get /placement
ok "and not in the status" await "[ \"\$(rule)\" = built-in ]" 20
leave n3
ok "the built-in rule decides again" await "runs_on g-n1 n2" 60
finish
