#!/bin/bash
# Proves: real partitions. Of five nodes cut into three and two, the three go on, whoever was
# primary; the two are fenced, come back as their next incarnations, and follow. Of four cut into
# two and two, the side with the primary goes on. Each ends with one primary and its history.
# limit: 240
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"

net_up 5
cluster_up "sqlite:$DIR/vios.db" 5
run_status "losers get little time" 0 on n1 cluster set split_time 3s
split_record() { on "$1" db get "/split/$2" --json | jq -r ".[0].value.$3"; }

# --- 3/2, and the primary is with the two ---
run_status "n1 hands over" 0 on "$(primary_of n1)" primary resign --to n5
ok "n5 is primary" await 'agreed n5 n1 n2 n3 n4 n5' 20
EPOCH=$(epoch_of n1)
net_cut n1,n2,n3 n4,n5
ok "the three elect one of them" await 'agreed n1,n2,n3 n1 n2 n3' 20
ok "of a higher epoch" [ "$(epoch_of n1)" -gt "$EPOCH" ]
ok "the split is decided" await 'on n1 db get /split/1' 30
is "by the majority" "$(split_record n1 1 rule)" majority
is "the two lost" "$(split_record n1 1 'losers | map(.node) | join(",")')" n4,n5
for node in n4 n5; do
    ok "$node is fenced" await "on n1 db get /fence/$node/1" 30
done
like "why is in the history" "$(on n1 primary history --json | jq -r '.[-1].reason')" '^n5 '
net_heal
for node in n4 n5; do
    ok "$node is another incarnation" await "[ \"\$(incarnation_of n1 $node)\" = 2 ]" 30
done
ok "the cluster is whole" await 'whole n1 5' 30
ok "with one primary" agreed n1,n2,n3 n1 n2 n3 n4 n5

# --- 2/2: the side with the primary ---
run_status "n5 is removed" 0 on n1 node remove n5 --yes
kill "${NODE_PID[n5]}"
ok "four are left" await 'whole n1 4' 30
PRIMARY=$(primary_of n1)
OTHER=$(printf '%s\n' n1 n2 n3 | grep -v "$PRIMARY" | head -n 1)
REST=$(printf '%s\n' n1 n2 n3 n4 | grep -vE "$PRIMARY|$OTHER" | paste -sd,)
EPOCH=$(epoch_of n1)
net_cut "$PRIMARY,$OTHER" "$REST"
ok "it is decided" await 'on "$PRIMARY" db get /split/2' 60
is "for want of a majority by the primary" "$(split_record "$PRIMARY" 2 rule)" primary
is "the others lost" "$(split_record "$PRIMARY" 2 'losers | map(.node) | join(",")')" "$REST"
ok "the primary is the same" agreed "$PRIMARY" "$PRIMARY" "$OTHER"
is "of the same epoch" "$(epoch_of "$PRIMARY")" "$EPOCH"
run on "${REST%%,*}" primary explain --json
is "the others cannot be primary" "$(jq .able <<<"$OUT")" false
for node in ${REST//,/ }; do
    ok "$node is fenced" await "on n1 db get /fence/$node/\$(incarnation_of $PRIMARY $node)" 30
done
net_heal
ok "the cluster is whole again" await 'whole n1 4' 60
ok "with that primary" agreed "$PRIMARY" n1 n2 n3 n4
finish
