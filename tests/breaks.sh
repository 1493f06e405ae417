#!/bin/bash
# Proves: each break of the product in breaks/*.patch, a line in each, is caught by the tests that
# its head names, and these pass without it. BREAKS='a b' tries only those. See README.md.
#
# The tree is copied with its objects, so that a break is built in seconds. It is caught when each
# of its tests says `not ok`: one that does not build, is skipped, crashes or hangs proves nothing.
export BUILD=build/test
. "$(dirname "$0")/e2e/lib.sh"

TREE=$ROOT/build/breaks
LOG=$DIR/log

copy_tree() {
    rm -rf "$TREE" && mkdir -p "$TREE/build" && cd "$ROOT" || exit 1
    cp -a Makefile core lua shell scripts tests vios.1 "$TREE" &&
        cp -a "$BUILD" "$TREE/build/test" &&
        ln -s "$ROOT/build/guest" "$TREE/build/guest" && cd "$TREE" || exit 1
}

# Test, as the Makefile and the runner have it: scripts need the programs that they call.
target() { # TEST
    [[ $1 == *.* ]] && echo all tools || echo "build/test/$1"
}
path() { # TEST
    [[ $1 == *.* ]] && echo "$1" || echo "build/test/$1"
}

build() { # TEST...
    local test targets=()
    for test; do
        read -ra target <<<"$(target "$test")"
        targets+=("${target[@]}")
    done
    make -s -j2 VARIANT=test "${targets[@]}" >"$LOG" 2>&1
}

run_test() { # TEST
    BUILD=$TREE/build/test build/test/tests/runner/runner -j 1 "$(path "$1")" >"$LOG" 2>&1
}

log_line() { # STATUS WHAT: with the end of the log when it failed
    [ "$1" = 0 ] || tail -n 20 "$LOG" | sed 's/^/# /'
    tap_line "$1" "$2"
}

# Builds and runs with the break; $TOLD is why that is not enough, or the first `not ok` of each.
is_caught() { # TEST...
    local test first
    TOLD="it does not build"
    build "$@" || return 1
    TOLD=''
    for test; do
        run_test "$test"
        first=$(sed -n 's/^ *| not ok [0-9]* - //p' "$LOG" | head -n 1)
        if [ -z "$first" ]; then
            TOLD="$test does not fail"
            return 1
        fi
        TOLD+="${TOLD:+; }$test: $first"
    done
}

try() { # NAME
    local patch=tests/breaks/$1.patch tests status
    read -ra tests <<<"$(sed -n 's/^caught by: //p' "$patch")"
    if [ ${#tests[@]} = 0 ] || ! patch -p1 -s -f -F0 --dry-run <"$patch" >"$LOG" 2>&1; then
        log_line 1 "$1: it names no test, or the patch does not apply any more"
        return
    fi
    patch -p1 -s -F0 <"$patch"
    is_caught "${tests[@]}"
    status=$?
    patch -p1 -s -F0 -R <"$patch"
    log_line $status "$1: $TOLD"
}

passes_whole() { # TEST
    build "$1" && run_test "$1" && ! grep -q '^ok .* # SKIP' "$LOG"
}

copy_tree
NAMES=() PATCHES=()
for patch in tests/breaks/*.patch; do
    name=$(basename "$patch" .patch)
    if [ -z "${BREAKS:-}" ] || [[ " $BREAKS " == *" $name "* ]]; then
        NAMES+=("$name") PATCHES+=("$patch")
    fi
done
[ ${#NAMES[@]} -gt 0 ] || bail "there is no such break: $BREAKS"
for name in "${NAMES[@]}"; do
    try "$name"
done
while read -r test; do
    passes_whole "$test"
    log_line $? "without a break: $test"
done < <(sed -n 's/^caught by: //p' "${PATCHES[@]}" | tr ' ' '\n' | sort -u)
finish
