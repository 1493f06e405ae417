#!/bin/bash
# Proves: --on reaches every node through the daemon that one talks to, by TLS; several answers are
# told apart, and exit status 3 says that some failed; the other end enforces the caller's role and
# audits under its name; a node without a certificate cannot speak for anybody.
# limit: 90
. "$(dirname "$0")/lib.sh"

need jq
rmdir "$DIR" # another user is to reach the socket below it
DIR=$(mktemp -d /tmp/vios-t-XXXXXX)
chmod 711 "$DIR"
. "$(dirname "$0")/lab.sh"
CALL=$BUILD/tests/tools/rpc_call
SOCKET=$LAB/n1/run/vios.sock

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
is "a node's own view" "$("$VIOS" --on n3 primary explain --json | jq -r .node)" n3
is "the own node" "$("$VIOS" --on n1 primary explain --json | jq -r .node)" n1
is "two of them" "$("$VIOS" --on n1,n2 primary explain --json | jq -r 'map(.node) | join(" ")')" \
    "n1 n2"
is "all of them" "$("$VIOS" on @all primary explain --json | jq -r 'keys | join(" ")')" "n1 n2 n3"
like "as tables, once when equal" "$("$VIOS" --on n2,n3 node list)" '^n\[2-3\]:.NAME'
run_status "a node that is none" 1 "$VIOS" --on n9 node list
like "near ones are named" "$ERR" 'no such node.*"n1"'
run_status "some fail" 3 "$VIOS" --on n2,n9 node list
run_status "standard input to two" 3 "$VIOS" --on n1,n2 image import - --name busybox </dev/null
like "is refused, and not waited for" "$ERR" 'n1: standard input can go to one node only'
run_status "a stream that fails there" 1 "$VIOS" --on n2 job wait j-1
like "says why" "$ERR" 'j-1'
run_status "a method that is none" 2 "$CALL" "$SOCKET" node.call '{"node":"n2","method":"x.y"}'
run_status "twice" 2 "$CALL" "$SOCKET" node.call \
    '{"node":"n2","method":"node.call","parameters":{"node":"n1","method":"node.list"}}'

# --- on whose behalf ---
run_status "a change there" 0 "$VIOS" --on n3 node drain n2
actor() {
    "$VIOS" audit list --json |
        jq -r "[.[] | select(.method == \"$1\")][-1] | .actor + \" \" + .node"
}
is "is audited there, as its caller's" "$(actor node.drain)" "uid:$(id -u)@n1 n3"
"$VIOS" node restore n2 >/dev/null
speak() { # JSON: sends it after a hello
    perl -MIO::Socket::UNIX -e '
        my $s = IO::Socket::UNIX->new($ARGV[0]) or die; $s->autoflush(1);
        print $s "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"rpc.hello\",",
            "\"params\":{\"level\":[0,1]}}\n";
        <$s>; print $s "$ARGV[1]\n"; print scalar <$s>;' "$SOCKET" "$1"
}
like "who has no certificate does not speak for others" "$(speak \
    '{"jsonrpc":"2.0","id":1,"method":"node.list","actor":{"name":"x","role":"admin"}}')" \
    '"denied".*only the daemon of a member'
if [ "$(id -u)" = 0 ]; then
    echo "allow_viewers = yes" >>"$LAB/n1/vios.conf"
    PID=$(lab_pid n1 daemon_pid)
    "$CALL" "$SOCKET" daemon.stop >/dev/null
    await "[ ! -e /proc/$PID ]" 20
    "$VIOS" lab up >/dev/null
    cp "$CALL" "$DIR/call"
    chmod 755 "$DIR/call"
    chmod 711 "$LAB" "$LAB/n1" "$LAB/n1/run"
    viewer() { # METHOD PARAMETERS
        setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/call" "$SOCKET" node.call \
            "{\"node\":\"n2\",\"method\":\"$1\",\"parameters\":$2}"
    }
    run_status "a viewer looks elsewhere" 0 viewer node.list '{}'
    run_status "and changes nothing there" 1 viewer node.drain '{"node":"n3"}'
    like "for its role" "$ERR" 'needs the role admin; yours is viewer'
fi

# --- a node that is away ---
PID=$(lab_pid n3 daemon_pid)
kill -9 "$PID"
run_status "it cannot be reached" 4 "$VIOS" --on n3 node list
like "and the error says so" "$ERR" 'node "n3": its daemon does not answer at tcp:'
run_status "the others answer" 3 "$VIOS" on @all node list --json
is "and are told apart" "$(jq -r 'keys | join(" ")' <<<"$OUT")" "n1 n2"
finish
