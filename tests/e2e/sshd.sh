# shellcheck shell=bash
# An sshd of the test's own on loopback, after lib.sh was read:
#
#     . "$(dirname "$0")/sshd.sh"
#     sshd_key NAME               a key pair $DIR/ssh/NAME
#     sshd_up [LINE...]           the server, with these lines in its configuration; $SSH_PORT. Keys
#                                 are looked for in $DIR/ssh/authorized/USER
#     ssh_as KEY USER [WORD...]   ssh; with -tt and the like in SSH_OPTIONS
#
# It has what it is given and no default: no PAM, no passwords, no forwarding unless a line says so.

SSHD=$(command -v sshd || echo /usr/sbin/sshd)
SSH_OPTIONS=()
mkdir -p "$DIR/ssh/authorized"
chmod 711 "$DIR" "$DIR/ssh" "$DIR/ssh/authorized"

sshd_need() {
    need ssh ssh-keygen perl
    test -x "$SSHD" || skip_all "sshd is not installed"
}

sshd_key() { # NAME
    ssh-keygen -q -t ed25519 -N '' -C "" -f "$DIR/ssh/$1"
}

sshd_up() { # LINE...
    sshd_key host
    {
        printf '%s\n' "HostKey $DIR/ssh/host" "AuthorizedKeysFile $DIR/ssh/authorized/%u" \
            "StrictModes no" "UsePAM no" "PidFile none" "PermitRootLogin yes" \
            "PasswordAuthentication no" "KbdInteractiveAuthentication no"
        printf '%s\n' "$@"
    } >"$DIR/ssh/sshd_config"
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd # where it separates its privileges
    perl "$ROOT/tests/tools/sshd_listener.pl" "$DIR/ssh/port" \
        "$SSHD" -i -f "$DIR/ssh/sshd_config" -E "$DIR/ssh/sshd.log" &
    PIDS+=($!)
    await "[ -s $DIR/ssh/port ]" 10 || bail "sshd listens"
    SSH_PORT=$(cat "$DIR/ssh/port")
    echo "[127.0.0.1]:$SSH_PORT $(cut -d' ' -f1,2 "$DIR/ssh/host.pub")" >"$DIR/ssh/known"
    cat >"$DIR/ssh/config" <<END
Host gate
    HostName 127.0.0.1
    Port $SSH_PORT
    IdentitiesOnly yes
    UserKnownHostsFile $DIR/ssh/known
    LogLevel ERROR
END
}

ssh_as() { # KEY USER [WORD...]
    local key=$1 user=$2
    shift 2
    ssh -F "$DIR/ssh/config" -i "$DIR/ssh/$key" -l "$user" "${SSH_OPTIONS[@]}" gate ${1:+--} "$@"
}
