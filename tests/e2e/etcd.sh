# shellcheck shell=bash
# etcd-servers for a test or a benchmark, after its lib.sh was read:
#
#     . "$(dirname "$0")/etcd.sh"
#     etcd_start 3        sets ETCD_ENDPOINTS (http://...,http://...) and ETCD_PIDS
#     kill -9 "${ETCD_PIDS[1]}"
#     etcd_restart 1      the second one again, on its port and its data
#
# The members end at exit with the other processes in PIDS; their data lie in lib.sh's folder.
#
# etcd cannot be given port 0. Ports are taken at random, and the whole start is tried anew when
# one of them is in use.

ETCD_ENDPOINTS=''
ETCD_PIDS=()
ETCD_ARGUMENTS=() # of each member, a line
ETCD_FOLDER=''
ETCD_HOST=${ETCD_HOST:-127.0.0.1} # the address that they listen on
ETCD_IN=()                        # what they are started by, as in (ip netns exec NAME)

etcd_launch() { # INDEX
    local arguments
    read -ra arguments <<<"${ETCD_ARGUMENTS[$1]}"
    "${ETCD_IN[@]}" etcd --data-dir "$ETCD_FOLDER/m$1" --log-level error \
        "${ETCD_OPTIONS[@]}" "${arguments[@]}" >>"$ETCD_FOLDER/m$1.log" 2>&1 &
    ETCD_PIDS[$1]=$!
    PIDS+=("$!")
}

# Waits until the member answers a read, which needs a leader; false when it ended.
etcd_await() { # INDEX
    local url tries
    url=$(cut -d, -f$(($1 + 1)) <<<"$ETCD_ENDPOINTS")
    for ((tries = 0; tries < 600; tries++)); do
        if "${ETCD_IN[@]}" curl -s -m 2 "$url/v3/kv/range" -d '{"key":"YQ=="}' 2>/dev/null |
            grep -q cluster_id; then
            return 0
        fi
        kill -0 "${ETCD_PIDS[$1]}" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

etcd_restart() { # INDEX
    etcd_launch "$1"
    etcd_await "$1"
}

etcd_try_start() { # COUNT
    local count=$1 base all='' i client peer
    base=$((20000 + RANDOM % 10000))
    for ((i = 0; i < count; i++)); do
        all+=${all:+,}m$i=http://$ETCD_HOST:$((base + 2 * i + 1))
    done
    ETCD_ENDPOINTS=''
    ETCD_PIDS=()
    for ((i = 0; i < count; i++)); do
        client=http://$ETCD_HOST:$((base + 2 * i))
        peer=http://$ETCD_HOST:$((base + 2 * i + 1))
        ETCD_ENDPOINTS+=${ETCD_ENDPOINTS:+,}$client
        ETCD_ARGUMENTS[i]="--name m$i --listen-client-urls $client --advertise-client-urls $client
            --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster $all"
        ETCD_ARGUMENTS[i]=$(tr -s '\n ' '  ' <<<"${ETCD_ARGUMENTS[i]}")
        etcd_launch "$i"
    done
    for ((i = 0; i < count; i++)); do
        etcd_await "$i" || return 1
    done
}

# ETCD_OPTIONS may be set before: further options of each member.
etcd_start() { # COUNT
    local tries
    ETCD_OPTIONS=("${ETCD_OPTIONS[@]}")
    for ((tries = 0; tries < 5; tries++)); do
        ETCD_FOLDER=${DIR:-$WORK}/etcd$tries
        mkdir -p "$ETCD_FOLDER"
        if etcd_try_start "$1"; then
            return 0
        fi
        end_processes "${ETCD_PIDS[@]}"
    done
    echo "$0: etcd cannot be started" >&2
    return 1
}
