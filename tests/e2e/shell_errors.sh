#!/bin/bash
# Proves: each exit status, what is not done unasked, the words of usage errors, errors as JSON, and
# Ctrl-C of a command.
. "$(dirname "$0")/lib.sh"
need jq

"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
export VIOS_SOCKET=$DIR/vios.sock
await "$VIOS node list" 10 || bail "the daemon answers"

while read -r code status; do
    run_status "error $code is exit status $status" "$status" "$VIOS" config get "$code"
    like "and its words" "$ERR" '^vios: key: as asked: ask for another$'
done <<'TABLE'
system 1
usage 2
not_found 1
exists 1
conflict 1
locked 6
invalid 7
no_space 1
timeout 5
unknown 1
cancelled 130
unreachable 4
denied 1
stale 1
corrupt 1
io 1
TABLE

# Where nobody can be asked.
ASKING=$("$VIOS" -e 'local commands = require("vios.commands")
for _, noun in ipairs(commands.nouns()) do
  for _, row in ipairs(commands.noun(noun).rows) do
    if row.confirm then print(row.name .. (" x"):rep(#row.arguments)) end
  end
end')
while read -ra words; do
    run_status "${words[*]} is not done unasked" 2 "$VIOS" "${words[@]}"
    like "but says how" "$ERR" "^vios: ${words[*]:0:2} .*: say --yes to do it\$"
done <<<"$ASKING"

run_status "an unknown noun" 2 "$VIOS" nosuch
like "says so" "$ERR" 'no command "nosuch": see "help"'
run_status "a noun with a typing error" 2 "$VIOS" ndoe list
like "names the near one" "$ERR" 'did you mean "node"'
run_status "the same typed in the shell" 2 "$VIOS" -c 'ndoe list'
like "is no trouble with Lua" "$ERR" '^vios: no command "ndoe": did you mean "node"\? see "help"$'
run_status "a lone word" 2 "$VIOS" -c nosuch
like "is a command that is not there" "$ERR" 'no command "nosuch"'
run_status "the way out of other shells" 2 "$VIOS" -c exit
like "is named" "$ERR" 'did you mean "quit"'
run_status "a question mark" 0 "$VIOS" -c '?'
like "is help" "$OUT" '^Commands:'
run_status "a command as at the system's prompt" 0 "$VIOS" -c 'vios node list'
run_status "and what is Lua stays Lua" 0 "$VIOS" -c 'nosuch = 3 return nosuch'
is "also when it has a command's shape" "$OUT" 3
run_status "noun and verb in the wrong order" 2 "$VIOS" list node
like "is named" "$ERR" 'did you mean "node list"\?'
run_status "the same in the shell" 2 "$VIOS" -c 'list node'
like "is named" "$ERR" 'did you mean "node list"\?'
run_status "a verb of another shell" 2 "$VIOS" lpar delete web1
like "is named" "$ERR" 'did you mean "remove"\?'
while read -r line; do
    regex=${line#*=> }
    run_status "no command: ${line%% =>*}" 2 "$VIOS" -c "${line%% =>*}"
    like "says what may be meant" "$ERR" "^vios: $regex"
done <<'TABLE'
lpar launch web1 => lpar has no verb "launch": did you mean "start"\? one of: create, start, stop
lpar status => lpar has no verb "status": did you mean "show"\?
lpar help => lpar has no verb "help": did you mean "help lpar"\?
lpar web1 start => lpar has no verb "web1": did you mean "lpar start web1"\?
lab stop => lab has no verb "stop": did you mean "down"\?
help lpar launch => lpar has no verb "launch": did you mean "start"\?
help lparr => no command "lparr": did you mean "lpar"\?
start web1 => no command "start": did you mean "lpar start"\?
web1 start => no command "web1": did you mean "lpar start web1"\?
boot web1 => no command "boot": did you mean "lpar start"\?
list => no command "list": one of: cluster list, node list, event list
ls => no command "ls": one of: cluster list, node list
lpar reboot web1 => lpar has no verb "reboot": did you mean "reset"\?
on n1 => no command: use: on n1,n2 NOUN VERB
on node list => on needs the names of nodes: use: on n1,n2 NOUN VERB
ls -l => no command "ls"
TABLE
run_status "a command where Lua is wanted" 2 "$VIOS" -e 'lpar show web1'
like "is named" "$ERR" 'a command, and not Lua: use: vios lpar show web1$'
run_status "Lua where a command is wanted" 2 "$VIOS" 'vios.node.list()'
like "is named" "$ERR" "if it is Lua, use: vios -e 'vios.node.list\(\)'\$"
run_status "what is neither" 1 "$VIOS" -c 'print node list'
like "has been read as Lua" "$ERR" "^vios: syntax error near 'node': no command .*see \"help\"\$"
run_status "a function that is not called" 0 "$VIOS" -c 'node.list'
like "is one, and says how" "$OUT" '^function: .*: call it with \(\) behind it$'
run_status "an option for help in the shell" 0 "$VIOS" -c '--help'
like "is help, and no comment of Lua" "$OUT" '^Commands:'
run_status "an option in front of a command" 2 "$VIOS" -c '--json node list'
like "is none either" "$ERR" '"--json" begins no line: options stand behind the command$'
run_status "an unknown option of the shell" 2 "$VIOS" -v
like "says where to look" "$ERR" 'unknown option "-v": see "help"'
run_status "-c of several words" 2 "$VIOS" -c node list
like "shows its form" "$ERR" "use: vios -c 'LINE'"
run_status "an unknown verb" 2 "$VIOS" node lst
like "names the near one, and all" "$ERR" 'did you mean "list"\? one of: token, add, join, list'
run_status "no verb" 2 "$VIOS" node
run_status "an unknown option" 2 "$VIOS" node list --jsn
like "names the near one, and the form" "$ERR" 'did you mean "--json".*use: node list'
run_status "an option without its value" 2 "$VIOS" node list --fmt
like "names it" "$ERR" '"--fmt" needs D'
run_status "a flag with a value" 2 "$VIOS" node list --json=yes
run_status "an object too few" 2 "$VIOS" node show
like "shows the form" "$ERR" 'NODE is missing: use: node show NODE$'
run_status "an object too many" 2 "$VIOS" node show n1 n2
like "names it" "$ERR" 'unexpected word "n2"'
run_status "a bad --timeout" 2 "$VIOS" node list --timeout soon
like "is named" "$ERR" '^vios: --timeout: "soon" is not a duration'
run_status "a bad --color" 2 "$VIOS" node list --color sometimes
like "is named, with what there is" "$ERR" '^vios: --color: .*auto, always or never'
run_status "a bad value" 2 "$VIOS" lab up many
like "names the object, and its range" "$ERR" '^vios: NODES: .* from 1 to 16$'
run_status "a bad value of an option" 2 "$VIOS" audit list --limit x
like "names the option, and no range" "$ERR" '^vios: --limit: .*: give a whole number$'
run_status "watch of nothing" 2 "$VIOS" watch
like "shows its form" "$ERR" 'use: watch \[SECONDS\] NOUN VERB'
run_status "help of nothing" 2 "$VIOS" help nosuch

run_status "an unknown object" 1 "$VIOS" node show n9
like "names near ones" "$ERR" 'node "n9": there is no such node: did you mean "n1", "n2"'
is "nothing on stdout" "$OUT" ""
run_status "the same with --json" 1 "$VIOS" node show n9 --json
is "is an object on stderr" "$(jq -r '.error.code' <<<"$ERR")" not_found
like "with its hint" "$(jq -r '.error.hint' <<<"$ERR")" 'n1'
run_status "a usage error with --json" 2 "$VIOS" node lst --json
is "is one as well" "$(jq -r '.error.code' <<<"$ERR")" usage

run_status "no daemon at a socket" 4 "$VIOS" node list --socket "$DIR/none"
export VIOS_LAB_DIR=$DIR/lab
if [ ! -e /run/vios/vios.sock ]; then
    run_status "no daemon anywhere" 4 env -u VIOS_SOCKET "$VIOS" node list
    like "says how to start one" "$ERR" 'vios lab up.*vios daemon'
fi
mkdir -p "$DIR/lab/n1/run" "$DIR/lab/n2/run"
ln -s "$DIR/vios.sock" "$DIR/lab/n1/run/vios.sock"
run_status "the daemon's own node" 0 env -u VIOS_SOCKET "$VIOS" --on n1 node list
run_status "one whose daemon is dead" 4 env -u VIOS_SOCKET "$VIOS" --on n2 node list
run_status "a console there" 4 env -u VIOS_SOCKET "$VIOS" --on n2 lpar console web1
like "is asked for through this one" "$ERR" 'node "n2": its daemon does not answer'
run_status "one of two failed" 3 env -u VIOS_SOCKET "$VIOS" on n1,n2 node list
like "says which" "$ERR" '^n2: '
run_status "@all is the same" 3 env -u VIOS_SOCKET "$VIOS" on @all node list
run_status "and with --json" 3 env -u VIOS_SOCKET "$VIOS" on @all node list --json
is "has those that answered" "$(jq -r 'keys[] as $k | $k + " " + .[$k][1].name' <<<"$OUT")" "n1 n2"
run_status "no node at all" 2 "$VIOS" --on "" node list
like "is not this one" "$ERR" '^vios: --on: "" names no node: give names'
run_status "nor in Lua" 1 "$VIOS" -e 'vios.node.list({ on = "" })'
run_status "one that is none" 1 env -u VIOS_SOCKET "$VIOS" --on n7 node list
like "says who is there" "$ERR" 'node "n7": .*: did you mean "n1" or "n2"'

run_status "--timeout" 5 "$VIOS" job wait j-1 --timeout 300ms
like "does not end the job" "$ERR" '^vios: timed out: job j-1 goes on: vios job wait j-1, '
# A process in the background of a script ignores SIGINT until it sets its handler, so the signal is
# sent until the process has ended; before it is vios, it would hit the copy of this script.
interrupt() { # PID
    await "[ /proc/$1/exe -ef '$VIOS' ]" 20
    for _ in $(seq 200); do
        kill -INT "$1" 2>/dev/null || break
        sleep 0.1
    done
    wait "$1"
}

"$VIOS" job wait j-1 2>"$DIR/err" &
interrupt $!
is "Ctrl-C of a long command" "$?" 130
"$VIOS" -e 'while true do pcall(function() while true do end end) end' 2>"$DIR/err" &
interrupt $!
is "Ctrl-C of a loop around pcall" "$?" 130
like "says so" "$(cat "$DIR/err")" '^vios: interrupted$'
"$VIOS" watch 0.1 node list >/dev/null 2>"$DIR/err" &
interrupt $!
is "Ctrl-C of watch" "$?" 130
finish
