#!/usr/bin/env bash
# How long the shell takes to run one line of Lua, and how much memory, against plain lua5.4.
# Aim: at most 3 times lua5.4's time; at most 8 MiB.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need hyperfine lua5.4 jq

runs=${QUICK:+200}
hyperfine --style none -N --warmup 20 --runs "${runs:-1000}" --export-json "$WORK/times.json" \
    "$BUILD/bin/vios -e 'return 1'" "lua5.4 -e 'return 1'" >/dev/null
mapfile -t ms < <(jq '.results[].median * 1e6 | round / 1000' "$WORK/times.json")
report startup_ms "${ms[0]}" lua5.4 "${ms[1]}" lower

peak='for l in io.lines("/proc/self/status") do local k = l:match("^VmHWM:%s*(%d+)")
    if k then print(k) end end'
report startup_peak_kib "$("$BUILD/bin/vios" -e "$peak")" lua5.4 "$(lua5.4 -e "$peak")" lower
