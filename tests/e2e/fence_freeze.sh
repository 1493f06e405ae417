# shellcheck shell=bash
# A node that freezes under a writing guest, and another that fences it, takes the guest over and
# serves its file, on a file system that clones (fence_freeze_clone.sh) or not
# (fence_freeze_grace.sh). After lib.sh was read:
#
#     . "$(dirname "$0")/fence_freeze.sh"
#     freeze_all MKFS CLONE|GRACE
#
# Five nodes are frozen, each with a guest of its own that boots from an LU and writes it
# (tests/guest/sequence_sector.S), and with a client that writes the same LU and notes when each
# write was acknowledged (tests/tools/ack_writer.c):
#
#     n1  its daemon is stopped
#     n2  its daemon and its io are stopped
#     n3  its daemon is stopped; io stops itself when a write has entered the gate
#     n4  its daemon is stopped; io stops itself when a write is done and still counted
#     n5  its daemon is stopped; io stops itself before it looks at the gate to answer a write
#
# n6 lives. It takes each guest over, copies the file before anybody else writes it, and writes its
# own marks. At the end, three TTLs after it was frozen, each node goes on.
#
# Of n7 io alone is stopped: its daemon renews, so nobody fences it, and its guest goes on
# afterwards, by this io or, if the kernel ended that with a write in flight, by another.

. "$(dirname "${BASH_SOURCE[0]}")/nodes.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lu_guest.sh"

CONTROL=$BUILD/tests/tools/io_control
TTL_S=3
OWNER=n6
BLOCK=$LU_BLOCK
FIRST=512        # of the client's blocks; the guest writes the 256 before
FROZEN_AT=600    # the block at which io stops itself, where it does
MARKS=7680       # of the new owner's blocks

FREEZERS='n1 n2 n3 n4 n5'
NODE_ENVIRONMENT[n3]=VIOS_FREEZE_AT=entered:$((FROZEN_AT * BLOCK))
NODE_ENVIRONMENT[n4]=VIOS_FREEZE_AT=written:$((FROZEN_AT * BLOCK))
NODE_ENVIRONMENT[n5]=VIOS_FREEZE_AT=answering:$((FROZEN_AT * BLOCK))
declare -A FROZEN_MS STOP_AT KILL_AT IO_PID QEMU_PID WRITER TAKER EXPORTER LIVES

file_of() { # NODE: where its LU is now
    echo "$POOL/lu/$(on $OWNER db get "/lu/$(udid_of "$1")" --json | jq -r '.[0].value.file')"
}

# --- what was acknowledged ---

now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }
gate_of() { "$CONTROL" "$DIR/$1/run/io.sock" '{"do":"statistics"}' | jq ".gate.$2"; } # NODE WHAT

write_blocks() { # NODE FIRST COUNT
    "$BUILD/tests/tools/ack_writer" "$DIR/$1/run/nbd.sock" "lu/$(udid_of "$1")/1" "$2" "$3" 3 \
        >>"$DIR/$1.acked" 2>>"$DIR/$1.writer"
}

# The client's writes and the guest's that were acknowledged and are not in FILE, with counts.
not_in() { # NODE FILE
    perl -e '
        my ($file, $client, $guest) = @ARGV;
        my ($count, %missing, $data) = (0);
        open my $disk, "<:raw", $file or die;
        open my $acked, "<", $client or die;
        while (<$acked>) {
            my ($n) = /^(\d+) \d+$/ or next;
            seek $disk, $n * 4096, 0; read $disk, $data, 4096;
            $count++;
            $missing{"block $n"} = 1 if $data ne pack("Q<", $n) x 512;
        }
        open my $console, "<", $guest or die;
        while (<$console>) {
            my ($n) = /^([0-9a-f]{4})\r?$/ or next;
            seek $disk, (hex($n) + 1) * 512, 0; read $disk, $data, 512;
            $count++;
            $missing{"sector " . (hex($n) + 1)} = 1 if $data ne pack("v", hex $n) x 256;
        }
        print $count < 100 ? "only $count were acknowledged" : join(" ", sort keys %missing);
    ' "$2" "$DIR/$1.acked" "$DIR/$1.console"
}

# An answer for which io looked at the gate just before T may still be on its way to the client
# then; as the client has one write in flight, that is one answer at most, and soon: before
# until_kill. Nobody else writes before the whole margin is over.
late_acks() { # NODE
    awk -v stop="${STOP_AT[$1]}" -v kill="${KILL_AT[$1]}" '
        $2 >= stop && ($2 >= kill || late++) { print $1 " at T+" $2 - stop " ms" }' \
        "$DIR/$1.acked"
}

block_of() { # FILE BLOCK: its first word, as a number
    od -An -tu8 -j $(($2 * BLOCK)) -N 8 "$1" | tr -d ' '
}

# --- freezing ---

