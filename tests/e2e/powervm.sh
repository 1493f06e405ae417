#!/bin/bash
# Proves: what PowerVM's administrators type works with its columns, so that scripts which cut them
# apart go on working; each does what our command does; an empty field is a space with -fmt and
# nothing with -fmt2; what is wrong, or means nothing here, is refused with exit 2.
# needs: heavy
# limit: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld

ioscli() { "$VIOS" ioscli "$@"; }
# Output, errors and status, but for the revisions of the VIOS DB, which goes on.
told() { # WORDS
    # shellcheck disable=SC2086 # words
    run "$VIOS" $1
    sed -E 's/revision [0-9]+/revision N/' <<<"$STATUS $OUT $ERR"
}
same() { # WHAT OURS THEIRS
    is "$1" "$(told "$3")" "$(told "$2")"
}

run_status "lab up" 0 "$VIOS" lab up 2 --page-memory 16M
CLUSTER=$(on n1 cluster list --json | jq -r '.[0].name')
run_status "lssp without pools" 0 "$VIOS" lssp -fmt :
is "says nothing" "$OUT" ""

# --- pools and LUs ---

on n1 pool create p1 >/dev/null || bail "no pool"
run_status "mkbdsp" 0 "$VIOS" mkbdsp -clustername "$CLUSTER" -sp p1 2M -bd web1-root
UDID=$(on n1 lu show p1/web1-root --json | jq -r .udid)
is "names the LU" "$OUT" "Lu Name:web1-root
Lu Udid:$UDID"
run_status "a thick one, without a cluster" 0 "$VIOS" mkbdsp 3m -bd db1 -thick
run_status "another cluster" 1 "$VIOS" mkbdsp -clustername other -sp p1 2M -bd x
like "is refused" "$ERR" "cluster \"other\": there is no such cluster: did you mean \"$CLUSTER\""
same "an error is ours" "lu create db1 --size 3M" "mkbdsp 3M -bd db1"

# As scripts do it.
pools() {
    ioscli lssp -fmt : | while IFS=: read -r pool size free alloc bds type; do
        [ "$size" -gt 0 ] && [ "$free" -le "$size" ] && echo "$pool $alloc $bds $type"
    done
}
is "a script that cuts lssp apart" "$(pools)" "p1 1 2 CLPOOL"
like "lssp for people" "$(ioscli lssp)" '^Pool +Size\(mb\) +Free\(mb\) +Alloc Size\(mb\) +BDs +Type'
is "the size is in MB" "$(ioscli lssp -field size -fmt :)" \
    "$(on n1 pool list --json | jq '.[0].size_bytes / 1048576 | floor')"
is "lssp of a cluster, by its words" \
    "$(ioscli lssp -clustername "$CLUSTER" | grep -E POOL_NAME | awk '{print $2}')" p1
is "and its columns" "$(ioscli lssp -clustername "$CLUSTER" -field pool total lus type id -fmt :)" \
    "p1:5:2:CLPOOL:$(on n1 pool show p1 --json | jq -r .uuid)"
is "lssp -bd of a cluster" "$(ioscli lssp -clustername "$CLUSTER" -sp p1 -bd -fmt : | tail -n 1)" \
    "web1-root:2:THIN:0:2:$UDID"
like "for people" "$(ioscli lssp -clustername "$CLUSTER" -sp p1 -bd)" \
    '^Lu Name +Size\(mb\) +ProvisionType +%Used +Unused\(mb\) +Lu Udid'
is "lssp -bd" "$(ioscli lssp -bd -sp p1 -fmt :)" "db1:3:None:None
web1-root:2:None:None"
is "a type that no pool has" "$(ioscli lssp -type LVPOOL -fmt :)" ""
is "lu -list" "$(ioscli lu -list -field LU_NAME LU_PROVISION_TYPE -fmt ,)" "db1,THICK
web1-root,THIN"
is "with a header" "$(ioscli lu -list -fmt : -header | head -n 1)" \
    "POOL_NAME:TIER_NAME:LU_NAME:LU_SIZE(MB):LU_UNUSED_SPACE(MB):LU_UDID"
like "for people" "$(ioscli lu -list)" "^POOL_NAME: p1
TIER_NAME: SYSTEM
LU_NAME +SIZE\(MB\) +UNUSED\(MB\) +UDID
db1 +3 "
like "with all of it" "$(ioscli lu -list -verbose)" "LU_UDID_DERIVED_FROM: +N/A"
is "lu list is ours" "$(on n1 lu list --fmt : --field name,size_bytes | head -n 1)" "db1:3145728"
is "as JSON" "$(ioscli lssp --json | jq -c '.[] | [.pool, .bds]')" '["p1",2]'

