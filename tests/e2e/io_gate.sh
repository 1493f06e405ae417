#!/bin/bash
# Proves: the gate of a running io. Closed: a gated export holds its I/O and takeable guests are
# stopped. Open: both go on. Who watches hears of it; a guest that nobody may take over is left
# alone.
# limit: 60
. "$(dirname "$0")/lib.sh"

CONTROL=$BUILD/tests/tools/io_control
RUN=$DIR/run
TAKEN=11111111-2222-4333-8444-555555555555
KEPT=99999999-2222-4333-8444-555555555555
FILE="nbd+unix:///lu%2Fdisk%2F1?socket=$RUN/nbd.sock"

control() { # JSON [DESCRIPTOR]...
    "$CONTROL" "$RUN/io.sock" "$@"
}
serve() { # STOP-IN-MS KILL-IN-MS
    local now
    now=$(awk '{ printf "%d", $1 * 1000 }' /proc/uptime)
    control "{\"do\":\"serve\",\"until_stop\":$((now + $1)),\"until_kill\":$((now + $2))}"
}
is_closed() {
    [ "$(control '{"do":"statistics"}' | jq -r .gate.state)" = closed ]
}

"$IO" --run-dir "$RUN" --log error 2>"$DIR/io.err" &
IO_PID=$!
PIDS+=("$IO_PID")
await '[ -S "$RUN/io.sock" ]' 20
truncate -s 8M "$DIR/disk.img"
control '{"do":"listen","path":"nbd.sock","as":"local"}' >/dev/null
is "a gated export" "$(control "{\"do\":\"export\",\"name\":\"lu/disk/1\",\"lpar\":\"$TAKEN\",
    \"backend\":{\"kind\":\"file\",\"path\":\"$DIR/disk.img\",\"direct\":true,\"gated\":true}}")" \
    '{"ok":true}'
sleep 300 &
TAKEN_PID=$!
sleep 300 &
KEPT_PID=$!
PIDS+=("$TAKEN_PID" "$KEPT_PID")
"$CONTROL" "$RUN/io.sock" '{"do":"watch"}' follow >"$DIR/events" &
PIDS+=($!)
await 'grep -q ok "$DIR/events"' 20
guest() { # LPAR TAKEABLE PID
    control "{\"do\":\"guest\",\"lpar\":\"$1\",\"takeable\":$2}" "pid:$3"
}
is "a takeable guest" "$(guest "$TAKEN" true "$TAKEN_PID")" '{"ok":true}'
is "one that is not" "$(guest "$KEPT" false "$KEPT_PID")" '{"ok":true}'

# --- closed, as an io starts ---
is "the gate starts closed" "$(control '{"do":"statistics"}' | jq -r .gate.state)" closed
ok "the takeable guest is stopped" await '[ "$(process_state "$TAKEN_PID")" = T ]' 20
is "the other runs" "$(process_state "$KEPT_PID")" S
qemu-io -f raw -c 'write -P 9 0 4k' -c 'read -P 9 0 4k' "$FILE" >"$DIR/write.out" 2>&1 &
WRITER=$!
in_flight() { [ "$(control '{"do":"statistics"}' | jq '.exports[0].in_flight')" -gt 0 ]; }
ok "a client's I/O waits" await in_flight 20
is "nothing was written" "$(od -An -tu1 -N1 "$DIR/disk.img" | tr -d ' ')" 0
like "a drain waits for it too" "$(control '{"do":"drain","name":"lu/disk/1"}')" '"error":"timeout"'

# --- open ---
is "serve" "$(serve 60000 60000)" '{"ok":true}'
is "drained then" "$(control '{"do":"drain","name":"lu/disk/1"}')" '{"ok":true}'
control '{"do":"open","name":"lu/disk/1"}' >/dev/null
wait "$WRITER"
is "the client goes on" "$? $(grep -ci fail "$DIR/write.out")" "0 0"
is "it is written" "$(od -An -tu1 -N1 "$DIR/disk.img" | tr -d ' ')" 9
ok "the guest goes on" await '[ "$(process_state "$TAKEN_PID")" = S ]' 20

# --- T comes by itself ---
serve 50 60000 >/dev/null
ok "at T the gate closes" await is_closed 20
ok "and the guest is stopped" await '[ "$(process_state "$TAKEN_PID")" = T ]' 20
is "a guest is forgotten" "$(control "{\"do\":\"forget\",\"lpar\":\"$TAKEN\"}")" '{"ok":true}'
kill -CONT "$TAKEN_PID"
heard() { [ "$(sed 1d "$DIR/events" | jq -r .state | xargs)" = "$1" ]; }
serve 60000 60000 >/dev/null
ok "open again, and told so" await 'heard "open closed open"' 20 # too short a time is not told
serve 0 60000 >/dev/null
ok "closed again" await is_closed 20
is "it runs" "$(process_state "$TAKEN_PID")" S

# --- who watches ---
ok "all of it is told" await 'heard "open closed open closed"' 20

# --- nothing in flight: past until_kill an idle io lives ---
serve 0 0 >/dev/null
is "an idle io lives on" "$(control '{"do":"statistics"}' | jq .ok)" true
is "no complaint" "$(cat "$DIR/io.err")" ""
finish
