#!/bin/bash
# Proves: a guest's life through the shell: create, start, list, show, console, stop, remove;
# its ends (power off, panic, a killed QEMU) are noticed; it outlives the daemon and io.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M

field() { # FILTER; of g1
    on n1 lpar show g1 --json | jq -r "$1"
}
console() { on n1 lpar console g1 --dump; }
dots() { console | tr -cd . | wc -c; }
type_in() { # TEXT; the console is left again once its echo or effect cannot matter
    printf '%s' "$1" | timeout -s INT 2 "$VIOS" --socket "$LAB/n1/run/vios.sock" lpar console g1 \
        >"$DIR/typed" 2>&1
}
goes_on() { # WHAT; the guest does more verified I/O
    local now
    now=$(dots)
    ok "$1" await "[ \$(dots) -gt $now ]" 20
}

run_status "a lab" 0 "$VIOS" lab up 2 --page-memory 16M

# --- bad words ---
run_status "no memory is a usage error" 2 on n1 lpar create g1 --disk "$DIR/disk.raw"
run_status "a bad size too" 2 on n1 lpar create g1 --memory 1X --disk "$DIR/disk.raw"
run_status "a bad name too" 2 on n1 lpar create -- -g1 --memory 16M --disk "$DIR/disk.raw"
run_status "a disk that is not there fails validation" 7 \
    on n1 lpar create g1 --memory 16M --disk "$DIR/nosuch"
like "and is named" "$ERR" "nosuch.*No such file"
run_status "nothing to boot from" 2 on n1 lpar create g1 --memory 16M
like "and says what to give" "$ERR" "give --kernel FILE or --disk DISK"
run_status "an unknown kind of network" 2 \
    on n1 lpar create g1 --memory 16M --disk "$DIR/disk.raw" --nic tap0
like "and says which there are" "$ERR" "give user, bridge:BR or none"

# --- create, start ---
run_status "create" 0 on n1 lpar create g1 --memory 16M --disk "$DIR/disk.raw" --nic user
run_status "the name is taken now" 1 on n2 lpar create g1 --memory 16M --disk "$DIR/disk.raw"
is "list is an array with the fields scripts rely on" "$(on n2 lpar list --json |
    jq -r '.[0] | [has("name","state","node","qemu_pid","memory_mib","disks","nics","generation")] |
        all')" true
is "it is stopped" "$(field .state)" stopped
run_status "show of an unknown name" 1 on n1 lpar show g2
like "names near ones" "$ERR" 'did you mean "g1"'
run_status "stopping what does not run" 1 on n1 lpar stop g1
like "says so" "$ERR" "it does not run"
run_status "start" 0 on n1 lpar start g1
is "it runs" "$(field .state)" running
is "on this node" "$(field .node)" n1
is "in its first generation" "$(field .generation)" 1
pid=$(field .qemu_pid)
if [ "$(id -u)" = 0 ]; then
    ok "as a user of its own" test "$(stat -c %u "/proc/$pid")" -ge 2000000000
fi
ok "it boots and does verified I/O" await '[ "$(dots)" -gt 3 ]' 20
like "its console says so" "$(console)" "boot"
run_status "starting it again is refused" 1 on n1 lpar start g1
run_status "so is starting it on another node" 1 on n2 lpar start g1
like "which says where it runs" "$ERR" 'it runs on node "n1" already'
is "the other node shows it running" \
    "$(on n2 lpar list --json | jq -r '.[0].state + " " + .[0].node')" "running n1"
run_status "a running guest is reset, from the other node" 0 on n2 lpar reset g1 --yes
is "it goes on running, in the same QEMU" "$(field '.state + " \(.qemu_pid)"')" "running $pid"
ok "it boots anew" await '[ "$(console | grep -c boot)" = 2 ]' 20
run_status "removing it is refused" 1 on n1 lpar remove g1 --yes
like "and says what to do first" "$ERR" "lpar stop g1"
ok "the console takes what is typed" await 'type_in x; [[ $(console) == *x* ]]' 20

# --- it outlives them ---
kill -9 "$(lab_pid n1 io_pid)"
goes_on "io killed: the guest goes on"
kill -9 "$(lab_pid n1 daemon_pid)"
run_status "daemon killed and started again" 0 "$VIOS" lab up
is "it lists the guest running" "$(field .state)" running
is "with the same QEMU" "$(field .qemu_pid)" "$pid"
goes_on "which goes on"
unlike "with not one sector wrong" "$(console)" "BAD"

# --- stop ---
run_status "stop, from the other node" 0 on n2 lpar stop g1 --timeout 1s
is "it is stopped" "$(field .state)" stopped
is "nobody owns it" "$(field .node)" ""
ok "its run folder is gone" test -z "$(ls "$LAB/n1/run/lpar")"
run_status "start on the other node" 0 on n2 lpar start g1
is "it runs there" "$(field '.state + .node')" runningn2
run_status "stop at once" 0 on n2 lpar stop g1 --force

# --- its own ends ---
run_status "start once more" 0 on n1 lpar start g1
is "each start is a new generation" "$(field .generation)" 3
ok "power off is noticed" await 'type_in q; [ "$(field .state)" = stopped ]' 20
is "with its reason" "$(field .why)" "the guest shut down"
run_status "start for a panic" 0 on n1 lpar start g1
ok "a panic is noticed" await 'type_in p; [ "$(field .state)" = panicked ]' 20
run_status "a panicked guest can be reset" 0 on n1 lpar reset g1 --yes
is "it runs again" "$(field .state)" running
ok "and panics again" await 'type_in p; [ "$(field .state)" = panicked ]' 20
run_status "a panicked guest can be stopped" 0 on n1 lpar stop g1
run_status "what does not run is not reset" 1 on n1 lpar reset g1 --yes
like "which says so" "$ERR" "it does not run"
run_status "start to be killed" 0 on n1 lpar start g1
kill -9 "$(field .qemu_pid)"
ok "a killed QEMU is noticed" await '[ "$(field .state)" = stopped ]' 20
is "with its reason" "$(field .why)" "QEMU ended unexpectedly"

run_status "start to end unseen" 0 on n1 lpar start g1
pid=$(field .qemu_pid)
kill -9 "$(lab_pid n1 daemon_pid)" "$pid"
ok "QEMU is gone with the daemon" await '! kill -0 "$pid" 2>/dev/null' 20
run_status "the daemon starts again" 0 "$VIOS" lab up
is "it knows" "$(field '.state + ": " + .why')" "stopped: it ended while no daemon watched"
run_status "and io has let its disk go" 0 on n1 lpar start g1
run_status "stop" 0 on n1 lpar stop g1 --force

# --- admission, errors of QEMU, removal ---
run_status "a guest larger than the machine can be made" 0 \
    on n1 lpar create big --memory 32T --disk "$DIR/disk.raw"
run_status "but not started" 1 on n1 lpar start big
like "and the numbers are told" "$ERR" "needs 33554432 MiB; this node has [0-9]+ MiB"
run_status "an unknown CPU model" 0 \
    on n1 lpar create odd --memory 16M --disk "$DIR/disk.raw" --cpu nosuch
run_status "does not start" 1 on n1 lpar start odd
like "in QEMU's own words" "$ERR" "unable to find CPU model 'nosuch'"
is "and is as before" "$(on n1 lpar show odd --json | jq -r .state)" stopped
run_status "remove" 0 on n1 lpar remove g1 --yes
run_status "it is gone" 1 on n1 lpar show g1
ok "its disk is not" test -s "$DIR/disk.raw"

run_status "lab down" 0 "$VIOS" lab down
finish
