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

# The file of the crash places is gone a moment before its daemon is.
crash_came() { # DAEMON-PID...
    local pid
    [ ! -e "$VIOS_CRASH_FILE" ] || return 1
    for pid; do
        kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

# The LPAR web1, which boots from the LU p1/web1-root: a sector of tests/guest/, of that size.
make_web1() { # SECTOR SIZE
    "$ROOT/tests/guest/make_boot_disk.sh" "$1" "$DIR/disk.raw" "$2"
    on n1 pool create p1 >/dev/null || bail "no pool is made"
    on n1 lu create web1-root --pool p1 --size 2M >/dev/null || bail "no LU is made"
    dd if="$DIR/disk.raw" of="$(on n1 lu show p1/web1-root --json | jq -r .path)" conv=notrunc \
        status=none
    on n1 lpar create web1 --memory 16M --disk p1/web1-root >/dev/null || bail "no web1 is made"
}
