#!/bin/bash
# Proves: at the TCP ports plain connections, certificates of another cluster, none at all, and
# those of a removed node are refused and audited, also where the connection was there before;
# OpenSSL's own client gets in with a member's certificate; who comes to join can call nothing but
# node.admit.
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq openssl perl nbdinfo
export VIOS_SOCKET=$LAB/n1/run/vios.sock

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
ok "another cluster of the same name" "$BUILD/tests/tools/make_identity" "$DIR/other" lab n1 n2
PORT=$("$VIOS" node show n1 --json | jq .port)
NBD=$("$VIOS" db get /alive/n1 --json | jq -r '.[0].value.nbd' | cut -d: -f3)
HELLO='{"jsonrpc":"2.0","id":0,"method":"rpc.hello","params":{"level":[0,1]}}'

refusals() { # PORT REASON
    "$VIOS" audit list --json | jq -e --arg port "port \"$1\"" --arg why "$2" \
        'any(.[]; .method == "refused" and .object == $port and (.parameters.why | test($why)))'
}
audited() { # WHAT PORT REASON
    ok "$1: audited" await "refusals $2 '$3'" 20
}
# Says LINES to the port by TLS, with these options of openssl's.
tls() { # ALPN LINES OPTION...
    { printf '%s\n' "$2" && sleep 0.5; } |
        timeout 10 openssl s_client -connect "127.0.0.1:$PORT" -alpn "$1" -quiet \
            -no_ign_eof -verify_return_error -CAfile "$LAB/n1/state/ca.crt" "${@:3}" \
            2>"$DIR/tls.err"
}
as() { # FOLDER: options for the certificate of a node's state folder
    echo "-cert $1/node.crt -key $1/node.key"
}

# --- RPC ---
PLAIN=$(perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die; print $s "$ARGV[1]\n"; $s->flush;
    local $/; my $got = <$s>; print $got =~ /jsonrpc/ ? "answered" : "nothing";' "$PORT" "$HELLO")
is "a plain connection gets no answer" "$PLAIN" nothing
audited "a plain connection" RPC "does not speak TLS"
is "no certificate gets no answer" "$(tls rpc "$HELLO")" ""
audited "no certificate" RPC "it has no certificate"
is "another cluster's gets no answer" \
    "$(tls rpc "$HELLO" -cert "$DIR/other/n2/cert.pem" -key "$DIR/other/n2/key.pem")" ""
audited "another cluster's" RPC "of another cluster"
is "another protocol gets no answer" "$(tls http/1.1 "$HELLO")" ""
audited "another protocol" RPC "not spoken here"
# shellcheck disable=SC2046
like "a member gets in" "$(tls rpc "$HELLO" $(as "$LAB/n2/state"))" \
    '"node":"n1".*"role":"admin"'

# --- to join ---
like "who joins is nobody" "$(tls join "$HELLO")" '"role":"nobody"'
like "and may do nothing" "$(tls join "$HELLO
{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node.list\"}")" '"denied".*needs the role viewer'
ADMIT=$(jq -nc '{jsonrpc: "2.0", id: 1, method: "node.admit", params: {id: "0011223344556677",
    secret: ("0" * 64), request: "x", node: "n7", address: "127.0.0.1", run_dir: "unix:/x",
    level: 1}}')
like "nor be admitted without a token" "$(tls join "$HELLO
$ADMIT")" 'used already, or it has expired, or it never was'
audited "a token that is none" RPC "it never was"

# --- NBD ---
plain_nbd() { nbdinfo --list "nbd://127.0.0.1:$NBD" >/dev/null 2>&1; }
not_ok "a plain NBD connection" plain_nbd
audited "a plain NBD connection" NBD "connections"

# --- a removed node ---
cp -r "$LAB/n3/state" "$DIR/n3"
mkfifo "$DIR/say"
exec 9<>"$DIR/say" # which keeps it open
echo "$HELLO" >&9
# shellcheck disable=SC2046
openssl s_client -connect "127.0.0.1:$PORT" -alpn rpc -quiet $(as "$DIR/n3") \
    <"$DIR/say" >"$DIR/held" 2>/dev/null &
HELD=$!
PIDS+=("$HELD")
ok "it is connected" await "grep -q jsonrpc '$DIR/held'" 10
run_status "n3 is removed" 0 "$VIOS" node remove n3 --yes
ok "its connection ends" await "[ ! -e /proc/$HELD ]" 20
audited "its connection" RPC "node n3 is not of the cluster"
# shellcheck disable=SC2046
is "and it does not get in again" "$(tls rpc "$HELLO" $(as "$DIR/n3"))" ""
like "which it is told" "$(cat "$DIR/tls.err")" 'revoked'

# --- who knocks all the time ---
for _ in $(seq 40); do
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die; print $s "x\n"' "$PORT"
done
ok "is not told all the time" [ "$("$VIOS" audit list --limit 2000 --json |
    jq '[.[] | select(.method == "refused" and .node == "n1")] | length')" -le 12 ]
is "and the cluster is well" "$("$VIOS" cluster status --json | jq -r .state)" OK
finish
