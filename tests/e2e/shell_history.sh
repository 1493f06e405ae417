#!/bin/bash
# Proves: the history file is trimmed, survives damage and parallel readers, is made private, and
# its absence is an error with a way out.
. "$(dirname "$0")/lib.sh"

export XDG_STATE_HOME=$DIR/state
FILE=$DIR/state/vios/history
run_status "without a file" 0 "$VIOS" history
is "it is empty" "$OUT" ""
is "its folder is private" "$(stat -c %a "$DIR/state/vios")" 700

seq -f 'x = %.0f' 10001 >"$FILE"
for _ in 1 2 3 4; do
    "$VIOS" history 1 >>"$DIR/parallel" &
    pids+=($!)
done
wait "${pids[@]}"
is "over twice its size it is trimmed" "$(wc -l <"$FILE")" 5000
is "to the newest" "$(tail -1 "$FILE")" "x = 10001"
is "and private" "$(stat -c %a "$FILE")" 600
is "each reader saw the newest" "$(grep -c 'x = 10001$' "$DIR/parallel")" 4

printf 'a\\nb\nc\\\\d\n\n\xff\x1b[2J\nhalf' >"$FILE"
run_status "damaged lines" 0 "$VIOS" history
is "are shown without harm" "$OUT" "    1  a
       b
    2  c\\d
    3  \\xff\\x1b[2J"
run_status "the last of them" 0 "$VIOS" history 1
like "only" "$OUT" '^    3 '
run_status "a bad count" 2 "$VIOS" history -1
run_status "another" 2 "$VIOS" history many
run_status "no folder for it" 1 env -u HOME -u XDG_STATE_HOME "$VIOS" history
like "says what to set" "$ERR" 'set HOME or XDG_STATE_HOME'
finish
