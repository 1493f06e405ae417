#!/bin/bash
# Proves: a hibernation and a restart that are under way are cancelled from any node, and not behind
# their commit; what they leave in the repository is removed, and nothing else; and an LPAR whose
# node died at work on it, or whose record is wrong, is usable again after `lpar recover`.
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 boot 1M
run_status "a guest runs" 0 on n1 lpar start web1
UUID=$(on n1 lpar show web1 --json | jq -r .uuid)
REPOSITORY=$LAB/repository/hibernation

shown() { on n1 lpar show web1 --json | jq -r "$1"; }
is_now() { shown '.state + " " + .node'; }
qemu() { pgrep -f -- "^[^ ]*qemu-system-x86_64 -name web1 .*$UUID"; }
job() { on n3 job list --json | jq -r "[.[] | select(.kind != \"lpar.cleanup\")][-1].$1"; }
crash() { # PLACE NODE COMMAND...: the node's daemon ends there
    echo "$1" >"$VIOS_CRASH_FILE"
    on "$2" "${@:3}" >/dev/null 2>&1
    ok "$1: the daemon ended there" await '[ ! -e "$VIOS_CRASH_FILE" ]' 20
}
up() { run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 16M; }
settled() { shown ".job == \"\" and .state == \"$1\"" | grep -q true; }
cancel() { # NODE PID: cancelled from NODE; what stands still goes on once it is being undone
    on "$1" lpar cancel web1 >"$DIR/cancel" 2>&1 &
    local canceller=$!
    ok "it is being undone" await '[ "$(job state)" = undoing ]' 20
    kill -CONT "$2"
    wait "$canceller"
    is "it is cancelled" "$?" 0
    is "and its job says so" "$(job state)" cancelled
}

# --- cancel ---
run_status "there is nothing to cancel" 1 on n1 lpar cancel web1
like "which is said" "$ERR" 'no hibernation, restart or migration is at work on it'
QEMU=$(qemu)
crash lpar.hibernate:save:after n1 lpar hibernate web1
run_status "a hibernation whose node is away is cancelled" 0 on n2 lpar cancel web1
like "later" "$OUT" '^web1: node n1 undoes job j-[0-9]* when it is back, unless it was committed'
up
ok "it runs on" await 'settled running' 40
is "in the same QEMU" "$(qemu)" "$QEMU"
is "its job is cancelled" "$(job state)" cancelled
is "nothing is left" "$(ls -A "$REPOSITORY")" ""
run_status "it is hibernated" 0 on n1 lpar hibernate web1
IO=$(lab_pid n2 io_pid)
kill -STOP "$IO"
run_status "a restart that takes its time" 0 on n1 lpar restart web1 --node n2 --no-wait
ok "is at work" await '[ "$(shown .restart_state)" = "Source Remote Restarting" ]' 20
run_status "nobody cleans up meanwhile" 6 on n3 lpar cleanup web1
like "since it is at work" "$ERR" 'job j-[0-9]* is at work on it'
cancel n1 "$IO"
like "in words" "$(cat "$DIR/cancel")" '^web1: job j-[0-9]* was cancelled: hibernated'
is "it is hibernated still" "$(is_now)" "hibernated "
run_status "with its memory" 0 on n3 hibernation verify web1
crash lpar.restart:load:before n3 lpar restart web1
run_status "one whose node is away is cancelled" 0 on n1 lpar cancel web1
like "later" "$OUT" 'node n3 undoes job j-[0-9]* when it is back'
up
ok "when it is back" await '[ "$(job state)" = cancelled ]' 40
crash lpar.restart:run:before n3 lpar restart web1
run_status "behind the commit it is not" 1 on n1 lpar cancel web1
like "which is said" "$ERR" 'past the point of no return'
up
ok "it runs" await 'settled running' 40

# --- cleanup ---
run_status "nothing is left" 0 on n1 lpar cleanup web1
is "which is said" "$OUT" "web1: nothing was left"
run_status "it is hibernated" 0 on n1 lpar hibernate web1
LU=$(on n1 hibernation show web1 --json | jq -r .lu)
touch "$REPOSITORY/"{web1-1-0a1b2c3d,.web1-12-0a1b2c3d.77.tmp}
touch "$REPOSITORY/"{web10-1-0a1b2c3d,web1-2-3-0a1b2c3d,web1-x-0a1b2c3d,web1-1-0a1b2c3d4}
run_status "what was left goes" 0 on n2 lpar cleanup web1 --json
is "and is told" "$(jq -c '.removed | sort' <<<"$OUT")" \
    '[".web1-12-0a1b2c3d.77.tmp","web1-1-0a1b2c3d"]'