# Until the client's writes pass the block where io stops itself, if this one's does.
start_writing() { # NODE
    on "$1" lpar console "g-$1" >"$DIR/$1.console" 2>/dev/null </dev/null &
    PIDS+=("$!")
    write_blocks "$1" "$FIRST" $((FROZEN_AT - FIRST)) &
    WRITER[$1]=$!
    PIDS+=("$!")
}
await_writing() { # NODE
    wait "${WRITER[$1]}" ||
        bail "$1: its client cannot write: $(cat "$DIR/$1.writer")"
    QEMU_PID[$1]=$(qemu_pid_of "$1")
    await "[ \$(grep -c '^[0-9a-f]\\{4\\}' '$DIR/$1.console') -gt 10 ]" 20 ||
        bail "$1: its guest does not write"
}

freeze() { # NODE
    local io
    io=$(io_pid "$1")
    node_freeze "$1" $OWNER
    STOP_AT[$1]=$(gate_of "$1" until_stop)
    KILL_AT[$1]=$(gate_of "$1" until_kill)
    if [ "$1" = n5 ]; then # a write of the guest in flight just then would cost io its life
        kill -STOP "${QEMU_PID[$1]}"
        await "[ \"\$(gate_of $1 gated_in_flight)\" = 0 ]" 20
    fi
    write_blocks "$1" "$FROZEN_AT" 6000 &
    WRITER[$1]=$!
    PIDS+=("$!")
    case $1 in
    n1) LIVES[$1]=yes ;;
    n2)
        await "[ \$(wc -l <'$DIR/$1.acked') -gt $((FROZEN_AT - FIRST + 50)) ]" 20
        kill -STOP "$io"
        LIVES[$1]=either # whether a write was in flight just then
        ;;
    n3 | n4) LIVES[$1]=no ;;
    n5) LIVES[$1]=yes ;;
    esac
    case $1 in
    n[345]) ok "$1: io has stopped itself" await "[ \"\$(process_state $io)\" = T ]" 20 ;;
    esac
    IO_PID[$1]=$io
    FROZEN_MS[$1]=$(now_ms)
}

fence_of() { on $OWNER db get "/fence/$1/1" --json 2>/dev/null | jq -r '.[0].value.state'; } # NODE

take_over() { # NODE
    "$BUILD/tests/tools/rpc_call" "$DIR/$OWNER/run/vios.sock" daemon.takeover \
        "{\"name\":\"g-$1\"}" >"$DIR/$1.taken" 2>&1 &
    TAKER[$1]=$!
    PIDS+=("$!")
}

# What the new owner serves is copied, and then written by it alone. io waits for the lock of one
# that is still alive, so the exports are begun all before the first is waited for.
export_copied() { # NODE
    local file
    ok "$1: its guest is taken over" wait "${TAKER[$1]}" || sed 's/^/# /' "$DIR/$1.taken"
    file=$(file_of "$1")
    cp "$file" "$DIR/$1.copy"
    "$CONTROL" "$DIR/$OWNER/run/io.sock" "{\"do\":\"export\",\"name\":\"lu/marks-$1/2\",
        \"lpar\":\"\",\"backend\":{\"kind\":\"file\",\"path\":\"$file\",\"direct\":true,
        \"gated\":true}}" >"$DIR/$1.export" &
    EXPORTER[$1]=$!
    PIDS+=("$!")
}
serve() { # NODE
    wait "${EXPORTER[$1]}"
    is "$1: the new owner exports its file" "$(cat "$DIR/$1.export")" '{"ok":true}'
    run_status "$1: and writes it" 0 qemu-io -f raw -c "write -P 77 $((MARKS * BLOCK)) 64k" \
        "nbd+unix:///lu%2Fmarks-$1%2F2?socket=$DIR/$OWNER/run/nbd.sock"
}

# --- going on ---

thaw() { # NODE
    await "[ \$(now_ms) -ge $((FROZEN_MS[$1] + 3 * TTL_S * 1000)) ]" 60 # what it does then counts
    case ${LIVES[$1]} in
    yes) like "$1: io lives" "$(process_state "${IO_PID[$1]}")" '^[TSR]' ;;
    no) unlike "$1: the kernel ended io" "$(process_state "${IO_PID[$1]}")" '^[TSR]' ;;
    esac
    is "$1: nothing of before was acknowledged meanwhile" "$(late_acks "$1")" ""
    kill -CONT "${IO_PID[$1]}" 2>/dev/null
    kill -CONT "${NODE_PID[$1]}"
}

check() { # NODE
    local file
    file=$(file_of "$1")
    ok "$1: it comes back as the next incarnation" \
        await "[ \"\$(incarnation_of $OWNER $1)\" = 2 ] && [ \"\$(state_of_node $1)\" = up ]" 30
    ok "$1: its guest is dead" await "! kill -0 ${QEMU_PID[$1]}" 20
    kill "${WRITER[$1]}" 2>/dev/null
    wait "${WRITER[$1]}" 2>/dev/null
    is "$1: no acknowledgement is of after T" "$(late_acks "$1")" ""
    echo "# $1: the last one came at T$(awk -v stop="${STOP_AT[$1]}" 'END { print $2 - stop }' \
        "$DIR/$1.acked") ms"
    is "$1: every write that was acknowledged is in the new owner's file" \
        "$(not_in "$1" "$file")" ""
    ok "$1: and nothing that was not there when it was taken over" \
        cmp -n $((MARKS * BLOCK)) "$DIR/$1.copy" "$file"
    is "$1: the new owner's marks are" \
        "$(od -An -tu1 -j $((MARKS * BLOCK)) -N 1 "$file" | tr -d ' ')" 77
    case $1 in
    n[345]) is "$1: io never answered where it stopped" \
        "$(grep "^$FROZEN_AT " "$DIR/$1.acked")" "" ;;
    esac
    case $1 in
    n3) is "$1: the write that had entered was not done" "$(block_of "$file" $FROZEN_AT)" 0 ;;
    n4 | n5) is "$1: the write that was done is there" "$(block_of "$file" $FROZEN_AT)" \
        $FROZEN_AT ;;
    esac
}
state_of_node() { on $OWNER node list --json | jq -r ".[] | select(.name == \"$1\").state"; }

