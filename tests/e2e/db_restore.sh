#!/bin/bash
# Proves: a VIOS DB that was lost or cut off is restored from a backup while nothing lives, and only
# then; what is lost is told first; a guest that ran through it is killed; no number goes backwards,
# also when the same backup is restored twice; a restore killed at any step can be repeated.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq sqlite3 qemu-system-x86_64 as ld

DB=$LAB/db/vios.db

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M

kill_daemon() { # NODE; the guests and io stay
    local pid
    pid=$(lab_pid "$1" daemon_pid)
    kill -9 "$pid"
    await "! kill -0 $pid" 20
}
field() { # KEY FILTER; of a record in the DB
    on n1 db get "$1" --json | jq -r ".[0].value | $2"
}
restore() { # WORDS...; as an administrator on n1
    on n1 db restore "$DIR/copy.db" "$@"
}

# What must never go back, as "name=number" lines.
numbers() {
    echo "epoch=$(field /primary .epoch)"
    echo "restores=$(field /cluster '.restores // 0')"
    echo "generation=$(field /lpar/g1 .generation)"
    echo "paging=$(field /paging/g2 .generation)"
    echo "region=$(field /paging/g2 '.regions[0].number')"
    echo "job=$(field /job-number .last)"
    echo "revision=$(on n1 db status --json | jq .revision)"
    for node in n1 n2 n3; do
        echo "$node=$(field "/alive/$node" .incarnation)"
    done
}

# Each of the numbers now is above that before.
all_grew() { # BEFORE NOW
    join -t = <(sort <<<"$1") <(sort <<<"$2") |
        awk -F = '{ n++ } $3 <= $2 { print "# " $1 ": " $2 " -> " $3; bad = 1 }
            END { exit bad || n != 10 }'
}

run_status "a lab" 0 "$VIOS" lab up 3 --page-memory 16M
run_status "a guest" 0 on n1 lpar create g1 --memory 16M --disk "$DIR/disk.raw"
run_status "another one" 0 on n1 lpar create g2 --memory 16M --disk "$DIR/disk.raw"
run_status "with a paging device" 0 on n1 paging create g2 --size 4M
run_status "the first one runs on n2" 0 on n2 lpar start g1
run_status "a backup" 0 on n1 db backup "$DIR/copy.db"
run_status "the backup is whole" 0 on n1 db check "$DIR/copy.db" --json
is "which is told" "$(jq -r .state <<<"$OUT")" OK
run_status "a guest that the backup does not know" 0 \
    on n1 lpar create g3 --memory 16M --disk "$DIR/disk.raw"
run_status "the first one stops" 0 on n2 lpar stop g1 --force
run_status "and starts anew" 0 on n2 lpar start g1
guest=$(on n2 lpar show g1 --json | jq .qemu_pid)
before=$(numbers)

# --- refused while something lives ---
run_status "the daemon of this node runs" 6 restore --yes
like "and is named" "$ERR" 'the daemon of this node still runs: end the daemons'
kill_daemon n1
run_status "the daemons of other nodes run" 6 restore --yes
like "and one is named" "$ERR" "process [0-9]+ has it open: end the daemons"
run_status "without a terminal it does not ask" 2 restore
like "but says how to" "$ERR" "say --yes to do it"
printf 'no backup' >"$DIR/text"
run_status "a file that is no backup" 1 on n1 db restore "$DIR/text" --yes
like "is refused" "$ERR" "it is no backup"
run_status "nor one that is not there" 1 on n1 db restore "$DIR/none" --yes
run_status "the VIOS DB is not its own backup" 2 on n1 db restore "$DB" --yes
kill_daemon n2
kill_daemon n3
ok "the guest outlived its daemon" kill -0 "$guest"

# --- what is there, and what would be lost ---
run_status "a check without a daemon" 0 on n1 db check
like "says so" "$ERR" "no daemon answers"
sum=$(sha256sum "$DB"*)
run_status "a dry run" 0 restore --dry-run --json
is "names what is lost" "$(jq -r '.losses[] | select(.what == "lost" and .kind == "lpar") |
    .names[]' <<<"$OUT")" g3
is "and what goes back" "$(jq -r '.losses[] | select(.what == "older" and .kind == "lpar") |
    .names[]' <<<"$OUT")" g1
is "and what is to be started" "$(jq -r '.start[]' <<<"$OUT")" g1
is "and changes nothing" "$(sha256sum "$DB" "$DB-wal" 2>/dev/null)" \
    "$(grep -v shm <<<"$sum")"

# --- lost ---
rm -f "$DB" "$DB-wal" "$DB-shm"
run_status "a check of a lost one" 1 on n1 db check
like "names it" "$ERR" "vios.db: there is no such file"
run_status "it is restored" 0 restore --yes
like "what is lost cannot be told" "$ERR" "all that was changed since the backup"
like "what to do next is" "$OUT" "vios lpar start g1"
run_status "the daemons start" 0 "$VIOS" lab up
ok "the guest was killed" await '! kill -0 "$guest"' 20
after=$(numbers)
ok "every number went up" all_grew "$before" "$after"
is "the guest has stopped" "$(on n1 lpar show g1 --json | jq -r .state)" stopped
run_status "what the backup does not have is gone" 1 on n1 lpar show g3
run_status "the guest starts on another node" 0 on n3 lpar start g1
is "and it runs" "$(on n1 lpar show g1 --json | jq -r '.state + " " + .node')" "running n3"
run_status "the paging device is there" 0 on n1 paging show g2 --json
ok "and is filled again" await '[ "$(on n1 paging show g2 --json | jq -r .state)" = OK ]' 20
run_status "the DB is whole" 0 on n1 db check
guest=$(on n3 lpar show g1 --json | jq .qemu_pid)
before=$(numbers)

# --- cut off: the same backup again, and a kill at each step ---
for node in n1 n2 n3; do
    kill_daemon "$node"
done
truncate -s 5000 "$DB"
rm -f "$DB-wal" "$DB-shm"
run_status "a check of a damaged one" 1 on n1 db check
like "says what to do" "$ERR" "vios db restore FILE"
refused() { # a daemon does not start on it
    local text
    text=$("$DAEMON" --config "$LAB/n2/vios.conf" --run-dir "$DIR/x" 2>&1 >/dev/null) && return 1
    grep -q "db restore" <<<"$text"
}
if [ "${VARIANT:-test}" != release ]; then
    for step in written ready away aside; do
        run env VIOS_CRASH_AT="db.restore:$step" "$VIOS" --socket "$LAB/n1/run/vios.sock" \
            db restore "$DIR/copy.db" --yes
        is "killed: $step" "$STATUS" 1
        ok "$step: no daemon starts" refused
    done
fi
run_status "it is restored" 0 restore --yes --json
ok "the damaged file is kept" ls "$DB".damaged-*
run_status "the daemons start" 0 "$VIOS" lab up
ok "the guest was killed" await '! kill -0 "$guest"' 20
after=$(numbers)
ok "every number went up, though nothing told the last ones" all_grew "$before" "$after"
run_status "the guest starts" 0 on n1 lpar start g1
run_status "the DB is whole" 0 on n2 db check
run_status "lab down" 0 "$VIOS" lab down
finish
