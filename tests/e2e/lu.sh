#!/bin/bash
# Proves: LUs are made, listed, cloned and removed from any node, thin or thick; what is used is
# refused with the way out; a pool that is full, also in the middle of a copy, keeps nothing of it.
# needs: heavy
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq

REPOSITORY=$DIR/repository
P1=$REPOSITORY/pools/p1
P2=$REPOSITORY/pools/p2
err() { { "$@" >/dev/null; } 2>&1; }
of() { jq -rc "$1" <<<"$2"; } # FILTER JSON
show() { on n1 lu show "$1" --json; }
file_of() { of '.path' "$(show "$1")"; }
files() { find "$1/lu" -type f | wc -l; } # POOL'S FOLDER
used_kib() { du -k "$1" | cut -f1; }
put() { "$BUILD/tests/tools/store_put" "$STORE" "$1" "$2"; } # KEY JSON

# As if it ran there, or (null) nowhere.
put_owner() { # LPAR JSON
    put "/lpar/$1" "$(on n1 db get "/lpar/$1" --json |
        jq -c --argjson owner "$2" '.[0].value + {owner: $owner}')"
}

unmount() { umount -l "$REPOSITORY/pools/$1"; } # POOL

cluster_up "sqlite:$DIR/db" 2
on n1 pool create p1 >/dev/null || bail "no pool"

# --- create, list, show ---

is "a thin one" "$(on n1 lu create web1 --size 64M)" "lu p1/web1 created"
is "a thick one, on the other node" \
    "$(on n2 lu create db1 --size 4M --pool p1 --thick)" "lu p1/db1 created"
is "both are listed" "$(on n2 lu list --json |
    jq -c '.[] | [.name, .pool, .size_bytes, .used_bytes >= 4194304, .mapped_to, .thick]' |
    xargs)" \
    "[db1,p1,4194304,true,null,true] [web1,p1,67108864,false,null,false]"
is "the file has its size and mode" "$(stat -c '%s %a' "$(file_of web1)")" "67108864 600"
is "and takes no space" "$(used_kib "$(file_of web1)")" 0
udid=$(of .udid "$(show web1)")
is "it is found by its pool" "$(of .udid "$(show p1/web1)")" "$udid"
is "and by its UDID" "$(of .name "$(show "$udid")")" web1
is "it says when it was made" "$(of '.created | length' "$(show web1)")" 24
like "for people" "$(on n1 lu list)" "p1 +web1 +64M +0 "
like "an unknown one" "$(err on n1 lu show web2)" 'there is no such LU: did you mean "web1"'
like "a name that is taken" "$(err on n1 lu create web1 --size 1M)" \
    'lu "web1": pool "p1" has an LU of this name'
like "too small" "$(err on n1 lu create a --size 1K)" 'lu "a": an LU has 1 MiB to 64 TiB'
like "too large" "$(err on n1 lu create a --size 65T)" 'lu "a": an LU has 1 MiB to 64 TiB'
like "no multiple" "$(err on n1 lu create a --size 1048577)" "no multiple of 512 bytes"
like "no such pool" "$(err on n1 lu create a --size 1M --pool p9)" 'did you mean "p1"'
is "completion knows them" "$("$VIOS" --socket "$DIR/n1/run/vios.sock" complete -- lu show w)" web1

# --- clone and remove ---

echo "what was written" | dd of="$(file_of web1)" bs=1M seek=32 conv=notrunc status=none
is "a clone" "$(on n2 lu clone web1 web2)" "lu p1/web2 created"
ok "has the same on it" cmp "$(file_of web1)" "$(file_of web2)"
ok "and is sparse" [ "$(used_kib "$(file_of web2)")" -lt 2048 ]
echo "other" | dd of="$(file_of web2)" conv=notrunc status=none
not_ok "it stands alone" cmp -s "$(file_of web1)" "$(file_of web2)"
on n1 lpar create g1 --memory 16M --disk web1 >/dev/null || bail "no LPAR"
put_job() { # JSON: the job that holds web1
    put "/lu/$udid" "$(on n1 db get "/lu/$udid" --json |
        jq -c --argjson job "$1" '.[0].value + {job: $job}')"
}
put_job '"j-900"'
like "a guest is not started on one that a job holds" "$(err on n1 lpar start g1)" \
    'lu "web1": job j-900 is at work on it: wait for it: job wait j-900'
