#!/usr/bin/env bash
# Events of 512 bytes to 10, 100, 1,000 and 10,000 callers on this machine, beside as many
# subscribers of Redis' pub/sub. First as many are published as the server takes: deliveries a
# second from the first event to the last caller's last one, and the CPU that the server spends for
# each. Then, at a rate that all carry: p50 and p99 from the moment an event was due to its last
# caller. Ours are published durably, in batches as a node makes them, before they are posted, and
# go by TLS; Redis keeps nothing, and is measured plain and by TLS. The same program receives from
# all and checks that each caller got every event once and in order. They take turns. Aim: at least
# 1.5 times the deliveries a second of plain Redis at 1,000 and 10,000 callers.
#
# When saturated ours takes up what comes and lets callers lag, while Redis lets who publishes wait:
# there p99 is mostly how long the run was. A receiver of TLS needs about twice the CPU of one of
# plain TCP, so where CPUs are short deliveries a second say less than the CPU for each.
#
# CALLERS='1000' EVENT_LOAD_THREADS=2 choose otherwise. 10,000 callers need as many descriptors.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq redis-server openssl

ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-3}
SHORTER=${QUICK:+4}
THREADS=${EVENT_LOAD_THREADS:-1}
SIZE=512
CHANNEL=event
CLOCK_TICKS=$(getconf CLK_TCK)
ulimit -n "$(ulimit -Hn)"

# --- the two servers, and who publishes: asked by lines to $TO, answering to $FROM ---

OURS_TO='' OURS_FROM='' REDIS_TO='' REDIS_FROM=''
declare -A ADDRESS FILE PID

ours_start() { # CALLERS
    rm -rf "$WORK/ours"
    mkdir "$WORK/ours"
    mkfifo "$WORK/ours/to" "$WORK/ours/from"
    "$BUILD/tests/tools/event_fanout" "$WORK/ours" "$1" 128 $SIZE durable <"$WORK/ours/to" \
        >"$WORK/ours/from" 2>"$WORK/ours/log" &
    PIDS+=($!)
    PID[ours]=$!
    exec {OURS_TO}>"$WORK/ours/to" {OURS_FROM}<"$WORK/ours/from"
    read -r -t 120 "ADDRESS[ours]" <&"$OURS_FROM"
    FILE[ours]=$WORK/ours/callers
}

redis_try() { # PORT TLS_PORT: false when it does not start
    rm -f "$WORK/redis.sock"
    redis-server --port "$1" --bind 127.0.0.1 --unixsocket "$WORK/redis.sock" --dir "$WORK" \
        --tls-port "$2" --tls-cert-file "$WORK/redis.crt" --tls-key-file "$WORK/redis.key" \
        --tls-ca-cert-file "$WORK/redis.crt" --tls-auth-clients no --save '' --appendonly no \
        --maxclients 12000 --client-output-buffer-limit 'pubsub 0 0 0' --loglevel warning \
        >"$WORK/redis.log" 2>&1 &
    local pid=$!
    PIDS+=("$pid")
    PID[redis]=$pid
    PID[redis_tls]=$pid
    while kill -0 "$pid" 2>/dev/null; do
        if [ -S "$WORK/redis.sock" ]; then
            return 0
        fi
        sleep 0.02
    done
    return 1
}

# It cannot be given port 0: ports are tried until it starts.
redis_start() {
    local port tries
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x \
        -keyout "$WORK/redis.key" -out "$WORK/redis.crt" 2>/dev/null
    for ((tries = 0; tries < 20; tries++)); do
        port=$((20000 + RANDOM % 12000))
        if redis_try "$port" $((port + 1)); then
            ADDRESS[redis]=redis:127.0.0.1:$port
            ADDRESS[redis_tls]=rediss:127.0.0.1:$((port + 1))
            FILE[redis]=$CHANNEL
            FILE[redis_tls]=$CHANNEL
            break
        fi
    done
    mkfifo "$WORK/to" "$WORK/from"
    "$BUILD/tests/tools/redis_publish" "$WORK/redis.sock" $CHANNEL $SIZE <"$WORK/to" \
        >"$WORK/from" &
    PIDS+=($!)
    exec {REDIS_TO}>"$WORK/to" {REDIS_FROM}<"$WORK/from"
}

