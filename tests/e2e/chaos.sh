#!/bin/bash
# Proves: a Linux guest on remote memory lives through kill -9 of random daemons, ios and members of
# etcd, each started again as an init system would: not one page is lost or wrong, nobody is fenced,
# never are two primaries committed in one epoch, epochs only grow, and each kill heals.
# CHAOS_ROUNDS (3) rounds of kills; CHAOS_SEED repeats what an earlier run printed.
# needs: heavy
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/etcd.sh"

ROUNDS=${CHAOS_ROUNDS:-3}
SEED=${CHAOS_SEED:-$((SRANDOM % 32768))}
NODES='n1 n2 n3'
OPTIONS=(--ttl 10s --page-memory 192M) # a loaded machine must not look like a dead node
HEAL_S=90
GUEST=$ROOT/build/guest
need jq etcd curl qemu-system-x86_64
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"
echo "# CHAOS_SEED=$SEED"
RANDOM=$SEED

# --- the guest ---

console() { on n1 lpar console g --dump 2>/dev/null | tr -d '\r'; }
console_has() { console | grep -qE "$1"; } # REGEX
hog_lines() { console | grep -c '^hog '; }
shown() { on n1 paging show g --json | jq -r "$1"; } # FILTER
guest_now() { on n1 lpar show g --json | jq -r '"\(.qemu_pid) \(.state)"'; }

# --- killing, and starting again ---

kill_io() { # NODE; its daemon starts another
    OLD_IO=$(io_pid "$1")
    kill -9 "$OLD_IO"
}
another_io() { # NODE
    local pid
    pid=$(io_pid "$1")
    [ -n "$pid" ] && [ "$pid" != "$OLD_IO" ]
}
another_primary() { # NODE; the others have one
    local node
    for node in $NODES; do
        [ "$node" = "$1" ] || [ "$(primary_of "$node")" != "$1" ] || return 1
    done
}
kill_daemon() { # NODE
    kill -9 "${NODE_PID[$1]}"
    wait "${NODE_PID[$1]}" 2>/dev/null
}
# As an init system: until it stays. A start that finds no leader of etcd fails.
start_daemon() { # NODE
    local tries
    for ((tries = 0; tries < 20; tries++)); do
        node_launch "$1" "${OPTIONS[@]}"
        if node_answers "$1"; then
            return 0
        fi
    done
    return 1
}
node_answers() { # NODE; false when it has ended
    local end=$((SECONDS + HEAL_S))
    until on "$1" primary show >/dev/null 2>&1; do
        kill -0 "${NODE_PID[$1]}" 2>/dev/null && ((SECONDS < end)) || return 1
        sleep 0.05
    done
}
kill_member() { # INDEX
    kill -9 "${ETCD_PIDS[$1]}"
    wait "${ETCD_PIDS[$1]}" 2>/dev/null
}

# One of each kind at most; never daemon and io of one node, who keep each other's pages. The
# primary is drawn more often than others.
draw_kills() { # sets DAEMON_OF, IO_OF, MEMBER; "" is spared
    local kinds=$((RANDOM % 7 + 1)) node=$((RANDOM % 3 + 1))
    DAEMON_OF='' IO_OF='' MEMBER=''
    ((kinds & 1)) && IO_OF=n$node
    ((kinds & 2)) && DAEMON_OF=n$(((node + RANDOM % 2) % 3 + 1))
    ((kinds & 4)) && MEMBER=$((RANDOM % 3))
    PRIMARY=$(primary_of n1)
    if [ -n "$DAEMON_OF" ] && ((RANDOM % 2)) && [ "$IO_OF" != "$PRIMARY" ]; then
        DAEMON_OF=$PRIMARY
    fi
}
round_of_kills() {
    [ -z "$MEMBER" ] || kill_member "$MEMBER"
    [ -z "$IO_OF" ] || kill_io "$IO_OF"
    if [ -n "$DAEMON_OF" ]; then
        kill_daemon "$DAEMON_OF"
        if [ "$DAEMON_OF" = "$PRIMARY" ]; then # time for an election, but not for a fence
            await "another_primary $PRIMARY" 2
        fi
        ok "$WHAT: the daemon is there again" start_daemon "$DAEMON_OF"
    fi
    if [ -n "$IO_OF" ]; then
        ok "$WHAT: another io is there" await "another_io $IO_OF" $HEAL_S
    fi
    if [ -n "$MEMBER" ]; then
        ok "$WHAT: the member of etcd is there again" etcd_restart "$MEMBER"
    fi
}

