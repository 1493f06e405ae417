#!/bin/bash
# Proves: the pages of a mirrored device become a stream that stands alone, also when a replica dies
# while they are read: into a device made anew, of nodes that know nothing any more, it brings back
# every byte. A device of another size refuses it.
# needs: heavy
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need nbdcopy jq

PAGE_STREAM=$BUILD/tests/tools/page_stream

run_status "three nodes come up" 0 "$VIOS" lab up 3 --page-memory 64M
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR that does not run" 0 \
    "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"

device() { # MEMBER-EXPRESSION
    "$VIOS" paging show web1 --json | jq -r "$1"
}
make_device() { # WHAT SIZE
    run_status "$1" 0 "$VIOS" paging create web1 --size "$2"
    URI=$(device .uri)
    UUID=$(device .uuid)
    START=${URI%%\?*}
    START=${START##*/}
}
page_stream() { # save|load FILE
    local command=("$PAGE_STREAM" "$1" "$LAB/n1/run" "$UUID" "$START")
    if [ "$1" = save ]; then
        "${command[@]}" >"$2"
    else
        "${command[@]}" <"$2"
    fi 2>"$DIR/said"
}
kill_node() { # NODE
    kill -9 "$(lab_pid "$1" daemon_pid)" "$(lab_pid "$1" io_pid)"
}
same() { # WHAT
    nbdcopy "$URI" "$DIR/copy" && cmp "$DIR/pattern" "$DIR/copy"
    tap_line $? "$1"
}

# 48 MiB of which 20 and a page are there: at the start, in every other page, at the very end.
make_device "a mirrored device" 48M
head -c 16M /dev/urandom >"$DIR/pattern"
truncate -s 24M "$DIR/pattern"
for _ in $(seq 1024); do
    head -c 4096 /dev/urandom
    head -c 4096 /dev/zero
done >>"$DIR/pattern"
truncate -s $(((48 << 20) - 4096)) "$DIR/pattern"
head -c 4096 /dev/urandom >>"$DIR/pattern"
ok "the pattern goes in" nbdcopy "$DIR/pattern" "$URI"
ok "it is saved" page_stream save "$DIR/stream"
like "all that is not zero" "$(cat "$DIR/said")" '^5121 pages'

# With 1 MiB taken the save stands still: most of the device is yet to be read.
mkfifo "$DIR/pipe"
page_stream save "$DIR/pipe" &
SAVE=$!
exec 3<"$DIR/pipe"
head -c 1M <&3 >"$DIR/again"
GONE=$(device '.replicas[0].node')
kill_node "$GONE"
cat <&3 >>"$DIR/again"
exec 3<&-
ok "it is saved while node $GONE is killed" wait "$SAVE"
ok "and is the same" cmp "$DIR/stream" "$DIR/again"
ok "from the other replica alone" await '[ "$(device .state)" = DEGRADED ]' 20

OTHER=$([ "$GONE" = n2 ] && echo n3 || echo n2)
kill_node "$OTHER"
run_status "both begin anew" 0 "$VIOS" lab up 3 --page-memory 64M
run_status "the device goes" 0 "$VIOS" paging remove web1 --yes
make_device "one of another size comes" 32M
not_ok "it does not take the stream" page_stream load "$DIR/stream"
like "and says why" "$(cat "$DIR/said")" 'of a device of 50331648 bytes, this one has 33554432'
run_status "it goes too" 0 "$VIOS" paging remove web1 --yes
make_device "one of the right size comes" 48M
truncate -s 48M "$DIR/zeroes"
nbdcopy "$URI" "$DIR/copy"
ok "and is empty" cmp "$DIR/zeroes" "$DIR/copy"
ok "it is loaded" page_stream load "$DIR/stream"
like "every page" "$(cat "$DIR/said")" '^5121 pages'
same "and is what it was"
page_stream save "$DIR/again"
ok "also as a stream" cmp "$DIR/stream" "$DIR/again"
is "on two nodes" "$(device .state)" OK
finish
