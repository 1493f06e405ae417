# shellcheck shell=bash
# What the end-to-end tests share: checks that speak TAP, a fresh folder, and processes that go at
# exit. A test starts with
#
#     #!/bin/bash
#     # Proves: what it proves, in a line or two.
#     # needs: heavy        (takes a token: keeps a core busy, as Linux guests and fio do)
#     # limit: 60           (seconds)
#     . "$(dirname "$0")/lib.sh"
#
# and ends with `finish`, which prints the plan. It may be run by hand from anywhere after `make`;
# the runner sets BUILD and TMPDIR.

set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(cd "$ROOT" && realpath "${BUILD:-build}")
# shellcheck disable=SC2034 # for the tests
VIOS=$BUILD/bin/vios
# shellcheck disable=SC2034
DAEMON=$BUILD/libexec/vios/daemon
# shellcheck disable=SC2034
IO=$BUILD/libexec/vios/io
case $BUILD in
*/asan) SLOW=4 ;; # as tests.mk has it
*) SLOW=1 ;;
esac
DIR=$(mktemp -d "${TMPDIR:-/tmp}/t-XXXXXX")
# shellcheck source=../processes.sh
. "$ROOT/tests/processes.sh" "$DIR"
PIDS=() # ended with SIGKILL at exit; add your own: PIDS+=($!)
CHECKS=0
BAD=0

# Functions that `at_exit` was given, last first, then the processes, then the folder.
EXITS=()
at_exit() { # COMMAND
    EXITS=("$1" "${EXITS[@]}")
}

clean_up() {
    local status=$? command
    trap '' INT TERM
    for command in "${EXITS[@]}"; do
        eval "$command"
    done
    end_processes "${PIDS[@]}"
    cd / && rm -rf "$DIR"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The same language, but it sorts the members of objects: for their order `command jq`. Debian's jq
# takes 20 times as long to start, and tests start it thousands of times.
! command -v gojq >/dev/null || jq() { gojq "$@"; }

# --- processes ---

# The io of the daemon with --run-dir $DIR/NODE/run; "" when there is none.
io_pid() { # NODE
    pgrep -f -- "^[^ ]*/io .*--run-dir $DIR/$1/run( |\$)"
}

process_state() { awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null; } # PID

# --- checks; each is one TAP line and returns whether it held ---

tap_line() { # STATUS WHAT
    CHECKS=$((CHECKS + 1))
    if [ "$1" = 0 ]; then
        echo "ok $CHECKS - $2"
    else
        BAD=$((BAD + 1))
        echo "not ok $CHECKS - $2"
    fi
    return "$1"
}

# Runs the command; it must exit 0.
ok() { # WHAT COMMAND...
    local what=$1
    shift
    "$@"
    tap_line $? "$what"
}

# The command must fail.
not_ok() { # WHAT COMMAND...
    local what=$1
    shift
    ! "$@"
    tap_line $? "$what"
}

is() { # WHAT GOT WANT
    if [ "$2" = "$3" ]; then
        tap_line 0 "$1"
        return
    fi
    printf '%s\n' "got:  $2" "want: $3" | sed 's/^/# /'
    tap_line 1 "$1"
}

# GOT fits the extended regular expression.
like() { # WHAT GOT REGEX
    if [[ $2 =~ $3 ]]; then
        tap_line 0 "$1"
        return
    fi
    printf '%s\n' "got:  $2" "want: /$3/" | sed 's/^/# /'
    tap_line 1 "$1"
}

unlike() { # WHAT GOT REGEX
    if ! [[ $2 =~ $3 ]]; then
        tap_line 0 "$1"
        return
    fi
    printf '%s\n' "got:       $2" "must not: /$3/" | sed 's/^/# /'
    tap_line 1 "$1"
}

# Runs the command, keeping $STATUS, $OUT (stdout) and $ERR (stderr), without the last newline.
run() { # COMMAND...
    "$@" >"$DIR/.out" 2>"$DIR/.err" </dev/null
    STATUS=$?
    OUT=$(cat "$DIR/.out")
    ERR=$(cat "$DIR/.err")
    return 0
}

# As run, and the exit status is checked; on a failure both outputs are shown.
run_status() { # WHAT WANTED-STATUS COMMAND...
    local what=$1 wanted=$2
    shift 2
    run "$@"
    if [ "$STATUS" != "$wanted" ]; then
        printf '%s\n' "command: $*" "status:  $STATUS, want $wanted" "stdout:  $OUT" \
            "stderr:  $ERR" | sed 's/^/# /'
        tap_line 1 "$what"
        return
    fi
    tap_line 0 "$what"
}

# Tries the shell words until they succeed; false after SECONDS (more in a slow build). At first
# often, then five times a second, as a look that asks a daemon takes half as long as the pause.
await() { # SHELL-WORDS SECONDS
    local end=$((SECONDS + $2 * SLOW + 1)) looks=0
    until eval "$1" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            echo "# gave up after $2 s: $1"
            return 1
        fi
        sleep $((++looks > 20 ? 200 : 50))e-3
    done
}

skip_all() { # WHY
    echo "1..0 # SKIP $1"
    exit 0
}

need() { # PROGRAM...
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip_all "$program is not installed"
    done
}

# Ends the test at once, with what is needed to see why.
bail() { # WHY
    tap_line 1 "$1"
    finish
}

# The plan; the exit status says whether all held.
finish() {
    echo "1..$CHECKS"
    exit $((BAD > 0))
}
