#!/usr/bin/env bash
# What `top` costs while it runs: CPU of its process in percent of a core, and bytes that it sends
# to the terminal per second; four nodes, 40 LPARs, the default interval. Aim: under 2 % of a core.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need script jq pgrep

SECONDS_MEASURED=${QUICK:+6}
SECONDS_MEASURED=${SECONDS_MEASURED:-30}
LPARS=40

"$BUILD/bin/vios" lab up 4 --dir "$DIR" >/dev/null
truncate -s 1M "$WORK/disk"
for ((i = 1; i <= LPARS; i++)); do
    vios lpar create "g$i" --memory 16M --disk "$WORK/disk" >/dev/null
done

mkfifo "$WORK/keys"
exec 3<>"$WORK/keys"
TERM=xterm script -qfc "stty rows 60 columns 120
    exec $BUILD/bin/vios --socket $DIR/n1/run/vios.sock top" "$WORK/screen" <&3 >/dev/null &
recorder=$!
PIDS+=("$recorder")
for ((tries = 0; tries < 500; tries++)); do
    if grep -q g1 "$WORK/screen" 2>/dev/null; then
        break
    fi
    sleep 0.02
done
pid=$(pgrep -P "$recorder")

ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
bytes() { stat -c %s "$WORK/screen"; }
ticks_before=$(ticks)
bytes_before=$(bytes)
sleep "$SECONDS_MEASURED"
ticks_after=$(ticks)
bytes_after=$(bytes)
echo q >&3
wait "$recorder"

report top_cpu_percent "$(awk -v used=$((ticks_after - ticks_before)) \
    -v hertz="$(getconf CLK_TCK)" -v seconds="$SECONDS_MEASURED" \
    'BEGIN { printf "%.2f", 100 * used / hertz / seconds }')" aim 2 lower
report top_bytes_s "$(((bytes_after - bytes_before) / SECONDS_MEASURED))" whole_frames \
    "$((60 * 120 / 2))" lower
