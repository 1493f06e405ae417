#!/bin/bash
# Proves: a Debian kernel with a busybox root, packed as a qcow2 disk, is imported; guests deployed
# from it boot from disks of their own and keep their own writes, the image stays what it was; a
# guest that runs is captured; two nodes that import the same image at once end with one copy.
# needs: heavy
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-system-x86_64 qemu-img
DISK=$ROOT/build/guest/disk.qcow2
test -f "$DISK" || skip_all "no guest: run make guest"
ROUNDS=${IMPORT_ROUNDS:-1}

IMAGES=$DIR/repository/pools/p1/image
of() { jq -rc "$1" <<<"$2"; } # FILTER JSON
image() { on n1 image show "$1" --json | jq -rc "$2"; } # IMAGE FILTER
state() { on n1 lpar show "$1" --json | jq -r .state; }
console() { on n1 lpar console "$1" --dump 2>/dev/null | tr -d '\r'; }
boots() { # GUEST; and its console takes what `answers` sends until the guest ends
    ok "$1 boots" await "console $1 | grep -q 'guest ready'" 100
    rm -f "$DIR/$1.keys" && mkfifo "$DIR/$1.keys"
    on n1 lpar console "$1" <>"$DIR/$1.keys" >>"$DIR/$1.seen" 2>&1 &
    PIDS+=($!)
}
answers() { # GUEST COMMAND WANTED-LINE
    : >"$DIR/$1.seen"
    echo "$2" >"$DIR/$1.keys"
    ok "$1: \"$2\" is answered with \"$3\"" await "tr -d '\\r' <'$DIR/$1.seen' | grep -qxF '$3'" 20
}

cluster_up "sqlite:$DIR/db" 2
run_status "a pool" 0 on n1 pool create p1

# --- import ---

run_status "the disk is imported" 0 on n1 image import "$DISK" --name busybox --version 1.36
is "as it says" "$OUT" "image busybox imported: 1 file, 64M, in pool p1"
HANDLE=$(image busybox .handle)
FILE=$(image busybox '.files[0].handle')
DIGEST=$(image busybox .digest)
is "it is listed everywhere" "$(of '.[] | [.name, .version, .files, .size_bytes, .dependents]' \
    "$(on n2 image list --json)")" '["busybox","1.36",1,67108864,0]'
is "its files lie in its folder" "$(cd "$IMAGES/$HANDLE" && echo *)" \
    "$(printf '%s\n' "$FILE" "$FILE.digests" image.json | sort | xargs)"
ok "the disk is what it was" qemu-img compare -q -f qcow2 -F raw "$DISK" "$IMAGES/$HANDLE/$FILE"
is "each file is an LU, found by its handle" "$(image "$FILE" .name)" busybox
run_status "which no LPAR gets" 1 on n1 lpar create x --memory 64M --disk "$FILE"
run_status "again is no second copy" 0 on n2 image import "$DISK" --name busybox
is "as it says" "$OUT" "image busybox is there already, from the same source"
is "the handle stays" "$(image busybox .handle)" "$HANDLE"

# --- deploy ---

for guest in web1 web2; do
    run_status "$guest is deployed" 0 on n1 image deploy busybox $guest --memory 96M
    like "and runs" "$OUT" "^$guest deployed on node n1: running"
done
for guest in web1 web2; do
    boots $guest
    answers $guest read "guest data none"
    answers $guest "write of $guest" "guest wrote of $guest"
done
is "its disk is an LU" \
    "$(on n1 lu list --json | jq -rc '.[] | [.name, .mapped_to]' | sort | xargs)" \
    "[web1-disk0,web1] [web2-disk0,web2]"
like "a guest is shown on one screen, with what its adapters are mapped to" \
    "$(on n2 lpar show web1)" 'adapters +ID +KIND .*
 +disk0 +disk +4 +p1/web1-disk0 +64M '
is "and since when it runs" \
    "$(on n2 lpar show web1 --json | jq '.since | test("^20.*Z$")')" true
for guest in web1 web2; do
    run_status "$guest stops" 0 on n1 lpar stop $guest
    run_status "$guest starts again" 0 on n1 lpar start $guest
done
for guest in web1 web2; do
    boots $guest
    answers $guest read "guest data of $guest"
done
is "the image's digest is the same" "$(image busybox .digest)" "$DIGEST"
run_status "and the image is what was imported" 0 on n2 image verify busybox
ok "byte for byte" qemu-img compare -q -f qcow2 -F raw "$DISK" "$IMAGES/$HANDLE/$FILE"

# --- capture, of a guest that runs, told to the other node ---

run_status "a guest that runs is captured" 0 on n2 image capture web2 --name golden
is "and goes on" "$(state web2)" running
answers web2 "write later" "guest wrote later"
run_status "what was captured is deployed" 0 on n1 image deploy golden copy --memory 96M
boots copy
answers copy read "guest data of web2"
is "an image has no trace in QEMU or io" "$(on n1 lpar stop web2 --force >/dev/null &&
    on n1 lpar start web2 >/dev/null && state web2)" running

# --- rename; remove ---

run_status "an image gets another name" 0 on n1 image rename golden silver
is "its handle stays" "$(on n1 image show silver --json | jq -r .handle)" \
    "$(on n2 image list --json | jq -r '.[] | select(.name == "silver").handle')"
run_status "the old name is free" 1 on n1 image show golden
run_status "it is removed" 0 on n1 image remove silver --yes
is "with its folder" "$(find "$IMAGES" -mindepth 1 -maxdepth 1 | wc -l)" 1
for guest in web1 web2 copy; do
    on n1 lpar stop $guest --force >/dev/null
    run_status "$guest is removed with its disks" 0 on n1 lpar remove $guest --disks --yes
done
is "no LU is left" "$(on n1 lu list --json)" "[]"
is "no file either" "$(ls -A "$DIR/repository/pools/p1/lu")" ""

# --- two nodes at once ---

for ((round = 1; round <= ROUNDS; round++)); do
    on n1 image remove busybox --yes >/dev/null
    on n1 image import "$DISK" --name busybox --json >"$DIR/one" 2>&1 &
    one=$!
    on n2 image import "$DISK" --name busybox --json >"$DIR/two" 2>&1 &
    two=$!
    wait $one && wait $two
    is "$round: both have it" $? 0
    is "$round: the same" "$(jq -r .handle "$DIR/one")" "$(jq -r .handle "$DIR/two")"
    is "$round: one of them made it" \
        "$(cat "$DIR/one" "$DIR/two" | jq -s 'map(select(.existing)) | length')" 1
    is "$round: there is one copy" "$(ls -A "$IMAGES")" "$(image busybox .handle)"
    ok "$round: a whole one" qemu-img compare -q -f qcow2 -F raw "$DISK" \
        "$IMAGES/$(image busybox '[.handle, .files[0].handle] | join("/")')"
done
finish
