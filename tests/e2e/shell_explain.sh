#!/bin/bash
# Proves: `explain` says what a command means, for people and as JSON, with what the daemon knows
# and without one, and does not do it; a line that is wrong is an error as it would be by itself.
. "$(dirname "$0")/lib.sh"
need jq

"$BUILD/tests/tools/fake_daemon" "$DIR" &
PIDS+=($!)
export VIOS_SOCKET=$DIR/vios.sock
await "$VIOS node list" 10 || bail "the daemon answers"

run_status "explain" 0 "$VIOS" explain lpar stop web1 --timeout 5s
like "what it does" "$OUT" 'does +ask a guest to power down'
like "what each word is" "$OUT" 'web1 +NAME +the guest'
like "an option" "$OUT" '--timeout +option +how long it may take'
like "its value" "$OUT" '5s +value of --timeout +TIME'
like "what was left out" "$OUT" '--force +end it at once'
unlike "and only that" "$OUT" '--timeout TIME'
like "the method" "$OUT" 'calls +the method lpar.stop of the daemon'
like "the role" "$OUT" $'role +operator\nyour_role +admin'
like "that it is a job" "$OUT" 'job +yes, and is waited for'
like "the Lua" "$OUT" 'lua +vios.lpar.stop\{name = "web1", timeout = "5s"\}'
like "the exit statuses" "$OUT" '130 +left by Ctrl-C; the job goes on'
run_status "as JSON" 0 "$VIOS" explain lpar stop web1 --no-wait --json
is "an object" "$(jq -r '[.command, .method, .role, .parameters.name, .job] | join("|")' \
    <<<"$OUT")" "lpar stop|lpar.stop|operator|web1|yes, and is not waited for"
is "with the words" "$(jq -c '[.words[] | .word + "=" + .is]' <<<"$OUT")" \
    '["lpar=noun","stop=verb","web1=NAME","--no-wait=option","--json=option"]'
run_status "the option in front is the same" 0 "$VIOS" explain --json lpar stop web1
is "an object" "$(jq -r .command <<<"$OUT")" "lpar stop"
run_status "what asks" 0 "$VIOS" explain lpar remove web1
like "is told" "$OUT" 'asks +lpar remove forgets web1'
run_status "on several nodes" 0 "$VIOS" explain on n1,n2 node list
like "which may differ" "$OUT" '3 +failed on some of the nodes'
run_status "a word of the shell" 0 "$VIOS" explain watch 1 node list
like "asks nobody" "$OUT" "calls +nothing: it is the shell's own word"
run_status "without a daemon" 0 "$VIOS" --socket "$DIR/none" explain lpar stop web1
unlike "no role is known" "$OUT" 'role'
run_status "a word that is wrong" 2 "$VIOS" explain lpar stop web1 --tiemout 3
like "is named" "$ERR" 'unknown option "--tiemout"'
run_status "a value that is wrong" 2 "$VIOS" explain audit list --limit x
like "too" "$ERR" '^vios: --limit: '
run_status "half a command" 2 "$VIOS" explain lpar
like "is none" "$ERR" 'lpar needs a verb'
run_status "a line that is wrong, with no terminal" 2 "$VIOS" -c 'lpar stop web1 --tiemout 3'
is "has no mark" "$(wc -l <<<"$ERR")" 1
finish
