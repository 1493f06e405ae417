#!/bin/bash
# Proves: whichever step of a migration its daemon is killed before or after, on the source or on
# the target, the next daemon brings it to an end: one copy of the guest runs, on one of the two
# nodes; it goes on where it was, without booting again, and no write that its disk acknowledged is
# missing.
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
DISK=$(on n1 lu show p1/web1-root --json | jq -r .path)
run_status "it runs" 0 on n1 lpar start web1
UUID=$(on n1 lpar show web1 --json | jq -r .uuid)

shown() { on n3 lpar show web1 --json | jq -r "$1"; }
runs() { jobs_are_over n3 && shown 'select(.job == "").state' | grep -qx running; }
qemus() { pgrep -fc -- "^[^ ]*qemu-system-x86_64 -name web1 .*$UUID"; }
is_alone() { [ "$(qemus)" = 1 ]; }
console() { on "$(shown .node)" lpar console web1 --dump | tr -d '\r'; }
numbers() { console | grep '^[0-9a-f]\{4\}$'; }
recorded() { # NUMBER: sector N + 1 has the number N
    [ "$(od -An -tx2 -j $((($1 + 1) * 512)) -N 2 "$DISK" | tr -d ' ')" = "$(printf %04x "$1")" ]
}
goes_on() { # it writes more than it had
    local last
    last=$(numbers | tail -n 1)
    [ "$(numbers | wc -l)" -ge "$((MORE + 5))" ] && recorded $((16#$last))
}

crash() { # PLACE
    local here there boots daemons
    here=$(shown .node)
    there=$([ "$here" = n1 ] && echo n2 || echo n1)
    boots=$(console | grep -c boot)
    daemons="$(lab_pid "$here" daemon_pid) $(lab_pid "$there" daemon_pid)"
    echo "$1" >"$VIOS_CRASH_FILE"
    on "$here" lpar migrate web1 --node "$there" >/dev/null 2>&1 &
    PIDS+=("$!")
    ok "$1: the daemon ended there" await "crash_came $daemons" 20
    run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 16M
    ok "it runs in the end" await runs 40
    ok "in one QEMU" await is_alone 20
    MORE=$(numbers | wc -l)
    ok "it goes on" await goes_on 30
    [ "$(shown .node)" = "$here" ] || boots=0
    ok "it did not boot again" [ "$(console | grep -c boot)" -le "$boots" ]
}

MORE=0
ok "it writes" await goes_on 30
for step in claim send commit run end finish; do
    crash "lpar.migrate:$step:before"
    crash "lpar.migrate:$step:after"
done
crash outgoing:drain:after
for place in prepare:after load:after run:before run:after; do
    crash "incoming:$place"
done

# --- the target dies, and stays away ---
HERE=$(shown .node)
THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
echo incoming:run:before >"$VIOS_CRASH_FILE"
on "$HERE" lpar migrate web1 --node "$THERE" >/dev/null 2>&1 &
PIDS+=("$!")
ok "it ends before it goes on" await '[ ! -e "$VIOS_CRASH_FILE" ]' 20
moved() { runs && [ "$(shown .node)" != "$THERE" ]; }
ok "the guest is moved" await moved 60
MORE=0
ok "and writes" await "numbers | grep -q ." 30
run_status "the node comes back" 0 "$VIOS" lab up 3 --page-memory 16M
ok "and has nothing of it" await is_alone 30
finish
