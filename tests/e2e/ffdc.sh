#!/bin/bash
# Proves: one command captures on all nodes; a node that cannot be asked is in the manifest with the
# reason, and adds its part when it is back; a daemon that crashes is captured with its last records
# by the next one; bundles wait for a repository that is away; and all of it can be read with no
# daemon at all.
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq tar
OPTIONS=(--ttl 3s)
export VIOS_CRASH_FILE=$DIR/crash
REPOSITORY=$DIR/repository/ffdc

# "n1 ok n2 missing", as n1's daemon has it.
parts() { # CORRELATOR
    on n1 ffdc show "$1" --json | jq -r '[.nodes[] | .node + " " + .state] | join(" ")'
}
why() { on n1 ffdc show "$1" --json | jq -r ".nodes[] | select(.node == \"$2\").why"; }
field() { on n1 ffdc show "$1" --json | jq -r "$2"; } # CORRELATOR FILTER
state() { on n1 ffdc show "$1" --json | jq -r .state; }
# Incidents whose trigger is that, or goes on behind a comma, as an array.
of() { # TRIGGER
    on n1 ffdc list --json |
        jq -c "map(select(.trigger == \"$1\" or (.trigger | startswith(\"$1, \"))))"
}
incident() { of "$1" | jq -r '.[-1].correlator // empty'; } # TRIGGER; the newest
crashes() { of "daemon crash" | jq 'map(.count) | add'; }
# Of one that was made by hand, as its command said.
made() { sed -n 's/^incident \([0-9]*\): .*/\1/p' <<<"$OUT"; }
bundle() { echo "$REPOSITORY/$1/$2"/csnap_*_c"$1".tar.zst; } # CORRELATOR NODE
member() { tar --zstd -xOf "$(bundle "$1" "$2")" "$3"; }     # CORRELATOR NODE FILE
traced() { [[ $BUILD != */asan ]]; } # else AddressSanitizer takes the signals
offline() { "$VIOS" --socket "$DIR/none.sock" "$@" --dir "$REPOSITORY"; }

cluster_up "sqlite:$DIR/vios.db" 3 "${OPTIONS[@]}"
echo kernel >"$DIR/kernel"
run_status "a guest" 0 on n1 lpar create web1 --memory 16M --kernel "$DIR/kernel"

# --- by hand ---

run_status "a capture" 0 on n1 ffdc capture --trigger "guests are slow" --component lpar \
    --priority high
BY_HAND=$(made)
is "it says so" "${OUT%,*}" "incident $BY_HAND: 3 of 3 nodes"
is "it is listed" "$(on n2 ffdc list --json | jq -c '.[] | select(.trigger == "guests are slow") |
    [.correlator, .count, (.nodes | length), .size_bytes > 0]')" "[\"$BY_HAND\",1,3,true]"
is "every node is there" "$(parts "$BY_HAND")" "n1 ok n2 ok n3 ok"
for node in n1 n2 n3; do
    is "the digest of $node is that of its bundle" \
        "$(on n3 ffdc show "$BY_HAND" --json |
            jq -r ".nodes[] | select(.node == \"$node\").digest")" \
        "$(sha256sum <"$(bundle "$BY_HAND" $node)" | cut -d ' ' -f 1)"
done
told() { on n2 event list --class ffdc --json | jq -r '.[] | .object + " " + .operation'; }
ok "it is an event" await 'grep -qx "$BY_HAND captured" <<<"$(told)"' 20
like "its name says what it is" "$(basename "$(bundle "$BY_HAND" n2)")" \
    "^csnap_[0-9]{8}_[0-9]{6}_by_lpar_high_c$BY_HAND\\.tar\\.zst\$"
is "the manifest beside it is the record" "$(jq -cS . "$REPOSITORY/$BY_HAND/manifest.json")" \
    "$(on n1 db get "/incident/$BY_HAND" --json | jq -cS '.[0].value')"
