#!/bin/bash
# Proves: through a real sshd, a command runs on many hosts at once, by the `vios rpc` there. Equal
# answers are one; hosts that fail are named, each with its reason, the others' answers come all the
# same, and the status is 3. A host whose key is unknown, or has changed, is refused. Sessions are
# kept.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need jq
ssh_up
cluster_up "sqlite:$DIR/db" 3
for i in 1 2 3; do
    ssh_host "h$i" "VIOS_SOCKET=$DIR/n$i/run/vios.sock"
done
run ssh -F "$VIOS_SSH_CONFIG" h1 true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/h1.log")"

# From here on no daemon is this machine's: a name is a host's.
unset VIOS_SOCKET
export HOME=$DIR XDG_CONFIG_HOME=$DIR/config
SOCKET=$DIR/n1/run/vios.sock

run_status "one host" 0 "$VIOS" --on h2 primary explain --json
is "is asked there" "$(jq -r .node <<<"$OUT")" n2
run_status "three hosts" 0 "$VIOS" --on 'h[1-3]' node list
like "say the same once" "$OUT" '^h\[1-3\]:.NAME '
is "and once only" "$(grep -c NAME <<<"$OUT")" 1
run_status "other answers" 0 "$VIOS" --on 'h[1-3],!h2' --json primary explain
is "are each host's" "$(jq -c 'map_values(.node)' <<<"$OUT")" '{"h1":"n1","h3":"n3"}'

mkdir -p "$DIR/config/vios"
echo 'storage: h1 h[2-3]' >"$DIR/config/vios/groups"
run_status "a group" 0 "$VIOS" on @storage config get node --json
is "is its hosts" "$(jq -c keys <<<"$OUT")" '["h1","h2","h3"]'
run_status "one that is none" 1 "$VIOS" on @stroage config get node
like "is not there" "$ERR" '^vios: @stroage: there is no such group'

# --- plain commands ---
run_status "a plain command" 0 "$VIOS" on 'h[1-2]' '!basename $(dirname $(dirname $VIOS_SOCKET))'
is "runs by the shell there" "$OUT" $'h1:\nn1\nh2:\nn2'
run_status "one that fails" 3 "$VIOS" on 'h[1-2]' '!echo out; echo err >&2; exit 3'
is "has said" "$OUT" $'h[1-2]:\nout'
like "and is named" "$ERR" 'h1: err.*h1: the command ended with status 3.*2 of 2 nodes: h\[1-2\]'
run_status "a signal" 1 "$VIOS" on h1 '!kill -TERM $$'
like "is told as a shell does" "$ERR" 'h1: the command ended with status 143'
run_status "much output" 0 "$VIOS" on h1 '!seq 300000'
is "is cut" "${#OUT}" 1048576
like "and that is said" "$ERR" 'h1: it said more than 1 MiB'
run_status "and as JSON" 0 "$VIOS" --json on h1 '!echo hi'
is "it is an object" "$(jq -c .h1 <<<"$OUT")" '{"cut":false,"err":"","out":"hi\n","status":0}'

# --- one that is kept ---
logins() { grep -c 'Accepted publickey' "$DIR/ssh/h1.log"; }
before=$(logins)
run_status "several calls" 0 "$VIOS" -e '
    local h1 = vios.node("h1")
    for i = 1, 3 do
        assert(h1:primary_explain{}.node == "n1")
        local results = vios.on({ "h1", "h2" }, function(node) return node:primary_explain{} end)
        assert(results.h2.node == "n2")
    end
    io.write(h1:shell("echo hi").out)'
is "work in Lua" "$OUT" "hi"
ok "over sessions that are kept" test "$(($(logins) - before))" -le 2
run_status "what fails" 1 "$VIOS" -e '
    local results, failed = vios.on("h[1-2]", function(node)
        return node:lpar_show(node.name == "h1" and "no" or "n/o")
    end)
    print(next(results), failed.h1.code, failed.h2.code)
    return nil, failed.h1'
like "is told by the node" "$OUT" '^nil.not_found.(usage|invalid)'

