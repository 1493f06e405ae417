#!/bin/bash
# Proves: what is emitted on any node, and what is committed to the VIOS DB, becomes an event that
# every node shows once, in one order, without a gap, and so does vios.event.on: across daemons
# killed at each point between a payload file and its posting, a repository that goes away, and a
# damaged file.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq
ROUNDS=${EVENT_ROUNDS:-1}
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 5 --page-memory 16M

# --- looking and making ---
run on n2 event emit backup nightly "done" --new ok --json
SEQ=$(jq .seq <<<"$OUT")
like "an event has a number" "$SEQ" '^[0-9]+$'
is "and its fields, on another node" "$(on n4 event list --json --class backup |
    jq -c '.[] | [.seq, .restores, .node, .class, .object, .operation, .new, .data.by]')" \
    "[$SEQ,0,\"n2\",\"backup\",\"nightly\",\"done\",\"ok\",\"uid:$(id -u)\"]"
is "not behind itself" "$(on n4 event list --since "$SEQ" --class backup --json)" "[]"
run_status "a class that is no word" 2 on n2 event emit "Back up" nightly "done"
like "is told so" "$ERR" 'class and its operation must be words'
run_status "a limit that is none" 2 on n1 event tail --limit 5000
like "is told so" "$ERR" 'not between 0 and 1000'

# --- what is committed ---
echo kernel >"$DIR/kernel"
run_status "an LPAR" 0 on n3 lpar create web1 --memory 16M --kernel "$DIR/kernel"
run_status "changed" 0 on n3 lpar remove web1 --yes
seen() {
    on n5 event list --class lpar --json | jq -r '.[] | .object + " " + .operation' | paste -sd,
}
ok "becomes events" await '[ "$(seen)" = "web1 created,web1 removed" ]' 20

# --- the primary is killed at each point; who follows sees everything once ---
cat >"$DIR/follow.lua" <<'LUA'
local file <close> = assert(io.open(arg[1], "w"))
assert(vios.event.on({ class = "count" }, function(event)
  file:write(event.seq, " ", event.object, "\n")
  file:flush()
  return event.operation ~= "ended"
end))
LUA
"$VIOS" --socket "$LAB/n5/run/vios.sock" "$DIR/follow.lua" "$DIR/followed" 2>"$DIR/follow.err" &
FOLLOWER=$!
PIDS+=("$FOLLOWER")
ok "somebody follows" await \
    'on n5 event emit count start begun >/dev/null && grep -q start "$DIR/followed"' 20
emit_all() { # NODE: emits numbers until the file is there; notes those that were acknowledged
    local node=$1 i=0
    while [ ! -e "$DIR/enough" ]; do
        i=$((i + 1))
        if on "$node" event emit count "$node.$i" emitted --json 2>/dev/null |
            jq -e '.seq != null' >/dev/null; then
            echo "$node.$i" >>"$DIR/acknowledged.$node"
        fi
    done
}
acknowledged() { cat "$DIR"/acknowledged.* 2>/dev/null | wc -l; }
grown() { [ "$(acknowledged)" -ge "$1" ]; }
for node in n1 n2 n3 n4 n5; do
    emit_all "$node" &
    PIDS+=($!)
    EMITTERS+=($!)
done
crash() { # PLACE: whoever gets there first ends, and comes back
    local before
    echo "$1" >"$DIR/crash"
    # what is derived needs a commit
    on n5 lpar create "web$RANDOM" --memory 16M --kernel "$DIR/kernel" >/dev/null 2>&1
    ok "$1: a daemon ended there" await '[ ! -e "$DIR/crash" ]' 30
    before=$(acknowledged)
    run_status "it comes back" 0 "$VIOS" lab up 5 --page-memory 16M
    ok "events go on" await "grown $((before + 20))" 40
}
for ((round = 0; round < ROUNDS; round++)); do
    for place in event:file:after event:commit:after derive:file:after derive:commit:after \
        feed:post:before feed:post:after; do
        crash "$place"
    done
done
touch "$DIR/enough"
wait "${EMITTERS[@]}"
sort "$DIR"/acknowledged.* >"$DIR/acknowledged"
on n1 event list --class count --json >"$DIR/list.n1"
jq -r '.[] | select(.operation == "emitted").object' "$DIR/list.n1" | sort >"$DIR/listed"
LOST=$(comm -23 "$DIR/acknowledged" "$DIR/listed" | head -n 5)
is "nothing that was acknowledged is lost" "$LOST" ""
is "nothing is there twice" "$(uniq -d "$DIR/listed" | head -5)" ""
ok "the numbers only grow" jq -e '[.[].seq] | . == (sort | unique)' "$DIR/list.n1"
for node in n2 n3 n4 n5; do
    on "$node" event list --class count --json >"$DIR/list.$node"
    ok "$node shows the same" cmp "$DIR/list.n1" "$DIR/list.$node"
done
in_order() { # the events of one node, in the order in which it emitted them
    jq -r ".[] | select(.operation == \"emitted\" and .node == \"$1\").object" "$DIR/list.n1" |
        cut -d. -f2 >"$DIR/order"
    sort -n -c "$DIR/order"
}
for node in n1 n2 n3 n4 n5; do
    ok "$node's are in their order" in_order "$node"
done

# --- who follows saw the same, whoever was killed meanwhile ---
run_status "an end" 0 on n1 event emit count end ended
ok "who follows comes to it" await '! kill -0 "$FOLLOWER"' 40
is "without a complaint" "$(cat "$DIR/follow.err")" ""
FROM=$(head -n 1 "$DIR/followed" | cut -d" " -f1)
on n1 event list --class count --since $((FROM - 1)) --json |
    jq -r '.[] | "\(.seq) \(.object)"' >"$DIR/wanted"
ok "who follows saw all of it once" cmp "$DIR/wanted" "$DIR/followed"

# --- the repository goes away ---
mv "$LAB/repository" "$LAB/away"
run on n1 event emit away one sent --json
is "an event waits on its node" "$(jq -r .state <<<"$OUT")" waits
run_status "so do others, also for people" 0 on n1 event emit away two sent
like "in words" "$OUT" 'the repository is away'
waiting() { on n3 event status --json | jq -r '[.[] | .node + " " + .state] | join(",")'; }
is "where, any node says" "$(waiting)" "n1 waits,n2 ok,n3 ok,n4 ok,n5 ok"
is "how many files" "$(on n2 event status --json | jq '.[] | select(.node == "n1").files')" 2
mv "$LAB/away" "$LAB/repository"
came() { [ "$(on n3 event list --class away --json | jq -r '[.[].object] | join(",")')" = "$1" ]; }
ok "they come when it is back, in order" await 'came one,two' 40
is "nothing waits then" "$(on n1 event status --json | jq '[.[].files] | add')" 0
run_status "and what comes behind them" 0 on n1 event emit away three sent
ok "is behind them" await 'came one,two,three' 20

# --- a damaged file ---
run on n2 event emit harm file made --json
SEQ=$(jq .seq <<<"$OUT")
FILE=$(grep -l '"harm"' "$LAB"/repository/events/n2/*)
sed -i 's/"harm"/"harn"/' "$FILE"
gap() {
    on n4 event list --since $((SEQ - 1)) --json |
        jq -e "any(.[]; .seq == $SEQ and .operation == \"resync\")" >/dev/null
}
ok "is a gap that is told" await gap 30
finish