ok "the VIOS DB is in it" grep -q '"/lpar/web1"' <<<"$(member "$BY_HAND" n3 db.jsonl)"
not_ok "and no secret" grep -qE '"/(secret|token)' <<<"$(member "$BY_HAND" n3 db.jsonl)"
is "no collector failed" "$(member "$BY_HAND" n1 part.json |
    jq -c '[.collectors[] | select(.state == "failed" or .state == "given up")]')" "[]"
run_status "a word that is no component" 2 on n1 ffdc capture --component ../x
run_status "an incident that is not there" 1 on n1 ffdc show 99
like "is named" "$ERR" 'incident "99"'
ok "that the nodes were added is one incident" \
    await '[ "$(state "$(incident "node added n2")")" = done ]' 30
is "counted" "$(field "$(incident "node added n2")" .count)" 2

# --- a node that does not answer ---

node_freeze n3 n1
run_status "a capture while n3 stands still" 0 on n1 ffdc capture
STILL=$(made)
is "n3 is missing" "$(parts "$STILL")" "n1 ok n2 ok n3 missing"
like "with the reason" "$(why "$STILL" n3)" 'unreachable: its daemon does not answer'
like "as the command says" "$OUT" 'n3 is missing: unreachable'
kill -CONT "${NODE_PID[n3]}"
ok "when it goes on it adds its part" await '[ "$(parts "$STILL")" = "n1 ok n2 ok n3 late" ]' 30
like "and the reason stays" "$(why "$STILL" n3)" 'unreachable'
ok "its bundle is there" test -s "$(bundle "$STILL" n3)"

# --- a daemon that crashes ---

ok "n3 is up" await '[ "$(state_of n1 n3)" = up ]' 30
on n3 primary show >/dev/null
CRASHED=${NODE_PID[n3]}
kill -SEGV "$CRASHED"
wait "${NODE_PID[n3]}" 2>/dev/null
run_status "a capture while n3 is dead" 0 on n1 ffdc capture
DEAD=$(made)
is "it is missing" "$(parts "$DEAD")" "n1 ok n2 ok n3 missing"
node_start n3 "${OPTIONS[@]}"
ok "the crash is an incident" await '[ "$(state "$(incident "daemon crash")")" = done ]' 30
CRASH=$(incident "daemon crash")
is "about the daemon" "$(field "$CRASH" .component)" daemon
ok "with every node" await '[[ "$(parts "$CRASH")" != *missing* ]]' 30
if traced; then
    TRACE=$(member "$CRASH" n3 backtrace.txt)
    like "its back-trace names the signal" "$TRACE" "^SIGSEGV, sent by process $$
daemon [0-9.]+, process $CRASHED, thread $CRASHED "
    like "and functions of ours" "$TRACE" ' daemon\+0x[0-9a-f]+ daemon_run\+0x'
    like "and how to see the lines" "$TRACE" "addr2line -pfie $DAEMON 0x"
fi
is "nothing of it is left on the node" "$(ls "$DIR"/n3/state/*.crashed 2>/dev/null)" ""
like "the last record of the daemon that crashed is there" \
    "$(member "$CRASH" n3 crashed-recorder.jsonl | tail -n 1 | jq -r .text)" 'primary\.show ends'
ok "its part of the other incident is late" \
    await '[ "$(parts "$DEAD")" = "n1 ok n2 ok n3 late" ]' 30
kill -TERM "${NODE_PID[n3]}"
wait "${NODE_PID[n3]}" 2>/dev/null
node_start n3 "${OPTIONS[@]}"
ok "n3 is back" await 'whole n1 3' 30
is "an end of its own is no crash" "$(incident "daemon crash") $(field "$CRASH" .count)" "$CRASH 1"