# A write that was on its way through a file server, and lands when another serves.
late_write() { # NODE HOW
    local before=("$(first_file "$1")" "$(file_of "$1")")
    if [ "$2" = CLONE ]; then
        isnt_same "$1: the new owner's file is another" "${before[@]}"
        printf 'late' | dd of="${before[0]}" bs=$BLOCK seek=$FIRST conv=notrunc status=none
        is "$1: a write to the dead file hits nobody" "$(block_of "${before[1]}" $FIRST)" $FIRST
        is "$1: which is listed" "$(on $OWNER db get "/lu/$(udid_of "$1")" --json |
            jq -c '.[0].value.dead')" "[\"$(udid_of "$1").0\"]"
    else
        is "$1: the new owner's file is the same" "${before[1]}" "${before[0]}"
    fi
}
isnt_same() { # WHAT FILE FILE
    [ "$(stat -c %i "$2")" != "$(stat -c %i "$3")" ]
    tap_line $? "$1"
}

freeze_io_alone() { # NODE
    IO_PID[$1]=$(io_pid "$1")
    write_blocks "$1" "$FROZEN_AT" 6000 &
    WRITER[$1]=$!
    PIDS+=("$!")
    await "[ \$(wc -l <'$DIR/$1.acked') -gt $((FROZEN_AT - FIRST + 50)) ]" 20
    kill -STOP "${IO_PID[$1]}"
    FROZEN_MS[$1]=$(now_ms)
}

goes_on() { # NODE
    local said
    await "[ \$(now_ms) -ge $((FROZEN_MS[$1] + 3 * TTL_S * 1000)) ]" 60
    said=$(wc -l <"$DIR/$1.console")
    kill -CONT "${IO_PID[$1]}" 2>/dev/null
    ok "$1: its guest goes on" await "[ \$(wc -l <'$DIR/$1.console') -gt $((said + 20)) ]" 30
    ok "$1: the same guest" kill -0 "${QEMU_PID[$1]}"
    is "$1: which nobody fenced" "$(fence_of "$1")" ""
    kill "${WRITER[$1]}" 2>/dev/null
    wait "${WRITER[$1]}" 2>/dev/null
    is "$1: every write that was acknowledged is in its file" "$(not_in "$1" "$(file_of "$1")")" ""
}

# In the end the guest itself runs on the new owner, from what was taken over.
start_elsewhere() { # NODE
    "$CONTROL" "$DIR/$OWNER/run/io.sock" "{\"do\":\"drop\",\"name\":\"lu/marks-$1/2\"}" >/dev/null
    run_status "$1: its guest starts on the new owner" 0 on $OWNER lpar start "g-$1"
    ok "$1: and writes" await "on $OWNER lpar console g-$1 --dump | grep -q '^0010'" 20
}

freeze_all() { # MKFS HOW
    local node some
    need jq perl qemu-io qemu-system-x86_64 as ld "${1%% *}"
    mount_pool "$1"
    make_lu_disk
    cluster_up "sqlite:$DIR/vios.db" 7 --ttl ${TTL_S}s --page-memory 16M
    run_status "nothing is moved by itself" 0 on $OWNER cluster set maintenance on
    for node in $FREEZERS n7; do # again, when the machine is so busy that the store seems away
        ok "$node: a guest on a shared LU" await "make_guest $node" 30
    done
    for node in $FREEZERS n7; do
        start_writing "$node"
    done
    for node in $FREEZERS n7; do
        await_writing "$node"
    done
    freeze_io_alone n7
    for some in 'n1 n2' 'n3 n4' n5; do # those that live are always more than half, and elect
        for node in $some; do
            freeze "$node"
        done
        for node in $some; do
            ok "$node: it is fenced, and the fence is free" \
                await "[ \"\$(fence_of $node)\" = free ]" 30
            take_over "$node"
        done
    done
    goes_on n7
    for node in $FREEZERS; do
        export_copied "$node"
    done
    for node in $FREEZERS; do
        serve "$node"
        late_write "$node" "$2"
    done
    for node in $FREEZERS; do
        thaw "$node"
    done
    for node in $FREEZERS; do
        check "$node"
    done
    ok "the cluster is whole" await 'whole n6 7' 30
    start_elsewhere n1
}
