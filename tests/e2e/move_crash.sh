#!/bin/bash
# Proves: whoever is killed while a guest is moved, wherever he was with it, it is moved in the end,
# and one copy of it runs: the primary, the node that it leaves, and the one that it comes to; from
# a node that is drained, with its memory, and from one that is dead, from its disks.
# MOVE_PLACES=all kills at each step.
# needs: heavy
# limit: 400
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"
need jq python3 qemu-system-x86_64 as ld mkfs.xfs
export VIOS_CRASH_FILE=$DIR/crash

DRAINED='move:begin:after move:ask:after lpar.hibernate:commit:after lpar.restart:load:after
    lpar.restart:commit:after move:end:after'
DEAD='move:ask:before lpar.takeover:take:after lpar.start:claim:after lpar.start:run:after'
if [ "${MOVE_PLACES:-}" = all ]; then
    DRAINED=$(echo move:{begin,ask,end}:after move:ask:before \
        lpar.hibernate:{claim,save,commit,end,finish}:{before,after} \
        lpar.restart:{claim,prepare,launch,load,commit,run,finish}:{before,after})
    DEAD=$(echo move:{begin,ask,end}:after move:ask:before \
        lpar.takeover:{take,finish}:{before,after} \
        lpar.start:{claim,prepare,launch,run,finish}:{before,after})
fi

mount_pool 'mkfs.xfs -q -m reflink=1' # a takeover takes no grace there
cluster_up "sqlite:$DIR/vios.db" 3 --ttl 3s --page-memory 16M
guests_up n1

# NODES with a daemon; the others' are started. ON is asked from now on.
lives() { kill -0 "${NODE_PID[$1]}" 2>/dev/null; } # NODE
restart_dead() { # [BUT]
    local node
    for node in n1 n2 n3; do
        if ! lives "$node" && [ "$node" != "${1:-}" ]; then
            wait "${NODE_PID[$node]}" 2>/dev/null
            node_start "$node" --ttl 3s --page-memory 16M
        fi
    done
}
holder() { on "$ON" lpar show g-n1 --json | jq -r .node; }
pid_of_qemu() { on "$ON" lpar show g-n1 --json | jq .qemu_pid; }
others() { printf '%s\n' n1 n2 n3 | grep -v "$1"; } # NODE
all_qemus() { echo $(($(qemus_of n1) + $(qemus_of n2) + $(qemus_of n3))); }
has_moved() { # FROM
    # shellcheck disable=SC2046 # two names
    runs_on g-n1 $(others "$1") && [[ $(move_of g-n1) == "moved "*" from $1 with "* ]]
}
crashed() { # BUT: the place was reached, and whose daemon it was has ended
    local node
    for node in n1 n2 n3; do
        if [ "$node" != "$1" ] && ! lives "$node"; then
            [ ! -e "$VIOS_CRASH_FILE" ]
            return
        fi
    done
    return 1
}

for place in $DRAINED; do
    HERE=$(holder)
    echo "$place" >"$VIOS_CRASH_FILE"
    run_status "$HERE is drained" 0 on "$ON" node drain "$HERE"
    ok "$place: a daemon ended there" await "crashed ''" 40
    restart_dead
    ok "the guest moves" await "has_moved $HERE" 60
    ok "one runs" await "[ \"\$(all_qemus)\" = 1 ]" 20
    ok "it writes" await 'goes_on g-n1' 30
    run_status "$HERE is restored" 0 on "$ON" node restore "$HERE"
    ok "all is whole" await 'whole $ON 3' 60
done

for place in $DEAD; do
    HERE=$(holder)
    ON=$(others "$HERE" | head -n 1)
    ok "$HERE runs it" await '[ "$(pid_of_qemu)" -gt 0 ]' 20 || break
    QEMU=$(pid_of_qemu)
    echo "$place" >"$VIOS_CRASH_FILE"
    IO=$(io_pid "$HERE")
    kill -9 "${NODE_PID[$HERE]}" "$IO" "$QEMU"
    ok "$place: a daemon ended there" await "crashed $HERE" 60
    restart_dead "$HERE"
    ok "the guest moves" await "has_moved $HERE" 60
    restart_dead
    ok "it writes" await 'goes_on g-n1' 30
    ok "one runs" await "[ \"\$(all_qemus)\" = 1 ]" 20
    ok "all is whole" await 'whole $ON 3' 60
done
finish
