#!/bin/bash
# Proves: a daemon without configuration says what to do; without a cluster it serves what makes
# one; a state folder serves one daemon; roles, audit, garbage and cancels; SIGTERM is clean.
# limit: 60
. "$(dirname "$0")/lib.sh"

CALL=$BUILD/tests/tools/rpc_call
need jq setpriv
# another user must be able to get at the sockets, and the usual folder is ours alone
rmdir "$DIR"
DIR=$(mktemp -d /tmp/vios-t-XXXXXX)
chmod 711 "$DIR"
SOCKET=$DIR/n1/run/vios.sock

# io is detached and outlives its daemon: what runs for our folder goes at the end
at_exit end_strays

start_daemon() { # NODE [OPTION...]
    local node=$1
    shift
    mkdir -p "$DIR/$node"
    "$DAEMON" --node "$node" --store "sqlite:$DIR/vios.db" --run-dir "$DIR/$node/run" \
        --state-dir "$DIR/$node/state" --ttl 2s --port 0 --nbd-port 0 "$@" \
        2>>"$DIR/$node.log" >/dev/null &
    PID=$!
    PIDS+=("$PID")
    await "'$CALL' '$DIR/$node/run/vios.sock' rpc.hello" 20 || bail "$node does not answer"
}

# --- no configuration ---
if [ ! -e /etc/vios/vios.conf ]; then
    run_status "no configuration exits 2" 2 "$DAEMON"
    like "it names the file" "$ERR" "/etc/vios/vios.conf"
    like "it offers a lab" "$ERR" "vios lab up"
fi
run_status "an unknown option exits 2" 2 "$DAEMON" --nosuch 1
like "the option is named" "$ERR" "--nosuch"
run_status "an option without its value exits 2" 2 "$DAEMON" --node
run_status "a node without a name exits 2" 2 "$DAEMON" --store "sqlite:$DIR/x.db"
like "it says how to name it" "$ERR" "--node NAME"
run_status "a bad value exits 2" 2 "$DAEMON" --node n1 --ttl long
like "its key is named" "$ERR" 'ttl: "long" is not a duration'
if [ ! -e /etc/vios/vios.conf ]; then
    "$DAEMON" --node n9 --run-dir "$DIR/n9/run" --state-dir "$DIR/n9/state" \
        --stop-guests 2>"$DIR/n9.log" &
    PID=$!
    ok "a name is configuration enough" await "'$CALL' '$DIR/n9/run/vios.sock' rpc.hello" 20
    kill "$PID"
    wait "$PID"
fi
run_status "a bad log level exits 2" 2 "$DAEMON" --node n1 --log loud --store "sqlite:$DIR/x.db"
echo "nonsense" >"$DIR/bad.conf"
run_status "a bad file exits 2" 2 "$DAEMON" --config "$DIR/bad.conf"
run_status "a file that sets nothing is printed" 0 "$DAEMON" --default-config
is "it has each key" "$(sed -n 's/^#\([a-z_]*\) =.*/\1/p' <<<"$OUT")" \
    "$("$DAEMON" --help | sed -n 's/^  --\([a-z_]*\) .*([^()]*)$/\1/p' | grep -vx config)"
echo "$OUT" >"$DIR/default.conf"
run_status "a node with it has no name" 2 "$DAEMON" --config "$DIR/default.conf"
like "it says where to name it" "$ERR" "set \"node = NAME\" in $DIR/default.conf"
sed -i 's/^#\([a-z_]* =\)/\1/; s/^node =$/node = n1/' "$DIR/default.conf"
run_status "each of its values is one that it takes" 2 "$DAEMON" --config "$DIR/default.conf" \
    --log loud
like "only the option is wrong" "$ERR" '"loud" is no log level'

# --- no cluster yet ---
start_daemon n1
run_status "another daemon on the same state folder is refused" 6 \
    "$DAEMON" --node n1 --store "sqlite:$DIR/vios.db" --run-dir "$DIR/other" \
    --state-dir "$DIR/n1/state"
like "it says why" "$ERR" "another daemon uses this state folder"
run_status "hello says the node" 0 "$CALL" "$SOCKET" rpc.hello
is "hello" "$OUT" '{"cluster":"","level":1,"node":"n1","role":"admin"}'
run_status "other methods say what to do" 4 "$CALL" "$SOCKET" node.list
like "the way out" "$ERR" "vios cluster create NAME"
run_status "joining takes a token" 2 "$CALL" "$SOCKET" node.join
run_status "config works" 0 "$CALL" "$SOCKET" config.get '{"key":"ttl"}'
is "the value is the option's" "$(jq -r '.value + " " + .origin' <<<"$OUT")" "2s option"
run_status "an unknown key" 1 "$CALL" "$SOCKET" config.get '{"key":"tll"}'
like "near keys are named" "$ERR" 'mean \\"ttl\\"'
run_status "config set without a file" 7 "$CALL" "$SOCKET" config.set '{"key":"ttl","value":"9s"}'
run_status "a bad name" 2 "$CALL" "$SOCKET" cluster.create '{"name":"-x"}'
run_status "create" 0 "$CALL" "$SOCKET" cluster.create '{"name":"lab"}'
is "its answer" "$OUT" '{"name":"lab","node":"n1"}'
run_status "create again" 1 "$CALL" "$SOCKET" cluster.create '{"name":"lab2"}'
like "is told that there is one" "$ERR" "has a cluster already"

