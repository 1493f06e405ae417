#!/bin/bash
# Proves: callers by TLS, against the gateway and the callers' part of a primary: hundreds at once
# get every event in order, also while strangers hold the port or flood it; the two callers in
# scripts/ print each event once, one of them also across a change of the primary; a caller that
# stops reading gets RESYNC and delays nobody.
# limit: 120
. "$(dirname "$0")/lib.sh"

need python3 openssl jq perl
CALLERS=300
SILENT=400 # more than the gateway has room for

mkfifo "$DIR/to" "$DIR/from"
"$BUILD/tests/tools/event_fanout" "$DIR" $CALLERS 16 512 <"$DIR/to" >"$DIR/from" \
    2>"$DIR/fanout.err" &
PIDS+=($!)
exec 7>"$DIR/to" 8<"$DIR/from"
ask() { # LINE: $ANSWER
    echo "$1" >&7
    read -r -t 60 ANSWER <&8
}
load() { # CALLERS EVENTS POST: in $READY and $REPORT what event_load says
    local status
    mkfifo "$DIR/load"
    "$BUILD/tests/tools/event_load" "$ADDRESS" "$DIR/callers" "$1" "$2" 2 >"$DIR/load" &
    exec 9<"$DIR/load"
    read -r -t 60 READY <&9
    ask "$3"
    read -r -t 60 REPORT <&9
    wait $!
    status=$?
    rm "$DIR/load"
    return "$status"
}
value() { jq ".$2" <<<"$1"; } # LINE MEMBER

ok "it starts" read -r -t 60 ADDRESS <&8

# --- a crowd ---
ok "$CALLERS callers get 1000 events each" load $CALLERS 1000 "post 1000"
is "all were let in" "$(value "$READY" ready)" $CALLERS
is "each event once, in order" "$(value "$REPORT" deliveries) $(value "$REPORT" disorder)" \
    "$((CALLERS * 1000)) 0"
is "nobody was resynced" "$(value "$REPORT" resyncs)" 0

# --- strangers ---
perl -MIO::Socket::INET -e '
    my @s = map { IO::Socket::INET->new($ARGV[0]) or die } 1 .. $ARGV[1];
    open my $f, ">", $ARGV[2] or die; close $f; sleep 600' \
    "$ADDRESS" $SILENT "$DIR/silent" &
PIDS+=($!)
ok "$SILENT strangers hold the port and say nothing" await "[ -e '$DIR/silent' ]" 20
ok "100 callers get in, and all events" load 100 50 "post 50"
is "all of them" "$(value "$READY" ready)" 100

# --- a flood ---
cat >"$DIR/flood.py" <<'END'
import os, socket, sys
host, port = sys.argv[1].split(":")
connected = 0
for i in range(int(sys.argv[2])):
    try:
        with socket.create_connection((host, int(port)), 10) as flood:
            connected += 1
            flood.sendall(os.urandom(1 + i % 300))  # no TLS; some end at once, some wait for an end
            if i % 7 == 0:
                flood.settimeout(0.01)
                flood.recv(100)
    except OSError:
        pass
print(connected)
END
resident() { awk '/VmRSS/ { print $2 }' "/proc/${PIDS[0]}/status"; } # KiB
BEFORE=$(resident)
FLOODS=()
for ((i = 0; i < 4; i++)); do
    python3 "$DIR/flood.py" "$ADDRESS" 5000 >"$DIR/flood.$i" 2>&1 &
    FLOODS+=($!)
    PIDS+=($!)
done
ok "50 callers get all while others connect 20,000 times" load 50 2000 "post 2000 400"
is "each event once, in order" "$(value "$REPORT" deliveries) $(value "$REPORT" disorder)" \
    "100000 0"
wait "${FLOODS[@]}"
is "20,000 times it was" "$(($(cat "$DIR"/flood.? | paste -sd+)))" 20000
ok "it cost no memory" test $(($(resident) - BEFORE)) -lt 65536

# --- the callers in scripts ---
"$ROOT/scripts/event_caller.py" "$DIR/caller.json" >"$DIR/python" 2>"$DIR/python.err" &
PIDS+=($!)
shown() { ask show && jq -e "$1" <<<"$ANSWER" >/dev/null; } # JQ
ok "the caller in Python follows" await "shown 'any(.[]; .state == \"following\")'" 20
ask "post 5"
ok "and prints what comes" await "[ \$(wc -l <'$DIR/python') = 5 ]" 20
ask close
ask open
ok "it comes back when the primary does" await "shown 'any(.[]; .state == \"following\")'" 20
ask "post 5"
ok "and goes on" await "[ \$(wc -l <'$DIR/python') -ge 10 ]" 20
FIRST=$(jq -s '.[0].seq' "$DIR/python")
is "each event once" "$(jq .seq "$DIR/python" | xargs)" \
    "$(seq -s ' ' "$FIRST" $((FIRST + 9)))"
is "it keeps its cursor" "$(jq .seq "$DIR/caller.json.cursor")" $((FIRST + 9))
read -r ID TOKEN < <(sed -n 2p "$DIR/callers")
jq --arg id "$ID" --arg token "$TOKEN" '.id = $id | .token = $token' "$DIR/caller.json" \
    >"$DIR/shell.json"
"$ROOT/scripts/event_caller.sh" "$DIR/shell.json" >"$DIR/shell" 2>"$DIR/shell.err" &
PIDS+=($!)
ok "the caller in shell follows" \
    await "shown 'any(.[]; .id == \"$ID\" and .state == \"following\")'" 20
ask "post 3"
ok "and prints what comes" await "[ \$(grep -c '\"event\"' '$DIR/shell') = 3 ]" 20
is "it was greeted" "$(head -n 1 "$DIR/shell" | jq .hello)" 1

# --- one that does not read ---
read -r ID TOKEN < <(sed -n 3p "$DIR/callers")
cat >"$DIR/slow.py" <<'END'
import json, signal, socket, ssl, sys
host, port = sys.argv[1].split(":")
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
tls.set_alpn_protocols(["event"])
caller = tls.wrap_socket(socket.create_connection((host, port)))
hello = {"hello": 1, "caller": sys.argv[2], "token": sys.argv[3]}
caller.sendall(json.dumps(hello).encode() + b"\n")
lines = caller.makefile("rb")
print(json.loads(next(lines))["hello"], json.loads(next(lines))["seq"], flush=True)
input()  # nothing is read until we are told to
for line in map(json.loads, lines):
    if "resync" in line:
        print("resync", line["resync"]["why"], "state" in json.loads(next(lines)), flush=True)
        break
END
mkfifo "$DIR/slow.in"
python3 "$DIR/slow.py" "$ADDRESS" "$ID" "$TOKEN" <"$DIR/slow.in" >"$DIR/slow" 2>"$DIR/slow.err" &
PIDS+=($!)
exec 6>"$DIR/slow.in"
ok "a caller is greeted, and stops reading" await "[ -s '$DIR/slow' ]" 20
ok "another gets 60,000 events meanwhile" load 1 60000 "post 60000"
is "and no RESYNC" "$(value "$REPORT" resyncs)" 0
ok "the slow one is shown" shown "any(.[]; .id == \"$ID\" and .state == \"slow\" and .lag > 1000)"
echo go >&6
ok "it gets RESYNC and the state" \
    await "grep -q 'resync it took events more slowly.* True' '$DIR/slow'" 20
exec 6>&-
finish
