#!/bin/bash
# Proves: the simulator finds each of the rules' mutations (mutations/*.patch) by a violation. Those
# that are rare are searched for only by MUTATIONS=all, as make check-long does.
# needs: heavy
# limit: 300
. "$(dirname "$0")/../e2e/lib.sh"
cd "$ROOT" || exit 1

SEEDS=${SEEDS:-10000}
RARE='hibernation_generation time_from_receipt' # a thousand seeds
# Where the search begins, when the first seed that finds it is far from 1.
declare -A BEGIN=([no_epoch_compare]=1750)

# One line: NAME, and the seed at which it was found or "not found".
search() { # NAME FIRST-SEED
    local found
    found=$("$BUILD/tests/sim/mutants/$1" --seeds "$2" "$SEEDS" --no-shrink |
        sed -n 's/^# \(seed [0-9]*: invariant [0-9]*\).*/\1/p' | head -n 1)
    printf '%s %s\n' "$1" "${found:-not found}"
}

wanted=()
for patch in tests/sim/mutations/*.patch; do
    name=$(basename "$patch" .patch)
    if [ "${MUTATIONS:-}" = all ] || [[ " $RARE " != *" $name "* ]]; then
        wanted+=("$name ${BEGIN[$name]:-1}")
    fi
done

export -f search
export BUILD SEEDS
results=$(printf '%s\n' "${wanted[@]}" | xargs -P 2 -I{} bash -c 'search {}')
while read -r name found; do
    [ "$found" != "not found" ]
    tap_line $? "$name: $found"
done < <(sort <<<"$results")
finish
