# shellcheck shell=bash
# Several hosts on one machine, in network namespaces of the test's own, after its lib.sh was read:
#
#     . "$(dirname "$0")/netns.sh"
#     net_up 3                hosts n1, n2, n3 at 10.77.0.1 to .3, all on one bridge
#     net_deaf n1 n2          n1 hears nothing of n2 any more; n2 still hears n1
#     net_cut n1,n2 n3        neither side hears the other
#     net_lose n1 30          30 of 100 packets to n1 are lost
#     net_heal                everything is heard again
#     NODE_REPOSITORY[n1]=DIR      where it has the repository, if not in $DIR/repository
#     node_start n1 [OPTION...]    a daemon there; NODE_PID[n1]
#     cluster_up STORE N      a cluster of N of them, all up
#     on n1 primary show      vios, asking n1's daemon
#
# Cuts are rules of nftables in the namespace of whoever is to be deaf. Whoever may make no
# namespaces skips the test.

NET=vios-$$
declare -A NODE_PID NODE_REPOSITORY
export -n VIOS_SOCKET
unset VIOS_SOCKET

net_need() {
    local program
    for program in ip nft jq; do
        command -v "$program" >/dev/null || skip_all "$program is not installed"
    done
    ip netns add "$NET-try" 2>/dev/null || skip_all "this user may make no network namespaces"
    ip netns del "$NET-try"
}

host() { # HOST COMMAND...
    local name=$1
    shift
    ip netns exec "$NET-$name" "$@"
}

# The same, instead of this shell.
enter() { # HOST COMMAND...
    exec ip netns exec "$NET-$1" "${@:2}"
}

# 10.77.0.N for nN, 10.77.0.100 for anything else.
address_of() { # HOST
    case $1 in
    n[0-9]*) echo "10.77.0.${1#n}" ;;
    *) echo 10.77.0.100 ;;
    esac
}

net_host() { # HOST
    ip netns add "$NET-$1"
    ip -n "$NET-hub" link add "$1" type veth peer name eth0 netns "$NET-$1"
    ip -n "$NET-hub" link set "$1" master br0 up
    ip -n "$NET-$1" addr add "$(address_of "$1")/24" dev eth0
    ip -n "$NET-$1" link set eth0 up
    ip -n "$NET-$1" link set lo up
    HOSTS+=("$1")
    net_rules "$1"
}

# An empty chain that every packet to the host goes through.
net_rules() { # HOST
    host "$1" nft -f - <<'RULES'
add table inet cut
add chain inet cut input { type filter hook input priority 0; }
flush chain inet cut input
RULES
}

net_down() {
    local name
    for name in "${HOSTS[@]}" hub; do
        ip netns del "$NET-$name" 2>/dev/null
    done
}

net_up() { # COUNT [HOST...]
    local i count=$1
    shift
    HOSTS=()
    net_need
    at_exit net_down
    ip netns add "$NET-hub"
    ip -n "$NET-hub" link add br0 type bridge
    ip -n "$NET-hub" link set br0 up
    for ((i = 1; i <= count; i++)); do
        net_host "n$i"
    done
    for i; do
        net_host "$i"
    done
}

net_deaf() { # HOST TO
    host "$1" nft add rule inet cut input ip saddr "$(address_of "$2")" drop
}

net_cut() { # HOST,HOST... HOST,HOST...
    local a b
    for a in ${1//,/ }; do
        for b in ${2//,/ }; do
            net_deaf "$a" "$b"
            net_deaf "$b" "$a"
        done
    done
}

net_lose() { # HOST PERCENT
    host "$1" nft add rule inet cut input numgen random mod 100 '<' "$2" drop
}

net_heal() {
    local name
    for name in "${HOSTS[@]}"; do
        net_rules "$name"
    done
}

# --- daemons ---

# shellcheck disable=SC2317
end_nodes() {
    end_processes "${NODE_PID[@]}" # first: a daemon would start another io
    end_strays
}
at_exit end_nodes

on() { # NODE COMMAND...
    local node=$1
    shift
    "$VIOS" --socket "$DIR/$node/run/vios.sock" "$@"
}

node_launch() { # NODE [OPTION...]
    local node=$1
    shift
    mkdir -p "$DIR/$node" "$DIR/repository"
    enter "$node" "$DAEMON" --node "$node" --address "$(address_of "$node")" --store "$STORE" \
        --run-dir "$DIR/$node/run" --state-dir "$DIR/$node/state" \
        --repository "${NODE_REPOSITORY[$node]:-$DIR/repository}" "$@" >>"$DIR/$node.log" 2>&1 &
    NODE_PID[$node]=$!
}

node_start() { # NODE [OPTION...]
    local node=$1
    node_launch "$@"
    await "'$VIOS' --socket '$DIR/$node/run/vios.sock' config get node" 20 ||
        bail "$node does not answer"
}

cluster_up() { # STORE COUNT [OPTION...]
    local i
    STORE=$1
    local count=$2
    shift 2
    for ((i = 1; i <= count; i++)); do
        node_start "n$i" "$@"
    done
    on n1 cluster create lab >/dev/null || bail "no cluster is made"
    for ((i = 2; i <= count; i++)); do
        on "n$i" node join "$(on n1 node token --fmt : --field token)" >/dev/null ||
            bail "n$i does not join"
    done
    await "whole n1 $count" 30 || bail "the cluster does not become whole"
}

# Stops its daemon, but not while it has the lock of a VIOS DB on SQLite: nobody could write then.
node_freeze() { # NODE ASKED
    await "stands_still $1 $2" 20 || bail "$1 cannot be stopped without a lock"
}
# shellcheck disable=SC2317
stands_still() {
    kill -STOP "${NODE_PID[$1]}"
    on "$2" --timeout 2s cluster set level 0 || { kill -CONT "${NODE_PID[$1]}" && false; }
}

# --- looking ---

whole() { # NODE COUNT: it sees so many nodes, all up, a primary, and everybody hears everybody
    [ "$(on "$1" cluster status --json |
        jq -c '[.state, (.nodes | length)]')" = "[\"OK\",$2]" ] &&
        [ "$(on "$1" cluster matrix --json |
            jq --argjson all "$2" 'map(select(.hears | length == $all - 1)) | length')" = "$2" ] &&
        [ "$(on "$1" primary explain --json | jq '.declined | length')" = 0 ]
}

primary_of() { on "$1" primary show --json | jq -r .node; } # NODE
epoch_of() { on "$1" primary show --json | jq -r .epoch; }   # NODE
state_of() { on "$1" node list --json | jq -r ".[] | select(.name == \"$2\").state"; }
incarnation_of() { on "$1" node show "$2" --json | jq .incarnation; }

# How often it has renewed, and whether that is more than FROM.
renewals_of() { on "$1" db get "/alive/$2" --json | jq '.[0].value.n'; }
renewed_since() { [ "$(renewals_of "$1" "$2")" -gt "$3" ]; } # NODE WHOSE FROM

# All of them name the same primary, which is one of ALLOWED.
agreed() { # ALLOWED NODE...
    local allowed=$1 node first
    shift
    first=$(primary_of "$1")
    [[ ,$allowed, == *",$first,"* ]] || return 1
    for node; do
        [ "$(primary_of "$node")" = "$first" ] || return 1
    done
}
