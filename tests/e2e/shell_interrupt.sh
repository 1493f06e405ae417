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
finish
