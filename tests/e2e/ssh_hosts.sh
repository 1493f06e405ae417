# shellcheck shell=bash
# Hosts reached by a real sshd, without a port: it runs behind a ProxyCommand, for each connection
# anew, where no Ctrl-C of ours reaches it. After lib.sh was read:
#
#     ssh_up                        keys, and the file that VIOS_SSH_CONFIG names
#     ssh_host h1 [NAME=VALUE...]   a host h1; the variables are set in its sessions
#
# `ssh -F "$VIOS_SSH_CONFIG" h1` reaches it too. Every host is this machine and this user, whose
# shell finds no start-up files.

SSHD=$(command -v sshd || echo /usr/sbin/sshd)

ssh_up() {
    need ssh ssh-keygen
    test -x "$SSHD" || skip_all "sshd is not installed"
    mkdir -p "$DIR/ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$DIR/ssh/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "$DIR/ssh/key"
    cp "$DIR/ssh/key.pub" "$DIR/ssh/authorized"
    : >"$DIR/ssh/known"
    : >"$DIR/ssh/config"
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd # where it separates its privileges
    export VIOS_SSH_CONFIG=$DIR/ssh/config
    unset SSH_AUTH_SOCK
}

# One in ~/.ssh/config's words; its sshd_config is $DIR/ssh/NAME.conf.
ssh_host() { # NAME [NAME=VALUE...]
    local name=$1 conf=$DIR/ssh/$1.conf
    shift
    cat >"$conf" <<END
HostKey $DIR/ssh/host_key
AuthorizedKeysFile $DIR/ssh/authorized
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
SetEnv PATH=$BUILD/bin:/usr/bin:/bin HOME=$DIR/ssh $*
END
    cat >>"$DIR/ssh/config" <<END
Host $name
    ProxyCommand setsid $SSHD -i -f $conf -E $DIR/ssh/$name.log
    IdentityFile $DIR/ssh/key
    UserKnownHostsFile $DIR/ssh/known
    GlobalKnownHostsFile /dev/null
    LogLevel ERROR
END
    echo "$name $(cut -d' ' -f1,2 "$DIR/ssh/host_key.pub")" >>"$DIR/ssh/known"
}
