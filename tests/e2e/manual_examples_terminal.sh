#!/bin/bash
# Proves: the examples of the manual work on a terminal too, the same ways and with the same exit
# statuses; what is longer than the screen goes through the pager, and no escape reaches a pipe.
# limit: 120
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 script

export PATH=$BUILD/bin:$PATH VIOS_LAB_DIR=$DIR/lab HOME=$DIR TERM=xterm
# In place of a person who reads to the end.
export PAGER="tee -a $DIR/paged"
unset VIOS_SOCKET
[ ! -e /run/vios/vios.sock ] || skip_all "a daemon of this machine would be asked"
at_exit '"$VIOS" lab down >/dev/null 2>&1'
mkdir "$DIR/here"
cd "$DIR/here" || bail "its folder"

on_terminal() { # COMMAND
    script -qec "stty rows 12 columns 100; $1" /dev/null
}

count=0
while IFS=$'\t' read -r status command; do
    run_status "on a terminal: $command" "$status" on_terminal "$command"
    count=$((count + 1))
done < <("$ROOT/tests/tools/manual_examples.sh")
ok "there are some" test "$count" -gt 20
ok "some were longer than the screen" test -s "$DIR/paged"
not_ok "the last leaves no lab" test -e "$DIR/lab"
finish
