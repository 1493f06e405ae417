#!/bin/bash
# Proves: at the UDP port forged, replayed, stale, truncated packets and those of strangers are
# dropped, counted and audited, and no node is suspect for them; the ring key changes at a removal
# while all others stay up, after which the old key is of no use.
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq sqlite3 perl
export VIOS_SOCKET=$LAB/n1/run/vios.sock
SEAL=$BUILD/tests/tools/seal_datagram

run_status "lab up" 0 "$VIOS" lab up 4 --page-memory 16M

alive() { "$VIOS" db get "/alive/$1" --json | jq -r ".[0].value.$2"; }
count() { "$VIOS" node show n1 --json | jq -r ".keepalives.$1"; }
ring() {
    sqlite3 "$LAB/db/vios.db" "select * from kv where key = '/secret/ring'" |
        grep -o '{.*}'
}
run_status "the ring key is not shown" 1 "$VIOS" db get /secret/ring
unlike "nor with the rest" "$("$VIOS" db get / --json)" '/secret|/token'
PORT=$(alive n1 port)
KEY=$(ring | jq -r '.keys[0].key')
like "it is there" "$KEY" '^[0-9a-f]{64}$'
WRONG=${KEY//[0-9]/a}
WRONG=${WRONG/b/c}0
WRONG=${WRONG:1:64}
send() { # FILE
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => "127.0.0.1:$ARGV[0]") or die;
        local $/; binmode STDIN; $s->send(scalar <STDIN>);' "$PORT" <"$1"
}
dropped() { # KIND NODE INCARNATION START KEY-ID KEY
    local before
    before=$(count "$1")
    "$SEAL" "${@:2}" "nonsense" >"$DIR/packet"
    send "$DIR/packet"
    ok "$1: dropped and counted" await "[ \"\$(count $1)\" -gt $before ]" 10
}

# --- packets that are none of ours ---
WATCHED=$DIR/suspects
(
    while sleep 0.1; do
        "$VIOS" node list --json | jq -r '.[] | select(.state != "up").name'
    done
) >"$WATCHED" 2>/dev/null &
PIDS+=($!)
INCARNATION=$(alive n2 incarnation)
START=$(alive n2 start)
dropped forged n2 "$INCARNATION" $((START + 1)) 1 "$WRONG"
"$SEAL" n2 "$INCARNATION" "$START" 1 "$KEY" "nonsense" >"$DIR/packet"
send "$DIR/packet" # n1 may not have seen n2's first packet, which went to others: then it is now
dropped replayed n2 "$INCARNATION" "$START" 1 "$KEY"
dropped stale n2 "$INCARNATION" $((START - 1)) 1 "$KEY"
dropped unknown_key n2 "$INCARNATION" "$START" 99 "$KEY"
dropped unknown_sender n9 1 1 1 "$KEY"
BEFORE=$(count truncated)
"$SEAL" n2 "$INCARNATION" "$START" 1 "$KEY" "nonsense" | head -c 20 >"$DIR/packet"
send "$DIR/packet"
head -c 1500 /dev/urandom >"$DIR/packet"
send "$DIR/packet"
ok "truncated: dropped and counted" await "[ \"\$(count truncated)\" -ge $((BEFORE + 2)) ]" 10
audited() {
    "$VIOS" audit list --json |
        jq -e 'any(.[]; .object == "port \"UDP\"" and (.parameters.why | test("forged")))'
}
ok "and audited" await audited 20
is "good ones come all the time" "$("$VIOS" node list --json | jq -r 'map(.state) | unique[]')" up
is "nobody was suspect meanwhile" "$(sort -u "$WATCHED")" ""

# --- the key changes ---
run_status "a node is removed" 0 "$VIOS" node remove n4 --yes
is "the ring key is another" "$(ring | jq -c '[.seal, [.keys[].id]]')" '[2,[2]]'
unlike "with other bytes" "$(ring)" "$KEY"
is "all others stayed up" "$(grep -vx n4 "$WATCHED" | sort -u)" "" # n4 may be seen while it goes
ok "this node has read it" await '[ "$(alive n1 ring | jq -c .)" = "[2]" ]' 20
dropped unknown_key n2 "$INCARNATION" $((START + 1)) 1 "$KEY"
BEFORE=$(count good)
ok "keep-alives go on" await "[ \"\$(count good)\" -gt $((BEFORE + 10)) ]" 10
finish
