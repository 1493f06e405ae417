#!/bin/bash
# Proves: a pool is a marked folder that every node is asked about; what is not ours is refused and
# left alone; a pool in use is not removed; a full one is named, and leaves nothing behind.
# needs: heavy
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq

REPOSITORY=$DIR/repository
POOL=$REPOSITORY/pools/p1
err() { { "$@" >/dev/null; } 2>&1; }
of() { jq -rc "$1" <<<"$2"; } # FILTER JSON
content() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f ' | tr ' ' '\n' | sort | xargs; } # FOLDER
# But for events, and what is captured of the daemons that are killed here.
files() {
    (cd "$REPOSITORY" && find . -mindepth 1 ! -path './ffdc*' ! -path './events*' | sort | xargs)
}

cluster_up "sqlite:$DIR/db" 2
mkdir -p "$DIR/elsewhere"
is "there is none" "$(on n1 pool list --json)" '[]'
like "an LU needs one" "$(err on n1 lu create a --size 1M)" \
    "there is no pool: make one: pool create"

# --- create, list, show ---

is "one is made" "$(on n1 pool create p1)" "pool p1 created"
is "its folder" "$(content "$POOL")" "image lu pool.json"
is "its marker" "$(jq -c '[.v, .cluster, .pool, (.uuid | length)]' "$POOL/pool.json")" \
    '[1,"lab","p1",36]'
is "the repository's" "$(jq -c '[.v, .cluster, .uuid]' "$REPOSITORY/vios.json")" \
    "[1,\"lab\",$(on n1 db get /cluster --json | jq '.[0].value.uuid')]"
like "a second of its name is refused" "$(err on n2 pool create p1)" \
    'pool "p1": there is a pool of this name'
shown=$(on n1 pool list --json)
is "it is listed" "$(of '.[] | [.name, .state, .lus, .images, .promised_bytes, .overcommit]' \
    "$shown")" '["p1","OK",0,0,0,0]'
like "with its space" "$(of '.[] | .size_bytes >= .free_bytes and .free_bytes > 0' "$shown")" true
shown=$(on n1 pool show p1 --json)
is "both nodes have it" \
    "$(of '[.state, .path, (.nodes[] | .node, .mounted, .writable)]' "$shown")" \
    "[\"OK\",\"$POOL\",\"n1\",true,true,\"n2\",true,true]"
like "the fence was found by trying" "$(of '.fence' "$shown")" '^(clone|grace|local-only)$'
is "and the trial left nothing" "$(content "$POOL/lu")" ""
like "an unknown one" "$(err on n1 pool show p2)" 'there is no such pool: did you mean "p1"'
like "a bad limit" "$(err on n1 pool create p9 --overcommit 100001)" "an overcommit is 0 to 100000"

# --- nodes that lack it ---

node_end() { end_processes "${NODE_PID[$1]}"; }
node_end n2
node_start n2 --repository "$DIR/elsewhere"
await "on n1 pool show p1 --json | jq -e '.nodes[1].mounted != null' >/dev/null" 20
shown=$(on n1 pool show p1 --json)
is "a node without it" "$(of '[.state, (.nodes[] | .node, .mounted)]' "$shown")" \
    '["DEGRADED","n1",true,"n2",false]'
like "says why" "$(of '.nodes[1].why' "$shown")" "it is not mounted on this node: .* has no marker"
is "to itself it is down" \
    "$(on n2 pool list --json | jq -rc '.[] | [.state, .free_bytes, .fence]')" \
    '["DOWN",null,null]'
like "it makes no LU there" "$(err on n2 lu create a --size 1M)" "it is not mounted on this node"
is "and no record of it stays" "$(on n1 lu list --json)" '[]'
echo '{"v":1,"cluster":"other","uuid":"11111111-2222-4333-8444-555555555555"}' \
    >"$DIR/elsewhere/vios.json"
like "the repository of another cluster" "$(err on n2 pool create p2)" \
    'repository: it is that of another cluster, "other"'
not_ok "got no folder" [ -e "$DIR/elsewhere/pools" ]
node_end n2
node_start n2
await "[ \$(state_of n1 n2) = up ]" 20

# --- what is not ours ---

mkdir -p "$REPOSITORY/pools/p2" "$REPOSITORY/pools/p3"
sed 's/"uuid": *"[^"]*"/"uuid":"11111111-2222-4333-8444-555555555555"/' "$POOL/pool.json" \
    >"$REPOSITORY/pools/p2/pool.json"
like "the marker of another pool" "$(err on n1 pool create p2)" \
    'pool "p2": its folder has the marker of another pool, of cluster "lab"'
echo mine >"$REPOSITORY/pools/p3/file"
like "a folder in use" "$(err on n1 pool create p3)" \
    'pool "p3": its folder is there and holds "file": empty it'
is "the one is left alone" "$(content "$REPOSITORY/pools/p2")" "pool.json"
is "and so is the other" "$(content "$REPOSITORY/pools/p3")" "file"
is "and no record of them stays" "$(on n1 pool list --json | jq -c 'map(.name)')" '["p1"]'
rm -r "$REPOSITORY/pools/p2" "$REPOSITORY/pools/p3"

# --- promises ---

on n1 pool create p2 --overcommit 1 >/dev/null
size=$(on n1 pool list --json | jq '.[1].size_bytes')
like "more than it may promise" \
    "$(err on n1 lu create a --pool p2 --size $(((size / 100 + 1048576) & ~511)))" \
    'lu "a": no space in pool "p2" \(need .*, its overcommit leaves '
is "as much as it may" "$(on n1 lu create a --pool p2 --size 1M)" "lu p2/a created"
like "two pools: which one?" "$(err on n1 lu create b --size 1M)" "there are 2 pools: give --pool"

# --- remove ---

for i in 1 2 3 4; do on n1 lu create "lu$i" --pool p1 --size 1M >/dev/null; done
like "one in use stays" "$(err on n1 pool remove p1 --yes)" \
    'pool "p1": it has 4 LUs: ("lu[1-4]",? ){3}...: remove them first: lu remove NAME'
is "and is as it was" "$(on n2 pool show p1 --json | jq -c '[.state, .lus]')" '["OK",4]'
for i in 1 2 3 4; do on n2 lu remove "lu$i" --yes >/dev/null; done
touch "$POOL/lu/stray"
like "a file that no record names" "$(err on n1 pool remove p1 --yes)" \
    'its folder "lu" holds "stray", which no record names'
rm "$POOL/lu/stray"
is "an empty one goes" "$(on n1 pool remove p1 --yes)" "pool p1 removed"
on n1 lu remove a --yes >/dev/null
on n1 pool remove p2 --yes >/dev/null
is "with all it made" "$(files)" "./pools ./vios.json"
is "its records too" "$(on n1 db get /pool/ --json | jq length)" 0
finish
