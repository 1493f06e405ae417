#!/bin/bash
# Proves: db status, check, backup and get answer through a real daemon; a store that was lost or
# damaged is named with the way out, and never made anew.
. "$(dirname "$0")/lib.sh"
need jq

mkdir "$DIR/run" "$DIR/state"
DB=$DIR/state/vios.db
printf '%s\n' "node = n1" "run_dir = $DIR/run" "state_dir = $DIR/state" >"$DIR/vios.conf"
export VIOS_SOCKET=$DIR/run/vios.sock

start_daemon() {
    "$DAEMON" --config "$DIR/vios.conf" --stop-guests 2>>"$DIR/log" &
    DAEMON_PID=$!
    await "$VIOS config get node" 10
}

end_daemon() { # and its io
    kill "$DAEMON_PID" 2>/dev/null
    wait "$DAEMON_PID"
}
DAEMON_PID=
at_exit '[ -z "$DAEMON_PID" ] || end_daemon'

start_daemon || bail "the daemon answers: $(cat "$DIR/log")"
run_status "without a cluster there is no VIOS DB" 4 "$VIOS" db status
like "and the way to one" "$ERR" 'vios cluster create'
ok "a cluster" "$VIOS" cluster create lab
run_status "status" 0 "$VIOS" db status --json
is "its address" "$(jq -r .address <<<"$OUT")" "sqlite:$DB"
is "its state" "$(jq -r .state <<<"$OUT")" OK
is "nodes in it" "$(jq -r .kinds.node <<<"$OUT")" 1
run_status "check" 0 "$VIOS" db check --json
run_status "one record" 0 "$VIOS" db get /node/n1 --json
is "its value" "$(jq -r '.[0].value.name' <<<"$OUT")" n1
run_status "all below a key" 0 "$VIOS" db get /node/ --json
is "its keys" "$(jq -r '.[].key' <<<"$OUT")" /node/n1
run_status "a member is not given another name" 7 "$VIOS" config set node n2
like "and the reason is told" "$ERR" 'a member of a cluster keeps its name, "n1"'
run_status "no such record" 1 "$VIOS" db get /none
like "says where they are" "$ERR" 'there is no such key in the VIOS DB: see .*db get /'
run_status "all records" 0 "$VIOS" db get / --json
run_status "no key at all" 7 "$VIOS" db get 'a b'
run_status "no jobs yet" 0 "$VIOS" job list --json
is "none" "$OUT" "[]"
run_status "a job that is not there" 1 "$VIOS" job show j-9
like "is named" "$ERR" 'job "j-9": no such job'

run_status "backup" 0 "$VIOS" db backup "$DIR/copy.db"
run_status "never over a file" 1 "$VIOS" db backup "$DIR/copy.db"
run_status "never to a path of the caller's folder" 2 "$VIOS" db backup copy.db
is "it is one file" "$(cd "$DIR" && echo copy.db*)" copy.db

digest() {
    sha256sum "$DB" 2>/dev/null || echo none
}

damaged() { # WHAT: the daemon that starts now says so and leaves the file alone
    local before
    before=$(digest)
    : >"$DIR/log"
    "$DAEMON" --config "$DIR/vios.conf" --stop-guests 2>>"$DIR/log" &
    DAEMON_PID=$!
    ok "$1: it says so" await "grep -q 'db restore' '$DIR/log'" 10
    like "$1: and names the file" "$(cat "$DIR/log")" "$DB"
    end_daemon
    is "$1: nothing was written" "$(digest)" "$before"
}

end_daemon
printf 'garbage' | dd of="$DB" conv=notrunc status=none
damaged "a damaged header"
truncate -s 5000 "$DB"
damaged "a truncated file"
: >"$DB"
damaged "an empty file"
rm -f "$DB"
damaged "a lost file"

rm -f "$DB" "$DB-wal" "$DB-shm"
cp "$DIR/copy.db" "$DB"
start_daemon || bail "the daemon starts on the backup: $(cat "$DIR/log")"
ok "and has its records" "$VIOS" db get /cluster
finish
