#!/bin/bash
# Proves: guests on LUs of a shared pool are made, start where there is most memory or where one
# says, go back to being free LUs or go with their files; a missing file or pool is named.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld

POOL=$LAB/repository/pools/p1
UUID=aaaaaaaa-2222-4333-8444-000000000000

put() { "$BUILD/tests/tools/store_put" "sqlite:$LAB/db/vios.db" "$1" "$2"; } # KEY JSON
field() { on n1 lpar show "$1" --json | jq -r "$2"; }                      # LPAR FILTER
udid_of() { echo "aaaaaaaa-2222-4333-8444-00000000000$1"; }                # NUMBER
make_lu() { # NUMBER
    local udid
    udid=$(udid_of "$1")
    "$ROOT/tests/guest/make_boot_disk.sh" boot "$POOL/lu/$udid.0" 1M
    put "/lu/$udid" "{\"v\":1,\"name\":\"d$1\",\"pool\":\"p1\",\"file\":\"$udid.0\",
        \"size_bytes\":1048576,\"state\":\"ready\",\"dead\":[]}"
    put "/lu-name/p1/d$1" "{\"v\":1,\"udid\":\"$udid\"}"
}

run_status "a lab" 0 "$VIOS" lab up 2 --page-memory 16M
mkdir -p "$POOL/lu" "$POOL/image"
put /pool/p1 "{\"v\":1,\"uuid\":\"$UUID\",\"overcommit\":0,\"state\":\"ready\"}"
echo "{\"v\":1,\"cluster\":\"lab\",\"pool\":\"p1\",\"uuid\":\"$UUID\"}" >"$POOL/pool.json"
make_lu 1
make_lu 2

run_status "a guest on an LU" 0 on n1 lpar create g1 --memory 16M --disk d1
run_status "one on another" 0 on n1 lpar create g2 --memory 16M --disk p1/d2
run_status "an LU is one guest's" 1 on n1 lpar create g3 --memory 16M --disk d1
like "and says whose" "$ERR" 'lu "d1": it is a disk of lpar "g1": remove that first: lpar remove g1'
run_status "near names are told" 1 on n1 lpar create g3 --memory 16M --disk d11
like "of LUs" "$ERR" 'did you mean "d1"'
is "the mapping is listed" "$(on n2 adapter list g1 --json | jq -r '.[0].backing')" p1/d1

run_status "it starts where one says" 0 on n1 lpar start g1 --node n1
run_status "the other one where more memory is free" 0 on n1 lpar start g2 --node any
is "which is the other node" "$(field g2 '.state + .node')" runningn2
run_status "it is stopped from here" 0 on n1 lpar stop g2 --force
run_status "an unknown node" 1 on n1 lpar start g2 --node n9
like "is named" "$ERR" 'node "n9"'

mv "$POOL/lu/$(udid_of 2).0" "$DIR/away"
run_status "without its file it does not start" 7 on n1 lpar start g2
like "which is said" "$ERR" 'lu "d2": its file cannot be opened in pool "p1" on node "n1": No such'
mv "$DIR/away" "$POOL/lu/$(udid_of 2).0"
mv "$POOL/pool.json" "$DIR/marker"
run_status "without the pool it has no place" 1 on n1 lpar start g2 --node any
like "which is said too" "$ERR" 'no node that is up and not drained has the pools of its disks'
run_status "nor are its LUs deleted" 7 on n1 lpar remove g2 --disks --yes
like "for the same reason" "$ERR" 'pool "p1": it is not mounted on this node'
mv "$DIR/marker" "$POOL/pool.json"

run_status "a guest with a file of the node" 0 \
    on n1 lpar create g4 --memory 16M --disk "$POOL/pool.json"
run_status "starts here" 0 on n1 lpar start g4 --node any
like "and says why" "$OUT" 'here, since its disk is a file of this node'
run_status "and ends" 0 on n1 lpar stop g4 --force

run_status "a guest goes with its LU" 0 on n2 lpar remove g2 --disks --yes
is "which is said" "$OUT" "lpar g2 removed, and deleted p1/d2"
ok "its file is gone" test ! -e "$POOL/lu/$(udid_of 2).0"
run_status "stop" 0 on n2 lpar stop g1 --force
run_status "or without it" 0 on n1 lpar remove g1 --yes
is "then it stays" "$OUT" "lpar g1 removed; these LUs stay: p1/d1"
run_status "for another guest" 0 on n1 lpar create g5 --memory 16M --disk d1
run_status "lab down" 0 "$VIOS" lab down
finish