is "and is as it was" "$(on n1 lpar show g1 --json | jq -c '[.state, .node]')" '["stopped",""]'
like "nor is it removed" "$(err on n1 lu remove web1 --yes)" 'job j-900 is at work on it'
put_job null
put_owner g1 '{"node":"n2","incarnation":1}'
like "one in use is not removed" "$(err on n2 lu remove web1 --yes)" \
    'lu "web1": it is a disk of lpar "g1": remove that first: lpar remove g1'
like "nor cloned while the guest runs" "$(err on n2 lu clone web1 web3)" \
    'lu "web1": lpar "g1" is running on it: stop it first'
is "it is shown as mapped" "$(of .mapped_to "$(show web1)")" g1
put_owner g1 null
is "that of a stopped guest is cloned" "$(on n1 lu clone web1 web3)" "lu p1/web3 created"
is "a free one is removed" "$(on n1 lu remove web3 --yes)" "lu web3 removed"
is "with its file" "$(files "$P1")" 3
is "and its records" "$(on n1 db get /lu-name/ --json | jq length)" 3

# --- file systems of their own: full, and of the kind that clones ---

mkdir -p "$P2"
if mount -t tmpfs -o size=16M none "$P2" 2>/dev/null; then
    at_exit "unmount p2"
    on n1 pool create p2 >/dev/null
    like "a thick one that does not fit" "$(err on n1 lu create a --size 1G --pool p2 --thick)" \
        'lu "a": no space in pool "p2" \(need 1 GiB, free 1[56].* MiB'
    dd if=/dev/urandom of="$(file_of web1)" bs=1M count=24 conv=notrunc status=none
    like "a copy that does not fit" "$(err on n1 lu clone web1 a --pool p2)" \
        'lu "a": no space in pool "p2" \(need 2[45].* MiB, free 1[56].* MiB'
    is "keeps no file" "$(files "$P2")" 0
    is "and no name" "$(on n1 lu list --pool p2 --json)" '[]'
    dd if=/dev/urandom of="$(file_of web2)" bs=1M count=8 conv=notrunc status=none
    is "one that fits" "$(on n1 lu clone web2 a --pool p2)" "lu p2/a created"
    ok "is whole" cmp "$(file_of web2)" "$(file_of p2/a)"
    on n1 lu remove p2/a --yes >/dev/null
    is "a mount point is left" "$(on n1 pool remove p2 --yes && find "$P2")" \
        "pool p2 removed
$P2"
fi

truncate -s 320M "$DIR/xfs.image"
mkdir -p "$REPOSITORY/pools/p3"
if mkfs.xfs -q -m reflink=1 "$DIR/xfs.image" 2>/dev/null &&
    mount -o loop "$DIR/xfs.image" "$REPOSITORY/pools/p3" 2>/dev/null; then
    at_exit "unmount p3"
    on n1 pool create p3 >/dev/null
    is "XFS clones" "$(on n1 pool show p3 --json | jq -r .fence)" clone
    on n1 lu create big --size 256M --pool p3 >/dev/null
    dd if=/dev/urandom of="$(file_of big)" bs=1M count=128 conv=notrunc,fsync status=none
    before=$(df -k --output=avail "$REPOSITORY/pools/p3" | tail -n 1)
    is "a clone of much" "$(on n1 lu clone big twin)" "lu p3/twin created"
    after=$(df -k --output=avail "$REPOSITORY/pools/p3" | tail -n 1)
    ok "takes next to nothing" [ $((before - after)) -lt 4096 ]
    ok "and is the same" cmp "$(file_of big)" "$(file_of twin)"
fi
finish
