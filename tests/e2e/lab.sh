# shellcheck shell=bash
# A lab in $LAB, taken down at exit, for tests that start one with `"$VIOS" lab up N`. After lib.sh
# was read:
#
#     . "$(dirname "$0")/lab.sh"
#     on n1 primary show      vios, asking n1's daemon; without `on` it is the first node's
#     lab_pid n1 io_pid       the process that `lab status` names; likewise daemon_pid

LAB=$DIR/lab
export VIOS_LAB_DIR=$LAB
at_exit '"$VIOS" lab down >/dev/null 2>&1'

on() { # NODE COMMAND...
    local node=$1
    shift
    "$VIOS" --socket "$LAB/$node/run/vios.sock" "$@"
}

lab_pid() { # NODE MEMBER
    "$VIOS" lab status --json | jq -r ".[] | select(.name == \"$1\") | .$2"
}

# Also one that was only submitted when its daemon died, and holds nothing yet.
jobs_are_over() { # NODE, which is asked
    on "$1" job list --json |
        jq -e 'all(.state != "running" and .state != "undoing")' >/dev/null
}