# --- the cluster ---
run_status "cluster status" 0 "$CALL" "$SOCKET" cluster.status
is "its fields" "$(jq -c '[.name, .state, .primary, .epoch, .nodes]' <<<"$OUT")" \
    '["lab","OK","n1",1,[{"name":"n1","state":"up"}]]'
run_status "node list" 0 "$CALL" "$SOCKET" node.list
is "its fields" "$(jq -c '.[0] | [.name, .state, .address, .role, .level]' <<<"$OUT")" \
    '["n1","up","127.0.0.1","member",1]'
run_status "an unknown node" 1 "$CALL" "$SOCKET" node.show '{"node":"n2"}'
like "near nodes are named" "$ERR" 'mean \\"n1\\"'
run_status "an unknown method" 2 "$CALL" "$SOCKET" node.lsit
like "near methods are named" "$ERR" 'node.list'
run_status "describe" 0 "$CALL" "$SOCKET" rpc.describe
is "a row of it" "$(jq -c '.[] | select(.name == "node.show") | [.role, .changes, .parameters]' \
    <<<"$OUT")" '["viewer",false,[{"name":"node","optional":false,"type":"node"}]]'
run_status "audit list" 0 "$CALL" "$SOCKET" audit.list
is "both creates are there" "$(jq -c '[.[] | select(.method == "cluster.create") | .outcome]' \
    <<<"$OUT")" '["ok","exists"]'
is "who it was" "$(jq -r '.[0].actor + " " + .[0].object' <<<"$OUT")" "uid:$(id -u) name \"lab\""

# --- who may ---
if [ "$(id -u)" = 0 ]; then
    cp "$CALL" "$DIR/call"
    chmod 755 "$DIR/call"
    chmod 711 "$DIR/n1"
    AS=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    run_status "another user is refused" 1 "${AS[@]}" "$DIR/call" "$SOCKET" node.list
    like "and told why" "$ERR" '"code":"denied".*allow_viewers'
    start_daemon n2 --allow-viewers yes
    chmod 711 "$DIR/n2"
    run_status "n2 joins" 0 "$CALL" "$DIR/n2/run/vios.sock" node.join \
        "$("$CALL" "$SOCKET" node.token | jq -c '{token}')"
    run_status "a viewer may look" 0 "${AS[@]}" "$DIR/call" "$DIR/n2/run/vios.sock" node.list
    run_status "a viewer may not change" 1 "${AS[@]}" "$DIR/call" "$DIR/n2/run/vios.sock" \
        config.set '{"key":"ttl","value":"9s"}'
    like "and is told why" "$ERR" 'needs the role admin; yours is viewer'
    kill "$PID"
    wait "$PID"
    is "n2 ends cleanly" $? 0
    PID=${PIDS[0]}
fi

# --- callers who do not behave ---
garbage() {
    perl -MIO::Socket::UNIX -e '
        my $s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s "garbage\n"; $s->flush;
        local $/; print <$s>;' "$SOCKET"
}
like "garbage is answered and the connection closed" "$(garbage)" '"code":"invalid"'
perl -MIO::Socket::UNIX -e '
    for (1 .. 50) { my $s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s "{"; }' "$SOCKET"
run_status "it goes on serving" 0 "$CALL" "$SOCKET" node.list

# --- the end ---
kill -TERM "$PID"
wait "$PID"
is "SIGTERM ends it with 0" $? 0
ok "its socket is gone" test ! -e "$SOCKET"
run_status "nobody answers" 4 "$CALL" "$SOCKET" node.list
like "the way to start one" "$ERR" "vios lab up"
start_daemon n1
run_status "it is in its cluster again" 0 "$CALL" "$SOCKET" rpc.hello
is "hello" "$(jq -r .cluster <<<"$OUT")" lab
run_status "daemon.stop" 0 "$CALL" "$SOCKET" daemon.stop '{"guests":true}'
wait "$PID"
is "it ends with 0" $? 0
ok "the flight recorder is there" test -s "$DIR/n1/state/recorder"
unlike "no fault in the log" "$(cat "$DIR"/n1.log)" \
    "ERROR: AddressSanitizer|runtime error|Assertion"
finish
