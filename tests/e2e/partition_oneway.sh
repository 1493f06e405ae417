#!/bin/bash
# Proves: a one-way loss is shown as exactly that link, and is neither a death nor a split; a fifth
# of all packets lost at random kills nobody; a primary that nobody hears, though it hears all, is
# replaced, and comes back as a follower.
# limit: 150
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"

net_up 4
cluster_up "sqlite:$DIR/vios.db" 4
EPOCH=$(epoch_of n1)
PRIMARY=$(primary_of n1)
deaf() { on "$1" cluster matrix --json | jq -c '[.[] | .node as $n | .deaf_to[] | $n + "<" + .]'; }

# --- one way ---
net_deaf n3 n2
for node in n1 n2 n3 n4; do
    ok "$node shows exactly that link" await "[ \"\$(deaf $node)\" = '[\"n3<n2\"]' ]" 20
done
is "nobody is down" "$(on n1 node list --json | jq -c 'map(.state) | unique')" '["up"]'
# Keep-alives of several suspicion times pass; what would come of them has come.
ok "time passes" await "renewed_since n1 n3 $(($(renewals_of n1 n3) + 5))" 30
is "there was no election" "$(epoch_of n1)" "$EPOCH"
is "and no split" "$(on n1 db get /split/ --json)" '[]'
net_heal
ok "all hear each other again" await 'whole n1 4' 20

# --- random loss ---
for node in n1 n2 n3 n4; do
    net_lose "$node" 20
done
ok "time passes" await "renewed_since n1 n3 $(($(renewals_of n1 n3) + 10))" 60
is "nobody was fenced" "$(on n1 db get /fence/ --json)" '[]'
is "no split was decided" "$(on n1 db get /split/ --json)" '[]'
net_heal
ok "all hear each other again" await 'whole n1 4' 20

# --- a primary that is mute ---
PRIMARY=$(primary_of n1)
EPOCH=$(epoch_of n1)
REST=$(printf '%s\n' n1 n2 n3 n4 | grep -v "$PRIMARY" | paste -sd,)
for node in ${REST//,/ }; do
    net_deaf "$node" "$PRIMARY"
done
# shellcheck disable=SC2086
ok "the others elect another" await "agreed $REST ${REST//,/ }" 20
ok "of a higher epoch" [ "$(epoch_of "${REST%%,*}")" -gt "$EPOCH" ]
ok "the mute one follows" await "agreed $REST $PRIMARY" 20
like "the reason is in its history" "$(on "$PRIMARY" primary history --json |
    jq -r '.[-1].reason')" "^$PRIMARY is heard by nobody"
net_heal
ok "all are up again in the end" await 'whole n1 4' 90
finish
