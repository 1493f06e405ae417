#!/bin/bash
# Proves: how a node becomes a member: a token used twice, also at once, expired, cut off, of
# another cluster, a name that is taken, software that is too old, a VIOS DB of another cluster or
# on another machine are refused with the way out; a node joins while another is down, as a witness,
# and without being told where the VIOS DB is; two neighbouring releases work together. `cluster
# create` goes on where it was cut off, and tells no secret.
# limit: 120
. "$(dirname "$0")/lib.sh"

CALL=$BUILD/tests/tools/rpc_call
need jq openssl sqlite3

at_exit end_strays

declare -A PID_OF
start() { # NODE OPTION...
    mkdir -p "$DIR/$1"
    "$DAEMON" --node "$1" --run-dir "$DIR/$1/run" --state-dir "$DIR/$1/state" --ttl 3s --port 0 \
        --nbd-port 0 "${@:2}" 2>>"$DIR/$1.log" >/dev/null &
    PID_OF[$1]=$!
    PIDS+=("$!")
    await "'$CALL' '$DIR/$1/run/vios.sock' rpc.hello" 20 || bail "$1 does not answer"
}
end() { # NODE
    kill -9 "${PID_OF[$1]}"
    wait "${PID_OF[$1]}" 2>/dev/null
}
call() { # NODE METHOD [JSON]
    "$CALL" "$DIR/$1/run/vios.sock" "${@:2}"
}
vios() { # NODE COMMAND...
    "$VIOS" --socket "$DIR/$1/run/vios.sock" "${@:2}"
}
states() { # NODE
    call "$1" node.list | jq -r 'map(.name + "=" + .state) | join(" ")'
}

# --- cluster create ---
start n1 --store "sqlite:$DIR/vios.db"
echo "short" >"$DIR/short"
echo "open sesame, open" >"$DIR/passphrase"
run_status "a passphrase that is too short" 2 \
    vios n1 cluster create lab --passphrase-file "$DIR/short"
like "the limit is named" "$ERR" '8 to 1024'
is "no cluster is left" "$(call n1 rpc.hello | jq -r .cluster)" ""
ok "but the authority's key is" [ -s "$DIR/n1/state/authority.key" ]
cp "$DIR/n1/state/ca.crt" "$DIR/first.crt"
run_status "another name then" 1 vios n1 cluster create other
like "is refused with the way out" "$ERR" 'key of a cluster "lab" already.*remove.*authority.key'
run_status "the same goes on" 0 vios n1 cluster create lab --passphrase-file "$DIR/passphrase"
ok "with the same authority" cmp "$DIR/first.crt" "$DIR/n1/state/ca.crt"
is "keys are for the daemon only" "$(stat -c %a "$DIR"/n1/state/{authority,node}.key | xargs)" \
    "600 600"
RECORD=$(sqlite3 "$DIR/vios.db" "select * from kv where key = '/secret/authority'")
like "the authority's key is in the VIOS DB, encrypted" "$RECORD" 'BEGIN ENCRYPTED PRIVATE KEY'
unlike "the audit has no passphrase" "$(call n1 audit.list)" 'sesame'
run_status "again" 1 vios n1 cluster create lab
like "there is one" "$ERR" 'has a cluster already'

# --- tokens that are none ---
token() { # OPTION...
    vios n1 node token "$@"
}
TOKEN=$(token)
like "a token" "$TOKEN" '^vios1\.[A-Za-z0-9_-]+$'
SECRETS=$(sqlite3 "$DIR/vios.db" "select * from kv where key like '/token/%'")
like "is in the VIOS DB as a hash" "$SECRETS" '"hash":"[0-9a-f]{64}"'
not_ok "and nowhere as itself" grep -qF "$TOKEN" "$DIR/vios.db" "$DIR/vios.db-wal" "$DIR/n1.log"
run_status "one for longer than a week" 2 vios n1 node token --valid 8d
start n2 # is not told where the VIOS DB is
run_status "a token that is cut off" 2 vios n2 node join "${TOKEN%????}"
REVOKED=$(token --json)
run_status "a token that is revoked" 0 vios n1 node token --revoke "$(jq -r .id <<<"$REVOKED")"
run_status "is void" 1 vios n2 node join "$(jq -r .token <<<"$REVOKED")"
run_status "and cannot be revoked again" 1 vios n1 node token --revoke "$(jq -r .id <<<"$REVOKED")"
like "is told" "$ERR" 'token: there is none of that id: it was used, or revoked'
run_status "what is no id" 2 vios n1 node token --revoke '../node/n1'
SHORT=$(token --valid 1s)
sleep 2 # there is no event for a time that is over
run_status "one that has expired" 1 vios n2 node join "$SHORT"
like "says so" "$ERR" 'has expired.*vios node token'
start x1 --store "sqlite:$DIR/x.db"
vios x1 cluster create lab >/dev/null
start n3 --store "sqlite:$DIR/x.db"
run_status "a VIOS DB of another cluster" 7 vios n3 node join "$TOKEN"
like "says which is meant" "$ERR" "is not the token's cluster's"
end n3
rm -rf "$DIR/n3"
OTHER=$(vios x1 node token)
PORT=$(vios x1 node show x1 --json | jq .port)
end x1
run_status "a token of a cluster that is gone" 4 vios n2 node join "$OTHER"
start y1 --store "sqlite:$DIR/y.db" --port "$PORT"
vios y1 cluster create lab >/dev/null
run_status "where another cluster is now" 1 vios n2 node join "$OTHER"
like "is told from it" "$ERR" 'not of the cluster that the join token is for'
end y1

