#!/bin/bash
# Proves: a command that waits for a job leaves it at SIGINT and at a time-out, and says which it
# is, also when another node does the work; the job is not undone by that, and can be cancelled.
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64

run_status "lab up" 0 "$VIOS" lab up 2 --page-memory 16M
on n1 pool create p1 >/dev/null
on n1 lu create web1-root --size 1M >/dev/null
on n1 lpar create web1 --memory 16M --disk web1-root >/dev/null
run_status "a guest that does not power down" 0 on n1 lpar start web1

# `lpar stop` waits for the guest: the id of its job, once it runs.
stop_job() {
    on n1 job list --json |
        jq -er 'map(select(.kind == "lpar.stop" and .state == "running"))[0].id'
}

stop_on() { # NODE; in the background, as $STOPPER; its job as $JOB
    "$VIOS" --socket "$LAB/$1/run/vios.sock" lpar stop web1 --timeout 10m 2>"$DIR/err" &
    STOPPER=$!
    await stop_job 20 || bail "the job runs: $(cat "$DIR/err")"
    JOB=$(stop_job)
}

state_of_job() { on n1 job show "$JOB" --json | jq -r .state; }

for node in n1 n2; do
    stop_on "$node"
    kill -INT "$STOPPER"
    wait "$STOPPER"
    is "$node: SIGINT leaves it" $? 130
    is "$node: and says what goes on" "$(cat "$DIR/err")" \
        "vios: job $JOB goes on: vios job wait $JOB, vios job cancel $JOB"
    is "$node: as it does" "$(state_of_job)" running
    run_status "$node: a time-out leaves it, too" 5 on "$node" job wait "$JOB" --timeout 100ms
    like "$node: and says so" "$ERR" "^vios: timed out: job $JOB goes on: vios job wait $JOB, "
    run_status "$node: it is cancelled" 0 on n1 job cancel "$JOB"
    ok "$node: and ends" await '[ "$(state_of_job)" = cancelled ]' 20
done

is "the guest runs" "$(on n1 lpar show web1 --json | jq -r .state)" running
finish
