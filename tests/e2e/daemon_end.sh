#!/bin/bash
# Proves: SIGTERM ends the daemon alone, guest and io go on and the next daemon has them again; with
# --stop-guests they end too. systemd hears READY, WATCHDOG while it serves, and STOPPING.
# needs: heavy
# limit: 90
. "$(dirname "$0")/lib.sh"
need jq perl qemu-system-x86_64 as ld

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M
SOCKET=$DIR/n1/run/vios.sock
NOTIFY=$DIR/notify.sock

at_exit end_strays

# Writes each datagram to $DIR/told.
perl -MSocket -e '
    $| = 1;
    socket(S, PF_UNIX, SOCK_DGRAM, 0) && bind(S, sockaddr_un($ARGV[0])) or die $!;
    while (defined recv(S, $text, 4096, 0)) { print "$text\n" }' "$NOTIFY" >"$DIR/told" &
PIDS+=($!)
ok "somebody listens" await '[ -S "$NOTIFY" ]' 20

start_daemon() { # [OPTION...]
    local before
    before=$(told READY=1)
    mkdir -p "$DIR/n1"
    NOTIFY_SOCKET=$NOTIFY WATCHDOG_USEC=200000 "$DAEMON" --node n1 --ttl 2s \
        --store "sqlite:$DIR/vios.db" --run-dir "$DIR/n1/run" --state-dir "$DIR/n1/state" \
        --page-memory 16M "$@" >/dev/null 2>>"$DIR/log" &
    PID=$!
    PIDS+=("$PID")
    ok "systemd is told that it is ready" await "[ \$(told READY=1) -gt $before ]" 20
}
told() { grep -cx "$1" "$DIR/told"; }
vios() { "$VIOS" --socket "$SOCKET" "$@"; }
field() { vios lpar show g1 --json | jq -r "$1"; }
runs() { # PID
    [ -e "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status"
}
end_daemon() {
    kill -TERM "$PID"
    wait "$PID"
    is "SIGTERM ends it with 0" $? 0
}

# --- SIGTERM ends it alone ---
start_daemon
run_status "a cluster" 0 vios cluster create c1
run_status "a guest" 0 vios lpar create g1 --memory 16M --disk "$DIR/disk.raw"
run_status "runs" 0 vios lpar start g1
QEMU=$(field .qemu_pid)
IO=$(io_pid n1)
ok "systemd is told that it lives" await '[ "$(told WATCHDOG=1)" -gt 2 ]' 20
is "not yet that it ends" "$(told STOPPING=1)" 0
end_daemon
is "systemd is told" "$(told STOPPING=1)" 1
ok "QEMU goes on" runs "$QEMU"
ok "so does io" runs "$IO"

# --- the next one has them, and with --stop-guests takes them along ---
start_daemon --stop-guests
ok "the guest is listed running" await '[ "$(field .state)" = running ]' 20
is "with the same QEMU" "$(field .qemu_pid)" "$QEMU"
is "behind the same io" "$(io_pid n1)" "$IO"
end_daemon
not_ok "QEMU has ended" runs "$QEMU"
not_ok "so has io" runs "$IO"
ok "the guest's run folder is gone" test -z "$(ls "$DIR/n1/run/lpar" 2>/dev/null)"
is "systemd was told again" "$(told STOPPING=1)" 2

# --- asked to end with its guests ---
start_daemon
is "the guest is stopped" "$(field .state)" stopped
run_status "and starts again" 0 vios lpar start g1
QEMU=$(field .qemu_pid)
run_status "daemon.stop with guests" 0 "$BUILD/tests/tools/rpc_call" "$SOCKET" daemon.stop \
    '{"guests":true}'
wait "$PID"
is "it ends with 0" $? 0
not_ok "QEMU has ended" runs "$QEMU"
ok "nothing runs for this node" test -z "$(io_pid n1)"
BEFORE=$(told WATCHDOG=1)
export WATCHDOG_PID=1
start_daemon
run_status "it serves" 0 vios node list
is "a watchdog of another process is not for it" "$(told WATCHDOG=1)" "$BEFORE"
end_daemon
unlike "no fault in the log" "$(cat "$DIR/log")" "ERROR: AddressSanitizer|runtime error|Assertion"
finish
