#!/bin/bash
# Proves: registered callers, by a program of Python's own TLS and by openssl alone, are sent every
# event that they are registered for, once, in order, by whichever node is the primary, also when it
# is killed between a payload file and the last post; a wrong token, and who is unregistered, are
# shut out.
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq python3 openssl
CALLERS=${EVENT_CALLERS:-4}
ROUNDS=${EVENT_ROUNDS:-3}
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 5 --page-memory 16M
FIRST=$(on n1 primary show --json | jq -r .node)
read -r ASK OTHER <<<"$(printf '%s\n' n1 n2 n3 n4 n5 | grep -v "$FIRST" | head -n 2 | xargs)"

# --- registration ---
run_status "a caller is registered" 0 on n2 event register all --json
echo "$OUT" >"$DIR/all.json"
is "with what it needs" "$(jq -r 'keys | join(",")' <<<"$OUT")" \
    "addresses,authority,fingerprint,id,token"
is "all nodes are named" "$(jq '.addresses | length' <<<"$OUT")" 5
run_status "not twice" 1 on n3 event register all
like "is told so" "$ERR" 'caller "all"'
run_status "one with a filter" 0 on n2 event register few --class count --object '*7' --json
echo "$OUT" >"$DIR/few.json"
for ((i = 0; i < CALLERS; i++)); do
    on n1 event register "many$i" --class count --json >"$DIR/many$i.json"
done
follow() { # NAME
    python3 "$ROOT/scripts/event_caller.py" "$DIR/$1.json" >"$DIR/$1.out" 2>"$DIR/$1.err" &
    PIDS+=($!)
}
connected() { # NODE COUNT
    on "$1" event callers --json | jq -e "[.[] | select(.state != \"away\")] | length >= $2"
}
follow few
for ((i = 0; i < CALLERS; i++)); do
    follow "many$i"
done
bash "$ROOT/scripts/event_caller.sh" "$DIR/all.json" >"$DIR/all.out" 2>&1 &
PIDS+=($!)
ok "all are connected" await "connected $ASK $((CALLERS + 2))" 30

# --- a wrong token ---
jq '.token = "0" * 48' "$DIR/few.json" >"$DIR/wrong.json"
run timeout 20 bash "$ROOT/scripts/event_caller.sh" "$DIR/wrong.json"
like "a wrong token is refused" "$OUT" '"code":"denied"'
jq '.id = "nobody"' "$DIR/few.json" >"$DIR/nobody.json"
run timeout 20 bash "$ROOT/scripts/event_caller.sh" "$DIR/nobody.json"
like "an unknown caller likewise" "$OUT" '"code":"denied"'

# --- events, and primaries that are killed ---
run_status "an LPAR that only who wants all hears of" 0 on "$ASK" event emit lpar web1 seen
emit() { # COUNT: each is emitted until it is acknowledged
    local i
    for ((i = 0; i < $1; i++)); do
        NUMBER=$((${NUMBER:-0} + 1))
        until on "$ASK" event emit count "c$NUMBER" emitted --json >"$DIR/seq" 2>/dev/null &&
            jq -e '.seq != null' "$DIR/seq" >/dev/null; do
            sleep 0.1
        done
    done
}
emit 10
PLACES=(feed:post:before derive:commit:after feed:post:after event:commit:after derive:file:after
    event:file:after)
echo kernel >"$DIR/kernel"
crash() { # PLACE: whoever comes there first ends as by kill -9, and is started again
    echo "$1" >"$DIR/crash"
    on "$ASK" event emit count "crash" tried >/dev/null 2>&1
    on "$ASK" lpar create "web$RANDOM" --memory 16M --kernel "$DIR/kernel" >/dev/null 2>&1
    ok "$1: a daemon ended there" await '[ ! -e "$DIR/crash" ]' 30
    run_status "it comes back" 0 "$VIOS" lab up 5 --page-memory 16M
}
for ((round = 0; round < ROUNDS; round++)); do
    crash "${PLACES[round % ${#PLACES[@]}]}"
    emit 10
done
run_status "the primary hands over" 0 on "$ASK" primary resign
emit 20
sequences() { jq -r '.[].seq' <<<"$(on "$OTHER" event list --class count --json)"; }
sequences >"$DIR/wanted"
listed() { on "$OTHER" event list --class count --json | jq -r '.[].object' | grep '^c[0-9]'; }
is "every acknowledged event is listed" "$(listed | sort -u | grep -vxFf <(seq -f c%g "$NUMBER"))$(
    listed | sort -u | wc -l)" "$NUMBER"
came() { jq -r 'select(.class == "count").seq' "$DIR/$1.out" | cmp - "$DIR/wanted"; }
for ((i = 0; i < CALLERS; i++)); do
    ok "caller $i got each of them once, in order" await "came many$i" 40
done
on "$OTHER" event list --class count --object '*7' --json | jq -r '.[].seq' >"$DIR/wanted.few"
few_came() { jq -r .seq "$DIR/few.out" | cmp - "$DIR/wanted.few"; }
ok "who wants few got these" await few_came 20
like "who wants all got the other one, too" "$(cat "$DIR/all.out")" \
    '"object":"web1","operation":"seen"'

# --- unregistered ---
run_status "one is unregistered" 0 on n4 event unregister few
ok "and shut out" await '[ -s "$DIR/few.err" ]' 20
is "it is not listed" "$(on n1 event callers --json | jq 'any(.[]; .id == "few")')" false
run_status "not twice" 1 on n4 event unregister few
like "is told so" "$ERR" 'caller "few"'
finish
