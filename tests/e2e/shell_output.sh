#!/bin/bash
# Proves: tables by display width with control bytes escaped, --json, --fmt, --fmt2, --field,
# --header, the habits of VIOS, the one frame of top, --dry-run, and completion for bash.
. "$(dirname "$0")/lib.sh"
need jq
ACCENT=$'e\xcc\x81' # two characters that take one cell

"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
export VIOS_SOCKET=$DIR/vios.sock
await "$VIOS node list" 10 || bail "the daemon answers"

run "$VIOS" audit list
is "a table by display width" "$OUT" \
"TIME                      ACTOR     NODE  METHOD            OBJECT  OUTCOME  USER  FROM
2026-01-02T03:04:05.000Z  uid:0     n1    node.drain        日本 $ACCENT  ok
2026-01-02T03:04:06.000Z  uid:1000  n2    evil\\x0a\\x1b[31m          a:b"
run "$VIOS" audit list --fmt : --header --field actor,object
is "--fmt: a space for an empty field" "$OUT" "actor:object
uid:0:日本 $ACCENT
uid:1000: "
run "$VIOS" audit list --fmt2 : --field actor,object
is "--fmt2: nothing for one" "$OUT" "uid:0:日本 $ACCENT
uid:1000:"
run "$VIOS" audit -list -fmt '|' -field node actor
is "the habits of VIOS" "$OUT" $'n1|uid:0\nn2|uid:1000'
run "$VIOS" cluster status -fmt :
is "of a command that PowerVM has otherwise, too" "$OUT" "lab:OK: :0:2"

run "$VIOS" node list --json
is "a list is an array" "$(jq -r 'map(.name) | join(" ")' <<<"$OUT")" "n1 n2"
run "$VIOS" node show n1 --json
is "one object is an object" "$(jq -r '.name + " " + .state' <<<"$OUT")" "n1 up"
run "$VIOS" node show n1 --json --field state,name
is "--json --field: these, in this order" "$(command jq -c . <<<"$OUT")" \
    '{"state":"up","name":"n1"}'
run "$VIOS" job list --json
is "an empty list is []" "$OUT" "[]"
run "$VIOS" audit list --json
is "JSON keeps bytes that a terminal must not get" "$(jq -r '.[1].method' <<<"$OUT")" \
    $'evil\n\e[31m'
run_status "a field that nobody has" 2 "$VIOS" node list --field nmae
like "names the near one" "$ERR" 'did you mean "name"'

run_status "--no-wait" 0 "$VIOS" lpar stop web1 --no-wait
is "says which job it is" "$OUT" "job j-1"
run_status "--no-wait of what ends with a text of its own" 0 \
    "$VIOS" paging create web1 --size 1M --no-wait
is "says which job it is" "$OUT" "job j-1"

run_status "top, where no terminal is" 0 "$VIOS" top --interval 200ms
is "is one frame" "$OUT" \
"cluster lab  OK  no primary, epoch 0
nodes: 2 up; LPARs: 1 running, 1 stopped

NODE  STATE  ROLE    SINCE                 PAGE_MEMORY
n1    up     member  2026-01-02T03:04:05Z
n2    up     member  2026-01-02T03:04:05Z

LPAR     STATE    NODE  MEMORY  GENERATION  PAGING  PAGES_IN/S  PAGES_OUT/S
db-main  stopped        512M    1
web1     running  n1    128M    3           OK      0           0"
run "$VIOS" top --json --interval 200ms
is "its object" "$(jq -c '[.name, .state, .epoch, (.nodes | map(.name, .since))]' <<<"$OUT")" \
    '["lab","OK",0,["n1","2026-01-02T03:04:05.000Z","n2","2026-01-02T03:04:05.000Z"]]'
is "its LPARs" "$(jq -c '.lpars | map(.name, .node, .memory_mib, .pages_in_per_s)' <<<"$OUT")" \
    '["web1","n1",128,0,"db-main","",512,null]'
like "has the time" "$(jq -r .time <<<"$OUT")" '^20..-..-..T..:..:..Z$'
run_status "top so often that it is all it does" 2 "$VIOS" top --interval 1ms
like "says how often it can be" "$ERR" '200ms to 1h'
run_status "top on two nodes" 2 "$VIOS" top --on n1,n2
like "says that one is enough" "$ERR" 'one node is enough'
run_status "top without a daemon" 4 "$VIOS" top --socket "$DIR/none.sock"

run_status "--dry-run" 0 "$VIOS" config set ttl 9s --dry-run
is "prints the Lua for it" "$OUT" 'vios.config.set{key = "ttl", value = "9s"}'

is "completion: nouns" "$("$VIOS" complete -- no)" node
is "completion: verbs" "$("$VIOS" complete -- node s)" show
is "completion: options" "$("$VIOS" complete -- node list --fi)" --field
is "completion: names that live" "$("$VIOS" complete -- node show '')" $'n1\nn2'
is "completion: nothing for what is unknown" "$("$VIOS" complete -- nosuch x '')" ""
# shellcheck source=/dev/null
. "$ROOT/shell/vios.bash-completion"
# shellcheck disable=SC2034 # what bash gives to a completion
COMP_WORDS=("$VIOS" node show n) COMP_CWORD=3
_vios
is "the completion of bash" "${COMPREPLY[*]}" "n1 n2"
run_status "self-test" 0 "$VIOS" self-test --socket "$DIR/none"
finish
