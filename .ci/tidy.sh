#!/bin/bash
# clang-tidy without its counts of suppressed warnings: tidy.sh FLAG... -- FILE...
flags=()
while [ "$1" != -- ]; do
    flags+=("$1")
    shift
done
shift
output=$(clang-tidy --quiet --warnings-as-errors='*' "$@" -- "${flags[@]}" 2>&1)
status=$?
grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' <<<"$output" | sed '/^$/d'
exit "$status"
