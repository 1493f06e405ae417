#!/bin/bash
# Proves: a SIGINT at any moment of a script's life ends it with 130: before the shell is set up,
# where the script waits or swallows errors, within os.execute, and while the shell ends.
# limit: 60
. "$(dirname "$0")/lib.sh"
need perl

INTERRUPT='vios.os.kill(vios.os.pid(), "INT")'
mkfifo "$DIR/keys"
exec 9<>"$DIR/keys" # nobody types anything

ends() { # WHAT LUA; with 130
    run_status "$1" 130 timeout 20 "$VIOS" -e "$2"
}

# As it comes when the process has only just begun: it waits until somebody can take it.
run_status "before everything" 130 timeout 20 perl -e '
    use POSIX;
    sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGINT));
    kill INT => $$;
    exec @ARGV' "$VIOS" -e 'print("went on")'
is "and nothing is run" "$OUT" ""
is "which it says" "$ERR" "vios: interrupted"
ends "before another error" "$INTERRUPT error('another', 0)"
ends "before it is done" "$INTERRUPT"
ends "swallowed with everything else" "pcall(function() $INTERRUPT while true do end end)"
ends "in the end of a finally" "vios.os.finally(function() end, function() $INTERRUPT end)"
ends "while the state is closed" "x = setmetatable({}, {__gc = function() $INTERRUPT end})"
ends "before it waits in a sleep" "$INTERRUPT vios.os.sleep(60)"

timeout 20 "$VIOS" -e "$INTERRUPT io.read()" <&9
is "before it waits for a line" $? 130
printf '%s\nprint(1)\n' "$INTERRUPT" >"$DIR/lines"
run_status "between two lines of a file" 130 "$VIOS" source "$DIR/lines"

# shellcheck disable=SC2016 # for the other shell
ends "within os.execute" 'while true do os.execute("kill -INT $PPID") end'
run "$VIOS" -e 'print(os.execute(), os.execute("exit 3"))'
is "os.execute tells an exit status" "$OUT" $'true\tnil\texit\t3'
# shellcheck disable=SC2016
run "$VIOS" -e 'print(os.execute("kill -9 $$"))'
is "and a signal" "$OUT" $'nil\tsignal\t9'
run "$VIOS" -e 'print(os.execute("true"))'
is "and that all went well" "$OUT" $'true\texit\t0'

# Of a command that waits for a job.
"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
export VIOS_SOCKET=$DIR/vios.sock
await "$VIOS node list" 10 || bail "the daemon answers"
GOES_ON='vios: job j-1 goes on: vios job wait j-1, vios job cancel j-1'

waits() { # COMMAND...; in the background, as $WAITER
    rm -f "$DIR/WAITING" "$DIR/LEFT" "$DIR/CANCELLED"
    "$@" 2>"$DIR/err" &
    WAITER=$!
    await '[ -e "$DIR/WAITING" ]' 20 || bail "it waits"
}

waits "$VIOS" job wait j-1
kill -INT "$WAITER"
wait "$WAITER"
is "a job is left" $? 130
is "and it says what goes on, and what to do" "$(cat "$DIR/err")" "$GOES_ON"
not_ok "it is not cancelled" test -e "$DIR/CANCELLED"
waits "$VIOS" -e 'pcall(vios.job.wait, "j-1") print("went on")'
kill -INT "$WAITER"
wait "$WAITER"
is "so is that of a script" $? 130
is "which says so once" "$(cat "$DIR/err")" "$GOES_ON"
waits "$VIOS" job wait j-1 --json
kill -INT "$WAITER"
wait "$WAITER"
like "with --json it is a member" "$(cat "$DIR/err")" '"job":"j-1"'
touch "$DIR/HOLD"
waits "$VIOS" job wait j-1
kill -INT "$WAITER"
await '[ -e "$DIR/LEFT" ]' 20 || bail "the call is cancelled"
kill -INT "$WAITER"
rm "$DIR/HOLD"
wait "$WAITER"
is "twice" $? 130
is "cancels the job" "$(tail -n1 "$DIR/err")" \
    "vios: job j-1 is being undone: vios job wait j-1"
ok "at the daemon" test -e "$DIR/CANCELLED"
waits "$VIOS" on n1,n2 job wait j-1
await '[ -e "$DIR/WAITING-n2" ]' 20 || bail "it waits on both"
kill -INT "$WAITER"
wait "$WAITER"
is "those of several nodes are left" $? 130
is "and each is named" "$(sed '$d' "$DIR/err")" "n1: ${GOES_ON#vios: }
n2: ${GOES_ON#vios: }"
waits "$VIOS" job wait j-1
kill -TERM "$WAITER"
wait "$WAITER"
is "SIGTERM ends the command" $? 143
not_ok "and not the job" test -e "$DIR/CANCELLED"
run_status "--nowait is --no-wait" 0 "$VIOS" paging create web1 --size 1M --nowait
is "the job" "$OUT" "job j-1"
finish
