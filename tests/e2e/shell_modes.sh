#!/bin/bash
# Proves: each way into the shell works (command, -c, -e, script, stdin, source), and what each
# does with an error: the message, the place, the exit status.
. "$(dirname "$0")/lib.sh"

"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
export VIOS_SOCKET=$DIR/vios.sock XDG_STATE_HOME=$DIR/state
await "$VIOS node list" 10 || bail "the daemon answers"

run_status "a command" 0 "$VIOS" node list --fmt , --field name,state
is "its output" "$OUT" $'n1,up\nn2,up'
run_status "-c" 0 "$VIOS" -c 'node show n1 --fmt2 : --field name,state'
is "its output" "$OUT" "n1:up"
run_status "-e, a value" 0 "$VIOS" -e 'return 6 * 7'
is "its output" "$OUT" "42"
run_status "-e, an expression" 0 "$VIOS" -e 'vios.node.list()[2].name'
is "its output" "$OUT" "n2"
run_status "-e, a statement without a value" 0 "$VIOS" -e 'local x = 1'
is "no output" "$OUT" ""
run_status "--version" 0 "$VIOS" --version
like "its first line" "$OUT" '^vios [0-9]+\.[0-9]+'$'\n'
like "what it was built with" "$OUT" 'commit +[0-9a-z-]+.*compiler +(gcc|clang) [0-9].*lua +5\.4\.'
for words in '--version --json' '--json --version'; do
    # shellcheck disable=SC2086 # two words
    run_status "$words" 0 "$VIOS" $words
    is "its members" "$(command jq -r 'keys_unsorted | join(" ")' <<<"$OUT")" \
        "version commit compiler variant libraries"
done
run_status "--version of something" 2 "$VIOS" --version lpar
like "says what is wrong" "$ERR" 'unexpected word "lpar"'
run_status "--version of the daemon" 0 "$VIOS" daemon --version --json
like "names its libraries" "$(command jq -r '.libraries | keys_unsorted | join(" ")' <<<"$OUT")" \
    'libuv sqlite libcurl jansson openssl'
like "and its level" "$(jq .level <<<"$OUT")" '^[1-9][0-9]*$'
run_status "--help" 0 "$VIOS" --help
like "its output" "$OUT" 'node +the members'
run_status "options before the mode" 0 "$VIOS" --json -e 'return vios.node.show("n1")'
like "hold for it" "$OUT" '"name": ?"n1"'

