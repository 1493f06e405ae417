# shellcheck shell=bash
# Several daemons on this machine, without network namespaces and without a lab, so that a test
# starts again by itself what it kills, as an init system would. After lib.sh was read:
#
#     . "$(dirname "$0")/nodes.sh"
#     cluster_up STORE N [OPTION...]    and all else of netns.sh that makes no namespaces
#     NODE_ENVIRONMENT[n1]=NAME=VALUE   a variable that its daemon and io are given

. "$(dirname "${BASH_SOURCE[0]}")/netns.sh"

declare -A NODE_ENVIRONMENT

# shellcheck disable=SC2317 # node_start calls both
enter() { # NODE COMMAND...
    exec env ${NODE_ENVIRONMENT[$1]:+"${NODE_ENVIRONMENT[$1]}"} "${@:2}" --port 0
}

# shellcheck disable=SC2317
address_of() { # NODE
    echo 127.0.0.1
}
