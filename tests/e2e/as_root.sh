# shellcheck shell=bash
# Starts the test again as root, by a sudo that asks for no password, for what only root may do.
# Before lib.sh is read:
#
#     . "$(dirname "$0")/as_root.sh"          as root
#     . "$(dirname "$0")/as_root.sh" -mn      and in namespaces of its own, as unshare(1) names them

if [ -z "${AGAIN_AS_ROOT:-}" ]; then
    again=(env AGAIN_AS_ROOT=yes)
    if [ "$(id -u)" != 0 ]; then
        # The runner cannot end what belongs to root, so that ends by itself.
        limit=$(sed -n 's/^# limit: //p' "$0")
        case ${BUILD:-} in
        */asan) limit=$((limit * 4)) ;;
        esac
        mapfile -t again < <(env | grep -E '^(PATH|BUILD|TMPDIR|[A-Z]+_(ROUNDS|PLACES))=')
        again=(sudo -n env "${again[@]}" AGAIN_AS_ROOT=yes timeout -k 5 "$limit")
    fi
    if [ $# -gt 0 ]; then
        again+=(unshare "$1")
    fi
    if ! "${again[@]}" true 2>/dev/null; then
        echo "1..0 # SKIP needs root, or a sudo that asks for no password${1:+, and namespaces}"
        exit 0
    fi
    exec "${again[@]}" bash "$0"
fi
