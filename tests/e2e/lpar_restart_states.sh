#!/bin/bash
# Proves: the states of remote restart are told by every node as it sees them, while a restart is
# under way, interrupted and done, and when the file of its memory cannot be removed.
# limit: 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 boot 1M
on n1 lpar create own1 --memory 16M --disk "$DIR/disk.raw" >/dev/null
UUID=$(on n1 lpar show web1 --json | jq -r .uuid)
REPOSITORY=$LAB/repository/hibernation

state() { on "$1" lpar show "${2:-web1}" --json | jq -r .restart_state; } # NODE [LPAR]
seen() { on "$1" lpar list --json | jq -r '.[] | select(.name == "web1").restart_state'; }
crash() { # PLACE NODE COMMAND...: the node's daemon ends there
    echo "$1" >"$VIOS_CRASH_FILE"
    on "$2" "${@:3}" >/dev/null 2>&1
    ok "$1: the daemon ended there" await '[ ! -e "$VIOS_CRASH_FILE" ]' 20
}
up() { run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 16M; }
done_with() { on n1 lpar show web1 --json | jq -e ".job == \"\" and .state == \"$1\""; }
# On a slow machine a node whose daemon is away may be fenced: then its guest has ended.
fenced() { done_with stopped >/dev/null && echo "# its node was fenced meanwhile"; }
file() { echo "$REPOSITORY/$(on n1 hibernation show web1 --json | jq -r .lu)"; }

# --- at rest ---
is "one that is stopped could be restarted" "$(state n1)" "Remote Restartable"
is "one on a file of a node could not" "$(state n2 own1)" "Invalid"
run_status "it runs" 0 on n1 lpar start web1
is "it could still" "$(seen n3)" "Remote Restartable"
run_status "it is hibernated" 0 on n1 lpar hibernate web1
is "all say so" "$(state n1) $(state n2)" "Remote Restartable Remote Restartable"

# --- under way ---
kill -STOP "$(lab_pid n2 io_pid)" # so that it takes its time
run_status "it is being restarted on n2" 0 on n1 lpar restart web1 --node n2 --no-wait
ok "which n2 says" await '[ "$(seen n2)" = "Destination Remote Restarting" ]' 20
is "and the others" "$(state n1)" "Source Remote Restarting"
kill -CONT "$(lab_pid n2 io_pid)"
ok "it runs there" await 'done_with running' 40
is "and could be restarted again" "$(state n2)" "Remote Restartable"

# --- interrupted ---
run_status "it is hibernated" 0 on n2 lpar hibernate web1
crash lpar.restart:load:before n3 lpar restart web1
is "before the commit" "$(state n1)" "Source Remote Restarting"
up
ok "it is hibernated again" await 'done_with hibernated' 40
is "and could be restarted" "$(state n3)" "Remote Restartable"
crash lpar.restart:run:before n3 lpar restart web1
is "behind the commit" "$(state n1)" "Remote Restarted"
QEMU=$(pgrep -f -- "^[^ ]*qemu-system-x86_64 -name web1 .*$UUID")
kill -STOP "$QEMU" # what its daemon finds does not answer, so that it goes on trying
up
ok "its own node says" await '[ "$(seen n3)" = "Destination Remote Restarted" ] || fenced' 30
kill -CONT "$QEMU" 2>/dev/null
! fenced || run_status "it is started again" 0 on n3 lpar start web1
ok "it runs" await 'done_with running' 60
is "it could be restarted again" "$(state n1)" "Remote Restartable"

# --- what it leaves ---
run_status "it is hibernated" 0 on n3 lpar hibernate web1
FILE=$(file)
crash lpar.restart:finish:before n1 lpar restart web1
rm "$FILE"
mkdir "$FILE" # is no file to be removed
up
ok "it runs" await 'done_with running || fenced' 40
ok "what stayed is told" await '[ "$(state n2)" = "Local Storage Update Failed" ]' 20
is "and listed" "$(on n2 hibernation list --json | jq -r '.[0].lpar + " " + .[0].state')" \
    "web1 stale"
fenced || run_status "it is stopped" 0 on n1 lpar stop web1 --force
run_status "and is not forgotten" 1 on n1 lpar remove web1 --yes
like "for this reason" "$ERR" 'a hibernation of it is left: remove that first: lpar cleanup web1'
rmdir "$FILE"
finish
