#!/bin/bash
# Proves: a hibernation file through pipes and processes: what goes in comes out; a flipped bit and
# a cut are refused with the reason; a writer that is killed, or whose source ends badly, leaves
# nothing under the name, and does not hinder the next.
# limit: 60
. "$(dirname "$0")/lib.sh"

TOOL=$BUILD/tests/tools/hibernation_file
cd "$DIR" || exit 1

flip() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

{
    head -c 3M /dev/zero
    find "$ROOT/core" -name '*.c' -exec cat {} +
    head -c 2500000 /dev/urandom
} >data

for encrypt in '' --encrypt; do
    # shellcheck disable=SC2086 # nothing, or a word
    ok "it is written ${encrypt:-plain}" eval "cat data | '$TOOL' write file $encrypt"
    ok "it is whole" "$TOOL" verify file
    ok "it comes out again" eval "'$TOOL' read file | cmp - data"
    is "who reads less than all is no reason to hang" "$("$TOOL" read file 2>/dev/null | head -c 5 |
        wc -c)" 5
    cp file damaged
    flip damaged $(($(stat -c %s file) / 2))
    like "a flipped bit is refused" "$("$TOOL" verify damaged 2>&1)" \
        'hibernation of "measured": block [0-9]+ of [0-9]+ is damaged \(its digest differs\)$'
    not_ok "also when it is delivered" eval "'$TOOL' read damaged >out 2>/dev/null"
    ok "what came before was right" cmp -n "$(stat -c %s out)" out data
    is "whole blocks only" $(($(stat -c %s out) % 1048576)) 0
    head -c 3000000 file >shorter
    like "a cut is refused" "$("$TOOL" verify shorter 2>&1)" \
        'hibernation of "measured": ends in block [0-9]+: it was cut short$'
done

# --- a writer that ends ---

mkfifo feed
"$TOOL" write killed <feed &
WRITER=$!
PIDS+=("$WRITER")
exec 8>feed
cat data >&8
await '[ "$(stat -c %s .killed.*.tmp)" -gt 2000000 ]' 20
not_ok "an unfinished one has no name" test -e killed
kill -9 "$WRITER"
wait "$WRITER" 2>/dev/null
exec 8>&-
not_ok "nor has that of a killed writer" test -e killed
ok "what is left does not hinder the next" eval "'$TOOL' write killed <data"
ok "which is whole" eval "'$TOOL' read killed | cmp - data"
like "a folder cannot be read from" "$("$TOOL" write folder <. 2>&1)" \
    'hibernation of "measured": cannot read what it is made of: Is a directory$'
is "and leaves nothing" "$(find . -name '*folder*')" ""
finish
