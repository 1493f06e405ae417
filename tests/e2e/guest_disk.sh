#!/bin/bash
# Proves: the packed guest boots by itself from its disk, what it writes there is kept over a power
# off and over a killed QEMU, each copy of the disk keeps its own, and making it again does nothing.
# needs: heavy
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 qemu-img

GUEST=$ROOT/build/guest
test -f "$GUEST/disk.qcow2" || skip_all "no guest: run make guest"

state() { on n1 lpar show "$1" --json | jq -r .state; }
console() { on n1 lpar console "$1" --dump 2>/dev/null | tr -d '\r'; }
start() { # GUEST; and its console takes what `type_in` sends until the guest ends
    run_status "$1 starts" 0 on n1 lpar start "$1"
    ok "and boots" await "console $1 | grep -q 'guest ready'" 60
    rm -f "$DIR/$1.keys" && mkfifo "$DIR/$1.keys"
    on n1 lpar console "$1" <>"$DIR/$1.keys" >>"$DIR/$1.seen" 2>&1 &
    PIDS+=($!)
}
answers() { # GUEST COMMAND WANTED-LINE
    : >"$DIR/$1.seen" # what it answered before does not count
    echo "$2" >"$DIR/$1.keys"
    ok "$1: \"$2\" is answered with \"$3\"" await "tr -d '\\r' <'$DIR/$1.seen' | grep -qxF '$3'" 20
}
# What `write` left in the second partition: a mark, and the text (tests/guest/init).
written() { # GUEST
    local start
    start=$(od -An -tu4 -j 470 -N 4 "$DIR/$1.raw") # as the partition table says
    dd if="$DIR/$1.raw" bs=512 skip="${start// /}" count=1 status=none | tr -d '\000'
}

image() { qemu-img info --output=json "$GUEST/$1.qcow2" | jq ".[\"$2\"]"; } # NAME FIELD
for name in disk tour; do
    is "$name: the guest sees 64 MiB" "$(image $name virtual-size)" $((64 << 20))
    ok "$name: and it takes less than 32" test "$(image $name actual-size)" -lt $((32 << 20))
done
ok "nothing is made again" env -u MAKEFLAGS -u MFLAGS make -sqC "$ROOT" guest
cp "$GUEST/disk.qcow2" "$DIR/before.qcow2"
run_status "without its parts no disk is made" 1 \
    "$ROOT/tests/guest/make_disk.sh" "$DIR/before.qcow2" "$DIR/nosuch" "$GUEST/initrd"
ok "and the one that was there stays" cmp -s "$GUEST/disk.qcow2" "$DIR/before.qcow2"
is "with nothing beside it" "$(echo "$DIR"/before*)" "$DIR/before.qcow2"

run_status "a lab" 0 "$VIOS" lab up 1 --page-memory 16M
for guest in g1 g2; do
    qemu-img convert -O raw "$GUEST/disk.qcow2" "$DIR/$guest.raw"
    run_status "a guest with a copy" 0 \
        on n1 lpar create $guest --memory 96M --disk "$DIR/$guest.raw"
done

start g1
answers g1 "read" "guest data none"
answers g1 "write one  * three" "guest wrote one * three"
answers g1 "read" "guest data one * three"
run_status "its QEMU is killed" 0 on n1 lpar stop g1 --force
start g1
answers g1 "read" "guest data one * three"
answers g1 "write two" "guest wrote two"

start g2
answers g2 "read" "guest data none"
answers g2 "write its own" "guest wrote its own"
answers g1 "read" "guest data two"
echo poweroff >"$DIR/g1.keys"
ok "g1 powers off" await '[ "$(state g1)" = stopped ]' 20
run_status "the power button ends g2" 0 on n1 lpar stop g2
is "g1 left on its disk" "$(written g1)" "vios data two"
is "g2 left on its disk" "$(written g2)" "vios data its own"

run_status "a guest without a disk" 0 on n1 lpar create bare --memory 96M \
    --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" --append "console=ttyS0 quiet"
start bare
answers bare "read" "guest refuses: no disk with a data partition"
finish
