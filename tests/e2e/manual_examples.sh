#!/bin/bash
# Proves: the examples of the manual work as they are printed, one after the other, with the exit
# statuses that it says.
# limit: 120
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64

export PATH=$BUILD/bin:$PATH VIOS_LAB_DIR=$DIR/lab HOME=$DIR
unset VIOS_SOCKET
[ ! -e /run/vios/vios.sock ] || skip_all "a daemon of this machine would be asked"
at_exit '"$VIOS" lab down >/dev/null 2>&1'
mkdir "$DIR/here"
cd "$DIR/here" || bail "its folder"

count=0
while IFS=$'\t' read -r status command; do
    run_status "$command" "$status" bash -c "$command"
    count=$((count + 1))
done < <("$ROOT/tests/tools/manual_examples.sh")
ok "there are some" test "$count" -gt 20
not_ok "the last leaves no lab" test -e "$DIR/lab"
finish
