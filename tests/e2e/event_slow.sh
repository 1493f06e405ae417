#!/bin/bash
# Proves: a caller that stops reading while 10,000 events pass delays nobody: the others are sent
# each of them, once, in order; it is shown as slow, and when it reads on it gets RESYNC, the
# current state, and then every event that comes.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq python3
EMITTERS=16
EACH=125
ROUNDS=5
BYTES=6000 # of an event: all of them are more than the primary keeps for all callers

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
for name in slow one other; do
    on n2 event register $name --class load,last --json >"$DIR/$name.json"
done

# --- callers ---
# One that keeps up writes the numbers that it gets; one that does not is told when to read on.
cat >"$DIR/caller.py" <<'END'
import json, re, socket, ssl, sys
me = json.load(open(sys.argv[1]))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname = False
tls.load_verify_locations(cadata=me["authority"])
tls.set_alpn_protocols(["event"])
host, port = me["addresses"][0].rsplit(":", 1)  # the primary's
caller = tls.wrap_socket(socket.create_connection((host, int(port))))
hello = {"hello": 1, "caller": me["id"], "token": me["token"]}
caller.sendall(json.dumps(hello).encode() + b"\n")
lines = caller.makefile("rb")
next(lines), next(lines)
print("greeted", flush=True)
if sys.argv[2] == "slow":
    input()  # nothing is read until we are told to
for line in lines:
    if sys.argv[2] == "fast":
        if not line.startswith(b'{"beat"'):
            event = re.match(rb'\{"event":\{.*?"seq":(\d+)', line)
            print(event[1].decode() if event else line.decode(), flush=True)
        continue
    line = json.loads(line)
    if "resync" in line:
        before, line = line["resync"], json.loads(next(lines))
        print("resync", "state" in line, line["seq"] > before["seq"], before["why"], flush=True)
    elif "event" in line and line["event"]["class"] == "last":
        print("last", line["event"]["object"], flush=True)
END
mkfifo "$DIR/to_slow"
python3 "$DIR/caller.py" "$DIR/slow.json" slow <"$DIR/to_slow" >"$DIR/slow" 2>"$DIR/slow.err" &
PIDS+=($!)
exec 6>"$DIR/to_slow"
for name in one other; do
    python3 "$DIR/caller.py" "$DIR/$name.json" fast >"$DIR/$name" 2>"$DIR/$name.err" &
    PIDS+=($!)
done
connected() { on n1 event callers --json | jq -e 'all(.[]; .state == "following")'; }
ok "a caller is greeted, and stops reading" await "grep -q greeted '$DIR/slow'" 20
ok "all are connected" await connected 20

# --- 10,000 events, as fast as the others read them ---
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
emit_some() {
    local i emitters=()
    for ((i = 0; i < EMITTERS; i++)); do
        on n$((i % 3 + 1)) "$DIR/emit.lua" $EACH $BYTES >>"$DIR/made.$i" 2>"$DIR/made.err" &
        emitters+=($!)
        PIDS+=($!)
    done
    wait "${emitters[@]}"
}
came() { # CALLER: it has as many as were made
    [ "$(grep -c '^[0-9]*$' "$DIR/$1")" = "$(cat "$DIR"/made.[0-9]* | wc -l)" ]
}
for ((round = 0; round < ROUNDS; round++)); do
    emit_some
    await "came one && came other" 60 || break
done
sort -n "$DIR"/made.[0-9]* >"$DIR/made"
is "all were acknowledged" "$(sort -nu "$DIR/made" | wc -l)" $((EMITTERS * EACH * ROUNDS))
ok "one caller got each of them, once, in order" cmp <(tail -n +2 "$DIR/one") "$DIR/made"
ok "so did another" cmp <(tail -n +2 "$DIR/other") "$DIR/made"
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
