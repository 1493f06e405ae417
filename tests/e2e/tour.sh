#!/bin/bash
# Proves: the tour ends well with its closing table, leaves nothing, and cleans up on Ctrl-C.
# needs: heavy
# limit: 700
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64
test -f "$ROOT/build/guest/initrd" || skip_all "no guest: run make guest"

left_over() {
    ls -d /tmp/vios-tour-"$1" 2>/dev/null
}

"$VIOS" "$ROOT/scripts/tour.lua" >"$DIR/out" 2>"$DIR/err" </dev/null &
tour=$!
wait $tour
is "the tour ends with 0" $? 0
sed 's/^/# /' "$DIR/out" "$DIR/err"
like "it killed an io" "$(cat "$DIR/out")" 'n[2-4] .*; io killed, (OK again|and back)'
like "and a whole node" "$(cat "$DIR/out")" 'n[2-4] .*; the whole node killed, OK again after'
like "the death of the node is an event" "$(cat "$DIR/out")" 'node     n[2-4] +down'
like "the crash of io has a timeline" "$(cat "$DIR/out")" \
    'ffdc timeline [0-9]+ \| tail +# io crash, captured on [0-9] nodes'
like "and no page was wrong" "$(cat "$DIR/out")" 'touched, 0 wrong'
like "it hibernated, and went on elsewhere" "$(cat "$DIR/out")" \
    'moved +n1 to n[2-4]: saved in .* running again after'
like "which are events" "$(cat "$DIR/out")" 'lpar     guest +hibernated'
is "it leaves nothing" "$(left_over $tour)" ""

# A background process of a script ignores SIGINT; this one gets it as a terminal's would. It has a
# file of its own: the first tour's says "a guest with" before this one has begun.
setsid env --default-signal=INT "$VIOS" "$ROOT/scripts/tour.lua" >"$DIR/again" 2>&1 </dev/null &
tour=$!
PIDS+=("$tour")
ok "it is up again" await "grep -q 'a guest with' '$DIR/again'" 30
kill -INT $tour
wait $tour
is "Ctrl-C ends it with 130" $? 130
is "and leaves nothing" "$(left_over $tour)" ""
finish
