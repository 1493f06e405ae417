#!/bin/bash
# Proves: the runner counts what tests say, and fails a test that crashes, takes too long, breaks
# its plan, leaves a process or a sanitizer's report behind; nothing of a test outlives it.
# limit: 60
. "$(dirname "$0")/lib.sh"
RUNNER=$BUILD/tests/runner/runner

# A test script NAME.sh whose body comes from stdin.
script() { # NAME
    cat >"$DIR/$1.sh"
}

runner() { # WANTED-STATUS WHAT SCRIPT...
    local wanted=$1 what=$2 name
    local paths=()
    shift 2
    for name in "$@"; do
        case $name in
        -* | [0-9]*) paths+=("$name") ;;
        *) paths+=("$DIR/$name.sh") ;;
        esac
    done
    run_status "$what" "$wanted" "$RUNNER" "${paths[@]}"
}

last_line() {
    tail -n 1 <<<"$OUT"
}

script good <<'EOT'
echo "ok 1 - one"; echo "ok 2 - two"; echo "1..2"
EOT
script skips <<'EOT'
echo "1..0 # SKIP no such tool"
EOT
script skips_one <<'EOT'
echo "1..2"; echo "ok 1 - one"; echo "ok 2 - two # SKIP no root"
EOT
script bad <<'EOT'
echo "ok 1 - one"; echo "# got this"; echo "not ok 2 - two"; echo "1..2"; exit 1
EOT
script short_of_plan <<'EOT'
echo "1..3"; echo "ok 1 - one"
EOT
script no_plan <<'EOT'
echo "ok 1 - one"
EOT
script status <<'EOT'
echo "ok 1 - one"; echo "1..1"; exit 3
EOT
script crash <<'EOT'
echo "ok 1 - one"; echo "1..1"; kill -SEGV $$
EOT
script slow <<'EOT'
# limit: 1
trap '' TERM
echo "ok 1 - one"; echo "1..1"; sleep 321 & wait; wait; sleep 321
EOT
script orphan <<'EOT'
setsid sleep 322 </dev/null >/dev/null 2>&1 &
echo $! >"$ORPHAN_FILE"
echo "ok 1 - one"; echo "1..1"
EOT
script report <<'EOT'
# What AddressSanitizer does with it in a program whose stderr is lost.
path=${ASAN_OPTIONS##*:log_path=}; undefined=${UBSAN_OPTIONS##*:log_path=}
echo "ERROR: heap-use-after-free in a daemon" >"${path%%:*}.$$"
[ "$path" = "$undefined" ] && echo "ok 1 - one"; echo "1..1"
EOT
script warning <<'EOT'
path=${ASAN_OPTIONS##*:log_path=}
echo "WARNING: not fully supported" >"${path%%:*}.$$"
echo "ok 1 - one"; echo "1..1"
EOT
script environment <<'EOT'
[ "$HOME" = "$TMPDIR" ] && [ -d "$TMPDIR" ] && echo "$TMPDIR" >"$ORPHAN_FILE" && echo "ok 1 - one"
touch "$TMPDIR/left"; read -r word || echo "ok 2 - no input"
echo "1..2"
EOT
script heavy <<'EOT'
# needs: heavy
mkdir "$SHARED/heavy" && rmdir "$SHARED/heavy" && echo "ok 1 - alone"
echo "1..1"
EOT
for i in 1 2 3 4 5; do
    cp "$DIR/heavy.sh" "$DIR/heavy$i.sh"
done
export ORPHAN_FILE=$DIR/orphan.out SHARED=$DIR TMPDIR=$DIR

runner 0 "good tests pass" good
is "and are counted" "$(last_line)" "2 passed, 0 failed"
runner 0 "a skip is no failure" good skips skips_one
is "but is said" "$(last_line)" "3 passed, 0 failed, 2 skipped"
like "with its reason" "$OUT" "skips.sh # SKIP +no such tool"
runner 1 "a bad one fails" good bad
is "and is counted" "$(last_line)" "3 passed, 1 failed"
like "its output is shown" "$OUT" "# got this"
like "what passed in it is counted" "$OUT" "\\| \\(1 passed\\)"
like "the slowest are listed" "$OUT" "slowest, of"
for row in "short_of_plan:planned 3 tests, saw 1" "no_plan:no plan" "status:exit status 3" \
    "crash:ended by signal 11" "slow:took longer than 1 s"; do
    runner 1 "${row%%:*} fails" "${row%%:*}"
    is "${row%%:*} is counted" "$(last_line)" "1 passed, 1 failed"
    like "${row%%:*} has its reason" "$OUT" "= ${row#*:}"
done
runner 1 "an orphan fails its test" orphan
like "and is named" "$OUT" "left behind: sleep 322 \([0-9]+\)"
not_ok "and is ended" kill -0 "$(cat "$ORPHAN_FILE")"
runner 1 "a sanitizer's report fails its test" report
like "that is the reason" "$OUT" "= a sanitizer found something"
like "and it is shown" "$OUT" "heap-use-after-free in a daemon"
is "once" "$(last_line)" "1 passed, 1 failed"
runner 0 "a sanitizer's warning does not" warning
runner 0 "a test has a home of its own, and no input" environment
not_ok "which is removed" test -e "$(cat "$ORPHAN_FILE")"
runner 0 "heavy tests take turns" -j 4 -w 1 heavy1 heavy2 heavy3 heavy4 heavy5
runner 2 "no test is a usage error" -j 2
runner 2 "so is an option without a number" -j 0 good
runner 1 "a test that is not there fails" nosuch

# The runner itself is killed: its tests go with it.
script endless <<'EOT'
echo $$ >"$ORPHAN_FILE"
sleep 323
EOT
rm -f "$ORPHAN_FILE"
"$RUNNER" "$DIR/endless.sh" >/dev/null 2>&1 &
runner_pid=$!
PIDS+=("$runner_pid")
ok "the test starts" await "test -s '$ORPHAN_FILE'" 20
kill -9 "$runner_pid"
ok "and ends with the runner" await "! kill -0 $(cat "$ORPHAN_FILE")" 20
finish
