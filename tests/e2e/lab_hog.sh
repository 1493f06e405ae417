#!/bin/bash
# Proves: a Linux guest that uses twice its memory notices nothing, and no page is lost or wrong,
# when its node's daemon, its node's io, and a replica's io are killed with -9 under it: it goes
# on after each, and then every page is verified. The restarted daemon lists the guest running.
# needs: heavy
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64

GUEST=$ROOT/build/guest
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"

# What the guest has printed so far.
console() {
    on n1 lpar console g --dump 2>/dev/null | tr -d '\r'
}

console_has() { # REGEX
    console | grep -qE "$1"
}

shown() { # JQ-FILTER
    on n1 paging show g --json | jq -r "$1"
}

guest_state() {
    on n1 lpar show g --json | jq -r .state
}

# The hog goes on: it says more than it had said.
goes_on() { # WHAT
    local before
    before=$(console | grep -c '^hog ')
    ok "the hog goes on after $1" await "[ \$(console | grep -c '^hog ') -gt $before ]" 30
}

run_status "a lab of three" 0 "$VIOS" lab up 3 --page-memory 288M
run_status "a guest of 96 MiB" 0 on n1 lpar create g --memory 96M --kernel "$GUEST/vmlinuz" \
    --initrd "$GUEST/initrd" --append "console=ttyS0 quiet vios.hog_mib=192 vios.hog_passes=0"
run_status "with 240 MiB on other nodes" 0 on n1 paging create g --size 240M
run_status "starts" 0 on n1 lpar start g
ok "its hog runs" await 'console_has "^hog passed pass=1 "' 150

qemu=$(on n1 lpar show g --json | jq .qemu_pid)
kill -9 "$(lab_pid n1 daemon_pid)"
ok "the guest's process goes on without the daemon" kill -0 "$qemu"
run_status "the daemon is started again" 0 "$VIOS" lab up
is "and lists the guest running" "$(guest_state)" running
is "as the same process" "$(on n1 lpar show g --json | jq .qemu_pid)" "$qemu"
goes_on "its daemon was killed"

old=$(lab_pid n1 io_pid)
kill -9 "$old"
ok "its node's io is there again" await "lab_pid n1 io_pid | grep -qvE '^(0|$old)\$'" 20
goes_on "its node's io was killed"

replica=$(shown '[.replicas[] | select(.state == "current") | .node][0]')
kill -9 "$(lab_pid "$replica" io_pid)"
goes_on "a replica's io was killed"
ok "the device is OK again" await '[ "$(shown .state)" = OK ]' 30

# Now it verifies all of its pages once more, and ends.
printf 'stop\n' | timeout -s INT 2 "$VIOS" --socket "$LAB/n1/run/vios.sock" lpar console g \
    >"$DIR/typed" 2>&1
ok "the hog ends" await 'console_has "^guest hog ended"' 300
like "with every page right" "$(console | grep '^hog done')" ' bad=0 '
unlike "and never found a wrong one" "$(console)" 'hog BAD'
is "the guest still runs" "$(guest_state)" running
is "no request failed" "$(shown '.errors // 0')" 0
ok "pages really went out" test "$(shown .pages_out)" -gt 1000
finish
