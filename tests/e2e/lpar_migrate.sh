#!/bin/bash
# Proves: `lpar migrate` moves a guest that runs to another node: it writes on without a gap and
# never boots again, one QEMU has it, and nothing stays on the node that it left; --node any finds
# one, and any node may be asked. Where it cannot be, that is said before anything is touched, and
# the guest runs on; so it does when a migration is cancelled, and can then be migrated, and
# hibernated, as ever. A daemon that begins anew takes up a guest that came from another node.
# In kvm's way, where the guest runs while it is sent; lpar_migrate_crash.sh has tcg's.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/split_guests.sh"
need jq python3 qemu-system-x86_64 as ld
export VIOS_MIGRATE_LIVE=yes

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
run_status "it runs" 0 on n1 lpar start web1

shown() { on n3 lpar show web1 --json | jq -r "$1"; }
keep_console() { # NODE: what it says there from now on is in web1.console
    on "$1" lpar console web1 </dev/null >"$DIR/web1.console" 2>/dev/null &
    PIDS+=("$!")
    ok "it writes on $1" await "[ \$(numbers <'$DIR/web1.console' | wc -l) -gt 20 ]" 30
}
exports() { # NODE
    "$BUILD/tests/tools/io_control" "$LAB/$1/run/io.sock" '{"do":"statistics"}' |
        jq -r --arg lpar "$(shown .uuid)" '[.exports[] | select(.lpar == $lpar)] | length'
}
is_clean() { # NODE: nothing of it is there
    [ "$(exports "$1")" = 0 ] && [ ! -e "$LAB/$1/run/lpar/$(shown .uuid)" ]
}

# --- there and back ---
keep_console n1
run_status "it could be" 0 on n3 lpar migrate web1 --node n2 --dry-run
is "as Lua" "$OUT" 'vios.lpar.migrate{name = "web1", node = "n2"}'
run_status "it is migrated" 0 on n1 lpar migrate web1 --node n2
like "which is said" "$OUT" 'web1 migrated on node n2: running'
is "it is there" "$(shown '.state + " " + .node')" "running n2"
is "in the next generation" "$(shown .generation)" 2
ok "it goes on" await "goes_on web1" 30
is "without a gap, and never boots again" "$(counted web1)" "True 1"
ok "nothing of it is on n1" await "is_clean n1" 10
keep_console n2
run_status "a third node is asked" 0 on n3 lpar migrate web1 --node any --json
is "with the same result" "$(jq -r '.state' <<<"$OUT")" running
unlike "not to where it was" "$(jq -r .node <<<"$OUT")" n2
ok "it goes on again" await "goes_on web1" 30
is "still without a gap" "$(counted web1 | cut -d' ' -f1)" True
ok "nothing of it is on n2" await "is_clean n2" 10

# --- where it cannot be ---
HERE=$(shown .node)
THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
refused() { # WHAT STATUS NODE REGEX
    run_status "$1" "$2" on "$HERE" lpar migrate web1 --node "$3"
    like "is told" "$ERR" "$4"
}
GENERATION=$(shown .generation)
refused "to where it is" 1 "$HERE" "it runs on node \"$HERE\" already"
refused "to nobody" 1 n9 'node "n9"'
run_status "a node is drained" 0 on n3 node drain "$THERE"
drained() {
    [ "$(on "$1" node list --json | jq -r ".[] | select(.name == \"$THERE\").state")" = drained ]
}
ok "which both know" await "drained $HERE && drained $THERE" 20
refused "to one that is drained" 1 "$THERE" "node \"$THERE\" does not take it: .*it is drained"
run_status "--dry-run says so too" 7 on "$HERE" lpar migrate web1 --node "$THERE" --dry-run
on n3 node restore "$THERE" >/dev/null
ok "it is back" await "! drained $HERE && ! drained $THERE" 20
"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/own.raw" 1M
on "$HERE" lpar create own --memory 16M --disk "$DIR/own.raw" >/dev/null
run_status "one that has not begun" 1 on "$HERE" lpar migrate own --node "$THERE"
like "must run" "$ERR" 'only a running guest can be migrated, and it is stopped'
run_status "own runs" 0 on "$HERE" lpar start own
run_status "one with a file of its node" 1 on "$HERE" lpar migrate own --node "$THERE"
like "stays" "$ERR" "does not take it: .*its disk0 is a file of node \"$HERE\""
is "the other one was not touched" "$(shown '"\(.generation) \(.node) \(.job)"')" \
    "$GENERATION $HERE "

# --- a cancel ---
keep_console "$HERE"
kill -STOP "$(lab_pid "$THERE" io_pid)"
on "$HERE" lpar migrate web1 --node "$THERE" >"$DIR/migrate.out" 2>&1 &
MIGRATING=$!
ok "a migration is at work" await '[ -n "$(shown .job)" ]' 10
run_status "it is cancelled" 0 on "$HERE" lpar cancel web1
kill -CONT "$(lab_pid "$THERE" io_pid)"
wait "$MIGRATING"
like "who waits for it hears that" "$(cat "$DIR/migrate.out")" cancelled
is "it runs where it was" "$(shown '"\(.state) \(.node)"')" "running $HERE"
ok "both nodes are up" await "on '$HERE' node list --json | jq -e 'all(.state == \"up\")'" 30
run_status "it can be migrated" 0 on "$HERE" lpar migrate web1 --node "$THERE"
ok "and goes on" await "goes_on web1" 30
is "without a gap" "$(counted web1 | cut -d' ' -f1)" True
run_status "and be hibernated" 0 on "$THERE" lpar hibernate web1
run_status "and restarted" 0 on "$HERE" lpar restart web1

# --- a daemon that begins anew ---
keep_console "$HERE"
run_status "it is migrated again" 0 on "$HERE" lpar migrate web1 --node "$THERE"
PID=$(shown .qemu_pid)
kill -KILL "$(lab_pid "$THERE" daemon_pid)"
run_status "its node's daemon is killed, and back" 0 "$VIOS" lab up 3 --page-memory 16M
ok "it runs still" await '[ "$(shown .state)" = running ]' 20
is "in the same QEMU" "$(shown .qemu_pid)" "$PID"
ok "and goes on" await "goes_on web1" 30
run_status "it can be stopped" 0 on "$HERE" lpar stop web1 --force
finish
