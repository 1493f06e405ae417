#!/bin/bash
# Proves: `node add` makes a host a node of the cluster, by a real sshd, and `node remove --host`
# takes it out again and leaves nothing there. When a step fails, or Ctrl-C comes, the host is as it
# was, and the cluster has neither node nor token. What it did not make it leaves alone. The token
# is on no command line.
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need jq sqlite3
ssh_up
cluster_up "sqlite:$DIR/db" 2
ssh_host h3 "VIOS_SOCKET=$DIR/none"
run ssh -F "$VIOS_SSH_CONFIG" h3 true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/h3.log")"
export HOME=$DIR XDG_CONFIG_HOME=$DIR/config
FAR=$DIR/far
add() { # HOST NAME [OPTION...]
    on n1 node add "$1" --name "$2" --dir "$FAR" --address 127.0.0.1 --port 0 "${@:3}"
}
tokens() { sqlite3 "$DIR/db" "select count(*) from kv where key like '/token/%'"; }
names() { on n1 node list --json | jq -r 'map(.name) | join(" ")'; }
# Processes that have a word below the folder.
processes() { pgrep -f -- "[ =]$FAR(/|\$)" | wc -l; }
untouched() { # WHAT
    not_ok "$1: the folder is not there" [ -e "$FAR" ]
    is "$1: nothing runs" "$(processes)" 0
    is "$1: the nodes are those of before" "$(names)" "n1 n2"
    is "$1: no token is left" "$(tokens)" 0
}
# A host whose vios is a script of ours: $2, with the real one in $real.
fake() { # HOST TEXT
    mkdir -p "$DIR/$1"
    printf '#!/bin/sh\nreal=%s\n%s\n' "$VIOS" "$2" >"$DIR/$1/vios"
    chmod 755 "$DIR/$1/vios"
    ssh_host "$1"
    sed -i "s|PATH=$BUILD/bin|PATH=$DIR/$1|" "$DIR/ssh/$1.conf"
}

# --- what would be done ---
run_status "a rehearsal" 0 add h3 n3 --dry-run
like "tells each step" "$OUT" "h3: make a token.*write $FAR/vios.conf.*start its daemon.*as n3"
untouched "a rehearsal"

# --- what is refused ---
run_status "a name that is taken" 1 add h3 n2
like "is told with the way out" "$ERR" 'node "n2": the cluster has a node of this name'
run_status "a name that is none" 2 add h3 'n3;id'
run_status "a host that is none" 2 add -- '-oProxyCommand=touch x' n3
for dir in relative "$DIR/a b" "$DIR/\$(touch $DIR/pwned)" "$DIR/../x" "$DIR/it's" "/" "$DIR/x
y"; do
    run_status "the folder ${dir@Q}" 2 on n1 node add h3 --name n3 --address 127.0.0.1 --dir "$dir"
done
not_ok "nothing of that ran" [ -e "$DIR/pwned" ]
run_status "no address" 2 on n1 node add h3 --name n3 --dir "$FAR"
like "is asked for" "$ERR" '^vios: --address: it is not known'
fake old 'echo "{\"version\": \"0.0\", \"level\": 0}"'
run_status "software that is too old" 7 add old n3
like "is named" "$ERR" "old: its software is of level 0, the cluster's is 1: install the version"
fake none 'echo hello'
run_status "what is no vios" 7 add none n3
fake bare ''
rm "$DIR/bare/vios"
run_status "no vios" 7 add bare n3
like "is told with the way out" "$ERR" 'bare: vios is not installed there: install its package'
mkdir "$FAR"
echo mine >"$FAR/file"
run_status "a folder with something in it" 1 add h3 n3
is "stays as it was" "$(cd "$FAR" && grep -r .)" "file:mine"
rm -r "$FAR"
run_status "a folder that cannot be made" 1 on n1 node add h3 --name n3 --address 127.0.0.1 \
    --dir "$DIR/db/far"
untouched "what was refused"