kill -SEGV "$(io_pid n2)"
ok "an io that dies is an incident" await '[ "$(state "$(incident "io crash")")" = done ]' 30
IO_CRASH=$(incident "io crash")
is "of its node" "$(field "$IO_CRASH" .node)" n2
ok "with every node" await '[[ "$(parts "$IO_CRASH")" != *missing* ]]' 30

if traced; then
    TRACE=$(member "$IO_CRASH" n2 io-backtrace.txt)
    like "and the back-trace of the io" "$TRACE" ' io\+0x[0-9a-f]+ main\+0x'
fi
is "n2's daemon has none" "$(member "$IO_CRASH" n2 backtrace.txt 2>/dev/null)" ""

# --- a node that goes down ---

IO=$(io_pid n2)
echo capture:open:after >"$VIOS_CRASH_FILE"
on n2 ffdc capture --trigger "never ended" >/dev/null 2>&1
ok "its daemon ends in the middle of a capture" await '[ ! -e "$VIOS_CRASH_FILE" ]' 10
end_processes "$IO"
ok "it is an incident, without being asked" \
    await '[ "$(state "$(incident "node down n2")")" = done ]' 30
DOWN=$(incident "node down n2")
is "it alone" "$(of "node down n2" | jq length)" 1
is "seen once" "$(field "$DOWN" .count)" 1
event() { on n1 event list --json | jq "map(select($1)) | .[-1].seq"; }
is "it says of which event" "$(field "$DOWN" .trigger)" \
    "node down n2, event $(event '.class == "node" and .operation == "down" and .object == "n2"')"
is "the primary signalled it" "$(field "$DOWN" .node)" "$(on n1 primary show --json | jq -r .node)"
is "n2 is missing" "$(parts "$DOWN")" "n1 ok n2 missing n3 ok"
like "with the reason" "$(why "$DOWN" n2)" '^unreachable: .'
begun() { incident "never ended"; }
ok "what it began to capture is ended" await '[ "$(state "$(begun)")" = done ]' 60
ok "by those who are there" await '[ "$(parts "$(begun)")" = "n1 late n2 missing n3 late" ]' 60
node_start n2 "${OPTIONS[@]}"
ok "when it is back it adds its part" await '[ "$(parts "$DOWN")" = "n1 ok n2 late n3 ok" ]' 60
ok "it is up" await 'whole n1 3' 30
is "still it is one incident" "$(of "node down n2" | jq -c 'map(.count)')" "[1]"

# --- the repository is away ---

mv "$DIR/repository" "$DIR/away"
run_status "a capture without the repository" 0 on n1 ffdc capture
AWAY=$(made)
is "everything waits" "$(parts "$AWAY")" "n1 missing n2 missing n3 missing"
like "on its node" "$(why "$AWAY" n2)" 'it waits on the node for the repository'
ok "there it is" test -s "$DIR/n2/state/ffdc/$AWAY/n2/"csnap_*_c"$AWAY".tar.zst
is "and can be read there" "$("$VIOS" ffdc timeline "$AWAY" --dir "$DIR/n2/state/ffdc" --json |
    jq -r '[.[].node] | unique | join(" ")')" n2
mv "$DIR/away" "$DIR/repository"
ok "it is brought there" await '[ "$(parts "$AWAY")" = "n1 late n2 late n3 late" ]' 30
is "nothing waits any more" "$(find "$DIR"/n?/state/ffdc -name 'csnap_*')" ""
run_status "there is nothing to ask for again" 0 on n2 ffdc collect "$AWAY"
is "nothing changes" "$(parts "$AWAY")" "n1 late n2 late n3 late"

# --- with no daemon at all ---

on n1 ffdc list --json >"$DIR/list.json"
CRASHES=$(crashes)
end_processes "${NODE_PID[@]}"
is "the list is the same" "$(offline ffdc list --json | jq -cS 'map(del(.state))')" \
    "$(jq -cS 'map(del(.state))' "$DIR/list.json")"
