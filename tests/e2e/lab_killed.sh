#!/bin/bash
# Proves: `lab down` leaves nothing after kill -9 of some or all of a lab's processes, and after
# every socket and log was removed behind its back.
# limit: 90
. "$(dirname "$0")/lib.sh"
need jq

LAB=$DIR/lab
at_exit '"$VIOS" lab down --dir "$LAB" >/dev/null 2>&1'

pids() {
    "$VIOS" lab status --dir "$LAB" --json | jq '.[] | .daemon_pid, .io_pid | select(. > 0)'
}

gone() { # PIDS
    local pid
    for pid in "$@"; do
        if [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status"; then
            return 1
        fi
    done
}

check_down() { # WHAT PIDS
    local what=$1
    shift
    run_status "lab down after $what" 0 "$VIOS" lab down --dir "$LAB"
    ok "no process is left after $what" gone "$@"
    ok "no file is left after $what" test ! -e "$LAB"
}

run_status "a lab of two" 0 "$VIOS" lab up 2 --dir "$LAB" --page-memory 16M
mapfile -t all < <(pids)
ok "with a daemon and an io each" test "${#all[@]}" = 4
kill -9 "${all[@]}"
check_down "all were killed" "${all[@]}"

run_status "another one" 0 "$VIOS" lab up 2 --dir "$LAB" --page-memory 16M
mapfile -t all < <(pids)
kill -9 "${all[0]}"
check_down "one daemon was killed and its io lives" "${all[@]}"

run_status "another one" 0 "$VIOS" lab up 2 --dir "$LAB" --page-memory 16M
mapfile -t all < <(pids)
kill -STOP "${all[@]}"
rm -rf "$LAB"/n?/run "$LAB"/n?/daemon.log "$LAB/db"
check_down "all were frozen and their files removed" "${all[@]}"
finish
