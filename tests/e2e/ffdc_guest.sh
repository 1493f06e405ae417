#!/bin/bash
# Proves: a guest whose kernel panics is an event and an incident, without being asked, once however
# many nodes see the event; what the QEMU of each guest says is in the bundle of its node, and a
# QEMU that stands still holds no capture up.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq tar qemu-system-x86_64 as ld
REPOSITORY=$DIR/repository/ffdc

list() { on n1 ffdc list --json; }
# The newest incident whose trigger begins so; "" when there is none.
incident() { # WORDS
    list | jq -r "map(select(.trigger | startswith(\"$1\")))[-1].correlator // empty"
}
field() { on n1 ffdc show "$1" --json | jq -r "$2"; } # CORRELATOR FILTER
guest() { on n1 lpar show "$1" --json | jq -r "$2"; } # LPAR FILTER
type_in() { # TEXT
    printf '%s' "$1" | timeout -s INT 2 "$VIOS" --socket "$DIR/n1/run/vios.sock" lpar console g1 \
        >"$DIR/typed" 2>&1
}
# What n1 captured of the guest.
captured() { # CORRELATOR FILTER
    tar --zstd -xOf "$REPOSITORY/$1"/n1/csnap_*_c"$1".tar.zst guests.jsonl | jq -c "$2"
}
capture() { # sets $MADE
    run_status "a capture" 0 on n1 ffdc capture
    MADE=$(sed -n 's/^incident \([0-9]*\): .*/\1/p' <<<"$OUT")
}

cluster_up "sqlite:$DIR/vios.db" 2
"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M
run_status "a guest" 0 on n1 lpar create g1 --memory 16M --disk "$DIR/disk.raw"
run_status "it starts" 0 on n1 lpar start g1
ok "it reads and writes" await '[ "$(on n1 lpar console g1 --dump | tr -cd . | wc -c)" -gt 30 ]' 30

# --- what its QEMU says ---

capture
is "it is there" \
    "$(captured "$MADE" '[.name, .state, .answers["query-status"].status, .unanswered]')" \
    '["g1","running","running",""]'
is "with its disk" \
    "$(captured "$MADE" '.answers["query-block"] | map(select(.inserted)) | length')" 1
ok "and what was read of it" test "$(captured "$MADE" \
    '.answers["query-blockstats"] | map(.stats.rd_operations) | add')" -gt 0
QEMU=$(guest g1 .qemu_pid) # what stops it lets it go on again, whatever is shown meanwhile
ok "its QEMU is known" [ "$QEMU" -gt 1 ] || bail "it has no QEMU: $QEMU"
kill -STOP "$QEMU"
ok "it stands still" await 'grep -q "^State:.T" "/proc/$QEMU/status"' 10
capture
is "one that stands still is there" "$(captured "$MADE" '[.name, .answers, .unanswered]')" \
    '["g1",{},"its QEMU stands still, stopped by a signal"]'
is "all nodes are" "$(field "$MADE" '[.nodes[].state] | join(" ")')" "ok ok"
kill -CONT "$QEMU"
capture
is "when it goes on it answers" "$(captured "$MADE" '.answers["query-status"].status')" '"running"'

# --- it panics ---

ok "it panics" await 'type_in p; [ "$(guest g1 .state)" = panicked ]' 30
ok "that is an incident" await '[ "$(field "$(incident "lpar panicked g1, ")" .state)" = done ]' 30
PANIC=$(incident "lpar panicked g1, ")
is "of the event" "$(field "$PANIC" .trigger)" "lpar panicked g1, event $(on n2 event list --json \
    --class lpar | jq 'map(select(.operation == "panicked"))[-1].seq')"
is "with what its QEMU says" "$(captured "$PANIC" '.answers["query-status"].status')" \
    '"guest-panicked"'
is "captured by both" "$(field "$PANIC" '[.nodes[].state] | join(" ")')" "ok ok"
is "once" "$(field "$PANIC" .count)" 1
run_status "it is reset" 0 on n1 lpar reset g1 --yes
ok "it panics again" await 'type_in p; [ "$(guest g1 .state)" = panicked ]' 30
ok "which is counted" await '[ "$(field "$PANIC" .count)" = 2 ]' 30
is "and no other incident" "$(incident "lpar panicked g1, ")" "$PANIC"
run_status "it is stopped" 0 on n1 lpar stop g1 --force
finish
