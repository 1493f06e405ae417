#!/bin/bash
# Proves: with a real daemon the rows of all commands fit its methods, and the shell's commands
# for cluster, node, configuration, audit and VIOS DB do what they say.
# limit: 90
. "$(dirname "$0")/lib.sh"
need jq

mkdir "$DIR/run" "$DIR/state"
printf '%s\n' "node = n1" "port = 0" "nbd_port = 0" "run_dir = $DIR/run" \
    "state_dir = $DIR/state" >"$DIR/vios.conf"
"$VIOS" daemon --config "$DIR/vios.conf" 2>"$DIR/log" &
PIDS+=($!)
at_exit end_strays
export VIOS_SOCKET=$DIR/run/vios.sock
await "$VIOS config list" 20 || bail "the daemon answers: $(cat "$DIR/log")"

run_status "no cluster yet" 4 "$VIOS" node list
like "says how to make one" "$ERR" 'vios cluster create'
run_status "cluster create" 0 "$VIOS" cluster create lab
run_status "cluster status" 0 "$VIOS" cluster status --json
is "its fields" "$(jq -r '[.name, .state] | join(" ")' <<<"$OUT")" "lab OK"
run_status "node list" 0 "$VIOS" node list --json
is "its fields" "$(jq -r '.[0] | [.name, .state, .role] | join(" ")' <<<"$OUT")" "n1 up member"
run_status "an unknown node" 1 "$VIOS" node show n2
like "names the near one" "$ERR" '"n1"'
run_status "self-test against the daemon" 0 "$VIOS" self-test
unlike "compared the rows with its methods" "$OUT" "not compared"
printf '%s\n' "$OUT" | grep '^not ok' -A3 | sed 's/^/# /'
run_status "config get" 0 "$VIOS" config get node --fmt : --field value,origin
is "its value" "$OUT" "n1:file"
run_status "config set" 0 "$VIOS" config set log debug
like "is in the file" "$(cat "$DIR/vios.conf")" 'log = debug'
run_status "an unknown key" 1 "$VIOS" config get nodes
run_status "db get" 0 "$VIOS" db get /cluster --json
is "the record" "$(jq -r '.[0].value.name' <<<"$OUT")" lab
run_status "db backup" 0 "$VIOS" db backup "$DIR/backup.db"
ok "is a file" test -s "$DIR/backup.db"
run_status "audit list" 0 "$VIOS" audit list --fmt : --field method
like "has what was done" "$OUT" 'cluster.create'
like "and this" "$OUT" 'config.set'
run_status "job list" 0 "$VIOS" job list --json
is "is empty" "$OUT" "[]"
run_status "an unknown job" 1 "$VIOS" job show j-0
truncate -s 1M "$DIR/disk.raw"
run_status "lpar create" 0 "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"
is "its name completes" "$("$VIOS" complete -- lpar show w)" web1
is "what no name begins with does not" "$("$VIOS" complete -- lpar show x)" ""
is "nor what is no part of a name" "$("$VIOS" complete -- lpar show ../)" ""
run_status "lpar list" 0 "$VIOS" lpar list --json
is "is an array" "$(jq -r '.[0].name' <<<"$OUT")" web1
run_status "top" 0 "$VIOS" top --json
is "shows both" "$(jq -c '[.name, .nodes[0].name, .nodes[0].page_memory_used_bytes, .lpars[0].name,
    .lpars[0].memory_mib, .lpars[0].pages_in_per_s]' <<<"$OUT")" '["lab","n1",0,"web1",16,null]'
run_status "an unknown LPAR" 1 "$VIOS" lpar show wbe1
like "names the near one" "$ERR" '"web1"'
run_status "removing asks, and nobody is there to answer" 2 "$VIOS" lpar remove web1
run_status "lpar remove" 0 "$VIOS" lpar remove web1 --yes
run_status "Lua sees the same" 0 "$VIOS" -e 'return vios.cluster.status().name'
is "as a table" "$OUT" lab
finish
