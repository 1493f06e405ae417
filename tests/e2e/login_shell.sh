#!/bin/bash
# Proves: through a real sshd, a forced command gives the commands of vios: one, with its quotes and
# exit status; lines; the shell on a terminal; the protocol. A key's role holds in the daemon, also
# for calls made by hand, and the audit has the address. scp and sftp are refused.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/sshd.sh"
sshd_need
need jq expect
ME=$(id -un)
sshd_key admin
sshd_key viewer
FORCED="restrict,pty,command=\"$VIOS --restricted --socket $LAB/n1/run/vios.sock"
{
    echo "$FORCED\" $(cat "$DIR/ssh/admin.pub")"
    echo "$FORCED --role viewer\" $(cat "$DIR/ssh/viewer.pub")"
} >"$DIR/ssh/authorized/$ME"
SFTP=$(find /usr/lib/openssh /usr/libexec/openssh -name sftp-server 2>/dev/null | head -n 1)
sshd_up "Subsystem sftp ${SFTP:-internal-sftp}"
run ssh_as admin "$ME" help
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/sshd.log")"
"$VIOS" lab up 1 >/dev/null || bail "a lab"

admin() { ssh_as admin "$ME" "$@"; }
viewer() { ssh_as viewer "$ME" "$@"; }

# --- commands ---
NAMES="node list --fmt : --field name"
for words in "$NAMES" "vios $NAMES" "ioscli $NAMES" "rvios $NAMES" "/usr/bin/vios $NAMES"; do
    run_status "$words" 0 admin "$words"
    is "its output" "$OUT" n1
done
run_status "options in front" 0 admin --json node list
is "hold" "$(jq -r '.[0].name' <<<"$OUT")" n1
run_status "a failure's exit status" 1 admin lpar show none
like "and its words" "$ERR" 'lpar "none": there is no such LPAR'
run_status "wrong usage" 2 admin lpar frobnicate g
run_status "quotes are ours to read" 0 \
    admin "event emit backup 'two  words' done --data '{\"k\":\"\$(id) \`id\`\"}' --old \"a\\\"b\""
run admin event list --class backup --json
is "and nobody else's" "$(jq -r '.[0] | .object + "|" + .data.k + "|" + .old' <<<"$OUT")" \
    "two  words|\$(id) \`id\`|a\"b"
run_status "a command that is forced whole" 0 env SSH_ORIGINAL_COMMAND="lab up" \
    "$VIOS" --restricted --socket "$LAB/n1/run/vios.sock" node list --fmt : --field name
is "is the only one" "$OUT" n1

# --- lines ---
lines() { printf '%s\n' "$@" | ssh -F "$DIR/ssh/config" -i "$DIR/ssh/admin" -l "$ME" gate; }
is "lines are run" "$(lines "$NAMES" "# none" "primary show --fmt : --field node")" $'n1\nn1'
is "up to the first that fails" "$(lines "lab up" "$NAMES" 2>&1)" \
    $'vios: lab up: not in the restricted shell: see "help"\nvios: stdin:1: stopped here'

# --- the shell ---
cat >"$DIR/shell.exp" <<END
set timeout 30
proc must {what pattern} {
    expect {
        -re \$pattern {}
        timeout { puts "\nnot seen: \$what"; exit 1 }
        eof { puts "\nended: \$what"; exit 1 }
    }
}
set env(TERM) xterm
spawn ssh -F $DIR/ssh/config -i $DIR/ssh/admin -l $ME -tt gate
must "the prompt" "vios n1> "
send "node li\t\r"
must "a command, completed" "127\\\\.0\\\\.0\\\\.1"
must "the prompt" "vios n1> "
send "1 + 1\r"
must "no Lua" "has commands only"
must "the prompt" "vios n1> "
send "lab up\r"
must "no lab" "lab up: not in the restricted shell"
send "quit\r"
expect eof
set ended [wait]
exit [lindex \$ended 3]
END
run_status "on a terminal it is the shell" 0 expect "$DIR/shell.exp"

# --- roles ---
run_status "a viewer looks" 0 viewer "$NAMES"
run_status "and changes nothing" 1 viewer pool create p1
like "for its role" "$ERR" 'pool.create: it needs the role admin; yours is viewer'
run_status "whatever it asks for" 2 viewer --role admin pool create p1
run_status "nor does one more restriction give it more" 2 viewer vios --restricted --role admin \
    pool create p1
rpc() { # KEY CALL...: says hello first; the answers
    local key=$1 call answer to
    shift
    coproc RPC { ssh_as "$key" "$ME" vios rpc; }
    for call in '"id":0,"method":"rpc.hello","params":{"level":[0,1]}' "$@"; do
        echo "{\"jsonrpc\":\"2.0\",$call}" >&"${RPC[1]}"
        while read -r -t 30 answer <&"${RPC[0]}" && echo "$answer"; do
            [[ $answer == *'"method":"progress"'* ]] || break # of a job, before its answer
        done
    done
    to=${RPC[1]}
    exec {to}>&-
    wait "$RPC_PID"
}
CREATE='"id":7,"method":"pool.create","params":{"name":"p1"}'
RAISE='"id":6,"method":"rpc.limit","params":{"role":"admin"}'
like "by hand it is one, too" "$(rpc viewer)" '"role":"viewer"'
like "and may not change" "$(rpc viewer "$CREATE")" '"id":7,"error".*"code":"denied"'
like "nor raise itself" "$(rpc viewer "$RAISE" "$CREATE")" '"id":7,"error".*"code":"denied"'
is "nothing was done" "$(on n1 pool list --json)" "[]"
like "the other key's owner may" "$(rpc admin "$CREATE")" '"id":7,"result".*"p1"'
run_status "as by a command" 0 admin pool create p2
is "the audit says who, and from where" "$(on n1 audit list --json |
    jq -r 'map(select(.method == "pool.create")) | map([.object, .user, .from] | join(" "))[]')" \
    "name \"p1\" $ME 127.0.0.1
name \"p2\" $ME 127.0.0.1"

run_status "a setting" 0 admin cluster set split_time 20s
run_status "set anew" 0 admin cluster set split_time 25s
run_status "a size" 0 admin "lu create l1 --pool p1 --size 2M"
run_status "that grows" 0 admin "lu resize p1/l1 --size 4M"
is "and what was before and after" "$(on n1 audit list --json | jq -c '.[] |
    select(.method == "cluster.set" or .method == "lu.resize") | .changes')" \
    '{"split_time":[null,20000]}
{"split_time":[20000,25000]}
{"size_bytes":[2097152,4194304]}'

# --- files ---
echo canary >"$DIR/canary"
run_status "scp is refused" 1 scp -O -q -F "$DIR/ssh/config" -i "$DIR/ssh/admin" "$DIR/canary" \
    "$ME@gate:$DIR/copied"
like "in a line" "$ERR" 'no files are transferred here'
run scp -q -F "$DIR/ssh/config" -i "$DIR/ssh/admin" "$DIR/canary" "$ME@gate:$DIR/copied"
ok "so is sftp" [ "$STATUS" != 0 ]
ok "nothing was copied" [ ! -e "$DIR/copied" ]
finish
