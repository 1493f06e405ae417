#!/bin/bash
# Proves: a cluster elects its primary by itself, and another one when it is killed with -9; the
# dead node is fenced and comes back as its next incarnation; a primary that resigns or is drained
# hands over; explain, history, matrix and simulate tell the truth.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq

primary_seen_by() { on "$1" primary show --json | jq -r .node; }
epoch_seen_by() { on "$1" primary show --json | jq -r .epoch; }
all_see() { # PRIMARY NODE...
    local primary=$1 node
    shift
    for node; do
        [ "$(primary_seen_by "$node")" = "$primary" ] || return 1
    done
}
state_of() { on "$1" node list --json | jq -r ".[] | select(.name == \"$2\").state"; }

run_status "lab up" 0 "$VIOS" lab up 5
FIRST=$(primary_seen_by n1)
like "there is a primary" "$FIRST" '^n[1-5]$'
ok "all see the same" all_see "$FIRST" n1 n2 n3 n4 n5
EPOCH=$(epoch_seen_by n1)

# --- it explains itself ---
run on n1 primary explain --json
is "each requirement has value, limit and verdict" \
    "$(jq '[.requirements[] | select((.value != "") and (.limit != "") and .passes)] | length' \
        <<<"$OUT")" 7
is "the election is in the history" "$(jq -r '.history[-1].node' <<<"$OUT")" "$FIRST"
is "everybody hears everybody" \
    "$(on n2 cluster matrix --json | jq '[.[] | select((.hears | length) == 4)] | length')" 5
like "a majority would win" "$(on n1 cluster simulate split n1,n2,n3/n4,n5)" \
    '^n1, n2, n3 would go on: it has the majority'
REST=$(printf '%s\n' n1 n2 n3 n4 n5 | grep -v "$FIRST" | paste -sd,)
like "a majority wins also over the primary" \
    "$(on n1 cluster simulate split "$FIRST/$REST" --json | jq -r .rule)" majority
run_status "an unknown node is refused" 1 on n1 cluster simulate split n1/n9
like "by its name" "$ERR" 'node "n9"'
run_status "a side without nodes is refused" 2 on n1 cluster simulate split n1/

# --- what holds for all ---
run_status "a setting" 0 on n2 cluster set split_time 3s
is "is in the record" "$(on n1 db get /cluster --json | jq '.[0].value.split_time')" 3000
run_status "one that is none is refused" 1 on n2 cluster set split_tim 3s
like "the near one is named" "$ERR" '"split_time"'
run_status "a bad value is refused" 2 on n2 cluster set split_time long
run_status "a level that a member has not is refused" 7 on n2 cluster set level 99
like "with the member" "$ERR" 'node "n[1-5]"'

# --- it resigns to a named node; whoever is asked forwards it ---
TO=$(printf '%s\n' n1 n2 n3 n4 n5 | grep -v "$FIRST" | tail -n 1)
run_status "an unknown successor is refused" 1 on "$TO" primary resign --to n9
like "by the primary" "$ERR" "n9"
able() { [ "$(on "$1" primary explain --json | jq ".declined | length")" = 0 ]; }
ok "all of them are able" await 'able "$FIRST"' 20
run_status "it resigns" 0 on "$TO" primary resign --to "$TO"
is "in the name of who asked" "$(on "$TO" audit list --json |
    jq -r '[.[] | select(.method == "primary.resign" and .node == "'"$FIRST"'")][-1].actor')" \
    "uid:$(id -u)@$TO"
ok "the named one is primary" await 'all_see "$TO" n1 n2 n3 n4 n5' 20
ok "of a higher epoch" [ "$(epoch_seen_by n1)" -gt "$EPOCH" ]

# --- kill -9 of the primary ---
EPOCH=$(epoch_seen_by n1)
DEAD=$TO
LIVE=$FIRST
kill -9 "$(lab_pid "$DEAD" daemon_pid)"
ok "the others elect another" await '[ "$(epoch_seen_by "$LIVE")" -gt "$EPOCH" ]' 20
SECOND=$(primary_seen_by "$LIVE")
ok "which is not the dead one" [ "$SECOND" != "$DEAD" ]
# shellcheck disable=SC2046
ok "the live agree" await "all_see $SECOND $(printf '%s\n' n1 n2 n3 n4 n5 | grep -v "$DEAD" |
    paste -sd' ')" 20
like "the reason is in the history" \
    "$(on "$LIVE" primary history --json | jq -r '.[-1].reason')" "^$DEAD "
ok "it is down" await '[ "$(state_of "$LIVE" "$DEAD")" = down ]' 30
fence() { on "$LIVE" db get "/fence/$DEAD/1" --json | jq -r '.[0].value.state'; }
ok "its fence is free" await '[ "$(fence)" = free ]' 30

# --- it comes back as another incarnation ---
run_status "lab up mends" 0 "$VIOS" lab up
is "the next incarnation" "$(on "$LIVE" node show "$DEAD" --json | jq .incarnation)" 2
ok "it follows the primary" await 'all_see "$SECOND" "$DEAD"' 20

# --- drain and restore ---
EPOCH=$(epoch_seen_by n1)
run_status "the primary is drained" 0 on "$LIVE" node drain "$SECOND"
ok "and resigns" await '[ "$(epoch_seen_by "$LIVE")" -gt "$EPOCH" ]' 20
is "its state" "$(state_of "$LIVE" "$SECOND")" drained
run on "$SECOND" primary explain --json
is "it cannot be primary" "$(jq .able <<<"$OUT")" false
is "for its role" "$(jq -r '.requirements[] | select(.passes | not) | .name + "=" + .value' \
    <<<"$OUT")" "role=drained"
THIRD=$(primary_seen_by "$LIVE")
run_status "it cannot be a successor" 7 on "$THIRD" primary resign --to "$SECOND"
like "with the reason" "$ERR" "drained"
run_status "it is restored" 0 on "$LIVE" node restore "$SECOND"
ok "and up" await '[ "$(state_of "$LIVE" "$SECOND")" = up ]' 20

# --- a node is removed ---
PRIMARY=$(primary_seen_by "$LIVE")
GONE=$(printf '%s\n' n1 n2 n3 n4 n5 | grep -vE "$PRIMARY|$LIVE" | tail -n 1)
run_status "the primary cannot be removed" 6 on "$LIVE" node remove "$PRIMARY" --yes
run_status "another can" 0 on "$PRIMARY" node remove "$GONE" --yes
listed() { on "$LIVE" node list --json | jq -e "any(.[]; .name == \"$GONE\")"; }
ok "nobody lists it" await '! listed' 20
ok "and it belongs to no cluster" await '[[ $(on "$GONE" node list 2>&1) == *"no cluster"* ]]' 20
finish