# --- the cluster ---

is "cluster -list" "$(ioscli cluster -list | grep CLUSTER_NAME | awk '{print $2}')" "$CLUSTER"
is "cluster -status -fmt" "$(ioscli cluster -status -fmt :)" "$CLUSTER:OK:n1: : :OK:OK
$CLUSTER:OK:n2: : :OK:OK"
is "-fmt2" "$(ioscli cluster -status -clustername "$CLUSTER" -fmt2 : | head -n 1)" \
    "$CLUSTER:OK:n1:::OK:OK"
is "-field" "$(ioscli cluster -status -field node_name node_state -fmt , | tail -n 1)" "n2,OK"
like "for people" "$(ioscli cluster -status)" "^Cluster Name +State
$CLUSTER +OK

    Node Name +MTM +Partition Num +State +Pool State
    n1 +OK +OK"
is "ioslevel" "$(ioscli ioslevel)" "$(on n1 node show n1 --json | jq -r .level)"
is "of another node" "$("$VIOS" on n2 ioscli ioslevel)" \
    "$(on n1 node show n2 --json | jq -r .level)"

# --- guests ---

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M
dd if="$DIR/disk.raw" of="$(on n1 lu show p1/web1-root --json | jq -r .path)" conv=notrunc \
    status=none
on n1 lpar create web1 --memory 16M --disk p1/web1-root --disk p1/db1 >/dev/null || bail "no LPAR"
echo kernel >"$DIR/kernel"
on n1 lpar create web2 --memory 16M --kernel "$DIR/kernel" --nic user >/dev/null || bail "no LPAR"
ID=0x$(on n1 lpar show web1 --json | jq -r .uuid | cut -c 1-8)
DB1=$(on n1 lu show p1/db1 --json | jq -r .udid)
SLOTS=$(on n1 adapter list web1 --json | jq -r 'map(.slot) | join(" ")')
mapping() { # STATUS: of web1's disks
    printf '%s:%s:%s:%s: :false' disk0 "$1" "$(lun "${SLOTS% *}")" "web1-root.$UDID"
    printf ':%s:%s:%s:%s: :false' disk1 "$1" "$(lun "${SLOTS#* }")" "db1.$DB1"
}
lun() { printf '0x%x00000000000000' $((128 + $1)); } # SLOT
is "lsmap" "$(ioscli lsmap -all -fmt : | head -n 1)" "web1:web1:$ID:$(mapping Defined)"
is "of a guest without disks" "$(ioscli lsmap -vadapter web2 -field svsa vtd -fmt :)" "web2: "
is "its network" "$(ioscli lsmap -all -net -fmt :)" "web2-nic0:web2-nic0: :user:Defined: "
same "of none" "adapter list web9" "lsmap -vadapter web9"
run_status "a guest starts" 0 on n1 lpar start web1
is "lsmap of one that runs" "$(ioscli lsmap -vadapter web1 -fmt :)" \
    "web1:n1-web1:$ID:$(mapping Available)"
is "a script that looks for a disk" \
    "$(ioscli lsmap -all -type cl_disk -field svsa backing -fmt : | cut -d : -f 2)" \
    "web1-root.$UDID"
is "as words" "$(ioscli lsmap -vadapter web1 -field backing | awk '{print $NF}' | tail -n 1)" \
    "db1.$DB1"
is "as JSON" "$(ioscli lsmap -vadapter web1 -field svsa vtd --json | jq -c .)" \
    '[{"svsa":"web1","vtds":[{"vtd":"disk0"},{"vtd":"disk1"}]}]'
like "for people" "$(ioscli lsmap -vadapter web1)" "^SVSA +Physloc +Client Partition ID
-+ -+ -+
web1 +n1-web1 +$ID

VTD +disk0
Status +Available
LUN +0x84"
is "lsmap of the cluster" "$(ioscli lsmap -clustername "$CLUSTER" -all -fmt : | head -n 1)" \
    "n1-web1:$ID:disk0:0x8400000000000000:web1-root.$UDID"
is "lssp -bd with guests" "$(ioscli lssp -bd -fmt : | tail -n 1)" "web1-root:2:disk0:web1"

run_status "rrstartlpar validates" 0 "$VIOS" rrstartlpar -o validate -m n1 -t n2 -p web1 --json
is "as lpar validate does" "$(jq -c '[.lpar, .node, .ok]' <<<"$OUT")" '["web1","n2",true]'
same "and refuses" "lpar restart web1 --node n2" "rrstartlpar -o restart -t n2 -p web1"
run_status "an unknown source" 1 "$VIOS" rrstartlpar -o validate -m n9 -p web1
like "is named" "$ERR" 'node "n9"'
run_status "lpar hibernate" 0 on n1 lpar hibernate web1
run_status "rrstartlpar restarts" 0 "$VIOS" rrstartlpar -o restart -m n1 -t n2 -p web1
is "on the other node" "$OUT" "web1 restarted on node n2: running"
same "cleanup" "lpar cleanup web1" "rrstartlpar -o cleanup -p web1"

# --- removing ---

same "an LU in use" "lu remove p1/db1 --yes" "rmbdsp -clustername $CLUSTER -sp p1 -bd db1 --yes"
run_status "mkbdsp again" 0 "$VIOS" mkbdsp -sp p1 1M -bd old
run_status "rmbdsp asks, and nobody is there to answer" 2 "$VIOS" rmbdsp -sp p1 -bd old
OLD=$(on n1 lu show old --json | jq -r .udid)
run_status "rmbdsp" 0 "$VIOS" rmbdsp -luudid "$OLD" --yes
is "says what is gone" "$OUT" "Logical unit old with udid \"$OLD\" is removed."
is "it is" "$(on n1 lu list --json | jq -c 'map(.name)')" '["db1","web1-root"]'
run_status "lu -create" 0 "$VIOS" lu -create -clustername "$CLUSTER" -lu old -size 1M
run_status "lu -resize" 0 "$VIOS" lu -resize -lu old -size 2M
is "it is larger" "$(on n1 lu show old --json | jq .size_bytes)" 2097152
run_status "lu -remove" 0 "$VIOS" lu -remove -sp p1 -lu old --yes
run_status "--dry-run" 0 "$VIOS" mkbdsp -sp p1 1G -bd new --dry-run
is "says what it means" "$OUT" 'vios.lu.create{name = "new", size = "1G", pool = "p1"}'

# --- captures and backups ---

run_status "clffdc" 0 "$VIOS" clffdc -c FULL -p 1
like "captures on all nodes" "$OUT" '^incident [0-9]+: 2 of 2 nodes'
INCIDENT=$(sed -n 's/^incident \([0-9]*\).*/\1/p' <<<"$OUT")
is "as it was told" "$(on n1 ffdc show "$INCIDENT" --json | jq -r '.component + " " + .priority')" \
    "full high"
run_status "clffdc -g" 0 "$VIOS" clffdc -g "$INCIDENT"
run_status "snap" 0 "$VIOS" snap
is "is one by that name" "$(on n1 ffdc list --json | jq -r '.[-1].trigger')" snap
run_status "viosbr -backup" 0 "$VIOS" viosbr -backup -clustername "$CLUSTER" -file "$DIR/backup.db"
ok "is a file" test -s "$DIR/backup.db"
same "viosbr -view" "db check $DIR/backup.db" "viosbr -view -file $DIR/backup.db"

# --- what is refused ---

while read -r line; do
    # shellcheck disable=SC2086 # words
    run_status "refused: $line" 2 "$VIOS" $line
done <<'LINES'
ioscli
ioscli nosuch
lssp -nosuch
lssp -field nosuch -fmt :
lsmap
lsmap -all -npiv
mkbdsp -bd x
mkbdsp 1G -bd x -vadapter vhost0
rmbdsp -sp p1
viosbr -backup
viosbr -restore
rrstartlpar -o jump -p web1
snap -gzip
LINES

# --- a restore, for which nothing may live ---

same "while a daemon lives" "db restore $DIR/backup.db --yes" \
    "viosbr -restore -file $DIR/backup.db --yes"
kill_daemon() { # NODE
    local pid
    pid=$(lab_pid "$1" daemon_pid)
    kill -9 "$pid"
    await "! kill -0 $pid" 20
}
status_is() { [ "$(on n1 cluster -status -fmt :)" = "$1" ]; }
kill_daemon n2
ok "cluster -status of a node that is gone" await 'status_is "$CLUSTER:DEGRADED:n1: : :OK:OK
$CLUSTER:DEGRADED:n2: : :DOWN: "' 30
kill_daemon n1
viosbr_restore() { # WORDS
    on n1 viosbr -restore -file "$DIR/backup.db" "$@"
}
run_status "of another cluster" 7 viosbr_restore -clustername other --yes
like "says so" "$ERR" "cluster \"other\": it is a backup of cluster \"$CLUSTER\""
run_status "it asks, and nobody is there to answer" 2 viosbr_restore -clustername "$CLUSTER"
run_status "-validate" 0 viosbr_restore -validate
like "says what would be lost" "$OUT" "^backup: $DIR/backup.db, of cluster $CLUSTER,"
run_status "viosbr -restore" 0 viosbr_restore -clustername "$CLUSTER" --yes
like "restores" "$OUT" 'is restored: restore [0-9]+ of this cluster'
finish
