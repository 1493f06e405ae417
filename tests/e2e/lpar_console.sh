#!/bin/bash
# Proves: a guest's console is the same from every node: what it prints comes, what is typed gets
# there, and the stream ends on the guest's node when its viewer dies. Other streams and standard
# input go to another node by --on.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-system-x86_64 qemu-img
DISK=$ROOT/build/guest/disk.qcow2
test -f "$DISK" || skip_all "no guest: run make guest"

dump() { on "$1" lpar console g --dump 2>/dev/null | tr -d '\r'; } # NODE
viewer() { # NODE [OPTION...]; VIEWER: its console, which takes what `answers` sends until it ends
    rm -f "$DIR/keys" && mkfifo "$DIR/keys"
    "$VIOS" --socket "$DIR/$1/run/vios.sock" "${@:2}" lpar console g <>"$DIR/keys" \
        >"$DIR/seen" 2>"$DIR/seen.err" &
    VIEWER=$!
    PIDS+=("$VIEWER")
}
answers() { # WHAT COMMAND WANTED-LINE
    : >"$DIR/seen"
    echo "$2" >"$DIR/keys"
    ok "$1: \"$2\" is answered" await "tr -d '\\r' <'$DIR/seen' | grep -qxF '$3'" 20
}
# How often a node's flight recorder says so.
noted() { grep -aoF "lpar.console $2" "$DIR/$1/state/recorder" | wc -l; } # NODE TEXT
none_open() { [ "$(noted "$1" begins)" = "$(noted "$1" ends)" ]; } # NODE
import_there() { on n1 --on n2 image import - --name busybox --version 1 <"$DISK" >/dev/null; }

cluster_up "sqlite:$DIR/db" 2 --page-memory 32M
run_status "a pool" 0 on n1 pool create p1
ok "standard input goes to the other node" import_there
run_status "a guest of it" 0 on n1 image deploy busybox g --memory 96M
is "runs on n1" "$(on n2 lpar show g --json | jq -r .node)" n1

# --- the console, from the other node ---

ok "the other node shows what it prints" await "dump n2 | grep -q 'guest ready'" 60
shown=$(dump n2)
later=$(dump n1)
is "all of it, as its own node does" "${later:0:${#shown}}" "$shown"
shown=$(on n2 --on n1 lpar console g --dump | tr -d '\r')
is "by --on too" "${shown:0:${#later}}" "$later"
run_status "an error of its own node comes as it is" 1 on n2 lpar console none
like "as it is" "$ERR" 'lpar "none": there is no such LPAR'
run_status "one that was sent on is not sent back" 1 on n1 --on n2 lpar console g
like "and says where it runs" "$ERR" 'it runs on another node.*on n1 lpar console'

viewer n2
answers "a viewer on n2" read "guest data none"
answers "and again" "write from n2" "guest wrote from n2"
printf 'x%.0s\n' {1..100} >"$DIR/keys"
ok "a hundred lines are answered" \
    await '[ "$(grep -c "guest does not know .x.*" "$DIR/seen")" = 100 ]' 20
not_ok "it is open on n1" none_open n1
kill -9 "$VIEWER"
wait "$VIEWER" 2>/dev/null
ok "a viewer that is killed ends it there" await "none_open n1" 20
viewer n2 --on n1
answers "a viewer by --on" read "guest data from n2"
kill -INT "$VIEWER"
wait "$VIEWER"
is "ends by Ctrl-C, with its status" $? 130
ok "there too" await "none_open n1" 20

# --- other streams ---

run_status "a paging device" 0 on n1 paging create g --size 8M --policy single
"$VIOS" --socket "$DIR/n2/run/vios.sock" --on n1 paging stat --follow --json >"$DIR/stat" \
    2>"$DIR/stat.err" &
PIDS+=($!)
ok "statistics follow from the other node" await '[ "$(grep -c "\"g\"" "$DIR/stat")" -ge 2 ]' 20
kill -INT $!
wait $!
is "until Ctrl-C" $? 130
viewer n2
answers "a viewer once more" read "guest data from n2"
run_status "the guest ends" 0 on n2 lpar stop g --force
wait "$VIEWER"
is "and with it the viewer on the other node" $? 0
run_status "a guest that does not run has no console" 1 on n2 lpar console g
like "and says how to start it" "$ERR" 'it does not run.*lpar start g'
run_status "it starts again" 0 on n1 lpar start g
ok "and is up" await "dump n2 | grep -q 'guest ready'" 60

# --- the guest's node is lost ---

viewer n2
answers "a viewer at the end" read "guest data from n2"
kill -9 "${NODE_PID[n1]}"
wait "${NODE_PID[n1]}" 2>/dev/null
wait "$VIEWER"
is "ends with the daemon that it comes from" $? 4
like "and says which" "$(cat "$DIR/seen.err")" 'node "n1": the .*connection'
finish
