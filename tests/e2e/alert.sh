#!/bin/bash
# Proves: a threshold that is crossed is one event, and so is its end, on every node, across the
# restart of a daemon and a primary killed with -9; what is set is checked with its way out; pools,
# page memory, and what only one node or the primary measures, are watched.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq nbdcopy

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 64M
run_status "a pool" 0 on n1 pool create p1

state_of() { on "${2:-n1}" alert list --json | jq -r ".[] | select(.name == \"$1\").state"; }
raised() { [ "$(state_of "$@")" = raised ]; }
cleared() { [ "$(state_of "$@")" = ok ]; }
# What happened to a threshold, by all events there are.
told() { # NAME [NODE]
    on "${2:-n1}" event list --class threshold --object "$1" --json |
        jq -r '.[] | "\(.operation) \(.old) \(.new)"' | paste -sd,
}
was_told() { [ "$(told "$1")" = "$2" ]; } # NAME WANT
UP="raised ok raised"
DOWN="cleared raised ok"

# --- what is refused ---
refused() { # WHAT STATUS REGEX WORDS...
    run_status "$1" "$2" on n1 alert "${@:4}"
    like "... and says why" "$ERR" "$3"
}
refused "an unknown metric" 2 'did you mean "pool-free"' set pool-fre 10%
refused "a metric far from all" 2 'there are pool-free, .*election-time' set zzzzzzzzzz 10%
refused "another unit" 2 '"10ms" is no value of pool-free: give for example 10%' set pool-free 10ms
refused "no number" 2 'give for example 20ms' set paging-p99 fast
refused "more than all" 2 'too large' set pool-free 101%
refused "a clear limit on the wrong side" 2 'less of pool-free is worse: give at least 10%' \
    set pool-free 10% --clear 5%
refused "on the other one" 2 'more of commit-time is worse: give at most 20ms' \
    set commit-time 20ms --clear 30ms
refused "an unknown pool" 1 'pool "p2": there is no such pool: did you mean "p1"' \
    set pool-free 10% --object p2
refused "an unknown node" 1 'node "n9"' set page-memory-free 10% --object n9
refused "an object where there is none" 2 'the whole cluster' set election-time 1s --object n1
refused "a name that is none" 2 'alert|name' set pool-free 10% --name a/b
is "nothing was set" "$(on n1 alert list --json)" '[]'

# --- a pool, which the primary measures ---
run_status "one is set" 0 on n2 alert set pool-free 1% --name p1-low --object p1
like "in words" "$OUT" 'p1-low is set: raised when pool-free of p1 is below 1%, cleared at 1.1% or'
run_status "one above what is free" 0 on n2 alert set pool-free 100%
ok "is raised" await 'raised pool-free n3' 30
is "the other one is not" "$(state_of p1-low)" ok
ok "that is an event" await 'was_told pool-free "$UP"' 20
is "which says what is free" "$(on n3 event list --class threshold --json |
    jq -c '.[] | [.data.object, .data.metric, .data.limit, .data.value < 100, .data.node]')" \
    '["p1","pool-free",100,true,null]'
is "the list too" "$(on n1 alert list --json |
    jq -c '.[] | select(.name == "pool-free") | [.limit, .clear, .unit, .raised[0].object]')" \
    '[100,100,"%","p1"]'

# --- it outlives who raised it ---
PRIMARY=$(on n1 primary show --json | jq -r .node)
EPOCH=$(on n1 primary show --json | jq .epoch)
OTHER=$(printf '%s\n' n1 n2 n3 | grep -v "$PRIMARY" | head -n 1)
kill -9 "$(lab_pid "$PRIMARY" daemon_pid)"
elected() { [ "$(on "$OTHER" primary show --json | jq .epoch)" -gt "$EPOCH" ]; }
ok "the primary is killed, there is another" await elected 30
run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 64M
kill -9 "$(lab_pid "$OTHER" daemon_pid)"
run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 64M
ok "it is still raised" await 'raised pool-free' 20

# --- what another threshold tells proves that the watchers have looked ---
run_status "a second one" 0 on n1 alert set pool-free 100% --name second
ok "is raised by whoever is primary" await 'was_told second "$UP"' 60
is "the first was raised once" "$(told pool-free)" "$UP"
run_status "set anew, lower" 0 on n3 alert set pool-free 0%
ok "it is over" await 'cleared pool-free' 40
ok "that is an event" await "was_told pool-free '$UP,$DOWN'" 20
run_status "what is raised is unset" 0 on n1 alert unset second
is "it is gone" "$(state_of second)" ""
ok "and over" await "was_told second '$UP,$DOWN'" 20
refused "unset again" 1 'alert "second": no such threshold is set' unset second
is "its alarms are gone" "$(on n1 db get /alarm/second --json 2>/dev/null | jq length)" ""

