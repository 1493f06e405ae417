#!/bin/bash
# Proves: guests survive a split in which the losers reach neither the VIOS DB nor the repository.
# Of one loser every request to the repository hangs, as on a hard mount whose server is dead, with
# writes of its guest on their way; of the other they fail. Both stop their guests before their
# time is over, and these start from their disks on the other side, with every sector that was
# acknowledged. What hung arrives after the merge, in a file that is no disk any more; nothing
# starts twice, and both losers are members again.
# needs: heavy
# limit: 240
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
# shellcheck disable=SC2034 # for etcd.sh
ETCD_HOST=10.77.0.100
. "$(dirname "$0")/etcd.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"

need bindfs etcd curl qemu-system-x86_64 as ld python3
net_up 5 store
ETCD_IN=(ip netns exec "$NET-store")
etcd_start 1 || bail "etcd does not start"

# --- a way of its own to the repository for each loser ---

declare -A MOUNT # the processes of their mounts

# Instead of this shell, among the mounts that the node's daemon has: it took a copy of ours.
with_mounts_of() { # NODE COMMAND...
    local pid=${NODE_PID[$1]:-}
    exec ${pid:+nsenter --mount --target "$pid"} "${@:2}"
}

mount_repository() { # NODE
    with_mounts_of "$1" bindfs -f "$DIR/repository" "$DIR/$1/repository" 2>"$DIR/$1.mount" &
    MOUNT[$1]=$!
    PIDS+=("$!")
    await "(with_mounts_of $1 mountpoint -q '$DIR/$1/repository')" 10
}

# First of all at the end: nothing ends that waits for one of them.
unmount_repositories() {
    local node
    end_processes "${MOUNT[@]}"
    for node in n4 n5; do
        umount -l "$DIR/$node/repository" 2>/dev/null
    done
}

mount_pool 'mkfs.xfs -q -m reflink=1'
NODE_REPOSITORY=([n4]=$DIR/n4/repository [n5]=$DIR/n5/repository)
at_exit unmount_repositories
for node in n4 n5; do
    mkdir -p "$DIR/$node/repository"
    mount_repository $node || skip_all "this user may make no FUSE mounts"
done

cluster_up "etcd:$ETCD_ENDPOINTS" 5 --ttl 3s
guests_up n1 n4 n5

# --- the split ---

answers() { on "$1" --timeout 10s cluster matrix >"$DIR/matrix"; } # NODE
disk_of() { # NODE: whether its guest's is the file that it had there, and what that is now
    on n1 db get "/lu/$(udid_of "$1")" --json |
        jq -r --arg old "$(basename "$(first_file "$1")")" '.[0].value |
            (if .file == $old then "same" else "other" end) + "," +
            (if any(.dead[]; . == $old) then "dead" else "alive" end)'
}
has_moved() { [ "$(move_of "$1")" = "moved $2 is lost from $2 with storage" ]; } # LPAR FROM

kill -STOP "${MOUNT[n4]}"
end_processes "${MOUNT[n5]}"
net_cut n1,n2,n3 n4,n5
net_cut n4,n5 store
run_status "what n4 asks of the repository hangs" 124 timeout 1 ls "$DIR/n4/repository"
run_status "what n5 asks of it fails" 2 ls "$DIR/n5/repository"

for node in n4 n5; do
    ok "$node's guest runs on the other side" await "runs_on g-$node n1 n2 n3" 60
    like "its QEMU there stands still, or has ended" "$(process_state "${QEMU_PID[$node]}")" \
        '^[TZ]?$'
    is "the file that $node has open is no disk any more" "$(disk_of "$node")" other,dead
    is "every acknowledged sector is on its disk" "$(not_on_disk "g-$node")" ""
    ok "it went on from there" await "has_moved g-$node $node" 20
    ok "$node answers all the same" answers "$node"
done
for node in n4 n5; do
    ok "g-$node writes there" await "goes_on g-$node" 30
done
runs_on g-n1 n1
is "the guest of the winners stays" "$?" 0
run_status "and was never moved" 1 on n1 db get /migration/g-n1

# --- the merge ---

WHERE=$(places)
net_heal
kill -CONT "${MOUNT[n4]}"
(with_mounts_of n5 umount -l "$DIR/n5/repository")
ok "the repository is mounted again" mount_repository n5

ok "the cluster is whole" await "whole n1 5" 60
for node in n4 n5; do
    is "$node is another incarnation" "$(incarnation_of n1 "$node")" 2
    ok "$node's old guest has ended" await "is_gone $node" 30
    is "and it runs nothing" "$(qemus_of "$node")" 0
    is "every acknowledged sector is still on its disk" "$(not_on_disk "g-$node")" ""
done
is "no guest has moved again" "$(places)" "$WHERE"
is "each runs once" "$(($(qemus_of n1) + $(qemus_of n2) + $(qemus_of n3)))" 3
finish
