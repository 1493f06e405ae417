#!/bin/bash
# Proves: when io is killed while it takes the pages of a guest that is restarted, or gives those of
# one that is hibernated, no page is lost: what fails leaves the guest hibernated, or running, as it
# was before, and tried again it is done with every page.
# needs: heavy
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 96M
make_web1 sequence 512
run_status "a paging device" 0 on n1 paging create web1 --size 80M
run_status "its guest runs" 0 on n1 lpar start web1

state() { on n3 lpar show web1 --json | jq -r '.state + " " + .node'; }
device() { on "$1" paging show web1 --json | jq -r "$2"; } # NODE JQ-FILTER
has_pattern() { # NODE
    nbdcopy "$(device "$1" .uri)" "$DIR/copy" && cmp "$DIR/pattern" "$DIR/copy"
}
HOLDERS=()
# When the condition holds while the command runs, NODE's io is killed.
killed_in() { # NODE CONDITION COMMAND...
    local node=$1 condition=$2 io
    shift 2
    io=$(lab_pid "$node" io_pid)
    "$@" >/dev/null 2>"$DIR/said" &
    while ! eval "$condition" >/dev/null 2>/dev/null && [ -d /proc/$! ]; do
        :
    done
    kill -9 "$io"
    [ ${#HOLDERS[@]} = 0 ] || kill -CONT "${HOLDERS[@]}"
    wait $!
    STATUS=$?
    ok "io is there again" await "lab_pid $node io_pid | grep -qvE '^(0|$io)\$'" 20
}
boots() { on "$1" lpar console web1 --dump | grep -c boot; } # NODE

head -c 64M /dev/urandom >"$DIR/pattern"
truncate -s 80M "$DIR/pattern"
ok "pages go out" nbdcopy "$DIR/pattern" "$(device n1 .uri)"

# --- given ---
SAVING='[ -n "$(find "$LAB/repository/hibernation" -name ".*.tmp" -size +4M)" ]'
killed_in n1 "$SAVING" on n1 lpar hibernate web1
echo "# $STATUS: $(cat "$DIR/said")"
if [ $STATUS != 0 ]; then
    is "it goes on" "$(state)" "running n1"
    ok "with its pages" has_pattern n1
    run_status "it is hibernated" 0 on n1 lpar hibernate web1
fi

# --- taken ---
# The nodes that get the pages stand still, so that it is not done before; the device is down when
# pages wait for them.
HOLDERS=("$(lab_pid n1 io_pid)" "$(lab_pid n3 io_pid)")
UUID=$(on n1 lpar show web1 --json | jq -r .uuid)
waits_for_state() { pgrep -f -- "^[^ ]*qemu-system-x86_64 -name web1 .*$UUID.* -incoming "; }
stand_still() {
    waits_for_state && kill -STOP "${HOLDERS[@]}" &&
        await '[ "$(device n2 .state)" = DOWN ]' 20
}
killed_in n2 stand_still on n2 lpar restart web1
echo "# $STATUS: $(cat "$DIR/said")"
if [ $STATUS != 0 ]; then
    is "it is hibernated still" "$(state)" "hibernated "
    run_status "it is restarted" 0 on n2 lpar restart web1
fi
is "it runs" "$(state)" "running n2"
ok "with its pages" has_pattern n2
is "it did not boot" "$(boots n2)" 0
finish