# --- page memory, which every node measures itself ---
run_status "page memory" 0 on n1 alert set page-memory-free 60%
echo kernel >"$DIR/kernel"
run_status "an LPAR" 0 on n1 lpar create web1 --memory 16M --kernel "$DIR/kernel"
run_status "of which a paging device takes more than 40 %" 0 on n1 paging create web1 --size 32M
nodes_of() { # NAME
    on n1 alert list --json | jq -r ".[] | select(.name == \"$1\").raised[].node" | sort |
        paste -sd,
}
ok "is raised by the two that lend it" await '[ "$(nodes_of page-memory-free)" = n2,n3 ]' 40
ok "one event each" await "was_told page-memory-free '$UP,$UP'" 20
run_status "the device is removed" 0 on n1 paging remove web1 --yes
ok "both are over" await "was_told page-memory-free '$UP,$UP,$DOWN,$DOWN'" 40

# --- paging: how long page-ins took lately, and how many failed ---
run_status "a device in a file" 0 on n1 paging create web1 --size 8M --policy disk \
    --disk "$DIR/pages"
URI=$(on n1 paging show web1 --json | jq -r .uri)
head -c 8M /dev/urandom >"$DIR/pattern"
ok "has pages" nbdcopy "$DIR/pattern" "$URI"
page_in() { # until the file is there
    until [ -e "$DIR/enough" ]; do
        nbdcopy "$URI" - >/dev/null 2>&1
        sleep 0.2 # several times in each of the watcher's periods
    done
}
page_in &
PIDS+=($!)
run_status "a latency of nothing" 0 on n1 alert set paging-p99 0ms --object web1
ok "is exceeded by who pages in" await 'was_told paging-p99 "$UP"' 40
is "on the node that serves it" "$(on n1 alert list --json |
    jq -c '.[] | select(.name == "paging-p99").raised[] | [.node, .object, .value > 0]')" \
    '["n1","web1",true]'
run_status "a rate of errors" 0 on n2 alert set paging-errors 0.1/s
truncate -s 0 "$DIR/pages"
ok "is exceeded when the file is gone" await 'was_told paging-errors "$UP"' 60
touch "$DIR/enough"
ok "who does not page waits for nothing" await "was_told paging-p99 '$UP,$DOWN'" 40
ok "and gets no errors" await "was_told paging-errors '$UP,$DOWN'" 40

# --- the others ---
run_status "a commit that takes longer than nothing" 0 on n1 alert set commit-time 0ms --object n2
ok "is raised by that node" await 'raised commit-time' 40
is "alone" "$(on n1 alert list --json |
    jq -c '.[] | select(.name == "commit-time").raised | map(.node)')" '["n2"]'
kill -9 "$(lab_pid n2 daemon_pid)"
run_status "its daemon is killed, and back" 0 "$VIOS" lab up 3 --page-memory 64M
run_status "set anew, for all" 0 on n1 alert set commit-time 0ms
ok "it is raised by all" await '[ "$(nodes_of commit-time)" = n1,n2,n3 ]' 40
ok "by each of them once" await "was_told commit-time '$UP,$UP,$UP'" 20
leads() { [ "$(on n1 primary show --json | jq -r .node)" = n1 ]; }
ok "the first one is primary" await 'leads || { on n1 primary resign --to n1; leads; }' 30
run_status "a node is removed" 0 on n1 node remove n3 --yes
ok "what it saw is over" await "was_told commit-time '$UP,$UP,$UP,$DOWN'" 60
is "the others' is not" "$(nodes_of commit-time)" n1,n2
run_status "a pool" 0 on n1 alert set pool-free 100%
ok "is raised" await 'raised pool-free' 40
run_status "removed" 0 on n1 pool remove p1 --yes
ok "it is over" await 'cleared pool-free' 40

run_status "the last election" 0 on n1 alert set election-time 0ms
run on n1 primary history --json
like "took its time" "$(jq '.[-1].took_ms' <<<"$OUT")" '^[0-9]+$'
ok "is raised by the primary" await 'raised election-time || [ "$(on n1 primary history --json |
    jq ".[-1].took_ms")" = 0 ]' 30
run_status "keep-alives" 0 on n1 alert set keepalive-misses 1 --clear 1 --object n1
PAUSED=$(lab_pid n2 daemon_pid)
pause() { # stops a node for a moment again and again, until the file is there
    until [ -e "$DIR/calm" ]; do
        kill -STOP "$PAUSED" && sleep 0.6 # three of them
        kill -CONT "$PAUSED" && sleep 0.6
    done
}
pause &
PIDS+=($!)
ok "that do not come are told" await 'was_told keepalive-misses "$UP"' 60
touch "$DIR/calm"
ok "and that they come again" await "was_told keepalive-misses '$UP,$DOWN'" 60
run_status "more paging latency" 0 on n1 alert set paging-p99 1s --clear 500ms
is "are in the list, as they were set" "$(on n1 alert list --json |
    jq -c '.[] | select(.metric == "paging-p99") | [.limit, .clear, .unit, .state, .raised]')" \
    '[1000,500,"ms","ok",[]]'
"$BUILD/tests/tools/store_put" "sqlite:$LAB/db/vios.db" /alert/bad '{"v":7}'
is "a damaged record is shown as such" "$(state_of bad)" damaged
run_status "and can be unset" 0 on n1 alert unset bad
like "people see a table" "$(on n1 alert list)" 'page-memory-free +page-memory-free +60 +66 +% +ok'
finish
