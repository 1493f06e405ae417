#!/bin/bash
# Proves: `lab up` makes nodes that see each other, `lab status` tells of them, a second `lab up`
# mends what died, several labs live side by side, and `lab down` leaves no process and no file.
# limit: 90
. "$(dirname "$0")/lib.sh"
need jq

LAB=$DIR/lab
at_exit 'for lab in "$LAB" "$DIR/b"; do "$VIOS" lab down --dir "$lab" >/dev/null 2>&1; done'

status_of() { # JQ-FILTER
    "$VIOS" lab status --dir "$LAB" --json | jq -r "$1"
}

# The pids of all daemons, ios and QEMUs that have to do with the folder.
processes() { # FOLDER
    local process
    for process in /proc/[0-9]*; do
        case $(readlink "$process/exe") in
        */vios/daemon | */vios/io | */qemu-system-*)
            if [[ $(tr '\0' ' ' 2>/dev/null <"$process/cmdline") == *"$1/"* ||
                $(readlink "$process/cwd") == "$1"/* ]]; then
                echo "${process##*/}"
            fi
            ;;
        esac
    done
}

run_status "lab up 3" 0 "$VIOS" lab up 3 --dir "$LAB" --page-memory 16M --json
is "its answer lists three nodes that are up" "$(jq -c '[.[].state]' <<<"$OUT")" '["up","up","up"]'
is "status has the fields scripts rely on" "$(status_of '.[0] | keys | join(" ")')" \
    "daemon_pid dir io_pid name nbd_uri socket state"
is "a socket is where it says" "$(status_of '.[1].socket')" "$LAB/n2/run/vios.sock"
ok "each node has a daemon" test "$(status_of '[.[] | select(.daemon_pid > 1)] | length')" = 3

for node in n1 n2 n3; do
    run "$VIOS" --socket "$LAB/n1/run/vios.sock" --on "$node" node list --json
    is "$node sees all three up" "$(jq -c '[.[] | .name + .state]' <<<"$OUT")" \
        '["n1up","n2up","n3up"]'
done

run_status "a second lab beside it" 0 "$VIOS" lab up 1 --dir "$DIR/b" --page-memory 16M
run_status "and down again" 0 "$VIOS" lab down --dir "$DIR/b"
ok "its folder is gone" test ! -e "$DIR/b"
is "the first lab is still up" "$(status_of '[.[].state] | join(" ")')" "up up up"

before=$(status_of '.[1].daemon_pid')
kill -9 "$before"
ok "a killed daemon is shown as down" await '[ "$(status_of ".[1].state")" = down ]' 10
run_status "another lab up mends the lab" 0 "$VIOS" lab up --dir "$LAB"
is "all are up again" "$(status_of '[.[].state] | join(" ")')" "up up up"
ok "with a new daemon" test "$(status_of '.[1].daemon_pid')" != "$before"

run_status "fewer nodes than there are is refused" 1 "$VIOS" lab up 2 --dir "$LAB"
like "and says what to do" "$ERR" 'has 3 nodes already.*lab down'

run_status "lab down" 0 "$VIOS" lab down --dir "$LAB"
is "no process is left" "$(processes "$LAB")" ""
ok "no file is left" test ! -e "$LAB"
run_status "there is no lab any more" 1 "$VIOS" lab status --dir "$LAB"
like "and it says how to get one" "$ERR" 'lab up'
finish
