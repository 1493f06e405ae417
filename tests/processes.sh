# shellcheck shell=bash
# Ending only what one's own test or benchmark started. The number of a process that has ended is
# given to another one soon, in a suite that starts tens of thousands; so a number that was kept is
# looked at before it is used: it is a child, it inherited VIOS_TEST, or it names our folder.
#
#     . tests/processes.sh FOLDER        the test's own

VIOS_TEST=$1
export VIOS_TEST

is_ours() { # PID
    grep -qs "^PPid:[[:space:]]*$$\$" "/proc/$1/status" ||
        grep -qsz "^VIOS_TEST=$VIOS_TEST\$" "/proc/$1/environ" ||
        grep -qsF "$VIOS_TEST/" "/proc/$1/cmdline"
}

# Those of them that are ours and alive, with SIGKILL.
end_processes() { # PID...
    local pid
    for pid; do
        if is_ours "$pid"; then
            kill -9 "$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
        fi
    done
}

# What daemons with --run-dir $DIR/... have started, and detached: io and QEMU. After the daemons,
# which would start another io.
end_strays() {
    local pid
    end_processes "${PIDS[@]}"
    for pid in $(pgrep -f -- "--run-dir $DIR/"); do
        kill -9 "$pid" 2>/dev/null
    done
    for pid in $(pgrep -f '^[^ ]*/qemu-system-'); do
        if [[ $(readlink "/proc/$pid/cwd") == "$DIR"/* ]]; then
            kill -9 "$pid" 2>/dev/null
        fi
    done
}
