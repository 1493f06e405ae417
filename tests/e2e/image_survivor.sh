#!/bin/bash
# Proves: an import, a deploy, a capture and a removal whose node dies in the middle and is fenced
# are finished, or undone, by the primary; afterwards what is listed and what lies in the pool
# agree.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-img
OPTIONS=(--ttl 3s)
POOL=$DIR/repository/pools/p1

images() { on n1 image list --json | jq -rc "[.[].name] | sort | join(\" \")"; }
lus() { on n1 lu list --json | jq -rc "[.[].name] | sort | join(\" \")"; }
lpars() { on n1 lpar list --json | jq -rc "[.[] | .name + \":\" + .state] | sort | join(\" \")"; }
job_of() { on n1 job list --json | jq -r ".[] | select(.kind == \"$1\").id" | tail -n 1; } # KIND
job() { on n1 job show "$1" --json | jq -r "$2"; } # JOB FILTER

# n3 dies at the place while it does the command, THEN is done, and it comes back once the job has
# ended.
THEN=:
dies() { # PLACE WANTED-STATE COMMAND...
    local place=$1 wanted=$2 job
    shift 2
    kill -TERM "${NODE_PID[n3]}"
    wait "${NODE_PID[n3]}" 2>/dev/null
    NODE_ENVIRONMENT[n3]=VIOS_CRASH_AT=$place
    node_start n3 "${OPTIONS[@]}"
    ok "$place: n3 is there" await 'whole n1 3' 30
    [ "$(primary_of n1)" != n3 ] || on n3 primary resign --to n1 >/dev/null
    run on n3 "$@"
    is "$place: its daemon dies" "$STATUS" 4
    wait "${NODE_PID[n3]}" 2>/dev/null
    $THEN
    job=$(job_of "${place%%:*}")
    is "$place: in the middle" "$(job "$job" '"\(.node) \(.state)"')" "n3 running"
    ok "$place: the job is $wanted" await "[ \"\$(job $job .state)\" = $wanted ]" 40
    is "$place: by the primary" "$(job "$job" .node)" "$(primary_of n1)"
    is "$place: nothing is hidden in the pool" \
        "$(find "$POOL" -mindepth 2 -name '.*' -printf '%P ')" ""
    is "$place: a folder for each image" "$(ls "$POOL/image")" \
        "$(on n1 image list --json | jq -r '[.[].handle] | sort | .[]')"
    is "$place: a file for each LU" "$(ls "$POOL/lu")" \
        "$(on n1 lu list --json | jq -r '[.[].udid + ".0"] | sort | .[]')"
    unset 'NODE_ENVIRONMENT[n3]'
    node_start n3 "${OPTIONS[@]}"
    ok "$place: n3 comes back" await 'whole n1 3' 30
}

truncate -s 16M "$DIR/disk.raw"
head -c 3000000 /dev/urandom | dd of="$DIR/disk.raw" conv=notrunc bs=1M seek=4 2>/dev/null
cp "$DIR/disk.raw" "$DIR/gone.raw"
cluster_up "sqlite:$DIR/vios.db" 3 "${OPTIONS[@]}"
run_status "a pool" 0 on n1 pool create p1

dies image.import:copy:after "done" image import "$DIR/disk.raw" --name a
is "the image is there" "$(images)" a
run_status "and whole" 0 on n1 image verify a
dies image.deploy:copy:after "done" image deploy a g1 --memory 16M --stopped
is "the LPAR is there" "$(lpars) $(lus)" "g1:stopped g1-disk0"
dies image.capture:configure:before "done" image capture g1 --name c
is "the capture too" "$(images)" "a c"
is "with the same content" "$(on n1 image show c --json | jq -r .digest)" \
    "$(on n1 image show a --json | jq -r .digest)"
run_status "and the LPAR is free" 0 on n2 lpar remove g1 --disks --yes
dies image.remove:mark:after "done" image remove c --yes
is "it is gone" "$(images)" a
THEN="rm $DIR/gone.raw"
dies image.import:claim:after failed image import "$DIR/gone.raw" --name b
is "an import whose source is gone is undone" "$(images)" a
run_status "and its name is free" 0 on n3 image import "$DIR/disk.raw" --name b
finish
