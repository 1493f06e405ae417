#!/bin/bash
# Proves: the examples of the manual work as they are printed, one after the other, with the exit
# statuses that it says: typed here, and given to ssh by a host that runs sshd. What a command that
# only looks says by ssh is, byte for byte, what it says here.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need qemu-system-x86_64

export PATH=$BUILD/bin:$PATH VIOS_LAB_DIR=$DIR/lab HOME=$DIR/ssh
unset VIOS_SOCKET
[ ! -e /run/vios/vios.sock ] || skip_all "a daemon of this machine would be asked"
ssh_up
ssh_host host "VIOS_LAB_DIR=$DIR/lab"
run ssh -F "$VIOS_SSH_CONFIG" host true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/host.log")"
at_exit '"$VIOS" lab down >/dev/null 2>&1'
cd "$HOME" || bail "its folder"

EXAMPLES=$("$ROOT/tests/tools/manual_examples.sh")
CHANGES=' (up|down|create|start|hibernate|restart|stop|remove|capture)( |$)'
CHANGES+='|lpar migrate [^-]*--node [a-z0-9]+$'

here() { bash -c "$1"; }                             # COMMAND
by_ssh() { ssh -F "$VIOS_SSH_CONFIG" host -- "$1"; } # COMMAND
said_here() {                                        # COMMAND; also in said.out and said.err
    here "$1" >"$DIR/said.out" 2>"$DIR/said.err" </dev/null
    cat "$DIR/said.out" "$DIR/said.err"
    echo .
}

# What a change says, without what is chosen or measured anew each time.
without_chance() { sed -E 's/[0-9a-f]{8,}|[0-9]+([.][0-9]+)?/N/g; s/ +/ /g'; }

# Runs one by ssh: what it says must be what is said here before and behind it. Where those two
# differ already it is compared without its numbers.
look_by_ssh() { # COMMAND STATUS
    local before after
    before=$(said_here "$1")
    run_status "by ssh: $1" "$2" by_ssh "$1"
    cp "$DIR/.out" "$DIR/ssh.out"
    cp "$DIR/.err" "$DIR/ssh.err"
    after=$(said_here "$1")
    if [ "$before" = "$after" ]; then
        COMPARED=$((COMPARED + 1))
        ok "byte for byte" cmp "$DIR/ssh.out" "$DIR/said.out"
        ok "and to standard error" cmp "$DIR/ssh.err" "$DIR/said.err"
    else
        is "as far as it stays the same" "$(without_chance <"$DIR/ssh.out")" \
            "$(without_chance <"$DIR/said.out")"
    fi
}

count=0
while IFS=$'\t' read -r status command; do
    run_status "$command" "$status" here "$command"
    count=$((count + 1))
    if [[ $command =~ $CHANGES ]]; then
        without_chance <"$DIR/.out" >"$DIR/change-$count"
    fi
done <<<"$EXAMPLES"
ok "there are some" test "$count" -gt 20
not_ok "the last leaves no lab" test -e "$DIR/lab"

count=0
COMPARED=0
while IFS=$'\t' read -r status command; do
    count=$((count + 1))
    if [[ $command =~ $CHANGES ]]; then
        run_status "by ssh: $command" "$status" by_ssh "$command"
        is "says the same" "$(without_chance <"$DIR/.out")" "$(cat "$DIR/change-$count")"
    else
        look_by_ssh "$command" "$status"
    fi
done <<<"$EXAMPLES"
ok "most could be compared byte for byte" test "$COMPARED" -gt 12
not_ok "the last leaves no lab" test -e "$DIR/lab"
finish
