#!/bin/bash
# Proves: page memory serves only the pair it was granted for, under no lower generation, and a
# slot that served one LPAR shows nothing of it to the next; bad requests are refused whole.
# needs: heavy
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need nbdcopy nbdinfo jq

run_status "three nodes come up" 0 "$VIOS" lab up 3 --page-memory 32M
truncate -s 1M "$DIR/disk.raw"
for name in web1 web2; do
    run_status "LPAR $name" 0 "$VIOS" lpar create $name --memory 16M --disk "$DIR/disk.raw"
done

run_status "an unknown LPAR" 1 "$VIOS" paging create web3 --size 1M
like "names the near ones" "$ERR" 'web1.*web2'
run_status "more than there is" 1 "$VIOS" paging create web1 --size 1G
like "names the need and the room" "$ERR" 'need 1024 MiB.*n2 32 MiB'
run_status "no whole pages" 7 "$VIOS" paging create web1 --size 1000001
run_status "a policy that is none" 2 "$VIOS" paging create web1 --size 1M --policy raid
run_status "no size" 2 "$VIOS" paging create web1
like "names the option" "$ERR" '--size'
run_status "a file in no folder" 7 \
    "$VIOS" paging create web1 --size 1M --policy disk --disk "$DIR/none/web1"
like "which it names" "$ERR" "a file in $DIR/none/ cannot be made: No such file"
run_status "a folder for a file" 7 \
    "$VIOS" paging create web1 --size 1M --policy disk --disk "$DIR/lab"
is "nothing was made" "$("$VIOS" paging list --json)" '[]'

run_status "a device for web1" 0 "$VIOS" paging create web1 --size 16M
run_status "not a second one" 1 "$VIOS" paging create web1 --size 32M
like "for that reason, and not for want of memory" "$ERR" 'has a paging device already'
is "a job has the fields scripts rely on" "$("$VIOS" job list --json |
    jq 'all(.[]; has("id") and has("kind") and has("object") and has("state") and
        has("progress") and has("node"))')" true
UUID=$("$VIOS" paging show web1 --json | jq -r .uuid)
URI=$("$VIOS" paging show web1 --json | jq -r .uri)
yes 'secret of web1' | head -c 16M >"$DIR/secret"
ok "web1 writes its secret" nbdcopy "$DIR/secret" "$URI"

page_uri() { # SOCKET GENERATION-DELTA
    local name
    name=$(nbdinfo --list --json "nbd+unix:///?socket=$LAB/n2/run/nbd.sock" |
        jq -r ".exports[].\"export-name\" | select(startswith(\"page/$UUID\"))" | head -1)
    echo "nbd+unix:///${name%/*}/$((${name##*/} + $2))?socket=$LAB/n2/run/$1"
}
like "the administrator of n2 sees the region" "$(page_uri nbd.sock 0)" "page/$UUID"
page_info() { # SOCKET GENERATION-DELTA
    nbdinfo --size "$(page_uri "$1" "$2")" 2>/dev/null
}
is "and n1 may use it" "$(page_info peer/n1.sock 0)" $((16 << 20))
is "n3 may not, at its own socket" "$(page_info peer/n3.sock 0)" ""
unlike "nor is it listed for n3" \
    "$(nbdinfo --list "nbd+unix:///?socket=$LAB/n2/run/peer/n3.sock" 2>&1)" "page/$UUID"
is "n1 not under a higher generation than granted" "$(page_info peer/n1.sock 1)" ""

run_status "web1 starts" 0 "$VIOS" lpar start web1
run_status "and stops" 0 "$VIOS" lpar stop web1 --force
is "n1 may use it under the new generation" "$(page_info peer/n1.sock 0)" $((16 << 20))
is "and not under the old one any more" "$(page_info peer/n1.sock -1)" ""
nbdcopy "$("$VIOS" paging show web1 --json | jq -r .uri)" "$DIR/seen"
not_ok "a start begins with empty memory" grep -q secret "$DIR/seen"
ok "web1 writes its secret again" \
    nbdcopy "$DIR/secret" "$("$VIOS" paging show web1 --json | jq -r .uri)"

run_status "web1 gives it back" 0 "$VIOS" paging remove web1 --yes
used() { # NODE
    "$VIOS" --on "$1" paging list --json >/dev/null &&
        nbdinfo --list --json "nbd+unix:///?socket=$LAB/$1/run/nbd.sock" |
        jq '[.exports[]? | select(."export-name" | startswith("page/"))] | length'
}
ok "n2 has nothing any more" await '[ "$(used n2)" = 0 ] && [ "$(used n3)" = 0 ]' 20
run_status "the same memory for web2" 0 "$VIOS" paging create web2 --size 32M
nbdcopy "$("$VIOS" paging show web2 --json | jq -r .uri)" "$DIR/seen"
truncate -s 32M "$DIR/zeros"
ok "is all zero" cmp "$DIR/zeros" "$DIR/seen"
UUID=$("$VIOS" paging show web2 --json | jq -r .uuid)
nbdcopy "$(page_uri nbd.sock 0)" "$DIR/seen"
not_ok "also where it lies" grep -q secret "$DIR/seen"
finish