# --- hosts that fail ---
garbled=$DIR/garbled missing=$DIR/missing
mkdir -p "$garbled" "$missing"
printf '#!/bin/sh\necho hello, this is no JSON\nexec cat >/dev/null\n' >"$garbled/vios"
chmod 755 "$garbled/vios"
ssh_host garbled
ssh_host bare
sed -i "s|PATH=$BUILD/bin|PATH=$garbled|" "$DIR/ssh/garbled.conf"
sed -i "s|PATH=$BUILD/bin|PATH=$missing|" "$DIR/ssh/bare.conf"
ssh_host away
ssh_host silent
ssh_host foreign
sed -i "/^Host away/,/^Host/s|ProxyCommand .*|ProxyCommand exit 1|
    /^Host silent/,/^Host/s|ProxyCommand .*|ProxyCommand exec cat >/dev/null|
    /^Host foreign/,/^Host/s|ProxyCommand .*|ProxyCommand cat /dev/urandom|" "$DIR/ssh/config"
run_status "some fail" 3 "$VIOS" --timeout 5s on h1,away,silent,foreign,garbled,bare primary show
like "the others answer" "$OUT" '^h1:.node '
like "unreachable" "$ERR" 'away: ssh cannot connect'
like "hanging" "$ERR" 'silent: no answer by ssh in time: give a longer --timeout'
like "no ssh" "$ERR" 'foreign: ssh cannot connect'
like "no vios" "$ERR" "garbled: the daemon's answer is malformed"
like "not installed" "$ERR" 'bare: vios is not installed there'
like "and all are named" "$ERR" 'failed on 5 of 6 nodes: away,silent,foreign,garbled,bare'
run_status "with --json too" 3 "$VIOS" --timeout 5s --json on h1,bare primary show
is "the node is a member of the error" "$(jq -r .error.node <<<"$ERR")" bare

# The command of one must not hold what tells that another's has ended.
for number in 2 3 4; do
    for host in away silent; do
        sed -n "/^Host $host\$/,/LogLevel/p" "$DIR/ssh/config" | sed "s/^Host .*/&$number/" \
            >>"$DIR/ssh/more"
    done
done
cat "$DIR/ssh/more" >>"$DIR/ssh/config"
for round in 1 2; do
    run_status "$round: others hang meanwhile" 3 "$VIOS" --timeout 5s on \
        silent,away,silent2,away2,silent3,away3,silent4,away4 '!true'
    is "$round: who is away is known to be" "$(grep -c '^away.*ssh cannot conn' <<<"$ERR")" 4
done

# --- keys of hosts ---
cp "$DIR/ssh/known" "$DIR/ssh/known.good"
grep -v '^h1 ' "$DIR/ssh/known.good" >"$DIR/ssh/known"
run_status "an unknown key" 1 "$VIOS" on h1 primary show
like "is shown and refused" "$ERR" 'h1: its key SHA256:.{43} is not known: compare it'
is "and not noted" "$(grep -c '^h1 ' "$DIR/ssh/known")" 0
ssh-keygen -q -t ed25519 -N '' -f "$DIR/ssh/other"
echo "h1 $(cut -d' ' -f1,2 "$DIR/ssh/other.pub")" >>"$DIR/ssh/known"
line=$(grep -n '^h1 ' "$DIR/ssh/known" | cut -d: -f1)
run_status "a changed key" 1 "$VIOS" on h1 primary show
like "is refused, with the line" "$ERR" "h1: its key is not the one in .*known line $line: .*SHA256"
like "and the way out" "$ERR" "ssh-keygen -R 'h1'"
cp "$DIR/ssh/known.good" "$DIR/ssh/known"
mv "$DIR/ssh/authorized" "$DIR/ssh/authorized.away"
run_status "who may not log in" 1 "$VIOS" on h1 primary show
like "is told so" "$ERR" 'h1: no key lets you in, and nobody was there to be asked'
mv "$DIR/ssh/authorized.away" "$DIR/ssh/authorized"

# --- where names lead ---
export VIOS_SOCKET=$SOCKET
run_status "a member" 0 "$VIOS" --on n2 primary explain --json
is "goes through the daemon" "$(jq -r .node <<<"$OUT")" n2
run_status "no member" 1 "$VIOS" --on h2 primary explain
like "is no host by mistake" "$ERR" 'node "h2": the cluster has no such node'
run_status "but when it is said" 0 "$VIOS" --on ssh:h2,n1 primary explain --json
is "both ways at once" "$(jq -c 'map_values(.node)' <<<"$OUT")" '{"n1":"n1","ssh:h2":"n2"}'
run_status "all but one" 0 "$VIOS" on '!n2' config get node --json
is "are the others" "$(jq -c keys <<<"$OUT")" '["n1","n3"]'
run_status "the primary" 0 "$VIOS" on @primary primary explain --json
run_status "no shell without hosts" 2 "$VIOS" '!uptime'
finish