# --- one run ---

broken() { # WHY
    echo "event_fanout.sh: $1" >&2
    exit 1
}

cpu_ticks() { # SERVER
    awk '{ print $14 + $15 }' "/proc/${PID[$1]}/stat"
}

fanout() { # SERVER CALLERS EVENTS RATE: a line of JSON
    local ready report posted to=$OURS_TO from=$OURS_FROM load before
    if [ "$1" != ours ]; then
        to=$REDIS_TO from=$REDIS_FROM
    fi
    rm -f "$WORK/load"
    mkfifo "$WORK/load"
    "$BUILD/tests/tools/event_load" "${ADDRESS[$1]}" "${FILE[$1]}" "$2" "$3" "$THREADS" \
        >"$WORK/load" &
    PIDS+=($!)
    exec {load}<"$WORK/load"
    read -r -t 120 ready <&"$load"
    [ "$(jq .ready <<<"$ready")" = "$2" ] || broken "$1: not all callers got in: $ready"
    before=$(cpu_ticks "$1")
    echo "post $3 $4" >&"$to"
    read -r -t 300 report <&"$load" || broken "$1 with $2 callers came to no end"
    read -r -t 60 posted <&"$from"
    exec {load}<&-
    [ "$(jq -c '[.deliveries, .disorder, .resyncs]' <<<"$report")" = "[$(($2 * $3)),0,0]" ] ||
        broken "$1: not every caller got every event once and in order: $report, $posted"
    jq -c ".cpu_ns = $((($(cpu_ticks "$1") - before) * 1000000000 / CLOCK_TICKS)) / .deliveries" \
        <<<"$report"
}

# Enough to last some seconds, and less than the ring of ours has room for.
events_for() { # CALLERS
    local events=$((4000000 / $1 / ${SHORTER:-1}))
    echo $((events > 20000 ? 20000 : events))
}

rate_for() { # CALLERS: a second
    local rate=$((50000 / $1))
    echo $((rate > 500 ? 500 : rate))
}

run_all() { # CALLERS
    local server events rate round
    events=$(events_for "$1")
    rate=$(rate_for "$1")
    for ((round = 0; round < ROUNDS; round++)); do
        for server in ours redis redis_tls; do
            fanout "$server" "$1" "$events" 0 >>"$WORK/$server.$1.most"
        done
        for server in ours redis redis_tls; do
            fanout "$server" "$1" $((rate * 6 / ${SHORTER:-1})) "$rate" >>"$WORK/$server.$1.calm"
        done
    done
}

middle() { # SERVER CALLERS most|calm MEMBER
    jq ".$4" "$WORK/$1.$2.$3" | median
}

report_all() { # CALLERS
    local peer percentile
    for peer in redis redis_tls; do
        report "event_fanout_$1_per_s" "$(middle ours "$1" most deliveries_per_s)" $peer \
            "$(middle $peer "$1" most deliveries_per_s)" higher
        report "event_fanout_$1_cpu_ns" "$(middle ours "$1" most cpu_ns)" $peer \
            "$(middle $peer "$1" most cpu_ns)" lower
        for percentile in p50_ms p99_ms; do
            report "event_fanout_$1_$percentile" "$(middle ours "$1" calm $percentile)" $peer \
                "$(middle $peer "$1" calm $percentile)" lower
        done
        report "event_fanout_$1_saturated_p99_ms" "$(middle ours "$1" most p99_ms)" $peer \
            "$(middle $peer "$1" most p99_ms)" lower
    done
}

redis_start
for callers in ${CALLERS:-10 100 1000 10000}; do
    if (($(ulimit -n) < callers + 200)); then
        echo "$0: $callers callers are left out: this user may have $(ulimit -n) descriptors" >&2
        continue
    fi
    ours_start "$callers"
    run_all "$callers"
    report_all "$callers"
    exec {OURS_TO}>&- {OURS_FROM}<&-
done
