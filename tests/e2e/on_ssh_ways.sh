#!/bin/bash
# Proves: hosts are reached with keys of an agent, and through a jump host; by the program there
# that VIOS_REMOTE names; also by the shells of other releases. A connection that breaks while a
# command runs is that host's failure and no other's, and the next call makes a new one.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need jq perl ssh-agent
ssh_up
cluster_up "sqlite:$DIR/db" 1
for host in h1 h2 gate inner; do
    ssh_host "$host" "VIOS_SOCKET=$DIR/n1/run/vios.sock NAME=$host"
done
run ssh -F "$VIOS_SSH_CONFIG" h1 true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/h1.log")"
unset VIOS_SOCKET
export HOME=$DIR

# --- an agent ---
cp "$DIR/ssh/config" "$DIR/ssh/config.good"
sed -i "s|IdentityFile .*|IdentityFile $DIR/ssh/none|" "$DIR/ssh/config"
run_status "without a key" 1 "$VIOS" on h1 '!echo $NAME'
like "nobody is let in" "$ERR" 'h1: no key lets you in'
ssh-agent -D -a "$DIR/agent" >/dev/null &
PIDS+=($!)
await "[ -S '$DIR/agent' ]" 10 || bail "an agent"
SSH_AUTH_SOCK=$DIR/agent ssh-add -q "$DIR/ssh/key" || bail "it takes the key"
run_status "the agent's" 0 env SSH_AUTH_SOCK="$DIR/agent" "$VIOS" on h1 '!echo $NAME'
is "is as good" "$OUT" h1
cp "$DIR/ssh/config.good" "$DIR/ssh/config"

# --- a jump host ---
perl "$ROOT/tests/tools/sshd_listener.pl" "$DIR/ssh/port" "$SSHD" -i -f "$DIR/ssh/inner.conf" \
    -E "$DIR/ssh/inner.log" &
PIDS+=($!)
await "[ -s '$DIR/ssh/port' ]" 10 || bail "a host behind another"
port=$(cat "$DIR/ssh/port")
sed -i "/^Host inner/,\$s|ProxyCommand .*|ProxyJump gate\n    HostName 127.0.0.1\n    Port $port|" \
    "$DIR/ssh/config"
echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$DIR/ssh/host_key.pub")" >>"$DIR/ssh/known"
# libssh has ssh jump, which looks where the user's own configuration lies.
mkdir "$DIR/with_ssh"
printf '#!/bin/sh\nexec %s -F %s "$@"\n' "$(command -v ssh)" "$DIR/ssh/config" >"$DIR/with_ssh/ssh"
chmod 755 "$DIR/with_ssh/ssh"
inner() { PATH=$DIR/with_ssh:$PATH "$VIOS" on inner "$@"; }
run_status "a host behind another" 0 inner '!echo $NAME'
is "is reached" "$OUT" inner
ok "by way of it" grep -q 'Accepted publickey' "$DIR/ssh/gate.log"
run_status "its daemon too" 0 inner primary explain --json
is "answers" "$(jq -r .node <<<"$OUT")" n1

# --- the program there ---
run_status "another program" 0 env VIOS_REMOTE="env -u VIOS_SOCKET vios --socket \
$DIR/n1/run/vios.sock rpc" "$VIOS" --on h1 config get node --json
is "answers" "$(jq -r .value <<<"$OUT")" n1
run_status "one that is not there" 4 env VIOS_REMOTE="$DIR/none rpc" "$VIOS" --on h1 node list
like "is told" "$ERR" 'h1: vios is not installed there \(.*none'

# --- another release ---
run_status "the next release" 0 env VIOS_LEVEL=2 "$VIOS" --on h1 config get node --json
is "speaks what both know" "$(jq -r .value <<<"$OUT")" n1
run_status "one far from it" 7 env VIOS_LEVEL=9 "$VIOS" --on h1 config get node
like "is told what is spoken there" "$ERR" 'h1: this daemon speaks levels 0 and 1: use a vios of'

# --- a connection that breaks ---
mkfifo "$DIR/hangs"
cat >"$DIR/break" <<'END'
#!/bin/sh
# Ends the sshd that this runs under, and stays.
pid=$$
while [ "$(cat /proc/$pid/comm)" != sshd ]; do pid=$(cut -d' ' -f4 /proc/$pid/stat); done
kill -9 "$pid"
exec cat "$(dirname "$0")/hangs"
END
chmod 755 "$DIR/break"
BREAKS="[ \$NAME = h1 ] || exec $DIR/break; echo fine"
run_status "one breaks" 3 timeout 60 "$VIOS" on h1,h2 "!$BREAKS"
is "the other has answered" "$OUT" $'h1:\nfine'
like "and it is named" "$ERR" 'h2: the ssh connection broke.*failed on 1 of 2 nodes: h2'
run_status "in one shell" 0 timeout 60 "$VIOS" -e "
    local h2 <const> = vios.node('h2')
    local first, err = h2:shell('$DIR/break')
    print(first, err.code, h2:shell('echo again').out)"
is "the next call connects anew" "$OUT" $'nil\tunreachable\tagain'
cat >"$DIR/rpc" <<END
#!/bin/sh
[ -e "$DIR/broken" ] && exec "$VIOS" rpc
: >"$DIR/broken"
exec "$DIR/break"
END
chmod 755 "$DIR/rpc"
run_status "so do calls of its daemon" 0 env VIOS_REMOTE="exec $DIR/rpc" timeout 60 "$VIOS" -e "
    local h2 <const> = vios.node('h2')
    local first, err = h2:primary_explain{}
    print(first, err.code, h2:primary_explain{}.node)"
is "and one that broke is told so" "$OUT" $'nil\tunreachable\tn1'

# Those that stayed find a writer that leaves at once, and end.
ended() { : <>"$DIR/hangs" && ! pgrep -f "^cat $DIR/hangs" >/dev/null; }
ok "what stayed there has ended" await ended 20
finish