# --- what must hold ---

# "EPOCH NODE" of all that was ever said, by histories and by logs, in the order of each source.
said() {
    local node
    for node in $NODES; do
        on "$node" primary history --json | jq -r '.[] | "\(.epoch) \(.node)"' >>"$DIR/$node.said"
        sed -n 's/.*primary: \(n[0-9]*\), epoch \([0-9]*\).*/\2 \1/p' "$DIR/$node.log" \
            >"$DIR/$node.logged"
    done
}
two_primaries() { # epochs with more than one
    cat "$DIR"/*.said "$DIR"/*.logged | sort -u | cut -d' ' -f1 | uniq -d | xargs
}
falling_epochs() {
    local node
    for node in $NODES; do
        on "$node" primary history --json |
            jq -r --arg node "$node" '[.[].epoch] | select(. != (sort | unique)) | "\($node): \(.)"'
    done
}
epoch_now() { on n1 db get /primary --json | jq '.[0].value.epoch'; }
fences() { on n1 db get /fence/ --json | jq -c .; }

heals() {
    local before
    ok "$WHAT: the cluster is whole" await 'whole n1 3 && whole n2 3 && whole n3 3' $HEAL_S
    ok "$WHAT: with one primary" await 'agreed n1,n2,n3 n1 n2 n3' $HEAL_S
    ok "$WHAT: the device is OK" await '[ "$(shown .state)" = OK ]' $HEAL_S
    is "$WHAT: the guest is the same, and runs" "$(guest_now)" "$QEMU running"
    before=$(hog_lines)
    ok "$WHAT: its hog goes on" await "[ \$(hog_lines) -gt $before ]" $HEAL_S
    is "$WHAT: nobody was fenced" "$(fences)" '[]'
    said
    is "$WHAT: one primary in each epoch" "$(two_primaries)" ""
    is "$WHAT: histories only grow" "$(falling_epochs)" ""
    ok "$WHAT: so does the epoch" [ "$(epoch_now)" -ge "$EPOCH" ]
    EPOCH=$(epoch_now)
}

# --- the demonstration ---

etcd_start 3 || bail "etcd does not start"
cluster_up "etcd:$ETCD_ENDPOINTS" 3 "${OPTIONS[@]}"
run_status "a guest of 96 MiB" 0 on n1 lpar create g --memory 96M --kernel "$GUEST/vmlinuz" \
    --initrd "$GUEST/initrd" --append "console=ttyS0 quiet vios.hog_mib=112 vios.hog_passes=0"
run_status "with 160 MiB on other nodes" 0 on n1 paging create g --size 160M
run_status "starts" 0 on n1 lpar start g
ok "its hog runs" await 'console_has "^hog passed pass=1 "' 150
QEMU=$(guest_now | cut -d' ' -f1)
EPOCH=$(epoch_now)

for ((round = 1; round <= ROUNDS; round++)); do
    draw_kills
    WHAT="round $round"
    echo "# $WHAT: daemon ${DAEMON_OF:--}, io ${IO_OF:--}, etcd ${MEMBER:--}"
    round_of_kills
    heals
    ((BAD == 0)) || break
done

# Now the guest verifies all of its pages once more, and ends its hog.
printf 'stop\n' | timeout -s INT 2 "$VIOS" --socket "$DIR/n1/run/vios.sock" lpar console g \
    >"$DIR/typed" 2>&1
ok "the hog ends" await 'console_has "^guest hog ended"' 200
like "with every page right" "$(console | grep '^hog done')" ' bad=0 '
unlike "and never found a wrong one" "$(console)" 'hog BAD'
is "the guest still runs" "$(guest_now)" "$QEMU running"
is "no request failed, no page is lost, no checksum was wrong" \
    "$(shown '[.errors // 0, .lost_pages // 0, .checksum_errors // 0] | join(" ")')" "0 0 0"
ok "pages really went out" test "$(shown .pages_out)" -gt 1000
echo "# primaries: $(on n1 primary history --json | jq -r 'map("\(.epoch) \(.node)") | join(", ")')"
finish