rm "$REPOSITORY/"{web10-1-0a1b2c3d,web1-2-3-0a1b2c3d,web1-x-0a1b2c3d,web1-1-0a1b2c3d4}
is "the rest stays" "$(ls -A "$REPOSITORY")" "$LU"
run_status "its memory, too" 0 on n1 hibernation verify web1
crash lpar.restart:finish:before n1 lpar restart web1
rm "$REPOSITORY/$LU"
mkdir "$REPOSITORY/$LU" # is no file to be removed
up
ok "a file cannot be removed" \
    await '[ "$(shown .restart_state)" = "Local Storage Update Failed" ]' 40
run_status "it is told what is next" 0 on n2 lpar recover web1
like "to clean up" "$OUT" 'web1 is running on node n1; next: lpar cleanup web1'
run_status "still not" 1 on n1 lpar cleanup web1
like "which is said" "$ERR" "$LU: cannot be removed"
is "it is not forgotten" "$(shown .restart_state)" "Local Storage Update Failed"
rmdir "$REPOSITORY/$LU"
touch "$REPOSITORY/$LU"
run_status "then it can" 0 on n3 lpar cleanup web1
is "with its record" "$OUT" "web1: removed $LU, /hibernation/web1"
is "nothing is wrong any more" "$(shown .restart_state)" "Remote Restartable"
run_status "and nothing left" 0 on n3 lpar cleanup web1
is "which is said" "$OUT" "web1: nothing was left"

# --- recover ---
run_status "what is fine stays" 0 on n2 lpar recover web1
is "as it is" "$OUT" "web1 is running on node n1"
run_status "it is hibernated" 0 on n1 lpar hibernate web1
crash lpar.restart:load:before n2 lpar restart web1
run_status "its node has died" 0 kill -9 "$(lab_pid n2 io_pid)"
ok "once that is fenced it is free" await 'on n3 lpar recover web1 >"$DIR/out"' 60
like "of the job" "$(cat "$DIR/out")" '^web1: job j-[0-9]* holds it no more'
like "and told what is next" "$(cat "$DIR/out")" 'web1 is hibernated; next: lpar restart web1'
run_status "which works" 0 on n1 lpar restart web1 --node n3
up
ok "the node that died lets it be" await '[ "$(job state)" != running ]' 40
is "it runs" "$(is_now)" "running n3"
is "once" "$(qemu | wc -l)" 1

record() { # CHANGE
    on n1 db get /lpar/web1 --json | jq -c ".[0].value | .job = null $1"
}
put() { "$BUILD/tests/tools/store_put" "sqlite:$LAB/db/vios.db" /lpar/web1 "$1"; }
OWNED=$(record "")
run_status "it is stopped" 0 on n1 lpar stop web1 --force
put "$OWNED"
run_status "one that only its record says to run" 0 on n1 lpar recover web1
like "is stopped" "$OUT" '^web1: its QEMU on node "n3" is gone: it is stopped'
like "and told what is next" "$OUT" 'web1 is stopped; next: lpar start web1'
put "$(record ' | .owner = null | .wanted = "hibernated"')"
is "one whose memory is gone" "$(shown .restart_state)" Invalid
run_status "is no longer taken for hibernated" 0 on n2 lpar recover web1
like "which is said" "$OUT" '^web1: its memory is gone: it is stopped'
run_status "nobody else looks after it" 0 on n1 cluster set maintenance on
run_status "it starts" 0 on n1 lpar start web1 --node n2
kill -9 "$(lab_pid n2 daemon_pid)" "$(lab_pid n2 io_pid)" "$(qemu)"
if [ "$(on n1 pool show p1 --json | jq -r .fence)" != local-only ]; then
    ok "its node died, and it is taken over" await 'on n1 lpar recover web1 >"$DIR/out"' 60
    like "which is said" "$(cat "$DIR/out")" '^web1: it was taken over from node "n2"'
    run_status "it starts" 0 on n1 lpar start web1
fi
run_status "an unknown one" 1 on n1 lpar recover web9
like "is named" "$ERR" 'did you mean "web1"'
finish