# --- joining ---
run_status "n2 joins" 0 vios n2 node join "$TOKEN"
is "and is told where the VIOS DB is" "$(cat "$DIR/n2/state/store")" "sqlite:$DIR/vios.db"
start n3 --store "sqlite:$DIR/vios.db"
run_status "the same token again" 1 vios n3 node join "$TOKEN"
like "is refused" "$ERR" 'used already'
end n2
run_status "n3 joins while n2 is down" 0 vios n3 node join "$(token)" --witness
is "as a witness" "$(vios n3 node show n3 --json | jq -r .role)" witness
run_status "a member does not join" 1 vios n3 node join "$(token)"
run_status "only the founder makes tokens" 7 vios n3 node token
like "and says who" "$ERR" 'node where the cluster was created'
start n2
ok "n2 is back with what it was told" await '[ "$(states n3)" = "n1=up n2=up n3=up" ]' 30
end n3
mv "$DIR/n3/state" "$DIR/n3/lost"
start n3 --store "sqlite:$DIR/vios.db"
run_status "one that lost its files" 1 vios n3 node join "$(token)"
like "is told the way out" "$ERR" 'node remove n3'
run_status "it is removed" 0 vios n1 node remove n3 --yes
run_status "then it joins" 0 vios n3 node join "$(token)"

# --- two at once ---
TOKEN=$(token)
of_token() { # FIRST COUNT: bytes, in hex
    tr -- -_ +/ <<<"${TOKEN#vios1.}" | base64 -di 2>/dev/null |
        od -An -v -tx1 -j "$1" -N "$2" | tr -d ' \n'
}
request() { # NODE
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
        -subj "/CN=$1" 2>/dev/null |
        jq -Rsc --arg node "$1" --arg id "$(of_token 32 8)" --arg secret "$(of_token 40 32)" \
            '{$node, $id, $secret, request: ., address: "127.0.0.1", run_dir: "unix:/x", level: 1}'
}
REQUESTS=() CALLERS=()
for i in 1 2 3 4 5 6 7 8; do
    REQUESTS+=("$(request "r$i")")
done
for one in "${REQUESTS[@]}"; do
    call n1 node.admit "$one" >"$DIR/admitted" 2>>"$DIR/admit.err" &
    CALLERS+=($!)
done
wait "${CALLERS[@]}"
is "of eight that come at once with one token, one gets in" \
    "$(sqlite3 "$DIR/vios.db" "select count(*) from kv where key like '/node/r%'")" 1
is "the others are refused" "$(grep -cE 'used already|another node joined' "$DIR/admit.err")" 7

# --- levels ---
end n3
run_status "n3 is removed" 0 vios n1 node remove n3 --yes
rm -rf "$DIR/n3"
VIOS_LEVEL=0 start n3
run_status "software below the cluster's level" 7 vios n3 node join "$(token)"
like "is told so" "$ERR" "level 0, the cluster's is 1"
VIOS_LEVEL=0 start o1 --store "sqlite:$DIR/old.db"
vios o1 cluster create old >/dev/null
start o2
run_status "the next release joins one of the last" 0 vios o2 node join "$(vios o1 node token)"
ok "they see each other" await '[ "$(states o1)$(states o2)" = "o1=up o2=upo1=up o2=up" ]' 20
is "the old one calls the new one" "$(vios o1 --on o2 primary explain --json | jq -r .node)" o2
is "and the new one the old one" "$(vios o2 --on o1 primary explain --json | jq -r .node)" o1
is "levels are shown" "$(vios o2 node list --json | jq -c 'map(.level)')" '[0,1]'
finish