cat >"$DIR/script.lua" <<'LUA'
#!/usr/bin/env vios
print(arg[0]:match("[^/]*$"), arg[1], arg[2], ...)
local list = assert(vios.node.list())
print(#list)
LUA
run_status "a script" 0 "$VIOS" "$DIR/script.lua" a 'b c'
is "sees its arguments" "$OUT" $'script.lua\ta\tb c\ta\tb c\n2'
printf 'local x = 1\n\nerror("broken")\n' >"$DIR/bad.lua"
run_status "a script that fails" 1 "$VIOS" "$DIR/bad.lua"
like "says where" "$ERR" 'bad\.lua:3: broken$'
printf 'local x = = 1\n' >"$DIR/syntax.lua"
run_status "a script that is no Lua" 1 "$VIOS" "$DIR/syntax.lua"
like "says where" "$ERR" 'syntax\.lua:1: unexpected symbol'
printf '#!/usr/bin/env vios\n-- lines\nnode list\n' >"$DIR/commands.lua"
run_status "a script of commands" 1 "$VIOS" "$DIR/commands.lua"
like "says how these are run" "$ERR" "commands\.lua:3: .*: for commands, use: vios source $DIR/"
run_status "a script that is not there" 1 "$VIOS" "$DIR/none.lua"
like "says so" "$ERR" 'none\.lua.*No such file'
printf 'return vios.node.show("n9")\n' >"$DIR/value.lua"
run_status "a script that returns an error" 1 "$VIOS" "$DIR/value.lua"
like "reports it" "$ERR" 'node "n9": there is no such node'
cat >"$DIR/words.lua" <<'LUA'
local given <const> = vios.arguments({
  summary = "show a node",
  arguments = { { name = "node", words = "its name" } },
  options = { { name = "keep", value = "COUNT", type = "integer", words = "so many" }, "json" },
  examples = { "n1 --keep 3" },
})
local node <const> = assert(vios.node.show(given.node))
print(node.name, given.keep, given.json)
LUA
run_status "a script that describes its words" 0 "$VIOS" "$DIR/words.lua" n1 --keep 3
is "gets them by name" "$OUT" $'n1\t3\tnil'
run_status "an option of the shell" 0 "$VIOS" --json "$DIR/words.lua" n1
is "may stand before it" "$OUT" $'n1\tnil\ttrue'
run_status "its --help" 0 "$VIOS" "$DIR/words.lua" --help
like "says how it is used" "$OUT" "^vios $DIR/words.lua NODE \[--keep COUNT\] \[--json\]"
like "with examples" "$OUT" 'example: vios [^ ]*/words\.lua n1 --keep 3$'
run_status "wrong words" 2 "$VIOS" "$DIR/words.lua" n1 --kep 3
like "are refused as a command's" "$ERR" '^vios: unknown option "--kep": did you mean "--keep"'
run_status "with --json" 2 "$VIOS" "$DIR/words.lua" --json
like "as JSON" "$ERR" '"code":"usage",.*"message":"NODE is missing"'
run_status "an error of its calls" 1 "$VIOS" "$DIR/words.lua" n9
like "is reported" "$ERR" '^vios: node "n9": there is no such node'
mkdir "$DIR/vios"
echo 'error("of the folder")' | tee "$DIR/vios/cli.lua" >"$DIR/vios/printer.lua"
run_status "files of the folder do not stand for our own" 0 \
    env -C "$DIR" LUA_PATH="$DIR/?.lua" "$VIOS" -e 'return vios.node.list()'
echo 'return { seven = 7 }' >"$DIR/mine.lua"
run_status "other modules are found there" 0 env -C "$DIR" "$VIOS" -e 'return require("mine").seven'
is "and used" "$OUT" "7"
run_status "os.exit of a script" 9 "$VIOS" -e 'os.exit(9)'

cat >"$DIR/lines" <<'LINES'
# a comment
node list --fmt2 : --field name
x = {}
for i = 1, 3 do
  x[i] = i
end
x[3]
quit
nosuch(
LINES
OUT=$("$VIOS" <"$DIR/lines")
is "lines from stdin, up to quit: status" "$?" 0
is "their output, and nothing else" "$OUT" $'n1\nn2\n3'
printf 'x = 1\n\nif x == 1 then\n  error("broken")\nend\nprint("not reached")\n' >"$DIR/lines"
OUT=$("$VIOS" <"$DIR/lines" 2>"$DIR/err")
is "a line that fails ends it: status" "$?" 1
is "nothing after it" "$OUT" ""
like "its place" "$(cat "$DIR/err")" 'stdin:4: broken.*stdin:3: stopped here'
ERR=$(printf 'node show "n1\n' | "$VIOS" 2>&1)
is "open quotes at the end: status" "$?" 2
like "and why" "$ERR" 'ends within quotes'

printf 'node show n1 --fmt2 : --field name\n' >"$DIR/file"
run_status "source" 0 "$VIOS" source "$DIR/file"
is "its output" "$OUT" n1
run_status "source of nothing" 1 "$VIOS" source "$DIR/none"
run_status "-c without a line" 2 "$VIOS" -c
run_status "-e with two" 2 "$VIOS" -e 1 2

OUT=$(printf 'typed' | "$VIOS" lpar console web1)
is "a console through a pipe" "$OUT" $'guest ready\r\n[typed]'
mkfifo "$DIR/keys"
for row in INT:130 TERM:143; do
    "$VIOS" lpar console web1 <"$DIR/keys" >"$DIR/shown" 2>"$DIR/err" &
    PIDS+=($!)
    exec 9>"$DIR/keys" # keys that may still be typed
    ok "a console that follows" await 'grep -q "guest ready" "$DIR/shown"' 20
    kill -"${row%:*}" $!
    ok "ends by SIG${row%:*}" await "! kill -0 $!" 20
    wait $!
    is "with its status" $? "${row#*:}"
    exec 9>&-
done
first=$("$VIOS" node list --json | cksum)
is "output that is not to a terminal is the same each time" \
    "$("$VIOS" --color auto node list --json | cksum)" "$first"
unlike "and has no escape sequence" "$("$VIOS" node list)" $'\e'
like "colour when asked for" "$("$VIOS" node list --color always)" $'\e\[32mup'
unlike "no colour for NO_COLOR" "$(NO_COLOR=1 "$VIOS" node list)" $'\e'
is "a reader that goes away ends it quietly" "$("$VIOS" help 2>&1 | head -1)" \
    "Commands: [on NODES] NOUN VERB [OBJECT ...] [--option VALUE ...]"
finish
