#!/bin/bash
# Proves: a caller that stops reading while 10,000 events pass delays nobody: the others are sent
# each of them, once, in order; it is shown as slow, and when it reads on it gets RESYNC, the
# current state, and then every event that comes.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq python3
EMITTERS=16
EACH=625
BYTES=6000 # of an event: all of them are more than the primary keeps for all callers

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
for name in slow one other; do
    on n2 event register $name --class load,last --json >"$DIR/$name.json"
done

# --- callers ---
cat >"$DIR/slow.py" <<'END'
import json, socket, ssl, sys
me = json.load(open(sys.argv[1]))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname = False
tls.load_verify_locations(cadata=me["authority"])
tls.set_alpn_protocols(["event"])
host, port = me["addresses"][0].rsplit(":", 1)  # the primary's
caller = tls.wrap_socket(socket.create_connection((host, int(port))))
hello = {"hello": 1, "caller": me["id"], "token": me["token"]}
caller.sendall(json.dumps(hello).encode() + b"\n")
lines = map(json.loads, caller.makefile("rb"))
next(lines), next(lines)
print("greeted", flush=True)
input()  # nothing is read until we are told to
resync = None
for line in lines:
    if "resync" in line:
        resync = line["resync"]
        line = next(lines)
        print("resync", "state" in line, line["seq"] > resync["seq"], resync["why"], flush=True)
    elif "event" in line and line["event"]["class"] == "last":
        print("last", line["event"]["object"], flush=True)
END
mkfifo "$DIR/to_slow"
python3 "$DIR/slow.py" "$DIR/slow.json" <"$DIR/to_slow" >"$DIR/slow" 2>"$DIR/slow.err" &
PIDS+=($!)
exec 6>"$DIR/to_slow"
for name in one other; do
    python3 "$ROOT/scripts/event_caller.py" "$DIR/$name.json" >"$DIR/$name.out" 2>"$DIR/$name.err" &
    PIDS+=($!)
done
connected() { on n1 event callers --json | jq -e 'all(.[]; .state == "following")'; }
ok "a caller is greeted, and stops reading" await "grep -q greeted '$DIR/slow'" 20
ok "all are connected" await connected 20

# --- 10,000 events ---
cat >"$DIR/emit.lua" <<'END'
local vios <const> = require("vios")
local count <const>, bytes <const> = tonumber(arg[1]), tonumber(arg[2])
for i = 1, count do
  local event
  repeat
    event = vios.event.emit({ class = "load", object = tostring(i), operation = "made",
      data = { filling = ("x"):rep(bytes) } })
  until event and event.seq
  print(event.seq)
end
END
emitters=()
for ((i = 0; i < EMITTERS; i++)); do
    on n$((i % 3 + 1)) "$DIR/emit.lua" $EACH $BYTES >"$DIR/made.$i" 2>"$DIR/made.err" &
    emitters+=($!)
    PIDS+=($!)
done
wait "${emitters[@]}"
sort -n "$DIR"/made.[0-9]* >"$DIR/made"
is "all were acknowledged" "$(sort -nu "$DIR/made" | wc -l)" $((EMITTERS * EACH))
came() { jq -r .seq "$DIR/$1.out" | cmp - "$DIR/made"; }
ok "one caller got each of them, once, in order" await "came one" 30
ok "so did another" await "came other" 30
shown() { on n1 event callers --json | jq -e ".[] | select(.id == \"slow\") | $1"; }
ok "the slow one is shown" await "shown '.state == \"slow\" and .lag > 1000'" 20

# --- it reads on ---
echo go >&6
ok "it gets RESYNC, and the state" await "grep -q 'resync True True it took' '$DIR/slow'" 30
run_status "another event" 0 on n3 event emit last a made --data '{"n":1}'
ok "it gets what comes" await "grep -q 'last a' '$DIR/slow'" 20
is "one RESYNC it was" "$(grep -c resync "$DIR/slow")" 1
is "as is shown" "$(shown .resyncs)" 1
is "nobody else had one" \
    "$(on n1 event callers --json | jq '[.[] | select(.id != "slow").resyncs] | add')" 0
run_status "data that is no object" 2 on n3 event emit last a made --data 17
like "is told so" "$ERR" 'no object'
run_status "nor JSON" 2 on n3 event emit last a made --data '{'
exec 6>&-
finish
