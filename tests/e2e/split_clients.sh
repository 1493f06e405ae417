#!/bin/bash
# Proves: guests survive a split, with nobody doing anything. Of five nodes, two are cut off, with
# guests that write numbered sectors on both sides. The losers still reach the VIOS DB and the
# repository: their guests go on, on the winning side, where they were, without a gap; those of the
# winners notice nothing. After the merge nothing moves back, and nothing starts twice.
# needs: heavy
# limit: 240
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"

need qemu-system-x86_64 as ld python3
net_up 5
cluster_up "sqlite:$DIR/vios.db" 5 --ttl 3s
guests_up n1 n4 n5
is "what would happen" "$(on n1 cluster simulate split n1,n2,n3/n4,n5 --json |
    jq -c '[.rule, .winner]')" '["majority",["n1","n2","n3"]]'

net_cut n1,n2,n3 n4,n5
ok "it is decided" await 'on n1 db get /split/1' 30
is "as predicted" "$(on n1 db get /split/1 --json | jq -c '.[0].value | [.rule, .winner]')" \
    '["majority",0]'
for node in n4 n5; do
    ok "$node's guest runs on the other side" await "runs_on g-$node n1 n2 n3" 60
    ok "because of the split, with its memory" \
        await "[ \"\$(move_of g-$node)\" = 'moved split 1 from $node with memory' ]" 20
    ok "its QEMU there ends" await "is_gone $node" 20
done
for node in n4 n5; do
    ok "g-$node writes there" await "goes_on g-$node" 30
    is "and never stopped counting, nor booted again" "$(counted "g-$node")" "True 1"
done
runs_on g-n1 n1
is "the guest of the winners stays" "$?" 0
run_status "and was never moved" 1 on n1 db get /migration/g-n1

# --- the merge ---
WHERE=$(places)
for node in n4 n5; do
    ok "$node is fenced" await "on n1 db get /fence/$node/1" 30
done
net_heal
ok "the cluster is whole" await 'whole n1 5' 60
for node in n4 n5; do
    is "$node is another incarnation" "$(incarnation_of n1 "$node")" 2
    is "and runs nothing" "$(qemus_of "$node")" 0
done
is "no guest has moved again" "$(places)" "$WHERE"
is "each runs once" "$(($(qemus_of n1) + $(qemus_of n2) + $(qemus_of n3)))" 3
finish
