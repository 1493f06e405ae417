#!/bin/bash
# Proves: whichever step of a hibernation or a restart the daemon is killed before or after, the
# next daemon brings it to an end: one copy of the guest runs, or its memory is kept, never both and
# never two; it goes on where it was, and no write that its disk acknowledged is missing.
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
DISK=$(on n1 lu show p1/web1-root --json | jq -r .path)
run_status "it runs" 0 on n1 lpar start web1

shown() { on n3 lpar show web1 --json | jq -r "$1"; }
settled() {
    jobs_are_over n3 &&
        shown 'select(.job == "" and (.state == "running" or .state == "hibernated")).state' |
        grep -q .
}
qemus() { pgrep -fc -- "^[^ ]*qemu-system-x86_64 -name web1 .*$(shown .uuid)"; }
console() { on "$(shown .node)" lpar console web1 --dump | tr -d '\r'; }
numbers() { console | grep '^[0-9a-f]\{4\}$'; }
# As many as the disk has: what its sectors say, in order.
recorded() { # NUMBER: sector N + 1 has the number N
    [ "$(od -An -tx2 -j $((($1 + 1) * 512)) -N 2 "$DISK" | tr -d ' ')" = "$(printf %04x "$1")" ]
}
goes_on() { # it writes, and never booted again
    [ "$(numbers | wc -l)" -ge 5 ] && recorded $((16#$(numbers | tail -n 1)))
}

crash() { # PLACE NODE COMMAND...
    local place=$1 node=$2
    shift 2
    echo "$place" >"$VIOS_CRASH_FILE"
    on "$node" "$@" >/dev/null 2>&1
    ok "$place: the daemon ended there" await '[ ! -e "$VIOS_CRASH_FILE" ]' 20
    run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 16M
    ok "the job comes to its end" await settled 40
    case $(shown .state) in
    running) is "one QEMU runs" "$(qemus)" 1 ;;
    hibernated) is "none runs" "$(qemus)" 0 ;;
    esac
}
run_again() { # NODE: wherever it is, it runs in the end
    [ "$(shown .state)" = running ] || run_status "it is restarted" 0 on "$1" lpar restart web1
    ok "it goes on" await goes_on 30
    is "it did not boot again" "$(console | grep -c boot)" "$BOOTS"
    is "no file is left" "$(ls -A "$LAB/repository/hibernation")" ""
}

ok "it writes" await goes_on 30
for step in claim save commit end finish; do
    for where in before after; do
        HERE=$(shown .node)
        THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
        crash "lpar.hibernate:$step:$where" "$HERE" lpar hibernate web1
        BOOTS=0
        [ "$(shown .node)" != "$HERE" ] || BOOTS=$(console | grep -c boot)
        run_again "$THERE"
    done
done
for step in claim prepare launch load commit run finish; do
    for where in before after; do
        HERE=$(shown .node)
        THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
        run_status "it is hibernated" 0 on "$HERE" lpar hibernate web1
        crash "lpar.restart:$step:$where" "$THERE" lpar restart web1
        BOOTS=0
        run_again "$THERE"
    done
done
finish