is "an incident is shown" "$(offline ffdc show "$CRASH" --json | jq -r '.nodes | length')" 3
offline ffdc timeline "$CRASH" --json >"$DIR/timeline.json"
is "the timeline has all nodes" "$(jq -c '[.[].node] | unique' "$DIR/timeline.json")" \
    '["n1","n2","n3"]'
is "in one order" "$(jq -c '[.[].time] == ([.[].time] | sort)' "$DIR/timeline.json")" true
is "each record once" "$(jq -c '[.[] | [.node, .sequence]] | length == (unique | length)' \
    "$DIR/timeline.json")" true
is "with the epochs" "$(jq -c '[.[].epoch] | max > 0' "$DIR/timeline.json")" true
run_status "an archive" 0 offline ffdc export "$BY_HAND" "$DIR/plain.tar.zst"
run_status "a redacted one" 0 offline ffdc export "$BY_HAND" "$DIR/redacted.tar.zst" --redact
run_status "no file is written over" 1 offline ffdc export "$BY_HAND" "$DIR/plain.tar.zst"
mkdir "$DIR/plain" "$DIR/redacted"
tar --zstd -xf "$DIR/plain.tar.zst" -C "$DIR/plain"
tar --zstd -xf "$DIR/redacted.tar.zst" -C "$DIR/redacted"
is "both have the same files" "$(cd "$DIR/redacted" && find . -type f | sort)" \
    "$(cd "$DIR/plain" && find . -type f | sort)"
ok "one has the guest's name" grep -rqw web1 "$DIR/plain"
ok "and addresses" grep -rqF 127.0.0.1 "$DIR/plain"
is "the other has neither" "$(grep -rohwE '.*(web1|127\.0\.0\.1).*' "$DIR/redacted" | head -n 3)" ""
is "its records are whole" "$(jq -s length "$DIR/redacted/n2/db.jsonl")" \
    "$(jq -s length "$DIR/plain/n2/db.jsonl")"
truncate -s 2000 "$(bundle "$CRASH" n2)"
run_status "a damaged bundle hurts nobody" 0 offline ffdc timeline "$CRASH" --json
like "it is named" "$ERR" 'node n2: its bundle is damaged'
is "the others are there" "$(jq -c '[.[].node] | unique - ["n2"]' <<<"$OUT")" '["n1","n3"]'
echo '{' >"$REPOSITORY/$STILL/manifest.json"
run_status "so is a damaged manifest" 0 offline ffdc list --json
like "by name" "$ERR" "incident $STILL is left out: it is damaged"

# --- what goes ---

for node in n1 n2 n3; do
    node_start $node "${OPTIONS[@]}"
done
ok "the nodes are back" await 'whole n1 3' 30
ok "all crashed, each is captured" await "[ \$(crashes) = $((CRASHES + 3)) ]" 60
ok "to its end" await '[ "$(on n1 ffdc list --json | jq -r "map(.state) | unique[]")" = done ]' 60
run_status "one is removed" 0 on n2 ffdc prune "$BY_HAND" --yes
is "it says so" "$OUT" "1 incident removed"
not_ok "its files are gone" test -e "$REPOSITORY/$BY_HAND"
used() { echo $(($(find "$REPOSITORY" -name 'csnap_*' -printf '%s+')0)); } # bytes of bundles
run_status "they may take so much" 0 on n3 cluster set ffdc_quota $(($(used) / 2))
run_status "another capture" 0 on n1 ffdc capture --trigger "the newest"
ok "they take no more, all together" test "$(used)" -le \
    "$(on n1 db get /cluster --json | jq '.[0].value.ffdc_quota')"
is "the newest is kept" "$(on n1 ffdc list --json | jq -r '.[-1].trigger')" "the newest"
ok "and all that are older than a moment" \
    await 'on n2 ffdc prune --older 1ms --yes && [ "$(on n1 ffdc list --json)" = "[]" ]' 30
is "and so is the folder" "$(ls "$REPOSITORY")" ""
finish