# --- what fails, and is undone ---
# shellcheck disable=SC2016
fake lame '[ "$1 $2" != "daemon --config" ] || { echo "no, not today"; exit 3; }; exec $real "$@"'
run_status "a daemon that does not start" 1 add lame n3
like "says why" "$ERR" 'lame: its daemon does not start: no, not today'
untouched "no daemon"
mkdir "$FAR"
run_status "the same in a folder that is there" 1 add lame n3
is "leaves it empty" "$(ls -A "$FAR")" ""
rmdir "$FAR"
# shellcheck disable=SC2016
fake mute 'case "$*" in *" rpc") echo hello; exit 1 ;; esac; exec $real "$@"'
run_status "a daemon that cannot be talked to" 4 add mute n3
untouched "no join"
# Whoever joins with the name just before, it stays theirs.
# shellcheck disable=SC2016
fake late 'case "$*" in
*" rpc") $real --socket '"$DIR"'/x/run/vios.sock node join "$(cat '"$DIR"'/x.token)" >/dev/null ;;
esac
exec $real "$@"'
STORE=sqlite:$DIR/db node_start x --node n3
on n1 node token >"$DIR/x.token"
run_status "a name that is taken meanwhile" 1 add late n3
like "is told" "$ERR" 'the cluster has a node of this name'
is "is that node's" "$(names)" "n1 n2 n3"
is "and no token is left" "$(tokens)" 0
not_ok "nor the folder" [ -e "$FAR" ]
on n1 --yes node remove n3 >/dev/null
kill "${NODE_PID[x]}"
# shellcheck disable=SC2016
fake slow 'case "$*" in
*" rpc") touch '"$DIR"'/joining; exec cat >/dev/null ;;
esac
exec $real "$@"'
add slow n3 >"$DIR/slow.out" 2>&1 &
PIDS+=("$!")
await "[ -e '$DIR/joining' ]" 30
kill -INT "$(pgrep -f -- "^$VIOS .*$DIR/.*node add slow ")"
wait "$!"
is "Ctrl-C ends it" $? 130
untouched "Ctrl-C"

# --- a node ---
# shellcheck disable=SC2016
fake seen 'case "$*" in *" rpc") ;; *) exec $real "$@" ;; esac
exec 3<&0
$real "$@" <&3 3<&- &
while kill -0 $!; do
    grep -a "" /proc/[0-9]*/cmdline | tr "\0" " "
    sleep 0.02
done 3<&- >'"$DIR"'/seen.all 2>/dev/null'
run_status "a node" 0 add seen n3
is "is added" "$OUT" "node n3 added"
like "each step was told" "$ERR" 'seen: make a token.*: write.*: start.*: join.*: wait'
grep -F "$DIR" "$DIR/seen.all" >"$DIR/seen.ours" # other tests have tokens, too
ok "while it joins" grep -q ' rpc $' "$DIR/seen.ours"
not_ok "the token is on no command line" grep -q 'vios1[.]' "$DIR/seen.ours"
ok "and all see it" await "whole n1 3 && whole n2 3" 30
is "no token is left" "$(tokens)" 0
is "its configuration is for the daemon only" "$(stat -c %a "$FAR/vios.conf")" 600
run_status "commands work there" 0 on n1 --on n3 lpar list
run_status "and its own" 0 "$VIOS" --socket "$FAR/run/vios.sock" config get repository --json
is "it has the repository" "$(jq -r .value <<<"$OUT")" "$DIR/repository"
run_status "a second one in the same folder" 1 add h3 n4
like "is refused with the way out" "$ERR" \
    "node \"n3\" is there already.*vios node remove n3 --host h3 --dir $FAR"
is "and leaves the first" "$(state_of n1 n3)" up

# --- and its end ---
run_status "another node's name" 1 on n1 --yes node remove n2 --host h3 --dir "$FAR"
like "is refused before anything is done" "$ERR" 'nothing says that "vios node add" made node "n2"'
is "nobody left" "$(names)" "n1 n2 n3"
run_status "a folder without a host" 2 on n1 --yes node remove n3 --dir "$FAR"
run_status "without --yes" 2 on n1 node remove n3 --host h3 --dir "$FAR"
run_status "a rehearsal of that" 0 on n1 --dry-run node remove n3 --host h3 --dir "$FAR"
is "does nothing" "$(names)" "n1 n2 n3"
run_status "removing it" 0 on n1 --yes node remove n3 --host h3 --dir "$FAR"
is "is told" "$OUT" "node n3 removed"
untouched "removed"
run_status "and again" 1 on n1 --yes node remove n3 --host h3 --dir "$FAR"
finish
